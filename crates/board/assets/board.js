// Keeps the columns as they are in the journal: a record is the sign to ask for the board again. Text is always set
// as text.
const columns = document.getElementById("columns");
const state = document.getElementById("state");
const last = document.getElementById("last");
const doing = new Map();
let board = null;
let asked = null;

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function dollars(micros) {
  return `$${(micros / 1e6).toFixed(2)}`;
}

function card(issue) {
  const item = element("li");
  item.append(element("b", String(issue.id)), ` ${issue.title}`);
  const facts = [`${issue.tasks.landed}/${issue.tasks.all} tasks`, dollars(issue.cost)];
  item.append(element("div", facts.join(" · "), "dim"));
  for (const run of issue.running) {
    const who = run.persona ? `${run.persona} (${run.agent})` : "turno";
    item.append(element("div", `${run.task} ${run.stage}: ${who}`));
    item.append(element("div", doing.get(run.attempt) ?? run.doing ?? "", "dim"));
  }
  if (issue.waiting) item.append(element("div", issue.waiting, "dim"));
  return item;
}

function show() {
  const works = board.coordinator === "works" ? "a shift is coordinated" : "no coordinator is alive";
  const spent = board.shift ? `, ${dollars(board.shift.spent)} of ${dollars(board.shift.budget)} spent` : "";
  state.textContent = `${works}${spent}, ${board.free_slots} of ${board.slots} slots free`;
  columns.replaceChildren(...board.columns.map((column) => {
    const section = element("section");
    const title = element("h2", `${column.title} `);
    title.append(element("small", String(column.issues)));
    const list = element("ul");
    list.append(...column.cards.map(card));
    section.append(title, list);
    return section;
  }));
}

async function ask() {
  const answer = await fetch("/api/board");
  if (!answer.ok) {
    state.textContent = (await answer.json()).error.message;
    return;
  }
  board = await answer.json();
  show();
}

// Many records come together: the board is asked for once for all of them.
function soon() {
  asked ??= setTimeout(() => {
    asked = null;
    ask().catch((error) => { state.textContent = String(error); });
  }, 150);
}

const events = new EventSource(`/api/events?after=${document.body.dataset.seq}`);
events.addEventListener("record", (event) => {
  const record = JSON.parse(event.data);
  if (record.line) last.textContent = record.line;
  soon();
});
events.addEventListener("live", (event) => {
  const line = JSON.parse(event.data);
  doing.set(line.attempt, line.line);
  if (board) show();
});
events.addEventListener("coordinator", soon);
events.addEventListener("reset", () => location.reload());
events.addEventListener("open", soon);
