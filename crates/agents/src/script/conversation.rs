//! Owns listening to the performer of a script. There is no repair turn: a script says all it has to say.

use serde_json::Value;
use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::outcome::OutcomeKind;
use turno_core::units::Spend;

use super::file::Ask;
use super::line::{Ended, ScriptLine, Usage};
use crate::dialect::{Conversation, Exit, Job, Line, Signal};
use crate::limits::QuotaSaid;
use crate::meter::Meter;
use crate::schema;
use crate::text;

/// One performance.
#[derive(Debug)]
pub(super) struct Talk {
    kind: OutcomeKind,
    meter: Meter,
    end: Option<AgentEnd>,
}

impl Talk {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            kind: job.outcome,
            meter: Meter::new(&job.prices, job.cap),
            end: None,
        }
    }

    fn heard(&mut self, line: ScriptLine) -> Signal {
        match line {
            ScriptLine::Session { id } => Signal::Session(id),
            ScriptLine::Say { text } => Signal::Text(text),
            ScriptLine::ToolStarted { text } => Signal::ToolStarted(text::line(&text)),
            ScriptLine::ToolEnded { text, ended } => Signal::ToolEnded(match ended {
                Ended::Well => text::line(&text),
                Ended::Badly => text::line(&format!("failed: {text}")),
            }),
            ScriptLine::Spent { usage } => {
                match usage {
                    Usage::Money { micro_usd } => self.meter.charge(micro_usd),
                    Usage::Tokens { model, tokens } => self.meter.count(&model, tokens),
                }
                Signal::Spent(self.meter.spend())
            }
            ScriptLine::Quota { quota } => {
                Signal::Quota(QuotaSaid::new(&quota.window, quota.fill, quota.resets))
            }
            ScriptLine::Ask { question, options } => {
                let options = match options[..] {
                    [] => String::new(),
                    _ => format!(" ({})", options.join(", ")),
                };
                Signal::Notice(text::line(&format!("asks: {question}{options}")))
            }
            ScriptLine::Parked { question } => {
                self.end = Some(AgentEnd::Asked(question));
                Signal::Notice("nobody answers now: it ends its turn".to_owned())
            }
            ScriptLine::Notice { text } => Signal::Notice(text::line(&text)),
            ScriptLine::Outcome { value } => {
                let end = outcome(self.kind, value);
                let notice = match &end {
                    AgentEnd::Finished(_) => format!("gave its {}", schema::word(self.kind)),
                    AgentEnd::Asked(question) => text::line(&question.question),
                    AgentEnd::Failed(failure) => text::line(&failure.detail),
                };
                self.end = Some(end);
                Signal::Notice(notice)
            }
            ScriptLine::Failed { failure } => {
                let notice = text::line(&failure.detail);
                self.end = Some(AgentEnd::Failed(failure));
                Signal::Notice(notice)
            }
        }
    }
}

/// Whether a line stands for an answer of a model: words, the use of a tool, a question, or its last word.
fn is_answer(line: &ScriptLine) -> bool {
    match line {
        ScriptLine::Say { .. }
        | ScriptLine::ToolStarted { .. }
        | ScriptLine::Ask { .. }
        | ScriptLine::Parked { .. }
        | ScriptLine::Outcome { .. } => true,
        ScriptLine::Session { .. }
        | ScriptLine::ToolEnded { .. }
        | ScriptLine::Spent { .. }
        | ScriptLine::Quota { .. }
        | ScriptLine::Notice { .. }
        | ScriptLine::Failed { .. } => false,
    }
}

/// What an outcome line means for the run.
fn outcome(asked: OutcomeKind, mut value: Value) -> AgentEnd {
    if value.get("kind").and_then(Value::as_str) == Some("question") {
        if let Some(object) = value.as_object_mut() {
            object.shift_remove("kind");
        }
        return match serde_json::from_value::<Ask>(value) {
            Ok(ask) => AgentEnd::Asked(ask.question()),
            Err(error) => AgentEnd::Failed(Failure::new(
                Cause::NoOutcome,
                format!("its question is none: {error}"),
            )),
        };
    }
    if let Some(given) = schema::kind_of(&value)
        && given != asked
    {
        let (given, asked) = (schema::word(given), schema::word(asked));
        return AgentEnd::Failed(Failure::new(
            Cause::NoOutcome,
            format!("the outcome asked for was: {asked}. It gave: {given}"),
        ));
    }
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("kind");
    }
    match schema::parse(asked, &value) {
        Ok(outcome) => AgentEnd::Finished(outcome),
        Err(error) => AgentEnd::Failed(Failure::new(Cause::NoOutcome, error.to_string())),
    }
}

impl Conversation for Talk {
    fn line(&mut self, line: Line<'_>) -> Vec<Signal> {
        let line = match line {
            Line::Whole(line) => line,
            Line::Cut(line) => {
                return vec![Signal::Notice(text::line(&format!(
                    "a line too long to read: {line}"
                )))];
            }
        };
        if line.trim().is_empty() {
            return Vec::new();
        }
        let Ok(heard) = serde_json::from_str(line) else {
            return vec![Signal::Notice(text::line(line))];
        };
        if is_answer(&heard) {
            self.meter.turn();
        }
        let went_on = self.end.is_none();
        let mut signals = vec![self.heard(heard)];
        if went_on && self.end.is_some() {
            // Its turns are told with what it says it used, and at the latest here.
            let spend = self.meter.spend();
            signals.extend((spend != Spend::NOTHING).then_some(Signal::Spent(spend)));
        }
        signals
    }

    fn interrupt(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn answer(&mut self, _key: &str, _reply: &Reply) -> Vec<String> {
        Vec::new()
    }

    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd {
        self.end.unwrap_or_else(|| {
            let last = text::last_words(stderr);
            let (cause, what) = match exit {
                Exit::Code(0) => (Cause::NoOutcome, "it ended and gave no outcome".to_owned()),
                exit => (Cause::Agent, format!("it ended with {exit}")),
            };
            let detail = if last.is_empty() {
                what
            } else {
                format!("{what}: {last}")
            };
            AgentEnd::Failed(Failure::new(cause, detail))
        })
    }
}
