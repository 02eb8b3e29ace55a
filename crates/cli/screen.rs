//! Owns what is shown while a shift runs: on a terminal a line for each running attempt that is kept up to date,
//! and the totals against the budget; elsewhere plain lines; NDJSON of the journal when asked for.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use turno_core::State;
use turno_core::decision::Decision;
use turno_core::explain::headline;
use turno_core::foresight::{self, Weather};
use turno_core::ids::{AttemptId, Seq, TaskId};
use turno_core::record::Record;
use turno_core::shift::Shift;
use turno_core::state::Entity;
use turno_core::task::Task;
use turno_core::view::{self, StageName};
use turno_engine::live::{Live, LiveLine};
use turno_engine::run::{Handle, now};

use crate::print;
use crate::verb::{answer_hint, question_lines, run_line, shift_line};

const TICK: Duration = Duration::from_millis(200);

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A live display.
    Live,
    /// Plain lines.
    Lines,
    /// NDJSON.
    Json,
}

impl Show {
    /// For people: live on a terminal, else lines.
    pub(crate) fn people() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        if std::io::stderr().is_terminal() && !dumb {
            Self::Live
        } else {
            Self::Lines
        }
    }

    /// How wide its lines may be, where that matters.
    fn width(self) -> Option<usize> {
        match self {
            Self::Live => print::error_width(),
            Self::Lines | Self::Json => None,
        }
    }
}

/// The screen of a running shift.
pub(crate) struct Screen {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Screen {
    /// Shows what is still to be shown, then ends.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if self.task.await.is_err() {
            print::warning("the display broke; the shift did not");
        }
    }
}

/// Begins to show.
pub(crate) fn start(show: Show, handle: Handle, live: &Live) -> Screen {
    let stop = CancellationToken::new();
    let until = stop.clone();
    let mut feed = live.watch();
    let mut head = handle.head();
    let mut at = *head.borrow();
    let mut panel = Panel::new(show);
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let over = tokio::select! {
                () = until.cancelled() => true,
                changed = head.changed() => changed.is_err(),
                line = feed.recv() => {
                    match line {
                        Ok(line) => panel.heard(line),
                        Err(RecvError::Lagged(_) | RecvError::Closed) => {}
                    }
                    false
                }
                _ = tick.tick() => {
                    panel.draw(&handle.snapshot());
                    false
                }
            };
            at = panel.records(&handle, at);
            if over {
                panel.clear();
                return;
            }
        }
    });
    Screen { stop, task }
}

/// What is on the screen.
struct Panel {
    show: Show,
    bars: MultiProgress,
    lines: BTreeMap<AttemptId, ProgressBar>,
    held: BTreeMap<TaskId, ProgressBar>,
    total: ProgressBar,
    counts: ProgressBar,
    doing: BTreeMap<AttemptId, String>,
}

/// The questions that a record put.
fn newly_asked(record: &Record) -> impl Iterator<Item = &Decision> {
    record.changes.iter().filter_map(|entity| match entity {
        Entity::Decision(decision) if decision.is_open() && decision.asked == record.at => Some(&**decision),
        _ => None,
    })
}

