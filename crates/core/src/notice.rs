//! Owns notices: which facts are worth telling a person who does not look, and in which words. Derived from the
//! journal's records alone. It must not know who is told, by which way, or whether they were.
//!
//! Text from outside is cut, on one line, and without characters that nobody sees; otherwise it is as it was.

mod gathered;
mod pace;

use serde::{Deserialize, Serialize};

pub use gathered::{Gathered, Message};
pub use pace::{Due, Minute, Pace, Quiet, Stage};

use crate::command::Command;
use crate::decision::Decision;
use crate::event::Event;
use crate::gate::{Gate, Standing};
use crate::ids::{AgentName, AttemptId, DecisionId, IssueId, Seq, ShiftId, TaskId};
use crate::issue::{Issue, IssueStage};
use crate::record::Record;
use crate::room::{self, Room};
use crate::shift::{Shift, ShiftEnd, ShiftStage, Winding};
use crate::state::{Entity, State};
use crate::tampering::Tampering;
use crate::task::{Park, Stage as TaskStage, Task};
use crate::units::Timestamp;
use crate::view::park_phrase;

/// What a notice is of. In the order of what a person wants to know first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A test of the way.
    Test,
    /// A shift has ended.
    Ended,
    /// The repository is not as it was, and Turno did not change it.
    Tampering,
    /// A question waits for a person.
    Decision,
    /// A task waits for a person.
    Parked,
    /// An issue is ready to be promoted.
    Ready,
    /// A budget is nearly or wholly used up.
    Budget,
    /// An agent's account cannot be started for a while.
    Account,
    /// An issue's branch cannot keep up with the user's branch.
    Follow,
    /// A disk has too little room, so nothing is started.
    Room,
    /// The coordinator began again.
    Restarted,
    /// A task has landed.
    Landed,
}

impl Kind {
    /// Those that a target may be told of, in their order.
    pub const TOLD: [Self; 11] = [
        Self::Ended,
        Self::Tampering,
        Self::Decision,
        Self::Parked,
        Self::Ready,
        Self::Budget,
        Self::Account,
        Self::Follow,
        Self::Room,
        Self::Restarted,
        Self::Landed,
    ];

    /// Whether a target is told of it that names no kinds.
    pub fn is_usual(self) -> bool {
        match self {
            Self::Test
            | Self::Ended
            | Self::Tampering
            | Self::Decision
            | Self::Parked
            | Self::Ready
            | Self::Budget
            | Self::Account
            | Self::Follow
            | Self::Room => true,
            Self::Restarted | Self::Landed => false,
        }
    }

    /// Its name as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Ended => "ended",
            Self::Tampering => "tampering",
            Self::Decision => "decision",
            Self::Parked => "parked",
            Self::Ready => "ready",
            Self::Budget => "budget",
            Self::Account => "account",
            Self::Follow => "follow",
            Self::Room => "room",
            Self::Restarted => "restarted",
            Self::Landed => "landed",
        }
    }

    /// So many of it, for people.
    fn many(self, many: u64) -> String {
        let (one, more) = match self {
            Self::Test => ("test", "tests"),
            Self::Ended => ("shift ended", "shifts ended"),
            Self::Tampering => ("tampering", "tamperings"),
            Self::Decision => ("question", "questions"),
            Self::Parked => ("task parked", "tasks parked"),
            Self::Ready => ("issue ready", "issues ready"),
            Self::Budget => ("budget warning", "budget warnings"),
            Self::Account => ("account closed", "accounts closed"),
            Self::Follow => ("alarm of a branch", "alarms of branches"),
            Self::Room => ("disk alarm", "disk alarms"),
            Self::Restarted => ("restart", "restarts"),
            Self::Landed => ("task landed", "tasks landed"),
        };
        format!("{many} {}", if many == 1 { one } else { more })
    }
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// All of the workspace.
    Workspace,
    /// A shift.
    Shift(ShiftId),
    /// An issue.
    Issue(IssueId),
    /// A task.
    Task(TaskId),
    /// A question.
    Decision(DecisionId),
    /// An agent's account.
    Agent(AgentName),
    /// An attempt.
    Attempt(AttemptId),
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The record that it follows from.
    pub seq: Seq,
    /// When that was taken in.
    pub at: Timestamp,
    /// What it is of.
    pub kind: Kind,
    /// What it is about.
    pub about: About,
    /// On one line.
    pub title: String,
    /// More, in lines: what there is to choose from, and what to type. It may be empty.
    pub detail: Vec<String>,
}

