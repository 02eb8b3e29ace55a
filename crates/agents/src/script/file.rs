//! Owns the written form of scripts, and which session of a file is meant. It must not perform anything.
//!
//! A script is a YAML file:
//!
//! ```yaml
//! sessions:
//!   - persona: engineer        # a glob; absent: every persona
//!     task: "*parser*"         # a glob on the task's id or its title; absent: every task
//!     round: 1                 # which attempt on this task, counted from 1; absent: any
//!     resumed: true            # only when a conversation is gone on with; false: only when one begins
//!     steps:
//!       - say: I look at the parser first.
//!       - write: {path: src/parser.rs, text: "pub fn parse() {}\n"}
//!       - edit: {path: README.md, find: hello, replace: "hello, world"}
//!       - run: cargo test                              # its output is said; it may fail
//!       - run: {command: cargo build, must_pass: true} # the run ends in failure if it does not
//!       - commit: mend the parser
//!       - ask:                # waits for the answer; a question that was answered before is not put again
//!           question: Tabs or spaces?
//!           options: [tabs, {label: spaces, detail: four of them}]
//!           recommended: spaces
//!           answers: {tabs: [say: Tabs it is.], "*": [say: Whatever you say.]} # what follows from each
//!       - propose: {title: Mend the lexer, brief: It drops tabs., why: The parser sees none., touches: [src/lexer.rs]}
//!       - note: The lexer drops tabs.
//!       - report: {file: src/lexer.rs, line: 7, severity: major, what: Tabs are lost., how_to_see: cargo test}
//!       - usage: {usd: 0.02}
//!       - usage: {input: 1200, output: 80, model: claude-sonnet-4-5}
//!       - sleep: 500ms
//!       - spawn: sleep 300     # a daemon in a session of its own that outlives the run unless it is killed
//!       - flood: {lines: 1000, bytes_per_line: 2000}
//!       - raw: "not JSON"      # printed as it is
//!       - hang: {stubborn: true} # for ever; stubborn: INT and TERM are ignored
//!       - quota: {window: five-hour, fill: {percent: 83}, resets_in: 2h} # what its provider tells of its account
//!       - fail: {cause: quota, detail: used up, retry_in: 2s}
//!       - outcome: {summary: The parser is mended., evidence: [cargo test]}
//!       - outcome: {kind: question, question: "Which release?", options: [1.x, 2.x]} # its last words
//!       - exit: 1
//! ```
//!
//! The outcome has the wire shape of the `schema` module; lists may be left out. Its kind is the one that the run
//! was asked for; `kind: plan` and the like may name another, for an agent that gives the wrong one.
//! The *first* session of the file that matches is performed: put the particular before the general.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turno_core::command::Session;
use turno_core::decision::{Choice, Question};
use turno_core::failure::Cause;
use turno_core::outcome::Finding;
use turno_core::quota::QuotaFill;
use turno_core::units::Span;

use super::line::Usage;
use super::pattern::{Pattern, Resumed, Round};
use crate::dialect::Cue;

/// A file of written sessions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptFile {
    /// The sessions, the particular before the general.
    pub sessions: Vec<ScriptSession>,
}

