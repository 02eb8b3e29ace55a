//! Owns listening to an agent that speaks the protocol: the order of our requests, its updates, its end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use turno_core::command::Session;
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::ids::SessionId;
use turno_core::persona::Model;

use super::failure::{failure, wait};
use super::permission::{self, Decision};
use super::update::Calls;
use super::usage::Usage;
use super::{
    INITIALIZE, Opening, VERSION, answer, cancel, first_prompt, marker, opening, prompt_params, refusal,
    request, session_request,
};
use crate::dialect::{Conversation, Exit, Job, Line, Signal};
use crate::phase::{AskedToStop, Phase};
use crate::schema::{self, OutcomeError};
use crate::text;
use crate::value::{list, text as text_at};
use crate::words::Words;

/// One run of an agent.
#[derive(Debug)]
pub(crate) struct Talk {
    job: Job,
    phase: Phase,
    asked_to_stop: AskedToStop,
    last_id: u64,
    asked: BTreeMap<u64, Asked>,
    opening: Opening,
    session: Option<String>,
    turn: Turn,
    usage: Usage,
    calls: Calls,
    /// Words of the agent that were not shown yet: they come in crumbs.
    unshown: String,
    /// Everything it said since it was asked.
    words: Words,
    unknown: BTreeSet<String>,
}

/// A request of ours that has no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Initialize,
    Session,
    Model,
    Prompt,
}

/// Which of our prompts is being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// None: what is told is what was.
    None,
    /// The first.
    First,
    /// The one that asks for a mended outcome. Nothing old can be told any more.
    Second,
}

/// How many characters of unshown words are worth a line at once.
const CRUMBS: usize = 2000;

impl Talk {
    pub(crate) fn new(job: &Job) -> Self {
        Self {
            job: job.clone(),
            phase: Phase::Working,
            asked_to_stop: AskedToStop::No,
            last_id: INITIALIZE,
            asked: BTreeMap::from([(INITIALIZE, Asked::Initialize)]),
            opening: Opening::New,
            session: None,
            turn: Turn::None,
            usage: Usage::new(job),
            calls: Calls::default(),
            unshown: String::new(),
            words: Words::default(),
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
            (Some(method), Some(id)) => self.asked_by_it(method, id, &message["params"]),
            (Some("session/update"), None) => self.updated(&message["params"]),
            (Some(method), None) => self.stranger(method),
            (None, Some(id)) => self.answered(id, &message),
            (None, None) => vec![Signal::Notice(text::line(line))],
        }
    }

    fn stranger(&mut self, kind: &str) -> Vec<Signal> {
        // A name with a leading underscore is an agent's own extension; nothing is missed by not knowing it.
        if kind.starts_with('_') || !self.unknown.insert(kind.to_owned()) {
            return Vec::new();
        }
        vec![Signal::Notice(text::line(&format!(
            "an unknown kind of message: {kind}"
        )))]
    }

    fn ask(&mut self, asked: Asked, method: &str, params: &Value) -> Signal {
        self.last_id += 1;
        self.asked.insert(self.last_id, asked);
        Signal::Send(request(self.last_id, method, params))
    }

    fn prompt(&mut self, turn: Turn, words: &str) -> Signal {
        self.turn = turn;
        self.words.clear();
        let session = self.session.clone().unwrap_or_default();
        self.ask(Asked::Prompt, "session/prompt", &prompt_params(&session, words))
    }

    fn first_prompt(&mut self) -> Signal {
        let words = first_prompt(&self.job, self.opening);
        self.prompt(Turn::First, &words)
    }

    fn answered(&mut self, id: &Value, message: &Value) -> Vec<Signal> {
        let Some(asked) = id.as_u64().and_then(|id| self.asked.remove(&id)) else {
            return vec![Signal::Notice(text::line(&format!(
                "an answer to no question: {id}"
            )))];
        };
        let result = &message["result"];
        match (asked, message.get("error").filter(|error| !error.is_null())) {
            (Asked::Initialize, None) => self.initialized(result),
            (Asked::Session, None) => self.opened(result),
            (Asked::Model, None) => vec![self.first_prompt()],
            (Asked::Prompt, None) => self.turn_ended(result),
            (Asked::Initialize, Some(error)) => self.failed(failure("it refused to start", error)),
            (Asked::Session, Some(error)) => self.not_opened(failure("it refused the session", error)),
            // Another model than the one asked for has another price and another judgement.
            (Asked::Model, Some(error)) => {
                let mut refused = failure("it refused the model", error);
                if refused.cause == Cause::Agent {
                    refused.cause = Cause::Model;
                }
                self.failed(refused)
            }
            (Asked::Prompt, Some(error)) => {
                let mut signals = self.shown();
                signals.extend(wait(error).map(Signal::HeldOff));
                signals.extend(match self.asked_to_stop {
                    AskedToStop::Yes => self.stopped(),
                    AskedToStop::No => self.failed(failure("its turn failed", error)),
                });
                signals
            }
        }
    }

