//! Owns the contract of a dialect: what an agent is given, what it says, how a run of it ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use turno_core::command::Session;
use turno_core::decision::{Question, Reply};
use turno_core::event::AgentEnd;
use turno_core::globs;
use turno_core::ids::{PersonaName, RemarkId, SessionId, TaskId};
use turno_core::outcome::OutcomeKind;
use turno_core::persona::{Access, Effort, Model, Tools};
use turno_core::units::{MicroUsd, Price, Span, Spend};

use crate::limits::QuotaSaid;
use crate::needs::Needs;

/// What a dialect can do. Shown by `doctor`, read by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Whether a session can be gone on with.
    pub resume: Support,
    /// Whether the agent names its cost in money; otherwise Turno computes it from tokens.
    pub cost: Support,
    /// Whether the agent enforces a schema on its final answer; otherwise it is asked for in words.
    pub schema: Support,
    /// Whether it can be asked to stop through its own protocol.
    pub interrupt: Support,
    /// Whether it can be given tools by a server of ours (MCP).
    pub tools: Support,
    /// Whether it asks questions through its own protocol.
    pub questions: Support,
    /// Whether it can be told something while it works.
    pub nudge: Support,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// What a run is for, by name. Real agents are told it in their prompt; a script is chosen by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cue {
    /// In which role.
    pub persona: PersonaName,
    /// For which task.
    pub task: TaskId,
    /// The task's title.
    pub title: String,
    /// Which attempt of an agent on this task it is, counted from 1.
    pub round: u32,
}

/// A server of tools (MCP, over its standard streams) that the agent starts itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolServer {
    /// Its name; agents show its tools under it.
    pub name: String,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides what it inherits.
    pub env: BTreeMap<String, String>,
}

/// Paths that a writer leaves alone, where its agent can be told so before it writes. Relative to where it works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// Globs of them.
    pub globs: Vec<String>,
    /// Globs of what the task itself names as its own: that may be written all the same.
    pub named: Vec<String>,
}

impl Protected {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether a path, relative and with `/`, is one of them.
    pub fn covers(&self, path: &str) -> bool {
        globs::matches(&self.globs, path) && !globs::matches(&self.named, path)
    }
}

/// One run of an agent, as the engine asks for it. Plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The program to run, by name or path.
    pub program: String,
    /// The running `turno` binary, absolute: some agents are spoken to through a verb of it.
    pub turno: String,
    /// Arguments of the configuration, put before the dialect's own.
    pub extra_args: Vec<String>,
    /// The directory it works in: its slot, absolute.
    pub cwd: String,
    /// A directory of this attempt's own, absolute, where a dialect's files are written.
    pub attempt_dir: String,
    /// The rendered prompt of the persona: who it is and how it works.
    pub system: String,
    /// The rendered task: what is asked for now.
    pub prompt: String,
    /// Which conversation.
    pub session: Session,
    /// The model asked for.
    pub model: Model,
    /// The effort asked for.
    pub effort: Effort,
    /// What it may do to files.
    pub access: Access,
    /// Which tools it may use.
    pub tools: Tools,
    /// The outcome asked for.
    pub outcome: OutcomeKind,
    /// The cap that the agent itself is told, as a second fence.
    pub cap: MicroUsd,
    /// Prices by the provider's model name, the longest beginning wins; `default` stands for every other model.
    pub prices: BTreeMap<String, Price>,
    /// What it is for, by name.
    pub cue: Cue,
    /// Servers of tools to be wired in by the agent's own configuration, where it can.
    pub tool_servers: Vec<ToolServer>,
    /// Paths whose writing is refused at the call of the tool, where the agent's protocol can.
    pub protected: Protected,
}

/// A file that must exist before the launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaunchFile {
    /// Absolute path, inside the attempt's directory.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// How to start an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Launch {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment that the dialect itself chooses; what is configured for the agent outweighs it.
    pub env: BTreeMap<String, String>,
    /// Files to write first.
    pub files: Vec<LaunchFile>,
    /// Lines to write to its standard input at once, without line ends.
    pub input: Vec<String>,
    /// Whether its input stays open for the conversation.
    pub after_input: AfterInput,
}

/// How to start an agent for a person who sits at its terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AtTerminal {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment that the dialect itself chooses; what is configured for the agent outweighs it.
    pub env: BTreeMap<String, String>,
    /// Settings that its private home must have, so that it does not begin with questions about itself. In no other home
    /// is anything changed.
    pub settings: Vec<HomeSetting>,
    /// Whether it remembers what was done.
    pub begins: Begins,
    /// What has to be done before.
    pub before: Before,
}

/// What has to be done before an agent is opened at a terminal, in the same place and with the same environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing.
    Nothing,
    /// An errand, without which its conversation cannot be gone on with.
    Errand(Errand),
}

/// A program that is run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Errand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The lines of its standard input, without line ends.
    pub input: Vec<String>,
    /// What is opened instead where it does not end well: a new conversation.
    pub otherwise: Vec<String>,
}

/// A file of JSON in an agent's private home, and what is to be in it besides what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HomeSetting {
    /// Where it is below the home.
    pub path: &'static str,
    /// What is to be in it: objects are merged, everything else is replaced.
    pub merged: serde_json::Value,
}

