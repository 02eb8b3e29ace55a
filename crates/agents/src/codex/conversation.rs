//! Owns listening to codex: the order of our requests, its notifications, its end. What it may do is in
//! `approval`, what its errors mean in `failure`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::ids::SessionId;
use turno_core::quota::QuotaFill;

use super::failure::{failure, windows};
use super::item;
use super::usage::{Told, Usage};
use super::{INITIALIZE, answer, approval, notification, refusal, request, thread_request, turn_params};
use crate::dialect::{Conversation, Exit, Job, Line, Signal};
use crate::limits::{self, Resets};
use crate::phase::{AskedToStop, Phase};
use crate::schema::{self, OutcomeError};
use crate::text;
use crate::value::{list, text as text_at};

/// One run of codex.
#[derive(Debug)]
pub(super) struct Talk {
    job: Job,
    phase: Phase,
    asked_to_stop: AskedToStop,
    last_id: u64,
    asked: BTreeMap<u64, Asked>,
    thread: Option<String>,
    turn: Option<String>,
    usage: Usage,
    /// Paths of the file changes in flight, by item.
    changes: BTreeMap<String, Vec<String>>,
    final_words: String,
    /// The last error that is being tried again.
    retrying: Option<Value>,
    limit: Option<RetryAfter>,
    unknown: BTreeSet<String>,
}

/// A request of ours that has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Initialize,
    Thread,
    Turn,
    Interrupt,
}