    fn initialized(&mut self, result: &Value) -> Vec<Signal> {
        let version = result["protocolVersion"].as_u64();
        if version != Some(VERSION) {
            let told = version.map_or("none".to_owned(), |version| version.to_string());
            let detail = format!("it speaks version {told} of the protocol, Turno speaks {VERSION}");
            return self.failed(Failure::new(Cause::Agent, detail));
        }
        let Some(opening) = opening(&self.job.session, result) else {
            let detail = "it cannot go on with an earlier conversation";
            return self.failed(Failure::new(Cause::Agent, detail));
        };
        self.opening = opening;
        let (method, params) = session_request(&self.job, opening);
        vec![self.ask(Asked::Session, method, &params)]
    }

    /// A conversation that the agent has lost is begun anew: what it is asked says all that is needed, and what it
    /// had done is in its slot. Gemini loses one that is loaded within the minute in which it began. Of any other
    /// failure a new one would die, too.
    fn not_opened(&mut self, failure: Failure) -> Vec<Signal> {
        if self.opening == Opening::New || failure.cause != Cause::Agent {
            return self.failed(failure);
        }
        self.opening = Opening::New;
        let notice = format!("a new conversation is begun: {}", failure.detail);
        let (method, params) = session_request(&self.job, Opening::New);
        vec![
            Signal::Notice(text::line(&notice)),
            self.ask(Asked::Session, method, &params),
        ]
    }

    fn opened(&mut self, result: &Value) -> Vec<Signal> {
        let session = match (&self.job.session, self.opening) {
            (Session::Resume(id), Opening::Resume | Opening::Load) => id.to_string(),
            (Session::Fresh, _) | (Session::Resume(_), Opening::New) => match text_at(result, "/sessionId") {
                Some(id) => id.to_owned(),
                None => return self.failed(Failure::new(Cause::Agent, "it began no session")),
            },
        };
        let mut signals = Vec::new();
        if let Ok(id) = session.parse::<SessionId>() {
            signals.push(Signal::Session(id));
        }
        self.session = Some(session.clone());
        let option = list(result, "/configOptions")
            .iter()
            .find(|option| text_at(option, "/category") == Some("model"));
        let current = option
            .and_then(|option| text_at(option, "/currentValue"))
            .or_else(|| text_at(result, "/models/currentModelId"))
            .unwrap_or_default();
        self.usage.model(current);
        let Model::Named(name) = self.job.model.clone() else {
            signals.push(self.first_prompt());
            return signals;
        };
        if name == current {
            signals.push(self.first_prompt());
        } else if let Some(id) = option.and_then(|option| text_at(option, "/id")) {
            self.usage.model(&name);
            let params = json!({ "sessionId": session, "configId": id, "value": name });
            signals.push(self.ask(Asked::Model, "session/set_config_option", &params));
        } else {
            let notice = format!("it takes no model through its protocol and uses its own, not {name}");
            signals.push(Signal::Notice(text::line(&notice)));
            signals.push(self.first_prompt());
        }
        signals
    }

    fn asked_by_it(&mut self, method: &str, id: &Value, params: &Value) -> Vec<Signal> {
        if method != "session/request_permission" {
            return vec![
                Signal::Notice(text::line(&format!("refused an unknown request: {method}"))),
                Signal::Send(refusal(id, "Turno does not offer this")),
            ];
        }
        let (decision, result) = permission::answer(self.job.access, &self.job.cwd, params);
        let mut signals = self.shown();
        if decision == Decision::Denied {
            let title = text_at(params, "/toolCall/title").unwrap_or("a tool");
            signals.push(Signal::Notice(text::line(&format!("was denied {title}"))));
        }
        signals.push(Signal::Send(answer(id, &result)));
        signals
    }

    fn updated(&mut self, params: &Value) -> Vec<Signal> {
        if self.session.is_some() && text_at(params, "/sessionId") != self.session.as_deref() {
            return Vec::new();
        }
        let update = &params["update"];
        let kind = text_at(update, "/sessionUpdate").unwrap_or("without a kind");
        if self.turn == Turn::None {
            if kind == "usage_update" {
                self.usage.told_before(update);
            }
            return Vec::new();
        }
        match kind {
            "agent_message_chunk" => {
                let crumb = text_at(update, "/content/text").unwrap_or_default();
                self.words.push(crumb);
                self.unshown.push_str(crumb);
                if self.unshown.len() > CRUMBS {
                    return self.shown();
                }
                Vec::new()
            }
            "tool_call" | "tool_call_update" => {
                let mut signals = self.shown();
                signals.extend(self.calls.news(update));
                signals
            }
            "usage_update" => self.usage.told(update).map(Signal::Spent).into_iter().collect(),
            // Nobody else speaks in our turn: it is something old, and so is what came before it.
            "user_message_chunk" => {
                self.words.clear();
                self.unshown.clear();
                Vec::new()
            }
            "agent_thought_chunk"
            | "plan"
            | "available_commands_update"
            | "current_mode_update"
            | "config_option_update"
            | "session_info_update" => Vec::new(),
            other => self.stranger(other),
        }
    }

