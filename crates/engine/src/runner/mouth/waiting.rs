//! Owns a call of a tool that waits for the reply to its question.

use std::sync::Arc;

use tokio::sync::mpsc;
use turno_core::decision::{Question, Reply};
use turno_core::ids::AttemptId;

use super::line::AskKey;
use super::{NotAsked, Replied, Shared};

/// A call of a tool that waits for the reply to its question. Once it is dropped nobody waits any more.
#[derive(Debug)]
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    attempt: AttemptId,
    key: String,
    reply: mpsc::UnboundedReceiver<Replied>,
}

impl Waiting {
    /// Puts a question in a call of a tool.
    pub(crate) fn ask(
        shared: &Arc<Shared>,
        attempt: AttemptId,
        question: Question,
    ) -> Result<Self, NotAsked> {
        let (sender, reply) = mpsc::unbounded_channel();
        let key = shared.ask(attempt, AskKey::Tool, question, sender)?;
        Ok(Self {
            shared: Arc::clone(shared),
            attempt,
            key,
            reply,
        })
    }

    /// The reply; `None` when the attempt ends first.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        self.reply.recv().await.map(|replied| replied.reply)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.forget(self.attempt, &self.key);
    }
}