/// How a conversation at a terminal begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begins {
    /// Where the last one of the task ended.
    GoingOn,
    /// Anew, told in its first message what is to be done and what was.
    Anew,
}

/// What happens to an agent's standard input after the first lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterInput {
    /// It is closed: an open one makes some agents wait for ever.
    Close,
    /// It stays open until a [`Signal::CloseInput`].
    KeepOpen,
}

/// What a line of output means.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// The conversation's name.
    Session(SessionId),
    /// Words of the agent.
    Text(String),
    /// It began to use a tool; one line for people.
    ToolStarted(String),
    /// A tool came to its end; one line for people.
    ToolEnded(String),
    /// The sum spent so far.
    Spent(Spend),
    /// Something worth a line in the log: a retry, a fallback, an unknown message.
    Notice(String),
    /// How full a window of the account's quota is. The end of the run, if it ends by it, says so as a failure.
    Quota(QuotaSaid),
    /// The provider takes nothing more for so long, counted from this line. The agent itself may wait for it.
    HeldOff(Span),
    /// It asks a person, and waits. The key is given back with the answer.
    Asked {
        /// Names this question in this conversation.
        key: String,
        /// The question.
        question: Question,
    },
    /// It wants to end its turn, and waits to hear whether it may. The key is given back with the answer.
    Leaving {
        /// Names this wish in this conversation.
        key: String,
    },
    /// It has taken in what a person said to it with [`Conversation::tell`]. May come again.
    Heard {
        /// What.
        remark: RemarkId,
        /// The words, as it was told them.
        words: String,
    },
    /// A line to write to its standard input.
    Send(String),
    /// Close its standard input: nothing more will be said.
    CloseInput,
}

/// One line of output as the transcript gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line, decoded, without its end.
    Whole(&'a str),
    /// A line longer than the cap; only its beginning is here, the rest is in the transcript.
    Cut(&'a str),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Whether an agent that wants to end its turn may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// It may.
    Go,
    /// Not yet.
    Stay {
        /// What it is to do first, in words for the agent.
        why: String,
    },
}

/// One run of an agent, as it is heard. A state machine: lines in, signals out.
pub trait Conversation: Send {
    /// One line of standard output. An unknown line is never fatal.
    fn line(&mut self, line: Line<'_>) -> Vec<Signal>;

    /// Lines to write to its standard input to ask it to stop; empty when it has no such protocol.
    fn interrupt(&mut self) -> Vec<String>;

    /// Lines to write to its standard input to tell it these words while it works; empty when it has no such protocol,
    /// or is not at work any more.
    fn nudge(&mut self, _words: &str) -> Vec<String> {
        Vec::new()
    }

    /// Lines to write to its standard input to tell it a person's words while it works; [`Signal::Heard`] follows once it
    /// has taken them in. Empty when it was told them before, has no such protocol, or is not at work any more.
    fn tell(&mut self, _remark: RemarkId, _words: &str) -> Vec<String> {
        Vec::new()
    }

    /// Takes note of a line that was written to its standard input before this conversation was listened to.
    fn was_told(&mut self, _line: &str) {}

    /// Lines to write to its standard input to answer a question that it put with [`Signal::Asked`]; empty when
    /// the key is unknown. After [`Reply::Parked`] it is to end its turn soon, and the run ends as
    /// [`AgentEnd::Asked`] with that question.
    fn answer(&mut self, key: &str, reply: &Reply) -> Vec<String>;

    /// Lines to write to its standard input to answer its wish to end its turn, put with [`Signal::Leaving`]; empty
    /// when the key is unknown, as it always is for an agent that does not ask.
    fn part(&mut self, _key: &str, _parting: &Parting) -> Vec<String> {
        Vec::new()
    }

    /// The process is gone. Success is never inferred from the exit code, the end of file or a phrase.
    /// `stderr` is the end of what it wrote there, for the detail of a failure.
    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd;
}

/// A job that a dialect cannot translate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The prompt is longer than the agent takes.
    #[error("the prompt has {length} characters, {agent} takes at most {limit}")]
    PromptTooLong {
        /// Which agent.
        agent: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
}

/// How one kind of agent CLI is spoken to.
pub trait Dialect: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Arguments that make the program print its version.
    fn version_args(&self) -> &'static [&'static str];

    /// What it needs of the user's machine when it is this program.
    fn needs(&self, program: &str) -> Needs;

    /// Names of variables of the user's environment that the program needs to find its login or its provider.
    fn needed_env(&self) -> &'static [&'static str];

    /// How to start it.
    ///
    /// # Errors
    /// When the job cannot be expressed for this agent.
    fn launch(&self, job: &Job) -> Result<Launch, LaunchError>;

    /// How to start it for a person at a terminal, in an environment. `None` where it has no such form; the person is then
    /// given a shell in its place. Of the job only what does not depend on an outcome is looked at, and its prompt is the
    /// first message of a new conversation.
    fn at_terminal(&self, _job: &Job, _env: &BTreeMap<String, String>) -> Option<AtTerminal> {
        None
    }

    /// How to listen to it.
    fn converse(&self, job: &Job) -> Box<dyn Conversation>;
}
