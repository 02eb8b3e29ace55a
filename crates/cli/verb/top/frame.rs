//! Owns what the screen shows, as plain data: made of the state and of what was heard, by nothing else. It neither
//! draws nor waits. Every text in it is harmless already.

use std::collections::{BTreeMap, VecDeque};

use turno_core::State;
use turno_core::config::Confinement;
use turno_core::decision::{Asker, Decision};
use turno_core::explain::headline;
use turno_core::foresight::clashes_phrase;
use turno_core::gate::{Gate, Standing};
use turno_core::ids::{AttemptId, DecisionId, IssueId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::ledger::ledger;
use turno_core::record::Record;
use turno_core::shift::ShiftStage;
use turno_core::step::Waiting;
use turno_core::task::Stopping;
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::view::{
    self, IssueView, RunBy, RunPlace, RunView, ShiftView, StageName, TaskView, waiting_phrase,
};
use turno_engine::live::LiveLine;

use super::text::clean;
use crate::print;
use crate::verb::budget::warned_lines;
use crate::verb::end_words;
use crate::verb::issue::stage_word;
use crate::verb::status::{account_line, winding_words};

/// So many events are kept to be looked back at.
const KEPT: usize = 500;

/// How a text is meant. The drawing gives each its colour, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Good,
    Attention,
    Bad,
    Strong,
}

/// Where the news come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A coordinator tells them as they happen.
    Live,
    /// Nobody is at work; the journal is looked at now and then.
    Still,
}

/// All that has been heard.
pub(super) struct Heard {
    pub(super) state: State,
    pub(super) source: Source,
    pub(super) trouble: Option<String>,
    doing: BTreeMap<AttemptId, String>,
    events: VecDeque<EventRow>,
}

impl Heard {
    pub(super) fn nothing() -> Self {
        Self {
            state: State::default(),
            source: Source::Still,
            trouble: None,
            doing: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    pub(super) fn record(&mut self, record: &Record) {
        record.redo(&mut self.state);
        if let Some(line) = headline(record) {
            if self.events.len() == KEPT {
                self.events.pop_front();
            }
            self.events.push_back(EventRow {
                at: print::clock(record.at),
                what: clean(&line, 600),
            });
        }
    }

    pub(super) fn line(&mut self, line: &LiveLine) {
        let running = |attempt: &AttemptId| self.state.task_of(*attempt).is_some();
        self.doing.retain(|attempt, _| running(attempt));
        self.doing.insert(line.attempt, clean(&line.doing.line(), 200));
    }
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) shift: Option<ShiftBar>,
    pub(super) alarms: Vec<String>,
    /// What is known of agents' accounts, a line for each.
    pub(super) accounts: Vec<String>,
    pub(super) at_work: Vec<RunRow>,
    pub(super) free_slots: usize,
    pub(super) work: Vec<WorkRow>,
    pub(super) questions: Vec<QuestionRow>,
    pub(super) events: Vec<EventRow>,
}

/// The shift at a glance.
#[derive(Debug)]
pub(super) struct ShiftBar {
    pub(super) words: String,
    pub(super) tone: Tone,
    pub(super) spent: MicroUsd,
    pub(super) committed: MicroUsd,
    pub(super) budget: MicroUsd,
    pub(super) landed: usize,
    pub(super) parked: usize,
    pub(super) tasks: usize,
}

/// A running attempt.
#[derive(Debug)]
pub(super) struct RunRow {
    pub(super) task: TaskId,
    pub(super) place: String,
    pub(super) who: String,
    pub(super) stage: String,
    pub(super) elapsed: String,
    pub(super) cost: String,
    pub(super) doing: String,
}

/// What a row of the work is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Issue(IssueId),
    Task(TaskId),
}

/// An issue or a task.
#[derive(Debug)]
pub(super) struct WorkRow {
    pub(super) subject: Subject,
    pub(super) stage: &'static str,
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) why: String,
    pub(super) cost: String,
}

/// A question that waits for a person.
#[derive(Debug)]
pub(super) struct QuestionRow {
    pub(super) id: DecisionId,
    pub(super) task: TaskId,
    pub(super) who: String,
    pub(super) age: String,
    pub(super) question: String,
    pub(super) options: Vec<OptionRow>,
}

