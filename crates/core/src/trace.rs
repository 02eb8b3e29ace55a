//! Owns the shape of traces: which spans a shift is made of, when each began and ended, and what is said of it. All of
//! it comes from records, so the times are the journal's, and whoever reads it twice has the same spans. It sends
//! nothing.

use std::collections::BTreeMap;

use crate::check::ReportVerdict;
use crate::command::Command;
use crate::event::{AgentEnd, Event, LandingEnd};
use crate::ids::{AttemptId, CommitId, IssueId, ShiftId, TaskId};
use crate::record::Record;
use crate::shift::{Shift, ShiftEnd};
use crate::state::Entity;
use crate::units::{Spend, Timestamp};
use crate::view::failure_phrase;

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A shift.
    Shift(ShiftId),
    /// What a shift did for an issue.
    Issue(ShiftId, IssueId),
    /// What it did for a task.
    Task(ShiftId, TaskId),
    /// An attempt: of an agent, of checks, of a landing.
    Attempt(ShiftId, AttemptId),
}

impl Key {
    /// The shift that it belongs to.
    pub fn shift(self) -> ShiftId {
        match self {
            Self::Shift(shift) | Self::Issue(shift, _) | Self::Task(shift, _) | Self::Attempt(shift, _) => {
                shift
            }
        }
    }

    /// It as a word that no other span of its workspace has.
    pub fn word(self) -> String {
        match self {
            Self::Shift(shift) => format!("shift {shift}"),
            Self::Issue(shift, issue) => format!("shift {shift} issue {issue}"),
            Self::Task(shift, task) => format!("shift {shift} task {task}"),
            Self::Attempt(_, attempt) => format!("attempt {attempt}"),
        }
    }
}

/// What is said of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(u64),
    /// Micro-dollars, told as dollars.
    Usd(u64),
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// As it should.
    Well,
    /// In another way.
    Failed(String),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is about.
    pub key: Key,
    /// The span that it is part of.
    pub parent: Option<Key>,
    /// Its name.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// How.
    pub came: Came,
    /// What is said of it.
    pub attributes: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone)]
struct Open {
    parent: Key,
    task: TaskId,
    name: String,
    start: Timestamp,
    attributes: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    start: Timestamp,
    end: Timestamp,
}

#[derive(Debug, Clone)]
struct Running {
    id: ShiftId,
    mode: String,
    start: Timestamp,
    issues: BTreeMap<IssueId, Range>,
    tasks: BTreeMap<TaskId, Range>,
    attempts: BTreeMap<AttemptId, Open>,
    /// The last agent that worked on each task: what follows is about its work.
    agents: BTreeMap<TaskId, AttemptId>,
}

/// Makes spans of records.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    running: Option<Running>,
}

impl Tracer {
    /// Takes the next record; gives the spans that ended with it, parts before what they are part of.
    pub fn take(&mut self, record: &Record) -> Vec<Span> {
        let mut ended = Vec::new();
        if let Event::ShiftStarted { .. } = &record.event
            && let Some(shift) = started(record)
        {
            self.running = Some(Running {
                id: shift.id,
                mode: shift.mode.to_string(),
                start: record.at,
                issues: BTreeMap::new(),
                tasks: BTreeMap::new(),
                attempts: BTreeMap::new(),
                agents: BTreeMap::new(),
            });
        }
        let Some(running) = &mut self.running else {
            return ended;
        };
        running.hear(&record.event, record.at, &mut ended);
        let mut over = None;
        for command in &record.commands {
            running.begin(command, record.at);
            if let Command::EndShift { end, .. } = command {
                over = Some(word(*end));
            }
        }
        if let Some(how) = over
            && let Some(running) = self.running.take()
        {
            running.close(record.at, how, &mut ended);
        }
        ended
    }
}

/// The shift that a record began.
fn started(record: &Record) -> Option<&Shift> {
    record.changes.iter().find_map(|change| {
        let Entity::Shift(shift) = change else {
            return None;
        };
        Some(&**shift)
    })
}

fn word(end: ShiftEnd) -> &'static str {
    match end {
        ShiftEnd::Done => "done",
        ShiftEnd::NeedsPerson => "needs-person",
        ShiftEnd::Budget => "budget",
        ShiftEnd::TimeUp => "time-up",
        ShiftEnd::Interrupted => "interrupted",
    }
}

impl Running {
    fn hear(&mut self, event: &Event, at: Timestamp, ended: &mut Vec<Span>) {
        let failed = |why: String| Came::Failed(why);
        if let Event::AgentEnded {
            attempt, end, spend, ..
        } = event
        {
            let came = match end {
                AgentEnd::Finished(_) | AgentEnd::Asked(_) => Came::Well,
                AgentEnd::Failed(failure) => failed(failure_phrase(failure)),
            };
            self.end(*attempt, at, came, used(spend), ended);
        } else if let Event::ChecksEnded { attempt, report, .. } = event {
            let (verdict, came) = match report.verdict() {
                ReportVerdict::Green => ("green", Came::Well),
                ReportVerdict::Red => ("red", failed("a check is red".to_owned())),
                ReportVerdict::Unknown => ("unknown", failed("a check could not be run".to_owned())),
            };
            let said = vec![
                ("turno.checks.verdict", Value::Text(verdict.to_owned())),
                ("turno.tree", Value::Text(report.tree.to_string())),
            ];
            self.end(*attempt, at, came, said, ended);
        } else if let Event::LandingEnded { attempt, end } = event {
            let commit = |commit: &CommitId| vec![("turno.commit", Value::Text(commit.to_string()))];
            let (came, said) = match end {
                LandingEnd::Landed { commit: as_this } => (Came::Well, commit(as_this)),
                LandingEnd::Together(_) => (Came::Well, Vec::new()),
                LandingEnd::Conflict { .. } => (failed("it does not apply".to_owned()), Vec::new()),
                LandingEnd::NotGreen { .. } => (failed("the whole is not green".to_owned()), Vec::new()),
                LandingEnd::Raced { .. } => (failed("the branch moved meanwhile".to_owned()), Vec::new()),
            };
            self.end(*attempt, at, came, said, ended);
        } else if let Event::AttemptFailed { attempt, failure, .. } = event {
            self.end(*attempt, at, failed(failure_phrase(failure)), Vec::new(), ended);
        } else if let Event::Restarted { lost, .. } = event {
            for lost in lost {
                let why = failed("the coordinator died, and it was found dead".to_owned());
                self.end(lost.attempt, at, why, Vec::new(), ended);
            }
        }
    }

