// Goes on with an attempt's conversation while it runs: asks for what is new, and puts it below.
import { plain } from "./plain.js";

const talk = document.getElementById("talk");
let next = Number(talk?.dataset.next ?? 0);
let asking = false;
let again = false;

function said(item) {
  const template = document.getElementById(item.kind === "used" ? "said-long" : "said-short");
  const made = template.content.cloneNode(true);
  made.querySelector(".who").textContent = item.kind;
  const text = made.querySelector(".text");
  const words = plain(item.text);
  text.textContent = words;
  const first = made.querySelector("summary");
  if (first) first.textContent = words.split("\n", 1)[0].slice(0, 160);
  made.querySelector(".said").classList.add(item.kind);
  return made;
}

async function ask() {
  const attempt = talk.dataset.number;
  const answer = await fetch(`/api/attempts/${attempt}/conversation?after=${next}&limit=500`);
  if (!answer.ok) return;
  const { items, next: after, more: rest } = await answer.json();
  const below = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
  talk.append(...items.map(said));
  next = after;
  if (items.length > 0 && below) scrollTo({ top: document.documentElement.scrollHeight });
  if (rest) again = true;
}

export function more(attempt) {
  if (!talk || String(attempt) !== talk.dataset.number) return;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  ask().catch(() => {}).finally(() => {
    asking = false;
    if (again) {
      again = false;
      more(attempt);
    }
  });
}

// The piece that came with the page may not be all.
export function converse() {
  if (talk?.dataset.more !== undefined) more(talk.dataset.number);
}
