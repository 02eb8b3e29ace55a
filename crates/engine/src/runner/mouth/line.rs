//! Owns the line between the coordinator and one running attempt: where its stop, its replies and a person's words go,
//! and which of its questions are open.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};
use turno_core::command::{AskedBefore, AskedThen};
use turno_core::decision::Reply;

use super::{Asked, Replies, Turn, Words};

/// The line between the coordinator and one running attempt.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stop: watch::Sender<Asked>,
    /// Where the reply to each open question goes.
    pub(super) waiting: BTreeMap<String, Replies>,
    /// How many questions are open.
    pub(super) open: watch::Sender<usize>,
    /// How many calls of tools have asked so far.
    pub(super) calls: u64,
    pub(super) turn: watch::Sender<Turn>,
    /// How often it was to be reminded.
    pub(super) nudges: watch::Sender<u32>,
    /// What people say to it, and where it is heard, until somebody listens there.
    pub(super) words: mpsc::UnboundedSender<Words>,
    pub(super) unheard: Option<mpsc::UnboundedReceiver<Words>>,
    /// What it had asked of an earlier coordinator, until it is heard to ask it again.
    pub(super) asked: Vec<AskedBefore>,
}

impl Line {
    /// Of an attempt that had asked these questions of an earlier coordinator.
    pub(super) fn new(
        stop: watch::Sender<Asked>,
        words: mpsc::UnboundedSender<Words>,
        unheard: mpsc::UnboundedReceiver<Words>,
        asked: Vec<AskedBefore>,
    ) -> Self {
        let line = Self {
            stop,
            waiting: BTreeMap::new(),
            open: watch::channel(0).0,
            // Calls that waits are named by their number, so no new one may be taken for an old one.
            calls: last_call(&asked),
            turn: watch::channel(Turn::Its).0,
            nudges: watch::channel(0).0,
            words,
            unheard: Some(unheard),
            asked,
        };
        line.count();
        line
    }

    /// Whoever asked an earlier coordinator still waits, also before it is heard to ask again.
    pub(super) fn count(&self) {
        let before = self
            .asked
            .iter()
            .filter(|b| matches!(b.then, AskedThen::Waits { .. }));
        self.open.send_replace(self.waiting.len() + before.count());
    }

    /// What a reply says of whose turn it is.
    pub(super) fn turn_by(&self, key: &str, reply: &Reply) {
        match reply {
            Reply::Parked if key.starts_with(TOOL) => drop(self.turn.send_replace(Turn::SentAwayInWords)),
            Reply::Parked => drop(self.turn.send_replace(Turn::SentAway)),
            Reply::Answer(_) => {}
        }
    }
}

/// The largest number that a call of a tool had which waits, or which may have had one.
fn last_call(asked: &[AskedBefore]) -> u64 {
    let numbers = asked.iter().filter_map(|before| match &before.then {
        AskedThen::Waits { key } => key.strip_prefix(TOOL)?.parse::<u64>().ok(),
        AskedThen::Told(_) => None,
    });
    numbers.max().unwrap_or(0).max(asked.len() as u64)
}

pub(super) const TALK: &str = "talk:";
pub(super) const TOOL: &str = "tool:";

/// In which way a question is put.
pub(super) enum AskKey {
    /// In the agent's own protocol, under its own key.
    Talk(String),
    /// In a call of a tool.
    Tool,
}
