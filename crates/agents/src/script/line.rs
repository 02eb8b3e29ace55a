//! Owns the lines that the performer of a script prints and its conversation reads: one JSON object each.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use turno_core::decision::Question;
use turno_core::failure::Failure;
use turno_core::ids::SessionId;
use turno_core::units::{MicroUsd, Tokens};

use crate::limits::QuotaSaid;
use crate::meter::dollars;

/// How a tool's use ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// As hoped.
    Well,
    /// Not.
    Badly,
}

/// One line of the performer. Written as `{"say":{"text":"..."}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScriptLine {
    /// The conversation's name; the first line.
    Session {
        /// The name.
        id: SessionId,
    },
    /// Words.
    Say {
        /// The words.
        text: String,
    },
    /// A step that does something begins.
    ToolStarted {
        /// One line for people.
        text: String,
    },
    /// It has ended.
    ToolEnded {
        /// One line for people.
        text: String,
        /// How.
        ended: Ended,
    },
    /// Something was spent: this much more, not the sum.
    Spent {
        /// How much.
        usage: Usage,
    },
    /// How full a window of its account is.
    Quota {
        /// The window.
        quota: QuotaSaid,
    },
    /// A question for a person.
    Ask {
        /// The question.
        question: String,
        /// What could be answered.
        options: Vec<String>,
    },
    /// Nobody answers its question now: it ends its turn.
    Parked {
        /// The question.
        question: Question,
    },
    /// Something worth a line in the log.
    Notice {
        /// The line.
        text: String,
    },
    /// The outcome, in the wire shape of the schema, right or wrong.
    Outcome {
        /// The outcome.
        value: Value,
    },
    /// The run failed in this way.
    Failed {
        /// How.
        failure: Failure,
    },
}

impl ScriptLine {
    /// The line as it is printed, without its end.
    pub fn print(&self) -> String {
        // Strings, numbers and maps with string keys cannot fail to become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a step claims to have spent. In a file `{usd: 0.02}`, or `{input, output, cache_read, cache_write, model}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Usage {
    /// Money, as if the agent had named it.
    Money {
        /// In millionths of a dollar.
        micro_usd: MicroUsd,
    },
    /// Tokens, priced by the price list.
    Tokens {
        /// The model's name in the price list.
        model: String,
        /// How many.
        #[serde(flatten)]
        tokens: Tokens,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUsage {
    usd: Option<f64>,
    micro_usd: Option<MicroUsd>,
    model: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = WrittenUsage::deserialize(deserializer)?;
        let counts = [
            written.input,
            written.output,
            written.cache_read,
            written.cache_write,
        ];
        let money = match (written.usd, written.micro_usd) {
            (Some(usd), None) if usd >= 0.0 => Some(dollars(usd)),
            (None, Some(micro_usd)) => Some(micro_usd),
            (None, None) => None,
            _ => return Err(serde::de::Error::custom("`usd` must be one sum, not below 0")),
        };
        match (money, counts.iter().any(Option::is_some)) {
            (Some(micro_usd), false) if written.model.is_none() => Ok(Self::Money { micro_usd }),
            (None, true) => Ok(Self::Tokens {
                model: written.model.unwrap_or_else(|| "default".to_owned()),
                tokens: Tokens {
                    input: written.input.unwrap_or(0),
                    output: written.output.unwrap_or(0),
                    cache_read: written.cache_read.unwrap_or(0),
                    cache_write: written.cache_write.unwrap_or(0),
                },
            }),
            _ => Err(serde::de::Error::custom(
                "either `usd` alone is expected, or tokens: `input`, `output`, `cache_read`, `cache_write`, `model`",
            )),
        }
    }
}
