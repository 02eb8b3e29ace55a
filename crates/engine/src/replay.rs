//! Owns hearing an attempt again: what its transcript says, in the words in which the live feed told it.

use std::fmt;
use std::path::Path;

use turno_agents::dialect as find_dialect;
use turno_agents::dialect::{Conversation, Cue, Dialect, Job, Protected};
use turno_core::command::AgentStart;
use turno_core::persona::{Effort, Model, Tools};
use turno_core::units::Spend;

use crate::attempt::{self, Tally, told_or_unknown};
use crate::config::Loaded;
use crate::live::Doing;
use crate::process::supervisor::files;
use crate::transcript::Tail;

/// An attempt that is heard again, from its beginning.
pub struct Replay {
    dialect: &'static dyn Dialect,
    conversation: Box<dyn Conversation>,
    tail: Tail,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Of the attempt in this directory. `None` when its agent is not configured any more: only its dialect can
    /// read what it said.
    pub fn of(config: &Loaded, start: &AgentStart, dir: &Path) -> Option<Self> {
        // As it was spoken to then; attempts of an older build say nothing of it.
        let kind = match attempt::dialect_of(dir) {
            Some(kind) => kind,
            None => config.agents.get(&start.agent)?.dialect.kind(),
        };
        let dialect = find_dialect(kind);
        Some(Self {
            dialect,
            conversation: dialect.converse(&job(config, start, dir)),
            tail: Tail::new(dir.join(files::OUT)),
        })
    }

    /// Gives what has been said since the last call.
    pub fn read(&mut self, mut each: impl FnMut(Doing)) {
        while self.read_piece(&mut each) {}
    }

    /// Gives what the next piece of it says, some tens of kilobytes long. False when there is no more by now.
    pub fn read_piece(&mut self, mut each: impl FnMut(Doing)) -> bool {
        let Self {
            conversation, tail, ..
        } = self;
        tail.read_piece(|line| {
            conversation
                .line(line)
                .into_iter()
                .filter_map(Doing::of)
                .for_each(&mut each);
        })
    }
}

/// What an attempt had spent that was cut off, according to its transcript; nothing if its dialect is not known any more.
pub(crate) fn spend(config: &Loaded, start: &AgentStart, dir: &Path) -> Spend {
    let Some(Replay {
        dialect,
        mut conversation,
        tail,
    }) = Replay::of(config, start, dir)
    else {
        return Spend::NOTHING;
    };
    let mut tally = Tally::new();
    tail.finish(|line| {
        for signal in conversation.line(line) {
            tally.hear(&signal);
        }
    });
    told_or_unknown(dialect, tally.cut_off())
}

/// As much of the job as matters to a listener.
fn job(config: &Loaded, start: &AgentStart, dir: &Path) -> Job {
    Job {
        program: String::new(),
        turno: String::new(),
        extra_args: Vec::new(),
        cwd: String::new(),
        attempt_dir: dir.display().to_string(),
        system: String::new(),
        prompt: String::new(),
        session: start.session.clone(),
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: start.access,
        tools: Tools::ByAccess,
        outcome: start.brief.ask.outcome(),
        cap: start.limits.money(),
        prices: config.prices.list(),
        tool_servers: Vec::new(),
        protected: Protected::default(),
        cue: Cue {
            persona: start.persona.clone(),
            task: start.task,
            title: start.brief.task.title.clone(),
            round: start.brief.round,
        },
    }
}
