// Keeps the page as it is in the journal: a record that touches what it shows is the sign to ask for it again.
import { morph } from "./morph.js";
import { plain } from "./plain.js";
import { more } from "./talk.js";

const PARTS = ["shift", "pages", "inbox", "main", "closed"];
const lost = document.getElementById("lost");
let asked = null;
let asking = false;
let again = false;

async function ask() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    morph(page, PARTS);
    tick();
  } finally {
    asking = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

// Many records come together: the page is asked for once for all of them. One that is still is what it was when it was
// opened: to make it again, a remote and a forge would be asked, each time for nothing.
export function soon() {
  if (document.querySelector("[data-still]")) return;
  asked ??= setTimeout(() => {
    asked = null;
    ask().catch(() => { lost.hidden = false; });
  }, 120);
}

// Whether a record changes something that the page shows. A page names the keys of what it shows; one that ends in a
// star stands for all that begin so.
function shows(wanted, touched) {
  return wanted.some((want) => want.endsWith("*")
    ? touched.some((key) => key.startsWith(want.slice(0, -1))) || want === "*"
    : touched.includes(want));
}

function lasting(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

function tick() {
  for (const since of document.querySelectorAll("[data-since]")) {
    since.textContent = lasting(Date.now() - Number(since.dataset.since));
  }
}

let events = null;
let last = document.body.dataset.seq;

function listen(wanted) {
  events = new EventSource(`/api/events?after=${last}`);
  events.addEventListener("record", (event) => {
    last = event.lastEventId;
    if (shows(wanted, JSON.parse(event.data).touches)) soon();
  });
  events.addEventListener("live", (event) => {
    const { attempt, line } = JSON.parse(event.data);
    for (const now of document.querySelectorAll(`[data-attempt="${CSS.escape(String(attempt))}"]`)) now.textContent = plain(line);
    more(attempt);
  });
  events.addEventListener("coordinator", soon);
  events.addEventListener("reset", () => location.reload());
  events.addEventListener("open", () => { lost.hidden = true; soon(); });
  events.addEventListener("error", () => { lost.hidden = false; });
}

function leave() {
  events?.close();
  events = null;
}

export function follow() {
  const wanted = (document.body.dataset.touches ?? "").split(" ").filter(Boolean);
  // The head of every page shows the shift and how many questions wait.
  wanted.push("shift/*", "decision/*");
  const look = () => {
    // A browser has six connections for a board and no more: a page that nobody sees keeps none.
    if (document.hidden) leave();
    else if (!events) listen(wanted);
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", look);
  look();
  tick();
  setInterval(tick, 1000);
}