    /// The words that were not shown yet.
    fn shown(&mut self) -> Vec<Signal> {
        let words = std::mem::take(&mut self.unshown);
        match words.trim() {
            "" => Vec::new(),
            _ => vec![Signal::Text(words)],
        }
    }

    fn turn_ended(&mut self, result: &Value) -> Vec<Signal> {
        let mut signals = self.shown();
        signals.extend(self.usage.turn(result).map(Signal::Spent));
        if let Phase::Ended(_) = self.phase {
            signals.push(Signal::Notice("a further turn after the end".to_owned()));
            return signals;
        }
        signals.extend(match text_at(result, "/stopReason") {
            Some("end_turn") => match self.end_of_words() {
                Ok(end) => self.ended(end),
                Err(error) => self.no_outcome(&error),
            },
            Some("cancelled") => self.stopped(),
            Some("refusal") => self.failed(Failure::new(Cause::Agent, "the model refused")),
            Some("max_tokens") => self.failed(Failure::new(Cause::Agent, "its answer was cut short")),
            Some("max_turn_requests") => {
                self.failed(Failure::new(Cause::Agent, "it reached its own limit of requests"))
            }
            other => {
                let reason = other.unwrap_or("no reason");
                let detail = text::line(&format!("its turn ended with {reason}"));
                self.failed(Failure::new(Cause::Agent, detail))
            }
        });
        signals
    }

    /// What it said at the end of its turn. Of a conversation that is told again only what stands behind this
    /// run's own mark is surely new.
    fn end_of_words(&self) -> Result<AgentEnd, OutcomeError> {
        let words = self.words.text();
        let new = match (self.opening, self.turn) {
            (Opening::Load, Turn::First) => match words.rsplit_once(&marker(&self.job)) {
                Some((_, new)) => new,
                None => {
                    let why = "the line that was to stand before it is missing";
                    return Err(OutcomeError::Contradiction(why.to_owned()));
                }
            },
            _ => words,
        };
        schema::end_of_words(self.job.outcome, new)
    }

    /// It gets one turn to mend its outcome.
    fn no_outcome(&mut self, error: &OutcomeError) -> Vec<Signal> {
        match (&self.phase, self.asked_to_stop) {
            (Phase::Working, AskedToStop::No) => {
                self.phase = Phase::Repairing;
                let notice = format!("asked to mend its outcome: {error}");
                let words = schema::repair_request(self.job.outcome, error);
                vec![
                    Signal::Notice(text::line(&notice)),
                    self.prompt(Turn::Second, &words),
                ]
            }
            _ => self.failed(Failure::new(Cause::NoOutcome, error.to_string())),
        }
    }

    fn stopped(&mut self) -> Vec<Signal> {
        self.failed(Failure::new(Cause::Stopped, "its turn was cancelled"))
    }

    fn failed(&mut self, failure: Failure) -> Vec<Signal> {
        self.ended(AgentEnd::Failed(failure))
    }

    fn ended(&mut self, end: AgentEnd) -> Vec<Signal> {
        if let Phase::Ended(_) = self.phase {
            return Vec::new();
        }
        self.phase = Phase::Ended(end);
        vec![Signal::CloseInput]
    }

    /// Only the beginning of a line is there. What waits for an answer must get one all the same.
    fn cut(&mut self, line: &str) -> Vec<Signal> {
        let mut signals = vec![Signal::Notice(text::line(&format!(
            "a line too long to read: {line}"
        )))];
        match (text::property_of_cut(line, "method"), text::id_of_cut(line)) {
            (Some("session/update"), _) => {
                // Whatever it was, what came before is not surely the last word any more.
                self.words.clear();
            }
            (Some(_), Some(id)) => signals.push(Signal::Send(refusal(&id, "the request is too long"))),
            (Some(_), None) => {}
            (None, id) => {
                let asked = id
                    .and_then(|id| id.as_u64())
                    .and_then(|id| self.asked.remove(&id));
                match asked {
                    // How the turn ended is not known, and unknown is no success.
                    Some(Asked::Prompt) if !matches!(self.phase, Phase::Ended(_)) => {
                        let error =
                            OutcomeError::Contradiction("it is too long to be read; be brief".to_owned());
                        signals.extend(self.no_outcome(&error));
                    }
                    Some(Asked::Initialize | Asked::Session | Asked::Model) => {
                        let detail = "its answer was too long to be read";
                        signals.extend(self.failed(Failure::new(Cause::Agent, detail)));
                    }
                    Some(Asked::Prompt) | None => {}
                }
            }
        }
        signals
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
        self.session.as_deref().map(cancel).into_iter().collect()
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
        let mut detail = format!("it ended with {exit} before its turn was over");
        let last = text::last_words(stderr);
        if !last.is_empty() {
            detail = format!("{detail}: {last}");
        }
        AgentEnd::Failed(Failure::new(Cause::Agent, detail))
    }
}
