// The palette: finds an issue, a page, or something to do, by what is typed.
import { theme } from "./keys.js";

const pane = document.getElementById("palette");
const input = pane?.querySelector("input");
const list = document.getElementById("found");
let entries = [];
let chosen = 0;

const go = (to) => () => location.assign(to);
const PAGES = [
  { name: "Board", note: "g b", act: go("/") },
  { name: "Inbox: what waits for you", note: "g i", act: go("/decisions") },
  { name: "Shifts and budgets", note: "g s", act: go("/shifts") },
  { name: "Report of the latest shift", note: "g r", act: go("/report") },
  { name: "Salvage", note: "", act: go("/salvage") },
  { name: "Personas", note: "", act: go("/personas") },
  { name: "Configuration", note: "", act: go("/config") },
  { name: "New issue", note: "n", act: () => document.getElementById("new").showModal() },
  { name: "Light, dark, as the system is", note: "t", act: () => theme() },
  { name: "All keys", note: "?", act: () => document.getElementById("help").showModal() },
];

async function issues() {
  const answer = await fetch("/api/board");
  if (!answer.ok) return [];
  const board = await answer.json();
  return board.columns.flatMap((column) => column.cards.map((card) => ({
    name: `${card.id} ${card.title}`,
    note: column.title,
    act: go(`/issues/${card.id}`),
  })));
}

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = entries.filter((e) => words.every((w) => e.name.toLowerCase().includes(w))).slice(0, 50);
  chosen = Math.min(chosen, Math.max(found.length - 1, 0));
  list.replaceChildren(...found.map((entry, n) => {
    const item = document.createElement("li");
    item.id = `found-${n}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(n === chosen));
    const name = document.createElement("span");
    name.textContent = entry.name;
    const note = document.createElement("small");
    note.textContent = entry.note;
    item.append(name, note);
    item.addEventListener("click", () => take(entry));
    return item;
  }));
  input.setAttribute("aria-activedescendant", found.length > 0 ? `found-${chosen}` : "");
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
  return found;
}

function take(entry) {
  pane.close();
  entry?.act();
}

export function palette() {
  if (pane.open) {
    pane.close();
    return;
  }
  input.value = "";
  chosen = 0;
  entries = PAGES;
  pane.showModal();
  show();
  issues().then((found) => {
    entries = [...found, ...PAGES];
    show();
  }).catch(() => {});
}

input?.addEventListener("input", () => {
  chosen = 0;
  show();
});
input?.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (by) {
    event.preventDefault();
    chosen = Math.max(0, chosen + by);
    show();
  } else if (event.key === "Enter") {
    event.preventDefault();
    take(show()[chosen]);
  }
});
