// Orders the backlog: a card that is dropped beside another takes its priority, and so do keys. Dropped on a column to
// the right it is begun in the shift that runs.
import { ask, say } from "./send.js";
import { soon } from "./live.js";

const ORDER = ["urgent", "high", "normal", "low"];

export async function prioritise(card, priority) {
  if (card.dataset.priority === priority) return;
  try {
    await ask("PATCH", `/api/issues/${card.dataset.issue}`, { priority });
    say(`issue ${card.dataset.issue}: ${priority}`);
    soon();
  } catch (error) {
    say(error.message, "bad");
  }
}

export async function start(card) {
  if (!card.draggable) return say("only issues in the backlog can be begun", "asks");
  try {
    const told = await ask("POST", `/api/issues/${card.dataset.issue}/start`);
    say(told.done);
    soon();
  } catch (error) {
    say(error.message, "bad");
  }
}

export function nudge(card, by) {
  if (!card.draggable) return say("only issues in the backlog can be put in another order", "asks");
  const at = ORDER.indexOf(card.dataset.priority) + by;
  return at >= 0 && at < ORDER.length ? prioritise(card, ORDER[at]) : undefined;
}

export function drag() {
  let held = null;
  const lane = (event) => held && event.target.closest?.("#lane-backlog, #lane-planning, #lane-working");
  const unmark = () => document.querySelector(".lane.over")?.classList.remove("over");
  document.addEventListener("dragstart", (event) => {
    held = event.target.closest?.('.issue[draggable="true"]') ?? null;
    if (held) event.dataTransfer.setData("text/plain", held.dataset.issue);
  });
  document.addEventListener("dragover", (event) => {
    if (!lane(event)) return;
    event.preventDefault();
    if (lane(event).classList.contains("over")) return;
    unmark();
    lane(event).classList.add("over");
  });
  document.addEventListener("dragend", () => {
    held = null;
    unmark();
  });
  document.addEventListener("drop", (event) => {
    if (!lane(event)) return;
    event.preventDefault();
    if (lane(event).id !== "lane-backlog") {
      start(held);
      return;
    }
    const cards = [...lane(event).querySelectorAll(".issue")].filter((c) => c !== held);
    const below = cards.find((c) => event.clientY < c.getBoundingClientRect().bottom);
    const beside = below ?? cards.at(-1);
    if (beside) prioritise(held, beside.dataset.priority);
  });
}
