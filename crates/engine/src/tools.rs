//! Owns the tools that an agent is given while it works: what they are called, what may be said through them, and
//! who may use them. `toolbox` is the coordinator's end, `way` an agent's end of the coordinator's socket, `server`
//! speaks MCP to the agent. It decides nothing: each call becomes a fact, and the core says what follows.

mod server;
mod toolbox;
mod way;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use turno_core::decision::{Question, Reply};
use turno_core::outcome::{Finding, Proposed};

pub use server::serve;
pub use toolbox::Toolbox;
pub use way::{Error, Way};

/// The name of the server; agents show its tools under it.
pub const SERVER: &str = "turno";
/// The verb of Turno's own program that is the server.
pub const VERB: &str = "agent-tools";
/// All texts of one call together have at most so many bytes.
pub const TEXT_LIMIT: usize = 20 << 10;
/// A question has at most so many options, and a proposal so many globs.
const LIST_LIMIT: usize = 20;

/// One line about the tools, for the prompt.
pub(crate) const NOTE: &str = "You have tools on the MCP server `turno`: `context` (your task and who else is at work, \
    as of now), `ask` (put a question to a person and wait), `propose_task` (work that is needed and not yours), \
    `report_finding` (something wrong that you came across), `note` (a remark for those who come after).";

/// What opens the tools of one attempt and nothing else. Never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A new one: two random ids, 244 bits that nobody can guess.
    pub(crate) fn random() -> Self {
        let half = || uuid::Uuid::new_v4().simple().to_string();
        Self(format!("{}{}", half(), half()))
    }

    /// As it is handed to the agent's tool server.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The use of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// What am I to do, and who else is at work?
    Context,
    /// A task that is needed.
    ProposeTask(Proposed),
    /// A question for a person.
    Ask(Question),
    /// Something that is wrong.
    ReportFinding(Finding),
    /// A remark for those who come after.
    Note(String),
}

/// What the use of a tool came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// It is done, in these words.
    Done(String),
    /// What became of the question.
    Replied(Reply),
    /// It is not done, for this reason.
    Refused(String),
}

/// A call that makes no sense, with what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Senseless {
    /// Too much text.
    #[error("the texts of a call may have {TEXT_LIMIT} bytes together, these have {0}: say it shorter")]
    TooLong(usize),
    /// Nothing where something is needed.
    #[error("`{0}` is empty: say something there")]
    Empty(&'static str),
    /// Too many of something.
    #[error("`{name}` may have {LIST_LIMIT} entries, these are {count}: leave some out")]
    TooMany {
        /// Of what.
        name: &'static str,
        /// How many.
        count: usize,
    },
    /// Two options of one name.
    #[error("two options are called `{0}`: give each a label of its own")]
    SameLabel(String),
    /// A recommendation of nothing.
    #[error("`recommended` is `{0}`, and no option is called that: name one of the labels")]
    NoSuchOption(String),
}

impl Call {
    /// Whether it makes sense by itself.
    ///
    /// # Errors
    /// When it does not; the error says what to do instead.
    pub fn check(&self) -> Result<(), Senseless> {
        let (needed, texts): (Vec<(&'static str, &str)>, Vec<&str>) = match self {
            Self::Context => (vec![], vec![]),
            Self::ProposeTask(p) => {
                few("touches", p.touches.len())?;
                let mut texts = vec![p.brief.as_str(), &p.why];
                texts.extend(p.touches.iter().map(String::as_str));
                (vec![("title", &p.title)], texts)
            }
            Self::Ask(q) => {
                options(q)?;
                let mut texts: Vec<&str> = q
                    .options
                    .iter()
                    .flat_map(|o| [o.label.as_str(), &o.detail])
                    .collect();
                texts.extend(q.recommended.as_deref());
                (vec![("question", &q.question)], texts)
            }
            Self::ReportFinding(f) => (
                vec![("file", &f.file), ("what", &f.what)],
                vec![f.how_to_see.as_str()],
            ),
            Self::Note(text) => (vec![("text", text)], vec![]),
        };
        if let Some((name, _)) = needed.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(Senseless::Empty(name));
        }
        let bytes =
            needed.iter().map(|(_, t)| t.len()).sum::<usize>() + texts.iter().map(|t| t.len()).sum::<usize>();
        if bytes > TEXT_LIMIT {
            return Err(Senseless::TooLong(bytes));
        }
        Ok(())
    }
}

fn few(name: &'static str, count: usize) -> Result<(), Senseless> {
    if count > LIST_LIMIT {
        return Err(Senseless::TooMany { name, count });
    }
    Ok(())
}

fn options(question: &Question) -> Result<(), Senseless> {
    few("options", question.options.len())?;
    let mut labels = BTreeSet::new();
    for option in &question.options {
        if option.label.trim().is_empty() {
            return Err(Senseless::Empty("label"));
        }
        if !labels.insert(option.label.trim()) {
            return Err(Senseless::SameLabel(option.label.clone()));
        }
    }
    match &question.recommended {
        Some(label) if !labels.contains(label.trim()) => Err(Senseless::NoSuchOption(label.clone())),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_core::decision::Choice;

    fn question(labels: &[&str], recommended: Option<&str>) -> Call {
        Call::Ask(Question {
            question: "Which?".to_owned(),
            options: labels
                .iter()
                .map(|label| Choice {
                    label: (*label).to_owned(),
                    detail: String::new(),
                })
                .collect(),
            recommended: recommended.map(str::to_owned),
        })
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert_eq!(
            Call::Note(" \n".to_owned()).check(),
            Err(Senseless::Empty("text"))
        );
        assert_eq!(Call::Note("x".repeat(TEXT_LIMIT)).check(), Ok(()));
        assert_eq!(
            Call::Note("x".repeat(TEXT_LIMIT + 1)).check(),
            Err(Senseless::TooLong(TEXT_LIMIT + 1))
        );
        assert_eq!(question(&["a", "b"], Some("b")).check(), Ok(()));
        assert_eq!(
            question(&["a", "a "], None).check(),
            Err(Senseless::SameLabel("a ".to_owned()))
        );
        assert_eq!(question(&["a", ""], None).check(), Err(Senseless::Empty("label")));
        assert_eq!(
            question(&["a"], Some("c")).check(),
            Err(Senseless::NoSuchOption("c".to_owned()))
        );
        assert_eq!(
            question(&["x"; LIST_LIMIT + 1], None).check().unwrap_err(),
            Senseless::TooMany {
                name: "options",
                count: LIST_LIMIT + 1
            }
        );
    }

    #[test]
    fn a_token_is_long_never_twice_and_never_shown() {
        let (one, other) = (Token::random(), Token::random());
        assert_ne!(one, other);
        assert_eq!(one.secret().len(), 64);
        assert!(!format!("{one:?}").contains(&one.secret()[..4]));
    }
}