    fn begin(&mut self, command: &Command, at: Timestamp) {
        let text = |text: String| Value::Text(text);
        let (attempt, task, name, mut attributes) = if let Command::StartAgent(start) = command {
            let said = vec![
                ("gen_ai.operation.name", text("invoke_agent".to_owned())),
                ("gen_ai.agent.name", text(start.persona.to_string())),
                ("gen_ai.system", text(start.agent.to_string())),
                ("gen_ai.provider.name", text(start.agent.to_string())),
            ];
            let name = format!("invoke_agent {}", start.persona);
            (start.attempt, start.task, name, said)
        } else if let Command::RunChecks(start) = command {
            (start.attempt, start.task, "checks".to_owned(), Vec::new())
        } else if let Command::Land(start) = command {
            (start.attempt, start.task, "landing".to_owned(), Vec::new())
        } else {
            return;
        };
        let agent = matches!(command, Command::StartAgent(_));
        let parent = match self.agents.get(&task).filter(|_| !agent) {
            Some(of) => Key::Attempt(self.id, *of),
            None => Key::Task(self.id, task),
        };
        if agent {
            self.agents.insert(task, attempt);
        }
        attributes.push(("turno.attempt", text(attempt.to_string())));
        attributes.push(("turno.task", text(task.to_string())));
        attributes.push(("turno.issue", Value::Whole(u64::from(task.issue.0))));
        self.stretch(task, at);
        self.attempts.insert(
            attempt,
            Open {
                parent,
                task,
                name,
                start: at,
                attributes,
            },
        );
    }

    /// A task, and its issue, lasts from the first thing that is done for it to the last.
    fn stretch(&mut self, task: TaskId, at: Timestamp) {
        let new = Range { start: at, end: at };
        self.tasks.entry(task).or_insert(new).end = at;
        self.issues.entry(task.issue).or_insert(new).end = at;
    }

    fn end(
        &mut self,
        attempt: AttemptId,
        at: Timestamp,
        came: Came,
        said: Vec<(&'static str, Value)>,
        ended: &mut Vec<Span>,
    ) {
        let Some(open) = self.attempts.remove(&attempt) else {
            return;
        };
        self.stretch(open.task, at);
        ended.push(Span {
            key: Key::Attempt(self.id, attempt),
            parent: Some(open.parent),
            name: open.name,
            start: open.start,
            end: at,
            came,
            attributes: open.attributes.into_iter().chain(said).collect(),
        });
    }

    fn close(mut self, at: Timestamp, how: &str, ended: &mut Vec<Span>) {
        let still: Vec<AttemptId> = self.attempts.keys().copied().collect();
        for attempt in still {
            let why = Came::Failed("the shift ended before it".to_owned());
            self.end(attempt, at, why, Vec::new(), ended);
        }
        let span = |key, parent, name, range: Range, attributes| Span {
            key,
            parent,
            name,
            start: range.start,
            end: range.end,
            came: Came::Well,
            attributes,
        };
        for (task, range) in &self.tasks {
            let said = vec![("turno.task", Value::Text(task.to_string()))];
            let parent = Some(Key::Issue(self.id, task.issue));
            ended.push(span(
                Key::Task(self.id, *task),
                parent,
                format!("task {task}"),
                *range,
                said,
            ));
        }
        for (issue, range) in &self.issues {
            let said = vec![("turno.issue", Value::Whole(u64::from(issue.0)))];
            let parent = Some(Key::Shift(self.id));
            ended.push(span(
                Key::Issue(self.id, *issue),
                parent,
                format!("issue {issue}"),
                *range,
                said,
            ));
        }
        let said = vec![
            ("turno.shift", Value::Text(self.id.to_string())),
            ("turno.mode", Value::Text(self.mode.clone())),
            ("turno.shift.end", Value::Text(how.to_owned())),
        ];
        let whole = Range {
            start: self.start,
            end: at,
        };
        ended.push(span(
            Key::Shift(self.id),
            None,
            format!("shift {}", self.id),
            whole,
            said,
        ));
    }
}

/// What an agent used, by the names that are agreed on for it.
fn used(spend: &Spend) -> Vec<(&'static str, Value)> {
    let tokens = &spend.tokens;
    let input = tokens
        .input
        .saturating_add(tokens.cache_read)
        .saturating_add(tokens.cache_write);
    vec![
        ("gen_ai.usage.input_tokens", Value::Whole(input)),
        ("gen_ai.usage.output_tokens", Value::Whole(tokens.output)),
        (
            "gen_ai.usage.cache_read.input_tokens",
            Value::Whole(tokens.cache_read),
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            Value::Whole(tokens.cache_write),
        ),
        ("turno.cost_usd", Value::Usd(spend.cost.0)),
        ("turno.turns", Value::Whole(u64::from(spend.turns))),
    ]
}