impl Talk {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            job: job.clone(),
            phase: Phase::Working,
            asked_to_stop: AskedToStop::No,
            last_id: INITIALIZE,
            asked: BTreeMap::from([(INITIALIZE, Asked::Initialize)]),
            thread: None,
            turn: None,
            usage: Usage::new(job),
            changes: BTreeMap::new(),
            final_words: String::new(),
            retrying: None,
            limit: None,
            unknown: BTreeSet::new(),
        }
    }

    fn whole(&mut self, line: &str) -> Vec<Signal> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return vec![Signal::Notice(text::line(line))];
        };
        match (text_at(&message, "/method"), message.get("id")) {
            (Some(method), Some(id)) => self.asked_by_codex(method, id, &message["params"]),
            (Some(method), None) => self.notified(method, &message["params"]),
            (None, Some(id)) => self.answered(id, &message),
            (None, None) => vec![Signal::Notice(text::line(line))],
        }
    }

    fn ask(&mut self, asked: Asked, method: &str, params: &Value) -> String {
        self.last_id += 1;
        self.asked.insert(self.last_id, asked);
        request(self.last_id, method, params)
    }

    fn ask_turn(&mut self, words: &str) -> Vec<Signal> {
        let thread = self.thread.clone().unwrap_or_default();
        let params = turn_params(&self.job, &thread, words);
        self.turn = None;
        vec![Signal::Send(self.ask(Asked::Turn, "turn/start", &params))]
    }

    fn answered(&mut self, id: &Value, message: &Value) -> Vec<Signal> {
        let asked = id.as_u64().and_then(|id| self.asked.remove(&id));
        let Some(asked) = asked else {
            return vec![Signal::Notice(text::line(&format!(
                "an answer to no question: {id}"
            )))];
        };
        if let Some(error) = message.get("error") {
            return self.refused(asked, error);
        }
        match asked {
            Asked::Initialize => {
                let (method, params) = thread_request(&self.job);
                vec![
                    Signal::Send(notification("initialized")),
                    Signal::Send(self.ask(Asked::Thread, method, &params)),
                ]
            }
            Asked::Thread => {
                self.usage
                    .model(text_at(message, "/result/model").unwrap_or_default());
                let Some(thread) = text_at(message, "/result/thread/id") else {
                    return self.failed(Failure::new(Cause::Agent, "it began no thread"));
                };
                self.thread = Some(thread.to_owned());
                let mut signals = Vec::new();
                if let Ok(session) = thread.parse::<SessionId>() {
                    signals.push(Signal::Session(session));
                }
                let prompt = self.job.prompt.clone();
                signals.extend(self.ask_turn(&prompt));
                signals
            }
            Asked::Turn => {
                self.turn = text_at(message, "/result/turn/id").map(str::to_owned);
                Vec::new()
            }
            Asked::Interrupt => Vec::new(),
        }
    }

    fn refused(&mut self, asked: Asked, error: &Value) -> Vec<Signal> {
        let words = text_at(error, "/message").unwrap_or("no reason given");
        let what = match asked {
            Asked::Interrupt => {
                let notice = format!("it could not be interrupted: {words}");
                return vec![Signal::Notice(text::line(&notice))];
            }
            Asked::Initialize => "it refused to start",
            Asked::Thread => "it refused the thread",
            Asked::Turn => "it refused the turn",
        };
        self.failed(Failure::new(
            Cause::Agent,
            text::line_of(&format!("{what}: {words}"), 400),
        ))
    }

    fn asked_by_codex(&mut self, method: &str, id: &Value, params: &Value) -> Vec<Signal> {
        let item = text_at(params, "/itemId").unwrap_or_default();
        let paths = self.changes.get(item).map_or(&[][..], Vec::as_slice);
        match approval::answer(self.job.access, &self.job.cwd, method, params, paths) {
            Ok(result) => {
                let decision = text_at(&result, "/decision").unwrap_or("answered");
                vec![
                    Signal::Notice(text::line(&format!("{method}: {decision}"))),
                    Signal::Send(answer(id, &result)),
                ]
            }
            Err(why) => vec![
                Signal::Notice(text::line(&format!("refused an unknown request: {method}"))),
                Signal::Send(refusal(id, why)),
            ],
        }
    }

    fn notified(&mut self, method: &str, params: &Value) -> Vec<Signal> {
        match method {
            "item/started" => self.item_started(&params["item"]),
            "item/completed" => self.item_completed(params),
            "thread/tokenUsage/updated" => self.used(params),
            "account/rateLimits/updated" => self.rate_limits(params),
            "model/rerouted" => {
                let model = text_at(params, "/toModel").unwrap_or_default();
                self.usage.model(model);
                vec![Signal::Notice(text::line(&format!("going on with {model}")))]
            }
            "error" => self.error(params),
            "turn/started" if self.is_ours(params) => {
                self.turn = text_at(params, "/turn/id").map(str::to_owned);
                Vec::new()
            }
            "turn/completed" if self.is_ours(params) => self.turn_completed(&params["turn"]),
            "warning" | "configWarning" | "guardianWarning" | "deprecationNotice" => {
                let words = text_at(params, "/message").or_else(|| text_at(params, "/summary"));
                vec![Signal::Notice(text::line(words.unwrap_or(method)))]
            }
            _ if item::is_quiet(method) => Vec::new(),
            _ if self.unknown.insert(method.to_owned()) => {
                vec![Signal::Notice(text::line(&format!(
                    "an unknown kind of message: {method}"
                )))]
            }
            _ => Vec::new(),
        }
    }

    /// Whether a notification is about our thread; agents that codex starts by itself have their own.
    fn is_ours(&self, params: &Value) -> bool {
        self.thread.is_some() && text_at(params, "/threadId") == self.thread.as_deref()
    }

    fn item_started(&mut self, item: &Value) -> Vec<Signal> {
        if let (Some("fileChange"), Some(id)) = (text_at(item, "/type"), text_at(item, "/id")) {
            let paths = list(item, "/changes").iter();
            let paths = paths
                .filter_map(|change| text_at(change, "/path"))
                .map(str::to_owned);
            self.changes.insert(id.to_owned(), paths.collect());
        }
        item::line(item)
            .map(|line| Signal::ToolStarted(text::line(&line)))
            .into_iter()
            .collect()
    }

    fn item_completed(&mut self, params: &Value) -> Vec<Signal> {
        self.retrying = None;
        let item = &params["item"];
        if let Some(id) = text_at(item, "/id") {
            self.changes.remove(id);
        }
        if text_at(item, "/type") == Some("agentMessage") {
            let words = text_at(item, "/text").unwrap_or_default();
            if self.is_ours(params) {
                self.final_words = words.to_owned();
            }
            if words.trim().is_empty() {
                return Vec::new();
            }
            return vec![Signal::Text(words.to_owned())];
        }
        item::line(item)
            .map(|line| Signal::ToolEnded(text::line(&format!("{}: {line}", item::status(item)))))
            .into_iter()
            .collect()
    }

    fn used(&mut self, params: &Value) -> Vec<Signal> {
        // A resumed thread first tells its sum in the name of its last turn.
        let other_turn = self.turn.as_deref() != text_at(params, "/turnId");
        let told = if self.is_ours(params) && other_turn {
            Told::BeforeTheTurn
        } else {
            Told::Working
        };
        let spend = self.usage.update(params, told);
        spend.map(Signal::Spent).into_iter().collect()
    }

    fn rate_limits(&mut self, params: &Value) -> Vec<Signal> {
        let told = windows(params);
        for said in told.iter().filter(|said| said.fill == QuotaFill::Full) {
            // Of several that are reached the one that lifts last counts.
            self.limit = match (self.limit, said.resets) {
                (Some(RetryAfter::At(a)), Resets::At(b)) => Some(RetryAfter::At(a.max(b))),
                (_, Resets::At(b)) => Some(RetryAfter::At(b)),
                (limit, Resets::In(_) | Resets::Unknown) => limit,
            };
        }
        told.into_iter().map(Signal::Quota).collect()
    }

    fn error(&mut self, params: &Value) -> Vec<Signal> {
        let error = &params["error"];
        self.retrying = (params["willRetry"] == json!(true)).then(|| error.clone());
        let message = text_at(error, "/message").unwrap_or("an error");
        let details = text_at(error, "/additionalDetails").unwrap_or_default();
        let words = format!("{message} {details}");
        let mut signals = vec![Signal::Notice(text::line(&words))];
        signals.extend(limits::wait_in_words(&words).map(Signal::HeldOff));
        signals
    }

    fn turn_completed(&mut self, turn: &Value) -> Vec<Signal> {
        if let Phase::Ended(_) = self.phase {
            return vec![Signal::Notice("a further turn after the end".to_owned())];
        }
        match text_at(turn, "/status") {
            Some("completed") => {
                let words = list(turn, "/items").iter().rev();
                let words = words
                    .filter(|item| text_at(item, "/type") == Some("agentMessage"))
                    .find_map(|item| text_at(item, "/text"))
                    .map_or_else(|| std::mem::take(&mut self.final_words), str::to_owned);
                match schema::end_of_words(self.job.outcome, &words) {
                    Ok(end) => self.ended(end),
                    Err(error) => self.no_outcome(&error),
                }
            }
            Some("interrupted") => self.failed(Failure::new(Cause::Stopped, "its turn was interrupted")),
            Some("failed") => {
                let limit = self.limit;
                self.failed(failure(&turn["error"], limit))
            }
            other => {
                let status = other.unwrap_or("no status");
                let detail = text::line(&format!("its turn ended with {status}"));
                self.failed(Failure::new(Cause::Agent, detail))
            }
        }
    }

    /// It gets one turn to mend its outcome.
    fn no_outcome(&mut self, error: &OutcomeError) -> Vec<Signal> {
        match (&self.phase, &self.asked_to_stop) {
            (Phase::Working, AskedToStop::No) => {
                self.phase = Phase::Repairing;
                let notice = format!("asked to mend its outcome: {error}");
                let mut signals = vec![Signal::Notice(text::line(&notice))];
                signals.extend(self.ask_turn(&schema::repair_request(self.job.outcome, error)));
                signals
            }
            _ => self.failed(Failure::new(Cause::NoOutcome, error.to_string())),
        }
    }

    fn failed(&mut self, failure: Failure) -> Vec<Signal> {
        self.ended(AgentEnd::Failed(failure))
    }

    fn ended(&mut self, end: AgentEnd) -> Vec<Signal> {
        self.phase = Phase::Ended(end);
        vec![Signal::CloseInput]
    }

    /// Only the beginning of a line is there. What waits for an answer must get one all the same.
    fn cut(&mut self, line: &str) -> Vec<Signal> {
        let notice = Signal::Notice(text::line(&format!("a line too long to read: {line}")));
        match text::property_of_cut(line, "method") {
            Some("turn/completed")
                if matches!(self.phase, Phase::Working | Phase::Repairing)
                    && text::property_of_cut(line, "threadId") == self.thread.as_deref() =>
            {
                // How it ended is not known, and unknown is no success.
                let error = OutcomeError::Contradiction("it is too long to be read; be brief".to_owned());
                let mut signals = vec![notice];
                signals.extend(self.no_outcome(&error));
                signals
            }
            Some(method) if method.contains("request") => match text::id_of_cut(line) {
                Some(id) => vec![notice, Signal::Send(refusal(&id, "the request is too long"))],
                None => vec![notice],
            },
            _ => vec![notice],
        }
    }
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
        match (self.thread.clone(), self.turn.clone()) {
            (Some(thread), Some(turn)) => {
                let params = json!({ "threadId": thread, "turnId": turn });
                vec![self.ask(Asked::Interrupt, "turn/interrupt", &params)]
            }
            _ => Vec::new(),
        }
    }

    fn answer(&mut self, _key: &str, _reply: &Reply) -> Vec<String> {
        Vec::new()
    }

    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd {
        if let Phase::Ended(end) = self.phase {
            return end;
        }
        if self.asked_to_stop == AskedToStop::Yes {
            return AgentEnd::Failed(Failure::new(
                Cause::Stopped,
                format!("it was asked to stop and ended with {exit}"),
            ));
        }
        if let Some(error) = &self.retrying {
            return AgentEnd::Failed(failure(error, self.limit));
        }
        let mut detail = format!("it ended with {exit} before its turn was over");
        let last = text::last_words(stderr);
        if !last.is_empty() {
            detail = format!("{detail}: {last}");
        }
        AgentEnd::Failed(Failure::new(Cause::Agent, detail))
    }
}
