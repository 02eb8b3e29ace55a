// Owns the keyboard: everything that a mouse can do. Plain keys are for pages, never for a field that is written in.
import { nudge, start } from "./drag.js";
import { soon } from "./live.js";
import { palette } from "./palette.js";
import { open } from "./send.js";

const dialog = (id) => document.getElementById(id);
let going = false;

// What j and k go through: cards, else rows and questions.
function stops() {
  const cards = [...document.querySelectorAll(".board .issue h3 a")];
  return cards.length > 0 ? cards : [...document.querySelectorAll("main [data-stop], main .question")];
}

function step(by) {
  const all = stops();
  const at = all.indexOf(document.activeElement);
  const lane = document.activeElement?.closest?.(".lane");
  if (at < 0) return reach(all.find((a) => a.closest(".lane")?.id === "lane-working") ?? all[0]);
  if (lane) {
    const here = all.filter((a) => a.closest(".lane") === lane);
    return reach(here[here.indexOf(all[at]) + by]);
  }
  return reach(all[at + by]);
}

function aside(by) {
  const lanes = [...document.querySelectorAll(".lane")].filter((l) => l.querySelector(".issue"));
  const lane = document.activeElement?.closest?.(".lane");
  if (!lane) return step(1);
  const row = [...lane.querySelectorAll(".issue h3 a")].indexOf(document.activeElement);
  const there = [...(lanes[lanes.indexOf(lane) + by]?.querySelectorAll(".issue h3 a") ?? [])];
  return reach(there[Math.min(Math.max(row, 0), there.length - 1)]);
}

function reach(element) {
  element?.focus({ preventScroll: true });
  element?.closest(".issue, [data-stop], .question")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function answer(key) {
  const open = document.activeElement?.closest?.(".question") ?? document.querySelector(".question");
  open?.querySelector(`button[data-key="${key}"]`)?.click();
}

export function theme() {
  const root = document.documentElement;
  const next = { undefined: "dark", dark: "light", light: undefined }[root.dataset.theme];
  if (next) {
    root.dataset.theme = next;
    localStorage.setItem("theme", next);
  } else {
    delete root.dataset.theme;
    localStorage.removeItem("theme");
  }
}

const PAGES = { b: "/", i: "/decisions", s: "/shifts", r: "/report" };

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  h: () => aside(-1),
  l: () => aside(1),
  n: () => dialog("new").showModal(),
  t: theme,
  "?": () => dialog("help").showModal(),
  "/": () => document.getElementById("q")?.focus(),
  g: () => { going = true; },
  "+": () => card() && nudge(card(), -1),
  "-": () => card() && nudge(card(), 1),
  s: () => card() && start(card()),
};

function card() {
  return document.activeElement?.closest?.(".issue") ?? null;
}

function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    palette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.nodeName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (going) {
    going = false;
    if (PAGES[event.key]) location.assign(PAGES[event.key]);
    return;
  }
  if (/^[1-9]$/.test(event.key)) {
    answer(event.key);
    return;
  }
  const act = KEYS[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

export const DOES = {
  palette,
  new: KEYS.n,
  help: KEYS["?"],
  theme,
  close: (button) => button.closest("dialog").close(),
};

export function listen() {
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-do]");
    if (button) DOES[button.dataset.do]?.(button);
    const opens = event.target.closest?.("[data-open]");
    if (opens && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      // A link, for who runs no scripts, leads to the same form on a page of its own.
      event.preventDefault();
      const shown = dialog(opens.dataset.open);
      // What was typed for another task is not this one's.
      for (const form of shown.querySelectorAll("form")) form.reset();
      // What a button names of its place stands in the fields of that name.
      for (const field of shown.querySelectorAll("input[name]")) field.value = opens.dataset[field.name] ?? field.value;
      open(shown, opens.dataset.task);
    }
    const pane = event.target;
    if (pane.nodeName === "DIALOG") pane.close();
  });
  const field = document.getElementById("q");
  field?.addEventListener("input", () => {
    const at = new URL(location.href);
    if (field.value.trim()) at.searchParams.set("q", field.value);
    else at.searchParams.delete("q");
    history.replaceState(null, "", at);
    soon();
  });
  field?.form.addEventListener("submit", (event) => event.preventDefault());
}
