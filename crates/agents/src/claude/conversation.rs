//! Owns listening to Claude Code: its lines, its questions, its end. What tools it may use is in `permission`,
//! what it spends in `usage`, what its errors mean in `failure`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use turno_core::decision::{Question, Reply};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure, RetryAfter};
use turno_core::ids::{RemarkId, SessionId};
use turno_core::outcome::OutcomeKind;
use turno_core::units::Span;

use super::failure::{self, Signs, failure};
use super::permission::Rules;
use super::question::{Call, Next};
use super::usage::Usage;
use super::words::{refused_request, tool_line, words_of};
use super::{control_line, hooks, permission, question, refusal_line, success_line, telling, user_line};
use crate::dialect::{Conversation, Exit, Job, Line, Parting, Signal};
use crate::phase::{AskedToStop, Phase};
use crate::schema::{self, OutcomeError};
use crate::text;
use crate::value::{list, number, text as text_at};

/// Begins the id of the request that is only made to be heard again, before the next question of a call.
const NEXT_QUESTION: &str = "turno-next-question-";

/// One run of Claude Code.
#[derive(Debug)]
pub(super) struct Talk {
    kind: OutcomeKind,
    rules: Rules,
    usage: Usage,
    session: Option<SessionId>,
    phase: Phase,
    asked_to_stop: AskedToStop,
    /// Names of the tool calls in flight.
    calls: BTreeMap<String, String>,
    /// Questions that wait for an answer, by the request that they came with.
    questions: BTreeMap<String, Call>,
    /// Wishes to end the turn that wait for an answer, by the request that they came with.
    leaving: BTreeMap<String, hooks::Exit>,
    /// The way by which it was last let go.
    gone_by: Option<hooks::Exit>,
    /// The question that nobody answers now. Whatever it ends in without an outcome, it asked.
    parked: Option<Question>,
    /// The last request to the provider that failed and is being tried again.
    retrying: Option<(Option<u64>, String)>,
    /// The word of the last error message.
    error: String,
    /// When the account's limit lifts, if the provider refuses for it.
    limit: Option<RetryAfter>,
    /// Kinds of messages that were never heard of; each is told once.
    unknown: BTreeSet<String>,
    /// What a person said to it while it works.
    told: BTreeMap<RemarkId, Hearing>,
}

/// Whether it has taken in what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// Not yet: it does at its next step, or in a turn of its own.
    Waits,
    /// It has.
    Heard,
}

