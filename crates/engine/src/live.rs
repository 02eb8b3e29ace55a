//! Owns the live feed: what attempts are doing at this moment, for those who look. It may lose lines and nothing
//! depends on it; the journal and the transcripts lose none.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use turno_agents::dialect::Signal;
use turno_core::ids::AttemptId;

const KEPT: usize = 1024;

/// What an attempt is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// It says this.
    Says(String),
    /// It uses a tool.
    Uses(String),
    /// A tool has come to its end.
    Used(String),
    /// Turno does this for it.
    Step(String),
    /// Something worth a line.
    Notes(String),
}

impl Doing {
    /// What a signal tells those who look; `None` when it is for Turno alone.
    pub(crate) fn of(signal: Signal) -> Option<Self> {
        Some(match signal {
            Signal::Text(text) => Self::Says(text),
            Signal::ToolStarted(text) => Self::Uses(text),
            Signal::ToolEnded(text) => Self::Used(text),
            Signal::Notice(text) => Self::Notes(text),
            Signal::Quota(said) => Self::Notes(said.line()),
            Signal::Heard { words, .. } => Self::Notes(format!("has heard a person: {words}")),
            Signal::Asked { question, .. } => Self::Notes(format!("asks: {}", question.question)),
            Signal::Session(_)
            | Signal::Spent(_)
            | Signal::HeldOff(_)
            | Signal::Leaving { .. }
            | Signal::Send(_)
            | Signal::CloseInput => return None,
        })
    }

    /// What, as it was said.
    pub fn text(&self) -> &str {
        match self {
            Self::Says(text) | Self::Uses(text) | Self::Used(text) | Self::Step(text) | Self::Notes(text) => {
                text
            }
        }
    }

    /// One short line for people.
    pub fn line(&self) -> String {
        self.text().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveLine {
    /// Whose.
    pub attempt: AttemptId,
    /// What.
    pub doing: Doing,
}

/// The feed.
#[derive(Debug, Clone)]
pub struct Live {
    lines: broadcast::Sender<LiveLine>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            lines: broadcast::channel(KEPT).0,
        }
    }
}

impl Live {
    /// Says what an attempt is doing, to whoever looks.
    pub fn say(&self, attempt: AttemptId, doing: Doing) {
        // Nobody looking is no error.
        drop(self.lines.send(LiveLine { attempt, doing }));
    }

    /// From now on.
    pub fn watch(&self) -> broadcast::Receiver<LiveLine> {
        self.lines.subscribe()
    }
}
