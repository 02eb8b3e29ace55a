//! Owns listening to opencode: its events as the bridge gives them, its turns, its end. What we ask of it is in
//! `requests`, what it says in `messages`; what it may do in `permission`, what its errors mean in `failure`.

mod messages;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use turno_core::command::Session;
use turno_core::decision::{Question, Reply};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::quota::QuotaFill;
use turno_core::units::Timestamp;

use self::requests::Asked;
use super::failure::{self, Retrying};
use super::permission;
use super::usage::Usage;
use super::{FIRST, abort_request};
use crate::dialect::{Conversation, Exit, Job, Line, Signal};
use crate::limits::{QuotaSaid, Resets};
use crate::phase::{AskedToStop, Phase};
use crate::schema::{self, OutcomeError};
use crate::text;
use crate::value::{list, number, text as text_at};

/// How many of the server's last lines are kept to explain its end.
const LAST_LINES: usize = 3;

/// One run of opencode.
#[derive(Debug)]
pub(super) struct Talk {
    job: Job,
    phase: Phase,
    asked_to_stop: AskedToStop,
    last_id: u64,
    asked: BTreeMap<u64, Asked>,
    session: Option<String>,
    /// Where the server works, once that is asked.
    here: Option<String>,
    turn: Turn,
    usage: Usage,
    /// The model of each answer, of all sessions.
    models: BTreeMap<String, String>,
    /// Our session's last answer, and its words, part by part.
    answer: String,
    words: VecDeque<(String, String)>,
    /// Parts that people have been told of.
    told: BTreeSet<String>,
    /// Why the turn ends, if it does not end well.
    error: Option<Value>,
    /// It was told to end its turn because of this.
    given_up: Option<Failure>,
    questions: BTreeMap<String, (Question, usize)>,
    /// The question that it was told nobody answers now.
    parked: Option<Question>,
    /// About now, by the server's clock.
    now: Option<Timestamp>,
    over: Option<Failure>,
    last_lines: Vec<String>,
    unknown: BTreeSet<String>,
}

/// Where our turn stands. The server says more than once that a session is idle, and the first time before it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    Working,
}

impl Talk {
    pub(super) fn new(job: &Job) -> Self {
        let first = match job.session {
            Session::Fresh => Asked::Session,
            Session::Resume(_) => Asked::Where,
        };
        Self {
            job: job.clone(),
            phase: Phase::Working,
            asked_to_stop: AskedToStop::No,
            last_id: FIRST,
            asked: BTreeMap::from([(FIRST, first)]),
            session: None,
            here: None,
            turn: Turn::Waiting,
            usage: Usage::new(job),
            models: BTreeMap::new(),
            answer: String::new(),
            words: VecDeque::new(),
            told: BTreeSet::new(),
            error: None,
            given_up: None,
            questions: BTreeMap::new(),
            parked: None,
            now: None,
            over: None,
            last_lines: Vec::new(),
            unknown: BTreeSet::new(),
        }
    }