impl Talk {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            kind: job.outcome,
            rules: Rules::new(job),
            usage: Usage::new(job),
            session: None,
            phase: Phase::Working,
            asked_to_stop: AskedToStop::No,
            calls: BTreeMap::new(),
            questions: BTreeMap::new(),
            leaving: BTreeMap::new(),
            gone_by: None,
            parked: None,
            retrying: None,
            error: String::new(),
            limit: None,
            unknown: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    fn whole(&mut self, line: &str) -> Vec<Signal> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return vec![Signal::Notice(text::line(line))];
        };
        let mut signals = match text_at(&message, "/type") {
            Some("system") => self.system(&message),
            Some("stream_event") => {
                self.retrying = None;
                self.usage.stream_event(&message);
                Vec::new()
            }
            Some("assistant") => self.assistant(&message),
            Some("user") => self.user(&message),
            Some("result") => self.result(&message),
            Some("control_request") => self.control_request(&message),
            Some("control_response") => self.control_response(&message),
            Some("rate_limit_event") => self.rate_limit(&message),
            Some("control_cancel_request") => {
                // It takes a request back, and an answer to it would meet nobody.
                let id = text_at(&message, "/request_id").unwrap_or_default();
                self.questions.remove(id);
                self.leaving.remove(id);
                Vec::new()
            }
            Some("keep_alive") => Vec::new(),
            other => self.stranger(other.unwrap_or("without a type")),
        };
        signals.extend(self.usage.news().map(Signal::Spent));
        // A result is the last word, and what it cost belongs before the end of the input.
        signals.sort_by_key(|signal| matches!(signal, Signal::CloseInput | Signal::Send(_)));
        signals
    }

    fn stranger(&mut self, kind: &str) -> Vec<Signal> {
        if !self.unknown.insert(kind.to_owned()) {
            return Vec::new();
        }
        vec![Signal::Notice(text::line(&format!(
            "an unknown kind of message: {kind}"
        )))]
    }

    fn system(&mut self, message: &Value) -> Vec<Signal> {
        match text_at(message, "/subtype") {
            Some("init") => self.init(message),
            Some("api_retry") => {
                let status = number(message, "/error_status");
                let word = text_at(message, "/error").unwrap_or("unknown");
                let notice = format!(
                    "the provider failed ({}, {word}), retry {} of {}",
                    status.map_or("no connection".to_owned(), |status| status.to_string()),
                    number(message, "/attempt").unwrap_or(0),
                    number(message, "/max_retries").unwrap_or(0),
                );
                let mut signals = vec![Signal::Notice(text::line(&notice))];
                // Its own waits grow with each retry; they hold what the provider asked for, too.
                if word == "rate_limit" {
                    let wait = number(message, "/retry_delay_ms").map(Span);
                    signals.extend(wait.map(Signal::HeldOff));
                }
                self.retrying = Some((status, word.to_owned()));
                signals
            }
            Some("model_fallback") => vec![Signal::Notice(text::line(&format!(
                "{} is {}: going on with {}",
                text_at(message, "/original_model").unwrap_or("the model"),
                text_at(message, "/trigger").unwrap_or("unavailable"),
                text_at(message, "/fallback_model").unwrap_or("another"),
            )))],
            Some("model_refusal_no_fallback") => vec![Signal::Notice("the model refused".to_owned())],
            Some("compact_boundary") => vec![Signal::Notice("the conversation was compacted".to_owned())],
            Some(
                "status" | "thinking_tokens" | "task_started" | "task_updated" | "task_progress"
                | "task_notification" | "hook_started" | "hook_response" | "hook_progress",
            ) => Vec::new(),
            other => self.stranger(&format!("system/{}", other.unwrap_or("without a subtype"))),
        }
    }

    fn init(&mut self, message: &Value) -> Vec<Signal> {
        let session = text_at(message, "/session_id").and_then(|id| id.parse::<SessionId>().ok());
        match session {
            Some(session) if self.session.as_ref() != Some(&session) => {
                self.session = Some(session.clone());
                vec![Signal::Session(session)]
            }
            _ => Vec::new(),
        }
    }

    fn assistant(&mut self, message: &Value) -> Vec<Signal> {
        self.usage.assistant(message);
        match text_at(message, "/error") {
            Some(error) => self.error = error.to_owned(),
            None => self.retrying = None,
        }
        let mut signals = Vec::new();
        for block in list(message, "/message/content") {
            match text_at(block, "/type") {
                Some("text") => {
                    let words = text_at(block, "/text").unwrap_or_default();
                    if !words.trim().is_empty() {
                        signals.push(Signal::Text(words.to_owned()));
                    }
                }
                Some("tool_use") => {
                    let name = text_at(block, "/name").unwrap_or("a tool");
                    if let Some(id) = text_at(block, "/id") {
                        self.calls.insert(id.to_owned(), name.to_owned());
                    }
                    signals.push(Signal::ToolStarted(tool_line(name, &block["input"])));
                }
                _ => {}
            }
        }
        signals
    }

    fn user(&mut self, message: &Value) -> Vec<Signal> {
        let mut signals = Vec::new();
        // It says again what it was told when it takes that in, under the id that it was told under.
        if let Some(remark) = text_at(message, "/uuid").and_then(telling::remark) {
            self.told.insert(remark, Hearing::Heard);
            let words = words_of(&message["message"]["content"]);
            signals.push(Signal::Heard { remark, words });
        }
        for block in list(message, "/message/content") {
            if text_at(block, "/type") != Some("tool_result") {
                continue;
            }
            let id = text_at(block, "/tool_use_id").unwrap_or_default();
            self.usage.subagent_ended(id, &message["tool_use_result"]);
            let name = self.calls.remove(id).unwrap_or_else(|| "a tool".to_owned());
            signals.push(Signal::ToolEnded(match block["is_error"].as_bool() {
                Some(true) => text::line(&format!("{name} failed: {}", words_of(&block["content"]))),
                _ => format!("{} done", text::line(&name)),
            }));
        }
        signals
    }

    fn rate_limit(&mut self, message: &Value) -> Vec<Signal> {
        let info = &message["rate_limit_info"];
        let (said, limit) = failure::rate_limit(info);
        self.limit = limit;
        said.map(Signal::Quota).into_iter().collect()
    }

    fn control_request(&mut self, message: &Value) -> Vec<Signal> {
        let Some(id) = text_at(message, "/request_id") else {
            return vec![Signal::Notice("a request without an id".to_owned())];
        };
        match text_at(message, "/request/subtype") {
            Some("can_use_tool") => {
                let name = text_at(message, "/request/tool_name").unwrap_or_default();
                let input = &message["request"]["input"];
                if name == question::TOOL
                    && let Some(call) = Call::new(input)
                {
                    self.questions.insert(id.to_owned(), call);
                    return self.ask(id);
                }
                let answer = self.rules.answer(name, input);
                let mut signals = Vec::new();
                if answer["behavior"] == "deny" {
                    let notice = format!("was denied {}", tool_line(name, input));
                    signals.push(Signal::Notice(text::line(&notice)));
                }
                signals.push(Signal::Send(success_line(id, &answer)));
                signals
            }
            Some("hook_callback") if text_at(message, "/request/callback_id") == Some(hooks::WRITING) => {
                let name = text_at(message, "/request/input/tool_name").unwrap_or_default();
                let input = &message["request"]["input"]["tool_input"];
                let refusal = self.rules.protects(name, input);
                let mut signals = Vec::new();
                if refusal.is_some() {
                    let notice = format!("was denied {}", tool_line(name, input));
                    signals.push(Signal::Notice(text::line(&notice)));
                }
                let answer = hooks::about_call(refusal.as_deref());
                signals.push(Signal::Send(success_line(id, &answer)));
                signals
            }
            other => {
                let hook = text_at(message, "/request/callback_id").unwrap_or_default();
                if let (Some("hook_callback"), Some(exit)) = (other, hooks::Exit::of(hook)) {
                    return self.leaving(id, exit);
                }
                let subtype = other.unwrap_or("unnamed");
                vec![
                    Signal::Notice(text::line(&format!("refused an unknown request: {subtype}"))),
                    Signal::Send(refusal_line(id, "Turno does not know this request")),
                ]
            }
        }
    }

    /// It wants to end its turn. Whoever was told to end is not asked to stay, nor who gave an outcome already.
    fn leaving(&mut self, request: &str, exit: hooks::Exit) -> Vec<Signal> {
        let told_to_end = self.asked_to_stop == AskedToStop::Yes || self.parked.is_some();
        let gave_outcome = exit == hooks::Exit::Words && self.gone_by == Some(hooks::Exit::Outcome);
        match self.phase {
            Phase::Working if !told_to_end && !gave_outcome => {
                self.leaving.insert(request.to_owned(), exit);
                vec![Signal::Leaving {
                    key: request.to_owned(),
                }]
            }
            Phase::Working | Phase::Repairing | Phase::Ended(_) => {
                vec![Signal::Send(success_line(request, &exit.answer(&Parting::Go)))]
            }
        }
    }

    /// Puts the question of a call that is next.
    fn ask(&self, request: &str) -> Vec<Signal> {
        let call = self.questions.get(request);
        let asked = call.and_then(|call| call.question().map(|question| (call, question)));
        asked
            .map(|(call, question)| Signal::Asked {
                key: call.key(request),
                question: question.clone(),
            })
            .into_iter()
            .collect()
    }

    fn control_response(&mut self, message: &Value) -> Vec<Signal> {
        match text_at(message, "/response/request_id").and_then(|id| id.strip_prefix(NEXT_QUESTION)) {
            Some(request) => self.ask(request),
            None => refused_request(message),
        }
    }

    fn result(&mut self, message: &Value) -> Vec<Signal> {
        self.usage.result(message);
        if let Phase::Ended(_) = self.phase {
            return vec![Signal::Notice("a further result after the end".to_owned())];
        }
        let subtype = text_at(message, "/subtype").unwrap_or_default();
        let well = subtype == "success" && message["is_error"] == json!(false);
        // What it has not taken in yet is its next turn, so this was not its last word.
        let waits = self.parked.is_none() && self.asked_to_stop == AskedToStop::No;
        if well && waits && self.told.values().any(|h| *h == Hearing::Waits) {
            self.gone_by = None;
            let notice = "goes on, because a person has said something to it meanwhile";
            return vec![Signal::Notice(notice.to_owned())];
        }
        if well {
            let outcome = match message.get("structured_output") {
                Some(value) => schema::parse(self.kind, value),
                None => Err(OutcomeError::Absent),
            };
            let words = text_at(message, "/result").unwrap_or_default();
            return match (outcome, self.parked.take()) {
                (Ok(outcome), _) => self.ended(AgentEnd::Finished(outcome)),
                (Err(_), Some(question)) => self.ended(AgentEnd::Asked(question)),
                (Err(error), None) => match schema::question_in_words(words) {
                    Some(question) => self.ended(AgentEnd::Asked(question)),
                    None => self.no_outcome(&error),
                },
            };
        }
        if let Some(question) = self.parked.take() {
            return self.ended(AgentEnd::Asked(question));
        }
        let said = match text_at(message, "/result") {
            Some(said) => said.to_owned(),
            None => words_of(&message["errors"]),
        };
        if self.asked_to_stop == AskedToStop::Yes && subtype == "error_during_execution" {
            return self.failed(Failure::new(Cause::Stopped, "it stopped when it was asked to"));
        }
        let detail = if said.is_empty() {
            format!("it ended with {}", text::line(subtype))
        } else {
            text::line_of(&said, 400)
        };
        self.failed(failure(Signs {
            subtype,
            status: number(message, "/api_error_status"),
            word: &self.error,
            limit: self.limit,
            detail,
        }))
    }

    /// It gets one turn to mend its outcome.
    fn no_outcome(&mut self, error: &OutcomeError) -> Vec<Signal> {
        match (&self.phase, &self.asked_to_stop) {
            (Phase::Working, AskedToStop::No) => {
                self.phase = Phase::Repairing;
                vec![
                    Signal::Notice(text::line(&format!("asked to mend its outcome: {error}"))),
                    Signal::Send(user_line(&schema::repair_request(self.kind, error))),
                ]
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
        match text::property_of_cut(line, "type") {
            Some("control_request") => match text::property_of_cut(line, "request_id") {
                Some(id) if text::property_of_cut(line, "subtype") == Some("can_use_tool") => {
                    vec![
                        notice,
                        Signal::Send(success_line(id, &permission::answer_unread())),
                    ]
                }
                Some(id) if text::property_of_cut(line, "subtype") == Some("hook_callback") => {
                    let hook = text::property_of_cut(line, "callback_id").unwrap_or_default();
                    if let Some(exit) = hooks::Exit::of(hook) {
                        let mut signals = vec![notice];
                        signals.extend(self.leaving(id, exit));
                        return signals;
                    }
                    // Unseen is refused: what is not looked at may be protected.
                    let answer = hooks::about_call(Some(permission::UNREAD));
                    vec![notice, Signal::Send(success_line(id, &answer))]
                }
                Some(id) => vec![notice, Signal::Send(refusal_line(id, "the request is too long"))],
                None => vec![notice],
            },
            Some("result") => match self.phase {
                Phase::Ended(_) => vec![notice],
                Phase::Working | Phase::Repairing => {
                    let error = OutcomeError::Contradiction("it is too long to be read; be brief".to_owned());
                    let mut signals = vec![notice];
                    signals.extend(self.no_outcome(&error));
                    signals
                }
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
        vec![control_line("turno-interrupt", "interrupt", &json!({}))]
    }

    fn answer(&mut self, key: &str, reply: &Reply) -> Vec<String> {
        let Some((request, _)) = key.rsplit_once('#') else {
            return Vec::new();
        };
        let Some(call) = self.questions.get_mut(request) else {
            return Vec::new();
        };
        if call.key(request) != key {
            return Vec::new();
        }
        let answer = match reply {
            Reply::Answer(words) => match call.answer(words) {
                // The next one can be put only when it is heard again, and it says nothing while it waits.
                Next::Question => {
                    let id = format!("{NEXT_QUESTION}{request}");
                    return vec![control_line(&id, "mcp_status", &json!({}))];
                }
                Next::Answered(answer) => answer,
            },
            Reply::Parked => {
                self.parked = call.question().cloned();
                question::parked()
            }
        };
        self.questions.remove(request);
        vec![success_line(request, &answer)]
    }

    fn nudge(&mut self, words: &str) -> Vec<String> {
        let told_to_end = self.asked_to_stop == AskedToStop::Yes || self.parked.is_some();
        match self.phase {
            Phase::Working | Phase::Repairing if !told_to_end => vec![user_line(words)],
            Phase::Working | Phase::Repairing | Phase::Ended(_) => Vec::new(),
        }
    }

    fn tell(&mut self, remark: RemarkId, words: &str) -> Vec<String> {
        let told_to_end = self.asked_to_stop == AskedToStop::Yes || self.parked.is_some();
        let works = match self.phase {
            Phase::Working | Phase::Repairing => !told_to_end,
            Phase::Ended(_) => false,
        };
        if !works || self.told.contains_key(&remark) {
            return Vec::new();
        }
        self.told.insert(remark, Hearing::Waits);
        vec![telling::line(remark, words)]
    }

    fn was_told(&mut self, line: &str) {
        if let Some(remark) = telling::remark_of(line) {
            self.told.insert(remark, Hearing::Waits);
        }
    }

    fn part(&mut self, key: &str, parting: &Parting) -> Vec<String> {
        let Some(exit) = self.leaving.remove(key) else {
            return Vec::new();
        };
        self.gone_by = match parting {
            Parting::Go => Some(exit),
            Parting::Stay { .. } => None,
        };
        vec![success_line(key, &exit.answer(parting))]
    }

    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd {
        if let Phase::Ended(end) = self.phase {
            return end;
        }
        if let Some(question) = self.parked {
            return AgentEnd::Asked(question);
        }
        if self.asked_to_stop == AskedToStop::Yes {
            return AgentEnd::Failed(Failure::new(
                Cause::Stopped,
                format!("it was asked to stop and ended with {exit}"),
            ));
        }
        let mut detail = format!("it ended with {exit} and gave no result");
        let last = text::last_words(stderr);
        if !last.is_empty() {
            detail = format!("{detail}: {last}");
        }
        AgentEnd::Failed(match &self.retrying {
            Some((status, word)) => failure(Signs {
                subtype: "",
                status: *status,
                word,
                limit: self.limit,
                detail: format!("{detail}; its provider was failing ({word})"),
            }),
            None => Failure::new(Cause::Agent, detail),
        })
    }
}
