//! Owns the questions that Claude Code puts to a person: reading them, asking them one after the other, and the
//! answer to the call once all are answered.

use serde_json::{Map, Value, json};
use turno_core::decision::{Choice, Question};

use crate::value::{list, text};

/// The tool through which it asks.
pub(super) const TOOL: &str = "AskUserQuestion";

/// Claude Code's own way to mark the option that it would take.
const RECOMMENDED: &str = "(Recommended)";

/// One call of the tool, with one or more questions.
#[derive(Debug)]
pub(super) struct Call {
    input: Value,
    open: Vec<Question>,
    answers: Map<String, Value>,
}

/// What an answer leads to.
#[derive(Debug)]
pub(super) enum Next {
    /// The call has one more question.
    Question,
    /// All are answered: the answer to the call.
    Answered(Value),
}

impl Call {
    /// Reads a call; `None` if there is nothing in it that a person could be asked.
    pub(super) fn new(input: &Value) -> Option<Self> {
        let mut open = list(input, "/questions")
            .iter()
            .map(question)
            .collect::<Option<Vec<_>>>()?;
        // The last of the list is the next to be asked.
        open.reverse();
        (!open.is_empty()).then(|| Self {
            input: input.clone(),
            open,
            answers: Map::new(),
        })
    }

    /// The question that is asked now.
    pub(super) fn question(&self) -> Option<&Question> {
        self.open.last()
    }

    /// Names the question that is asked now, so that an answer cannot meet the next one.
    pub(super) fn key(&self, request: &str) -> String {
        format!("{request}#{}", self.answers.len() + 1)
    }

    /// The question that is asked now is answered.
    pub(super) fn answer(&mut self, words: &str) -> Next {
        if let Some(question) = self.open.pop() {
            self.answers.insert(question.question, json!(words));
        }
        if !self.open.is_empty() {
            return Next::Question;
        }
        let mut input = self.input.clone();
        input["answers"] = Value::Object(std::mem::take(&mut self.answers));
        Next::Answered(json!({ "behavior": "allow", "updatedInput": input }))
    }
}

/// The answer to a call that nobody answers now. Only an interruption ends its turn: after a plain denial it is
/// made to give its structured output at once, without the answer.
pub(super) fn parked() -> Value {
    json!({
        "behavior": "deny",
        "message": "The answer will come later, in this same conversation. End your turn now, without further work.",
        "interrupt": true,
    })
}

fn question(wire: &Value) -> Option<Question> {
    let words = text(wire, "/question").filter(|words| !words.trim().is_empty())?;
    let options: Vec<Choice> = list(wire, "/options")
        .iter()
        .filter_map(|option| {
            Some(Choice {
                label: text(option, "/label")?.to_owned(),
                detail: text(option, "/description").unwrap_or_default().to_owned(),
            })
        })
        .collect();
    let recommended = options
        .iter()
        .find(|option| option.label.trim_end().ends_with(RECOMMENDED))
        .map(|option| option.label.clone());
    Some(Question {
        question: words.to_owned(),
        options,
        recommended,
    })
}