/// A way to answer a question.
#[derive(Debug)]
pub(super) struct OptionRow {
    pub(super) label: String,
    pub(super) detail: String,
    pub(super) recommended: bool,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub(super) at: String,
    pub(super) what: String,
}

/// What is shown of what was heard.
pub(super) fn frame(heard: &Heard, now: Timestamp) -> Frame {
    let status = view::status(&heard.state);
    let mut alarms: Vec<String> = heard.trouble.iter().map(|t| clean(t, 400)).collect();
    if heard.source == Source::Still && heard.state.shift().is_some() {
        alarms.push(
            "no coordinator is alive: `turno resume` goes on with this shift, `turno stop` ends it"
                .to_owned(),
        );
    }
    if let (Some(shift), true) = (&status.shift, heard.state.shift().is_some()) {
        match shift.confinement {
            Confinement::Namespaces => {}
            Confinement::Landlock => alarms.push("programs are held by Landlock alone".to_owned()),
            Confinement::Off => alarms.push("NO SANDBOX: programs may do all that you may".to_owned()),
        }
    }
    let runs = heard.state.shift().map(|s| s.id);
    let warned = warned_lines(&ledger(&heard.state, now), runs);
    alarms.extend(warned.iter().map(|line| clean(line, 200)));
    alarms.extend(status.gates.iter().filter_map(closed_line));
    let of_shift = |id: &IssueId| {
        let last = heard.state.shifts.values().next_back();
        last.is_some_and(|s| s.issues.contains(id))
    };
    let is_over = |i: &IssueView| matches!(i.stage, IssueStage::Done { .. } | IssueStage::Closed { .. });
    let shown = status.issues.iter().filter(|i| !is_over(i) || of_shift(&i.id));
    Frame {
        shift: status.shift.as_ref().map(|shift| bar(&heard.state, shift, now)),
        alarms,
        accounts: status
            .accounts
            .iter()
            .filter_map(|account| account_line(account, now))
            .map(|line| clean(&line, 300))
            .collect(),
        at_work: status
            .running
            .iter()
            .map(|run| run_row(run, heard, now))
            .collect(),
        free_slots: status.free_slots.len(),
        work: shown.flat_map(work_rows).collect(),
        questions: status.decisions.iter().map(|d| question_row(d, now)).collect(),
        events: heard.events.iter().cloned().collect(),
    }
}

/// Why an account may not be started, if it may not, and until when.
fn closed_line(gate: &Gate) -> Option<String> {
    let until = match &gate.standing {
        Standing::Closed { until, .. } => format!(", until {}", print::moment(*until)),
        Standing::Open | Standing::Slowed(_) | Standing::Trying { .. } | Standing::Shut { .. } => {
            String::new()
        }
    };
    Some(clean(&format!("{}{until}", gate.closed_phrase()?), 300))
}

fn bar(state: &State, shift: &ShiftView, now: Timestamp) -> ShiftBar {
    let (stage, until, tone) = match &shift.stage {
        ShiftStage::Running => ("running".to_owned(), now, Tone::Good),
        ShiftStage::Winding(why) => (format!("ending: {}", winding_words(*why)), now, Tone::Attention),
        ShiftStage::Ended { end, at } => (format!("is over: {}", end_words(*end)), *at, Tone::Plain),
    };
    let elapsed = print::elapsed(until.since(shift.started));
    let issues = state
        .shifts
        .get(&shift.id)
        .map(|s| s.issues.clone())
        .unwrap_or_default();
    let stages: Vec<StageName> = issues
        .iter()
        .flat_map(|issue| state.pieces_of(*issue))
        .map(|task| StageName::of(&task.stage))
        .collect();
    let count = |stage| stages.iter().filter(|s| **s == stage).count();
    ShiftBar {
        words: clean(
            &format!("shift {} ({}) {stage}, {elapsed}", shift.id, shift.mode),
            200,
        ),
        tone,
        spent: shift.spent,
        committed: shift.committed,
        budget: shift.budget,
        landed: count(StageName::Landed),
        parked: count(StageName::Parked),
        tasks: stages.len(),
    }
}