    fn whole(&mut self, line: &str) -> Vec<Signal> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return self.logged(line);
        };
        if let Some(event) = message.get("event") {
            let kind = text_at(event, "/type").unwrap_or_default();
            self.event(kind, &event["properties"])
        } else if let Some(response) = message.get("response") {
            self.answered(response)
        } else if let Some(words) = text_at(&message, "/over") {
            self.over = Some(Failure::new(Cause::Agent, self.with_last_lines(words)));
            vec![Signal::Notice(text::line(words))]
        } else if let Some(words) = text_at(&message, "/unstarted") {
            self.over = Some(Failure::new(Cause::Spawn, self.with_last_lines(words)));
            vec![Signal::Notice(text::line(words))]
        } else {
            let words = text_at(&message, "/log").unwrap_or(line).to_owned();
            self.logged(&words)
        }
    }

    fn logged(&mut self, words: &str) -> Vec<Signal> {
        if words.trim().is_empty() {
            return Vec::new();
        }
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.remove(0);
        }
        self.last_lines.push(text::line(words));
        vec![Signal::Notice(text::line(words))]
    }

    fn with_last_lines(&self, words: &str) -> String {
        let mut parts = vec![words.to_owned()];
        parts.extend(self.last_lines.iter().cloned());
        text::line_of(&parts.join(" / "), 400)
    }

    /// Whether an event is about our session; subagents have sessions of their own.
    fn is_ours(&self, properties: &Value) -> bool {
        self.session.is_some() && text_at(properties, "/sessionID") == self.session.as_deref()
    }

    fn event(&mut self, kind: &str, properties: &Value) -> Vec<Signal> {
        match kind {
            "message.updated" => self.message(properties),
            "message.part.updated" => self.part(properties),
            "session.status" if self.is_ours(properties) => self.status(&properties["status"]),
            "session.idle" if self.is_ours(properties) => self.idle(),
            "session.error" if self.is_ours(properties) => self.erred(properties["error"].clone()),
            // Of no session is, for example, a plugin of the user that cannot be loaded: it works without it.
            "session.error" if properties.get("sessionID").is_none() => {
                let failure = failure::failure(&properties["error"]);
                self.logged(&failure.detail)
            }
            "permission.asked" => {
                let id = text_at(properties, "/id").unwrap_or_default();
                let (request, word) = permission::reply(id, self.job.access, properties);
                let what = text_at(properties, "/permission").unwrap_or("something");
                let patterns: Vec<&str> = list(properties, "/patterns")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                let notice = format!("{word}: {what} {}", patterns.join(", "));
                vec![
                    Signal::Notice(text::line(&notice)),
                    self.send(Asked::Other, &request),
                ]
            }
            "question.asked" => self.question(properties),
            _ if is_quiet(kind) => Vec::new(),
            _ if self.unknown.insert(kind.to_owned()) => {
                vec![Signal::Notice(text::line(&format!(
                    "an unknown kind of event: {kind}"
                )))]
            }
            _ => Vec::new(),
        }
    }

    fn question(&mut self, properties: &Value) -> Vec<Signal> {
        let key = text_at(properties, "/id").unwrap_or_default().to_owned();
        match permission::question(properties) {
            Some(question) => {
                let count = list(properties, "/questions").len();
                self.questions.insert(key.clone(), (question.clone(), count));
                vec![Signal::Asked { key, question }]
            }
            // It waits for an answer to nothing.
            None => vec![self.send(Asked::Other, &permission::answer(&key, 0, &Reply::Parked))],
        }
    }

    fn status(&mut self, status: &Value) -> Vec<Signal> {
        match text_at(status, "/type") {
            Some("busy") => {
                self.turn = Turn::Working;
                Vec::new()
            }
            Some("retry") => {
                self.turn = Turn::Working;
                self.retry(status)
            }
            _ => Vec::new(),
        }
    }

    fn retry(&mut self, status: &Value) -> Vec<Signal> {
        let attempt = number(status, "/attempt").unwrap_or_default();
        let message = text_at(status, "/message").unwrap_or("no reason given");
        let mut signals = vec![Signal::Notice(text::line(&format!("retry {attempt}: {message}")))];
        let judged = failure::retrying(status, self.now);
        // It goes on then, so the next wait is measured from there.
        if let Some(next) = number(status, "/next") {
            self.saw(next);
        }
        match judged {
            Retrying::Enough(failure) if self.given_up.is_none() => {
                if failure.cause == Cause::Quota {
                    let resets = match failure.retry_after {
                        RetryAfter::At(time) => Resets::At(time),
                        RetryAfter::Policy => Resets::Unknown,
                    };
                    signals.push(Signal::Quota(QuotaSaid::new("account", QuotaFill::Full, resets)));
                }
                self.given_up = Some(failure);
                let session = self.session.clone().unwrap_or_default();
                signals.push(self.send(Asked::Other, &abort_request(&session)));
            }
            Retrying::Enough(_) | Retrying::GoesOn => {}
        }
        signals
    }

    fn erred(&mut self, error: Value) -> Vec<Signal> {
        let failure = failure::failure(&error);
        if self.session.is_some() && self.turn == Turn::Waiting {
            // It has not begun to work, so it will not come to an end either.
            return self.failed(failure);
        }
        let notice = Signal::Notice(text::line(&failure.detail));
        let mut signals = vec![notice];
        signals.extend(failure::wait(&error).map(Signal::HeldOff));
        self.error = Some(error);
        signals
    }

    /// Its turn is over.
    fn idle(&mut self) -> Vec<Signal> {
        if self.turn == Turn::Waiting {
            return Vec::new();
        }
        self.turn = Turn::Waiting;
        if let Some(question) = self.parked.take() {
            return self.ended(AgentEnd::Asked(question));
        }
        if let Some(failure) = self.given_up.take() {
            return self.failed(failure);
        }
        if let Some(error) = self.error.take() {
            return match self.asked_to_stop {
                AskedToStop::Yes => self.failed(Failure::new(Cause::Stopped, "its turn was interrupted")),
                AskedToStop::No => self.failed(failure::failure(&error)),
            };
        }
        let words: Vec<&str> = self.words.iter().map(|(_, words)| words.as_str()).collect();
        match schema::parse_text(self.job.outcome, &words.join("\n\n")) {
            Ok(outcome) => self.ended(AgentEnd::Finished(outcome)),
            Err(error) => self.no_outcome(&error),
        }
    }

    /// It gets one turn to mend its outcome.
    fn no_outcome(&mut self, error: &OutcomeError) -> Vec<Signal> {
        match (&self.phase, &self.asked_to_stop) {
            (Phase::Working, AskedToStop::No) => {
                self.phase = Phase::Repairing;
                let notice = format!("asked to mend its outcome: {error}");
                let request = schema::repair_request(self.job.outcome, error);
                vec![Signal::Notice(text::line(&notice)), self.ask_turn(&request)]
            }
            (_, AskedToStop::Yes) => self.failed(Failure::new(Cause::Stopped, "its turn was interrupted")),
            (_, AskedToStop::No) => self.failed(Failure::new(Cause::NoOutcome, error.to_string())),
        }
    }

    fn failed(&mut self, failure: Failure) -> Vec<Signal> {
        self.ended(AgentEnd::Failed(failure))
    }

    fn ended(&mut self, end: AgentEnd) -> Vec<Signal> {
        if let Phase::Ended(_) = self.phase {
            return vec![Signal::Notice("a further end after the end".to_owned())];
        }
        self.phase = Phase::Ended(end);
        vec![Signal::CloseInput]
    }

    /// Only the beginning of a line is there. What waits for an answer must get one all the same.
    fn cut(&mut self, line: &str) -> Vec<Signal> {
        let mut signals = vec![Signal::Notice(text::line(&format!(
            "a line too long to read: {line}"
        )))];
        let properties = line.split_once("\"properties\":").map_or("", |(_, rest)| rest);
        let id = text::property_of_cut(properties, "id").unwrap_or_default();
        match text::property_of_cut(line, "type") {
            Some("permission.asked") => {
                signals.push(self.send(Asked::Other, &permission::refuse_unread(id)));
            }
            Some("question.asked") => {
                signals.push(self.send(Asked::Other, &permission::answer(id, 0, &Reply::Parked)));
            }
            Some("session.error") => {
                let error = json!({ "name": "an error", "data": { "message": "too long to be read" } });
                signals.extend(self.erred(error));
            }
            _ => {}
        }
        signals
    }
}