/// At most so many characters of a title.
const TITLE: usize = 300;
/// At most so many characters of a line of the detail.
const LINE: usize = 240;
/// At most so many lines of a list.
const LINES: usize = 12;

/// A text on one line, cut, without characters that nobody sees or that change the order of text.
fn line(text: &str, most: usize) -> String {
    let seen = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().filter(seen).map(blank).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(most) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// What has been seen of the journal: each record is held against the state before it.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    state: State,
}

impl Watch {
    /// From the state after the last record that was seen.
    pub fn from(state: State) -> Self {
        Self { state }
    }

    /// Takes a record in of which nobody is told.
    pub fn pass(&mut self, record: &Record) {
        record.redo(&mut self.state);
    }

    /// Takes a record in, and says what of it is worth telling.
    pub fn take(&mut self, record: &Record) -> Vec<Notice> {
        let before = self.state.clone();
        record.redo(&mut self.state);
        let told = |(kind, about, title, detail): Told| Notice {
            seq: record.seq,
            at: record.at,
            kind,
            about,
            title: line(&title, TITLE),
            detail: detail.iter().map(|l| line(l, LINE)).collect(),
        };
        let of_event = of_event(&record.event);
        let of_changes = record
            .changes
            .iter()
            .filter_map(|e| of_change(&before, &self.state, e));
        let of_commands = record.commands.iter().filter_map(|c| of_command(&self.state, c));
        of_event
            .into_iter()
            .chain(of_changes)
            .chain(of_commands)
            .map(told)
            .collect()
    }
}

type Told = (Kind, About, String, Vec<String>);

fn of_event(event: &Event) -> Option<Told> {
    match event {
        Event::Tampered { attempt, what } => Some(tampered(*attempt, what)),
        Event::Restarted { lost, adopted } => Some((
            Kind::Restarted,
            About::Workspace,
            format!(
                "the coordinator began again: {} attempt(s) lost, {} went on",
                lost.len(),
                adopted.len()
            ),
            Vec::new(),
        )),
        Event::ConfigLoaded { .. }
        | Event::IssueAdded { .. }
        | Event::IssueEdited { .. }
        | Event::IssueClosed { .. }
        | Event::IssueJoined { .. }
        | Event::ShiftStarted { .. }
        | Event::IssueOpened { .. }
        | Event::TargetMoved { .. }
        | Event::IssueNotOpened { .. }
        | Event::DecisionAnswered { .. }
        | Event::LessonAdded { .. }
        | Event::LessonEdited { .. }
        | Event::BudgetSet { .. }
        | Event::StopAsked { .. }
        | Event::Discarded { .. }
        | Event::PlanEdited { .. }
        | Event::Commented { .. }
        | Event::Told { .. }
        | Event::Heard { .. }
        | Event::TaskTaken { .. }
        | Event::TaskGivenBack { .. }
        | Event::TaskReleased { .. }
        | Event::PullRequestBegun { .. }
        | Event::PullRequestOpened { .. }
        | Event::PromotionBegun { .. }
        | Event::Promoted { .. }
        | Event::Reverted { .. }
        | Event::SessionOpened { .. }
        | Event::DecisionAsked { .. }
        | Event::TaskProposed { .. }
        | Event::Noted { .. }
        | Event::Metered { .. }
        | Event::QuotaSeen { .. }
        | Event::Seen { .. }
        | Event::ClockJumped { .. }
        | Event::Contacted { .. }
        | Event::AgentEnded { .. }
        | Event::ChecksEnded { .. }
        | Event::LandingEnded { .. }
        | Event::FollowEnded { .. }
        | Event::Foreseen { .. }
        | Event::AttemptFailed { .. }
        | Event::RoomSeen { .. }
        | Event::TimePassed => None,
    }
}

fn of_command(state: &State, command: &Command) -> Option<Told> {
    match command {
        Command::WarnOfBudget { warning } => Some((
            Kind::Budget,
            About::Workspace,
            warning.to_string(),
            vec![format!(
                "`{}` raises it",
                warning.level.raise(warning.limit.measure())
            )],
        )),
        Command::EndShift { shift, end } => {
            let shift = state.shifts.get(shift)?;
            Some(ended(state, shift, *end))
        }
        Command::StartAgent(_)
        | Command::RunChecks(_)
        | Command::Land(_)
        | Command::Follow(_)
        | Command::StopAttempt { .. }
        | Command::OpenIssue { .. }
        | Command::Reply { .. }
        | Command::Nudge { .. }
        | Command::Tell { .. }
        | Command::Adopt { .. }
        | Command::Foresee { .. } => None,
    }
}