fn run_row(run: &RunView, heard: &Heard, now: Timestamp) -> RunRow {
    let heard_of = || heard.doing.get(&run.attempt).cloned().unwrap_or_default();
    RunRow {
        task: run.task,
        place: match run.place {
            RunPlace::Slot(slot) => slot.to_string(),
            RunPlace::Landing => "landing".to_owned(),
        },
        who: match &run.by {
            RunBy::Agent { persona, agent } => clean(&format!("{persona}/{agent}"), 60),
            RunBy::Turno => "turno".to_owned(),
        },
        stage: run.stage.as_str().to_owned(),
        elapsed: print::elapsed(now.since(run.started)),
        cost: print::dollars(run.cost),
        doing: match run.stopping {
            Stopping::No => heard_of(),
            Stopping::Asked { .. } => "is being stopped".to_owned(),
        },
    }
}

fn work_rows(issue: &IssueView) -> Vec<WorkRow> {
    let alarm = issue.following.alarm_phrase();
    let tone = match (&issue.stage, &alarm) {
        (_, Some(_)) => Tone::Bad,
        (IssueStage::Review { .. }, None) => Tone::Good,
        (IssueStage::Done { .. } | IssueStage::Closed { .. }, None) => Tone::Faint,
        (IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. }, None) => Tone::Strong,
    };
    let own = WorkRow {
        subject: Subject::Issue(issue.id),
        stage: stage_word(&issue.stage),
        tone,
        title: clean(&issue.title, 200),
        why: clean(&alarm.unwrap_or_default(), 400),
        cost: print::dollars(issue.cost),
    };
    std::iter::once(own)
        .chain(issue.tasks.iter().map(task_row))
        .collect()
}

fn task_row(task: &TaskView) -> WorkRow {
    let clashes = clashes_phrase(&task.clashes);
    let (why, tone) = match (&task.waiting, &clashes) {
        // That a person must look is what its stage says already.
        (Some(Waiting::Person(_)), _) => (task.detail.clone(), Tone::Attention),
        (Some(why), None) => (waiting_phrase(why), Tone::Faint),
        (_, Some(coming)) => (coming.clone(), Tone::Attention),
        (None, None) => (task.detail.clone(), stage_tone(task.stage)),
    };
    WorkRow {
        subject: Subject::Task(task.id),
        stage: task.stage.as_str(),
        tone,
        title: if task.id.is_lead() {
            String::new()
        } else {
            clean(&task.title, 200)
        },
        why: clean(&why, 400),
        cost: print::dollars(task.cost),
    }
}

fn stage_tone(stage: StageName) -> Tone {
    match stage {
        StageName::Landed | StageName::Accepted => Tone::Good,
        StageName::Parked | StageName::Backoff => Tone::Attention,
        StageName::Dropped | StageName::Blocked => Tone::Faint,
        StageName::Ready
        | StageName::Writing
        | StageName::Checking
        | StageName::Testing
        | StageName::Reviewing
        | StageName::Entered
        | StageName::Comparing
        | StageName::Surveying
        | StageName::Planning
        | StageName::Trying
        | StageName::Accepting
        | StageName::Landing
        | StageName::Following => Tone::Plain,
    }
}

fn question_row(decision: &Decision, now: Timestamp) -> QuestionRow {
    let question = &decision.question;
    let recommended = question.recommended.as_deref().map(str::trim);
    let options = question.options.iter().map(|option| OptionRow {
        label: clean(&option.label, 100),
        detail: clean(&option.detail, 400),
        recommended: recommended == Some(option.label.trim()),
    });
    QuestionRow {
        id: decision.id,
        task: decision.task,
        who: match &decision.asker {
            Asker::Agent { actor, .. } => clean(&format!("{}/{}", actor.persona, actor.agent), 60),
            Asker::Trial | Asker::Guard { .. } => "turno".to_owned(),
        },
        age: print::elapsed(now.since(decision.asked)),
        question: clean(&question.question, 2000),
        options: options.collect(),
    }
}
