//! Scripts: which conversation they answer, and what the model says and does turn by turn.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::conversation::{Api, Conversation, Segment};

/// What a scripted model does for the conversations its matcher accepts.
///
/// The first script that matches answers. It serves one user message of a conversation: its turns are played
/// until they run out, then the next matching script goes on. A later user message of the same session is
/// served by another script, unless this one is marked [`Script::every_message`]; when no other matches, a
/// script that was under way goes on where it was.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Which conversations and messages this script answers.
    pub(crate) when: Matcher,
    /// The model's answers, one a request.
    pub(crate) turns: Vec<Turn>,
    /// Whether later user messages of the same conversation may start it again.
    pub(crate) every_message: bool,
    /// How many different conversations it serves; `None` is no limit.
    pub(crate) conversations: Option<usize>,
}

impl Script {
    /// A script for any number of conversations, once in each.
    pub(crate) fn new(when: Matcher, turns: impl IntoIterator<Item = Turn>) -> Self {
        Self {
            when,
            turns: turns.into_iter().collect(),
            every_message: false,
            conversations: None,
        }
    }

    /// Plays again from the start for every user message that matches.
    pub(crate) fn every_message(mut self) -> Self {
        self.every_message = true;
        self
    }

    /// Serves only the first `count` conversations that match, so that a later attempt meets another script.
    pub(crate) fn conversations(mut self, count: usize) -> Self {
        self.conversations = Some(count);
        self
    }

    pub(super) fn last_turn_is_traceless(&self) -> bool {
        self.turns.last().is_some_and(Turn::is_traceless)
    }
}

/// Substrings that must all appear for a script to apply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    conversation: Vec<String>,
    message: Vec<String>,
    api: Option<Api>,
}

impl Matcher {
    /// Requires `needle` in the system text, the instructions or the first user message.
    pub(crate) fn conversation(needle: impl Into<String>) -> Self {
        Self::default().and(needle)
    }

    /// Requires `needle` in the latest user message.
    pub(crate) fn message(needle: impl Into<String>) -> Self {
        Self::default().and_message(needle)
    }

    /// Adds a substring of the system text, the instructions or the first user message.
    pub(crate) fn and(mut self, needle: impl Into<String>) -> Self {
        self.conversation.push(needle.into());
        self
    }

    /// Adds a substring of the latest user message.
    pub(crate) fn and_message(mut self, needle: impl Into<String>) -> Self {
        self.message.push(needle.into());
        self
    }

    /// Restricts the script to one wire protocol, and so to one CLI.
    pub(crate) fn only(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    pub(super) fn accepts(&self, conversation: &Conversation, segment: &Segment) -> bool {
        self.api.is_none_or(|api| api == conversation.api)
            && self
                .conversation
                .iter()
                .all(|needle| conversation.opening_contains(needle))
            && self
                .message
                .iter()
                .all(|needle| segment.text.contains(needle.as_str()))
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.conversation.clone();
        parts.extend(self.message.iter().map(|needle| format!("message:{needle}")));
        parts.extend(self.api.map(|api| format!("{api:?}")));
        f.write_str(&parts.join(" & "))
    }
}

/// One answer of the model: any number of actions and what it claims to have cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn {
    /// What the answer contains, in order.
    pub(crate) actions: Vec<Action>,
    /// The token counts the answer reports.
    pub(crate) usage: Usage,
}

impl Turn {
    /// A turn of these actions with the default usage.
    pub(crate) fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            actions: actions.into_iter().collect(),
            usage: Usage::default(),
        }
    }

    /// A turn that only speaks.
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self::new([Action::Say(text.into())])
    }

    /// A turn that runs one shell command.
    pub(crate) fn bash(command: impl Into<String>) -> Self {
        Self::new([Action::Bash(command.into())])
    }

    /// A turn that writes one whole file.
    pub(crate) fn write(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new([Action::Write {
            path: path.into(),
            text: text.into(),
        }])
    }

    /// A turn that replaces one piece of a file.
    pub(crate) fn edit(path: impl Into<String>, find: impl Into<String>, replace: impl Into<String>) -> Self {
        Self::new([Action::Edit {
            path: path.into(),
            find: find.into(),
            replace: replace.into(),
        }])
    }

    /// A turn that calls one tool by name.
    pub(crate) fn tool(name: impl Into<String>, input: Value) -> Self {
        Self::new([Action::Tool {
            name: name.into(),
            input,
        }])
    }

    /// A turn that gives the structured final answer.
    pub(crate) fn structured(answer: Value) -> Self {
        Self::new([Action::Structured(answer)])
    }

    /// A turn that never arrives.
    pub(crate) fn hang() -> Self {
        Self::new([Action::Hang])
    }

    /// A turn that is an HTTP error with a body all protocols understand.
    pub(crate) fn status(code: u16, kind: &str, message: &str) -> Self {
        let body = json!({"type": "error", "error": {"type": kind, "code": kind, "message": message}});
        Self::new([Action::Status {
            code,
            headers: Vec::new(),
            body,
        }])
    }

    /// Adds an action.
    pub(crate) fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Adds a header to the turn's HTTP error.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        for action in &mut self.actions {
            if let Action::Status { headers, .. } = action {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        self
    }

    /// Reports these token counts.
    pub(crate) fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Whether the turn leaves nothing in the conversation by which a later request would show it happened.
    pub(super) fn is_traceless(&self) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::Hang | Action::Status { .. }))
    }
}

/// One thing the scripted model does. Paths may be relative to the directory the CLI says it works in.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Says something to the user.
    Say(String),
    /// Runs a shell command.
    Bash(String),
    /// Reads a file.
    Read(String),
    /// Writes a whole file; an existing one is read first where the CLI insists on that.
    Write {
        /// The file.
        path: String,
        /// Its new text.
        text: String,
    },
    /// Replaces the first occurrence of a text; the file is read first where the CLI insists on that.
    Edit {
        /// The file.
        path: String,
        /// The text to replace.
        find: String,
        /// What replaces it.
        replace: String,
    },
    /// Gives the answer an output schema asks for, whether or not it satisfies the schema.
    Structured(Value),
    /// Calls a tool with this input: one of the CLI's own or of a server it was given.
    Tool {
        /// The tool as the CLI offers it, or as its server names it.
        name: String,
        /// Its input.
        input: Value,
    },
    /// Holds the answer back for a while.
    Wait(Duration),
    /// Never answers. As the last turn of a script it also meets every retry.
    Hang,
    /// Answers with an HTTP error. As the last turn of a script it also meets every retry; otherwise the
    /// retry gets the next turn.
    Status {
        /// The HTTP status.
        code: u16,
        /// Extra response headers.
        headers: Vec<(String, String)>,
        /// The response body.
        body: Value,
    },
}

/// The token counts one answer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Input tokens that were not in a cache. The Responses protocol reports these plus `cached`.
    pub(crate) input: u64,
    /// Output tokens.
    pub(crate) output: u64,
    /// Input tokens read from a cache.
    pub(crate) cached: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            input: 100,
            output: 20,
            cached: 0,
        }
    }
}