/// What became of an entity, where that is news.
fn of_change(before: &State, now: &State, entity: &Entity) -> Option<Told> {
    match entity {
        Entity::Task(task) => of_task(before.tasks.get(&task.id).map(|t| &t.stage), task),
        Entity::Issue(issue) => of_issue(before.issues.get(&issue.id).map(AsRef::as_ref), issue),
        Entity::Decision(decision) => {
            let old = before.decisions.get(&decision.id);
            let news = decision.is_open() && old.is_none_or(|d| !d.is_open());
            news.then(|| asked(now, decision))
        }
        Entity::Shift(shift) => {
            let spent = |s: &Shift| matches!(s.stage, ShiftStage::Winding(Winding::Budget));
            let news = spent(shift) && before.shifts.get(&shift.id).is_none_or(|s| !spent(s));
            news.then(|| {
                let id = shift.id;
                let title = format!(
                    "shift {id} has spent its budget of {}; what runs is stopped",
                    shift.budget
                );
                (Kind::Budget, About::Shift(id), title, Vec::new())
            })
        }
        Entity::Gate(gate) => {
            // While it is tried it was closed before, and may be again.
            let closed = |g: &Gate| g.is_away() || matches!(g.standing, Standing::Trying { .. });
            let old = before.gates.get(&gate.agent);
            let news = gate.is_away() && old.is_none_or(|g| !closed(g));
            let phrase = gate.closed_phrase().filter(|_| news)?;
            Some((
                Kind::Account,
                About::Agent(gate.agent.clone()),
                phrase,
                Vec::new(),
            ))
        }
        Entity::Desk(desk) => {
            let Room::Short { .. } = desk.room else {
                return None;
            };
            let tight: Vec<_> = desk.room.tight().cloned().collect();
            let news = before.desk.room == Room::Enough;
            news.then(|| {
                let todo = vec![room::MAKE_ROOM.to_owned()];
                (Kind::Room, About::Workspace, room::seen_phrase(&tight), todo)
            })
        }
        Entity::Config(_) | Entity::Lesson(_) | Entity::Outlook(_) | Entity::Account(_) => None,
    }
}

fn of_task(before: Option<&TaskStage>, task: &Task) -> Option<Told> {
    let about = About::Task(task.id);
    let named = format!("task {} \"{}\"", task.id, line(&task.spec.title, 100));
    match &task.stage {
        // The question tells of itself.
        TaskStage::Parked {
            park: Park::Decision(_),
            ..
        } => None,
        TaskStage::Parked { park, .. } => {
            if matches!(before, Some(TaskStage::Parked { park: old, .. }) if old == park) {
                return None;
            }
            let todo = vec![format!(
                "`turno explain {}` tells why, `turno run {}` tries again",
                task.id, task.id.issue
            )];
            Some((
                Kind::Parked,
                about,
                format!("{named} waits for you: {}", park_phrase(park)),
                todo,
            ))
        }
        TaskStage::Landed { commit, .. } => {
            let news = !matches!(before, Some(TaskStage::Landed { .. }));
            let title = format!("{named} has landed as {}", commit.short());
            news.then(|| (Kind::Landed, about, title, Vec::new()))
        }
        TaskStage::Blocked
        | TaskStage::Ready { .. }
        | TaskStage::Writing { .. }
        | TaskStage::Checking { .. }
        | TaskStage::Reviewing { .. }
        | TaskStage::Testing { .. }
        | TaskStage::Entered { .. }
        | TaskStage::Comparing { .. }
        | TaskStage::Surveying { .. }
        | TaskStage::Planning { .. }
        | TaskStage::Trying { .. }
        | TaskStage::Accepting { .. }
        | TaskStage::Accepted { .. }
        | TaskStage::Landing { .. }
        | TaskStage::Backoff { .. }
        | TaskStage::Dropped { .. } => None,
    }
}

fn of_issue(before: Option<&Issue>, issue: &Issue) -> Option<Told> {
    let (id, title) = (issue.id, line(&issue.draft.title, 100));
    let about = About::Issue(id);
    if let Some((_, alarm)) = issue.following.alarm()
        && before.and_then(|i| i.following.alarm()).map(|(_, a)| &a.why) != Some(&alarm.why)
    {
        let phrase = issue.following.alarm_phrase().unwrap_or_default();
        return Some((
            Kind::Follow,
            about,
            format!("issue {id} \"{title}\": {phrase}"),
            Vec::new(),
        ));
    }
    let is_ready = |i: &Issue| matches!(i.stage, IssueStage::Review { .. });
    let news = is_ready(issue) && before.is_none_or(|i| !is_ready(i));
    news.then(|| {
        let todo = vec![format!(
            "`turno diff {id}` shows it, `turno promote {id}` takes it"
        )];
        (
            Kind::Ready,
            about,
            format!("issue {id} \"{title}\" is ready to promote"),
            todo,
        )
    })
}

