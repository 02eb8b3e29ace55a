//! Owns what is answered to an agent while nobody coordinates: what its own protocol asks for at each tool, and nothing
//! that a person decides. It counts what the agent spends, so that its cap holds meanwhile.

use std::collections::VecDeque;
use std::path::Path;

use turno_agents::dialect::{Conversation, Parting, Signal};
use turno_core::units::MicroUsd;

use super::standing;
use crate::process::supervised::said_in;
use crate::process::supervisor::{Cue, Understudy, files};
use crate::transcript::Tail;

struct Reader {
    conversation: Box<dyn Conversation>,
    tail: Tail,
    /// What the coordinator had said and is not said again.
    said: VecDeque<String>,
    cap: MicroUsd,
}

/// The understudy for the agent whose attempt has this directory; none where no agent runs, and for one that was not
/// told its task.
pub fn understudy(dir: &Path) -> Option<Box<dyn Understudy>> {
    let standing = standing::read(dir)?;
    let mut said = said_in(dir).unwrap_or_default();
    if said.len() < standing.first_lines {
        return None;
    }
    let said = said.split_off(standing.first_lines);
    Some(Box::new(Reader {
        conversation: turno_agents::dialect(standing.dialect).converse(&standing.job),
        tail: Tail::new(dir.join(files::OUT)),
        said: said.into_iter().map(|s| s.line).collect(),
        cap: standing.job.cap,
    }))
}

impl Understudy for Reader {
    fn hear(&mut self) -> Vec<Cue> {
        let mut signals = Vec::new();
        let Self {
            conversation, tail, ..
        } = self;
        tail.read(|line| signals.extend(conversation.line(line)));
        let mut cues = Vec::new();
        for signal in signals {
            match signal {
                Signal::Send(line) => match self.said.iter().position(|s| *s == line) {
                    Some(n) => drop(self.said.remove(n)),
                    None => cues.push(Cue::Say(line)),
                },
                // Nobody looks into its slot meanwhile; what it left uncommitted is committed for it.
                Signal::Leaving { key } => match self.said.iter().position(|s| s.contains(&key)) {
                    Some(n) => {
                        self.said.remove(n);
                        let _said_before = self.conversation.part(&key, &Parting::Go);
                    }
                    None => cues.extend(
                        self.conversation
                            .part(&key, &Parting::Go)
                            .into_iter()
                            .map(Cue::Say),
                    ),
                },
                Signal::CloseInput => cues.push(Cue::CloseInput),
                Signal::Spent(spend) if self.cap > MicroUsd::ZERO && spend.cost >= self.cap => {
                    cues.push(Cue::Stop);
                }
                // A question waits for a coordinator, who puts it to a person.
                Signal::Asked { .. }
                | Signal::Spent(_)
                | Signal::Session(_)
                | Signal::Text(_)
                | Signal::ToolStarted(_)
                | Signal::ToolEnded(_)
                | Signal::Notice(_)
                | Signal::Quota(_)
                | Signal::Heard { .. }
                | Signal::HeldOff(_) => {}
            }
        }
        cues
    }
}