/// Events that say nothing to people, or say it again.
fn is_quiet(kind: &str) -> bool {
    let known = [
        "catalog.",
        "command.",
        "file.",
        "installation.",
        "integration.",
        "lsp.",
        "mcp.",
        "message.",
        "permission.",
        "plugin.",
        "project.",
        "question.",
        "reference.",
        "server.",
        "session.",
        "todo.",
        "vcs.",
    ];
    known.iter().any(|start| kind.starts_with(start))
}

impl Conversation for Talk {
    fn line(&mut self, line: Line<'_>) -> Vec<Signal> {
        match line {
            Line::Whole(line) => self.whole(line),
            Line::Cut(line) => self.cut(line),
        }
    }

    fn interrupt(&mut self) -> Vec<String> {
        self.asked_to_stop = AskedToStop::Yes;
        match self.session.clone() {
            Some(session) => vec![self.ask(Asked::Other, &abort_request(&session))],
            None => Vec::new(),
        }
    }

    fn answer(&mut self, key: &str, reply: &Reply) -> Vec<String> {
        let Some((question, count)) = self.questions.remove(key) else {
            return Vec::new();
        };
        if *reply == Reply::Parked {
            self.parked = Some(question);
        }
        vec![self.ask(Asked::Other, &permission::answer(key, count, reply))]
    }

    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd {
        if let Phase::Ended(end) = self.phase {
            return end;
        }
        if let Some(question) = self.parked {
            return AgentEnd::Asked(question);
        }
        if let Some(failure) = self.given_up {
            return AgentEnd::Failed(failure);
        }
        if self.asked_to_stop == AskedToStop::Yes {
            return AgentEnd::Failed(Failure::new(
                Cause::Stopped,
                format!("it was asked to stop and ended with {exit}"),
            ));
        }
        if let Some(over) = self.over {
            return AgentEnd::Failed(over);
        }
        let mut detail = format!("it ended with {exit} before its turn was over");
        let last = text::last_words(stderr);
        if !last.is_empty() {
            detail = format!("{detail}: {last}");
        }
        AgentEnd::Failed(Failure::new(Cause::Agent, detail))
    }
}