fn asked(state: &State, decision: &Decision) -> Told {
    let (id, task, question) = (decision.id, decision.task, &decision.question);
    let title = state.tasks.get(&task).map_or("", |t| t.spec.title.as_str());
    let mut detail: Vec<String> = (1..)
        .zip(&question.options)
        .take(LINES)
        .map(|(n, choice)| {
            let recommended = question.recommended.as_ref() == Some(&choice.label);
            let mark = if recommended { " (recommended)" } else { "" };
            format!("{n}. {}{mark} {}", choice.label, choice.detail)
        })
        .collect();
    detail.push(format!("answer it with `turno answer {id} LABEL|NUMBER|TEXT`"));
    let words = format!("{id}, task {task} \"{}\": {}", line(title, 60), question.question);
    (Kind::Decision, About::Decision(id), words, detail)
}

fn tampered(attempt: AttemptId, what: &[Tampering]) -> Told {
    let title = format!("the repository was changed while {attempt} ran, and not by Turno");
    let mut detail: Vec<String> = what.iter().take(LINES).map(ToString::to_string).collect();
    if what.len() > LINES {
        detail.push(format!("and {} more", what.len() - LINES));
    }
    (Kind::Tampering, About::Attempt(attempt), title, detail)
}

/// The short report of a shift: how it ended, what it cost, how far each issue is.
fn ended(state: &State, shift: &Shift, end: ShiftEnd) -> Told {
    let how = match end {
        ShiftEnd::Done => "all landed",
        ShiftEnd::NeedsPerson => "something needs a person",
        ShiftEnd::Budget => "stopped by the budget",
        ShiftEnd::TimeUp => "its time was up",
        ShiftEnd::Interrupted => "interrupted",
    };
    let until = match shift.stage {
        ShiftStage::Ended { at, .. } => at,
        ShiftStage::Running | ShiftStage::Winding(_) => shift.started,
    };
    let minutes = until.since(shift.started).0.div_ceil(60_000);
    let (id, spent, budget) = (shift.id, shift.spent, shift.budget);
    let title = format!("shift {id} is over: {how}; {spent} of {budget} spent in {minutes} min");
    let issues = || shift.issues.iter().filter_map(|i| state.issues.get(i));
    // What a person can act on comes first.
    let rank = |issue: &&std::sync::Arc<Issue>| match issue.stage {
        IssueStage::Working { .. } | IssueStage::Opening { .. } => 0,
        IssueStage::Review { .. } => 1,
        IssueStage::Backlog | IssueStage::Done { .. } | IssueStage::Closed { .. } => 2,
    };
    let mut sorted: Vec<_> = issues().collect();
    sorted.sort_by_key(rank);
    let mut detail: Vec<String> = sorted.iter().take(LINES).map(|i| standing(state, i)).collect();
    if sorted.len() > LINES {
        detail.push(format!("and {} more issue(s)", sorted.len() - LINES));
    }
    detail.push(format!("`turno report {id}` tells all of it"));
    (Kind::Ended, About::Shift(id), title, detail)
}

/// How far an issue is, on a line.
fn standing(state: &State, issue: &Issue) -> String {
    let (mut all, mut landed, mut parked) = (0_u32, 0_u32, 0_u32);
    for task in state.pieces_of(issue.id) {
        all += 1;
        landed += u32::from(matches!(task.stage, TaskStage::Landed { .. }));
        parked += u32::from(matches!(task.stage, TaskStage::Parked { .. }));
    }
    let waits = match parked {
        0 => String::new(),
        many => format!(", {many} waiting for you"),
    };
    let ready = match issue.stage {
        IssueStage::Review { .. } => "; ready to promote",
        IssueStage::Backlog => "; not begun",
        IssueStage::Opening { .. }
        | IssueStage::Working { .. }
        | IssueStage::Done { .. }
        | IssueStage::Closed { .. } => "",
    };
    let (id, title) = (issue.id, line(&issue.draft.title, 80));
    format!("issue {id} \"{title}\": {landed} of {all} landed{waits}{ready}")
}
