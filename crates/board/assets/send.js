// Sends what a person asks for: a form with `data-send="METHOD /path"` becomes JSON. What came of it is said aloud.
import { soon } from "./live.js";

const said = document.getElementById("said");
let silence = null;

export function say(text, tone = "good") {
  said.textContent = text;
  said.className = `toast ${tone}`;
  clearTimeout(silence);
  silence = setTimeout(() => { said.textContent = ""; }, 8000);
}

function value(field, text) {
  switch (field?.dataset?.kind) {
    case "lines": return text.split("\n").map((l) => l.trim()).filter(Boolean);
    case "words": return text.split(",").map((w) => w.trim()).filter(Boolean);
    case "numbers": return text.split(/[\s,]+/).filter(Boolean).map(Number);
    case "number": return Number(text);
    case "yes": return text === "yes";
    case "tasks": return tasks(text);
    default: return text;
  }
}

// A list of tasks: a line each, with what is to be done indented below it.
function tasks(text) {
  const told = [];
  for (const line of text.split("\n")) {
    const title = line.replace(/^[-*+]\s+/, "").trim();
    if (!title) continue;
    if (/^\s/.test(line) && told.length) told.at(-1).text += `${title}\n`;
    else told.push({ title, text: "" });
  }
  return told;
}

// A form with `data-edit` is one change of a plan, of the version that it was filled with.
function edit(form, told) {
  const { version, ...rest } = told;
  return { version, edits: [{ [form.dataset.edit]: rest }] };
}

export async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error?.message ?? answer.statusText);
  return told;
}

function body(form, button) {
  const told = {};
  for (const [name, text] of new FormData(form, button)) {
    told[name] = value(form.elements.namedItem(name), text);
  }
  return told;
}

async function submit(form, button) {
  const [method, path] = form.dataset.send.split(" ");
  const output = form.querySelector("output");
  let wrong = "";
  // Before the buttons are shut off: one that is says nothing.
  const asked = form.dataset.edit ? edit(form, body(form, button)) : body(form, button);
  for (const b of form.querySelectorAll("button")) b.disabled = true;
  try {
    const told = await ask(method, path, asked);
    form.closest("dialog")?.close();
    if (form.dataset.then) {
      location.assign(form.dataset.then.replace("{id}", told.id ?? ""));
      return;
    }
    form.reset();
    say(told.done ?? form.dataset.said ?? (told.stage?.answered ? `answered: ${told.stage.answered.answer}` : "done"));
    soon();
  } catch (error) {
    // Whoever has read that the plan is another one may ask for the same of that one. Edited words are another matter.
    if (form.dataset.edit && form.dataset.edit !== "edit") await renew(form);
    wrong = error.message;
  } finally {
    for (const b of form.querySelectorAll("button")) b.disabled = false;
  }
  // Told once it can be asked for again.
  if (wrong) {
    if (output) output.textContent = wrong;
    say(wrong, "bad");
  }
}

async function renew(form) {
  const answer = await fetch(form.dataset.fill);
  if (answer.ok) form.elements.namedItem("version").value = (await answer.json()).version;
}

// Fills a form with what is stored: the page shows text made harmless and cut, which must not be stored in its place.
async function fill(form) {
  const answer = await fetch(form.dataset.fill);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error?.message ?? answer.statusText);
  const task = told.tasks?.find((t) => t.id === form.dataset.task);
  const from = form.dataset.edit ? { ...task, version: told.version, task: form.dataset.task } : told.issue;
  for (const field of form.elements) {
    const stored = from[field.name];
    if (stored === undefined) continue;
    field.value = Array.isArray(stored) ? stored.join(field.dataset.kind === "lines" ? "\n" : ", ") : stored;
  }
}

export async function open(dialog, task) {
  const form = dialog.querySelector("form[data-fill]");
  if (form && task) {
    form.dataset.task = task;
    for (const of of dialog.querySelectorAll("[data-of]")) of.textContent = task;
  }
  for (const output of dialog.querySelectorAll("output")) output.textContent = "";
  try {
    if (form) await fill(form);
    dialog.showModal();
  } catch (error) {
    say(error.message, "bad");
  }
}

export function send() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.send) return;
    event.preventDefault();
    submit(form, event.submitter);
  });
}