/// One written session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptSession {
    /// Whose.
    #[serde(default)]
    pub persona: Pattern,
    /// For which task, by its id or its title.
    #[serde(default)]
    pub task: Pattern,
    /// For which attempt.
    #[serde(default)]
    pub round: Round,
    /// For a conversation that begins or one that is gone on with.
    #[serde(default)]
    pub resumed: Resumed,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Words are said.
    Say(String),
    /// A file is written, with the directories above it.
    Write {
        /// Path within the slot.
        path: String,
        /// All its text.
        text: String,
    },
    /// The first occurrence of a text in a file is replaced; its absence ends the run in failure.
    Edit {
        /// Path within the slot.
        path: String,
        /// What to look for.
        find: String,
        /// What to put there.
        replace: String,
    },
    /// A shell command is run and its output said.
    Run(Run),
    /// Everything is committed with this message.
    Commit(String),
    /// A person is asked. What follows may depend on the answer.
    Ask(Ask),
    /// A task is proposed.
    Propose {
        /// One line.
        title: String,
        /// What is to be done.
        #[serde(default)]
        brief: String,
        /// Why it is needed.
        #[serde(default)]
        why: String,
        /// Path globs it would write.
        #[serde(default)]
        touches: Vec<String>,
    },
    /// Something is written down for those who come after.
    Note(String),
    /// Something that is wrong is reported.
    Report(Finding),
    /// Something is spent.
    Usage(Usage),
    /// The provider tells how full a window of the account is.
    Quota {
        /// Its name.
        window: String,
        /// How full: `open`, `near`, `full`, or `{percent: 83}`.
        fill: QuotaFill,
        /// When it is empty again, counted from now; absent: not told.
        #[serde(default)]
        resets_in: Option<Span>,
    },
    /// Nothing happens for so long.
    Sleep(Span),
    /// The program exits with this code.
    Exit(u8),
    /// The program goes on for ever without a word.
    Hang {
        /// Whether INT and TERM are ignored.
        #[serde(default)]
        stubborn: bool,
    },
    /// A process is left behind in a session of its own.
    Spawn(String),
    /// So much is printed.
    Flood {
        /// How many lines.
        lines: u32,
        /// How long each is.
        bytes_per_line: u32,
    },
    /// Something is printed as it is.
    Raw(String),
    /// The run fails as an agent's would.
    Fail {
        /// In which way.
        cause: Cause,
        /// In which words.
        #[serde(default)]
        detail: String,
        /// When it may be tried again, counted from now; absent: as the policy says.
        #[serde(default)]
        retry_in: Option<Span>,
    },
    /// The outcome is given, right or wrong.
    Outcome(Value),
}

/// A question of a script.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The question.
    pub question: String,
    /// What could be answered: a label, or `{label, detail}`.
    #[serde(default)]
    pub options: Vec<Choosable>,
    /// The label that whoever asks would take.
    #[serde(default)]
    pub recommended: Option<String>,
    /// What happens next, for each answer; `*` stands for every other one.
    #[serde(default)]
    pub answers: BTreeMap<String, Vec<Step>>,
}

impl Ask {
    /// The question itself.
    pub fn question(&self) -> Question {
        Question {
            question: self.question.clone(),
            options: self.options.iter().map(|o| o.0.clone()).collect(),
            recommended: self.recommended.clone(),
        }
    }

    /// What happens after an answer.
    pub fn after(&self, answer: &str) -> &[Step] {
        self.answers
            .get(answer.trim())
            .or_else(|| self.answers.get("*"))
            .map_or(&[], Vec::as_slice)
    }
}

/// One way to answer. In a file a label, or `{label, detail}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choosable(pub Choice);

impl<'de> Deserialize<'de> for Choosable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Choosable;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label, or {label, detail}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Choosable, E> {
                Ok(Choosable(Choice {
                    label: text.to_owned(),
                    detail: String::new(),
                }))
            }
            // YAML takes these two words for truth values. Here they are labels.
            fn visit_bool<E: de::Error>(self, word: bool) -> Result<Choosable, E> {
                self.visit_str(if word { "yes" } else { "no" })
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Choosable, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Choosable, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Choosable, A::Error> {
                Choice::deserialize(MapAccessDeserializer::new(map)).map(Choosable)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A shell command of a script. In a file a text, or `{command, must_pass}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The command.
    pub command: String,
    /// What its failure means.
    pub failing: Failing,
}

/// What a failing command means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failing {
    /// Nothing; it goes on.
    GoesOn,
    /// The run ends in failure.
    Ends,
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            command: String,
            #[serde(default)]
            must_pass: bool,
        }
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Run;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a shell command, or {command, must_pass}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Run, E> {
                Ok(Run {
                    command: text.to_owned(),
                    failing: Failing::GoesOn,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Run, A::Error> {
                let long = Long::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Run {
                    command: long.command,
                    failing: if long.must_pass {
                        Failing::Ends
                    } else {
                        Failing::GoesOn
                    },
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A text that is no script. Says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(pub String);

impl ScriptFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no YAML, or not of this form.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        serde_saphyr::from_str(text).map_err(|error| ScriptError(error.to_string()))
    }
}

/// The session that is meant: the first that matches the persona, the task, the round, and whether its
/// conversation begins or is gone on with.
pub fn select<'a>(file: &'a ScriptFile, cue: &Cue, conversation: &Session) -> Option<&'a ScriptSession> {
    let id = cue.task.to_string();
    file.sessions.iter().find(|session| {
        session.persona.matches(cue.persona.as_str())
            && (session.task.matches(&id) || session.task.matches(&cue.title))
            && session.round.matches(cue.round)
            && session.resumed.matches(conversation)
    })
}