fn plain_bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    // A template without fields cannot be wrong.
    bar.set_style(
        ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

impl Panel {
    fn new(show: Show) -> Self {
        let target = match show {
            Show::Live => ProgressDrawTarget::stderr_with_hz(10),
            Show::Lines | Show::Json => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let total = bars.add(plain_bar());
        let counts = bars.add(plain_bar());
        Self {
            show,
            bars,
            lines: BTreeMap::new(),
            held: BTreeMap::new(),
            total,
            counts,
            doing: BTreeMap::new(),
        }
    }

    fn heard(&mut self, line: LiveLine) {
        self.doing
            .insert(line.attempt, print::plain(&line.doing.line(), 200));
    }

    /// Shows committed records that were not shown yet.
    fn records(&mut self, handle: &Handle, after: Seq) -> Seq {
        let head = *handle.head().borrow();
        if head <= after {
            return after;
        }
        match handle
            .reader()
            .after(after, usize::try_from(head.0 - after.0).unwrap_or(1))
        {
            Ok(records) => {
                for record in &records {
                    self.record(record);
                }
                records.last().map_or(after, |r| r.seq)
            }
            Err(error) => {
                self.say(&format!("the journal cannot be shown: {error}"));
                after
            }
        }
    }

    fn record(&self, record: &Record) {
        match self.show {
            Show::Json => {
                if let Ok(line) = print::json_line(record) {
                    print::data(&line);
                }
            }
            Show::Live | Show::Lines => {
                if let Some(line) = headline(record) {
                    let clock = print::clock(record.at);
                    let line = print::plain(&line, 400);
                    let line = print::folded(&line, self.show.width(), clock.len() + 1);
                    self.say(&format!("{} {line}", print::dim(&clock)));
                }
                for decision in newly_asked(record) {
                    for line in question_lines(decision, record.at) {
                        let words = line.trim_start();
                        let (lead, _) = line.split_at(line.len() - words.len());
                        let words = print::folded(words, self.show.width(), lead.len().max(4));
                        self.say(&format!("{lead}{words}"));
                    }
                    self.say(&answer_hint(decision.id));
                }
            }
        }
    }

    fn say(&self, line: &str) {
        match self.show {
            Show::Live => self.bars.suspend(|| print::note(line)),
            Show::Lines => print::note(line),
            Show::Json => {}
        }
    }

    fn draw(&mut self, state: &State) {
        if self.show != Show::Live {
            return;
        }
        let status = view::status(state);
        let now = now();
        self.lines.retain(|attempt, bar| {
            let runs = status.running.iter().any(|r| r.attempt == *attempt);
            if !runs {
                bar.finish_and_clear();
                self.bars.remove(bar);
            }
            runs
        });
        for run in &status.running {
            let bars = &self.bars;
            let total = &self.total;
            let bar = self
                .lines
                .entry(run.attempt)
                .or_insert_with(|| bars.insert_before(total, plain_bar()));
            let doing = self.doing.get(&run.attempt).map_or("", String::as_str);
            bar.set_message(format!("  {}  {}", run_line(run, now), print::dim(doing)));
        }
        if let (Some(shift), Some(at_work)) = (&status.shift, state.shift()) {
            self.held(state, at_work);
            // What other shifts have done is not this one's.
            let pieces = || at_work.issues.iter().flat_map(|i| state.pieces_of(*i));
            let count = |stage| pieces().filter(|t| StageName::of(&t.stage) == stage).count();
            let open = match status.decisions.len() {
                0 => String::new(),
                open => format!("{open} question(s): `turno answer`, "),
            };
            let issues = at_work.issues.iter().filter_map(|i| state.issues.get(i));
            let alarms = match issues.filter(|i| i.following.alarm().is_some()).count() {
                0 => String::new(),
                alarms => print::red(&format!("{alarms} branch(es) cannot follow: `turno status`, ")),
            };
            let parked = match count(StageName::Parked) {
                0 => String::new(),
                parked => format!(", {parked} parked"),
            };
            let coming = match pieces()
                .filter(|t| foresight::weather(state, t) != Weather::Clear)
                .count()
            {
                0 => String::new(),
                coming => format!(", {coming} will conflict"),
            };
            self.total.set_message(print::bold(&shift_line(shift, now)));
            // What matters most comes first: a narrow terminal cuts the rest off.
            self.counts.set_message(format!(
                "  {open}{alarms}{} of {} landed{parked}{coming}, {} running, {} free",
                count(StageName::Landed),
                pieces().count(),
                status.running.len(),
                status.free_slots.len(),
            ));
        }
    }

    /// A line for each task that a person holds: nothing is started for it, and this is why.
    fn held(&mut self, state: &State, shift: &Shift) {
        let tasks = shift.issues.iter().flat_map(|i| state.tasks_of(*i));
        let held: BTreeMap<TaskId, &Task> = tasks
            .filter(|t| t.hold.is_held() && !t.is_over())
            .map(|t| (t.id, &**t))
            .collect();
        self.held.retain(|id, bar| {
            let is_held = held.contains_key(id);
            if !is_held {
                bar.finish_and_clear();
                self.bars.remove(bar);
            }
            is_held
        });
        for (id, task) in held {
            let (bars, total) = (&self.bars, &self.total);
            let bar = self
                .held
                .entry(id)
                .or_insert_with(|| bars.insert_before(total, plain_bar()));
            bar.set_message(format!("  {id}  {}", task.hold.phrase()));
        }
    }

    fn clear(&mut self) {
        for bar in self.held.values() {
            bar.finish_and_clear();
        }
        for bar in self.lines.values() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
        self.counts.finish_and_clear();
    }
}
