//! Owns what an attack is, as data: who tries it, what is tried, and how it is seen from outside. It must not run one.

use std::fmt;

/// What an attack is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Writes,
    Git,
    Push,
    Secrets,
    Network,
    Processes,
    Floods,
    Poison,
}

impl Family {
    /// Its heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Writes => "Writing where it may not",
            Self::Git => "The repository's own git",
            Self::Push => "Getting work out: ways to push",
            Self::Secrets => "Reading secrets",
            Self::Network => "The network and other people's sockets",
            Self::Processes => "Processes",
            Self::Floods => "Floods",
            Self::Poison => "Poisoning what comes after",
        }
    }
}

/// Who tries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Writer,
    Check,
    Tester,
    Reader,
}

impl Who {
    pub(super) const ALL: [Self; 4] = [Self::Writer, Self::Check, Self::Tester, Self::Reader];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Check => "check",
            Self::Tester => "tester",
            Self::Reader => "reader",
        })
    }
}

/// Whether the same commands succeed where nothing holds them back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feasible {
    Always,
    /// Not for a normal user, for this reason.
    AsRoot(&'static str),
    /// On some machines, for this reason.
    Depends(&'static str),
    /// Not by commands alone, for this reason: something other than a sandbox is in the way, or needed.
    Never(&'static str),
}

/// What its success does to the other attacks of the same shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// Nothing.
    Apart,
    /// It spoils what comes after it, so it comes late; the higher the number, the later.
    Spoils(u8),
    /// Held or not, it ends its own attempt, so it always has a shift of its own.
    EndsItsAttempt,
}

/// What is done to a process of the harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurt {
    Gone,
    Slower,
    FirstToDie,
    /// It may open next to no files.
    Limited,
    /// It may run on the first processor only.
    Pinned,
    /// It waits for the disk until nobody else wants it.
    LastAtTheDisk,
}

/// What is seen of an attack's own processes while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peak {
    /// More than so many at one time.
    Processes(usize),
    /// One with more than so many bytes of memory.
    Memory(u64),
    /// One with more than so many open files.
    Files(usize),
    /// One that goes before others: real time, or a nice value below zero.
    Priority,
}

/// What the harness listens at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Tcp,
    Udp,
    /// A Unix socket with a path or an abstract name.
    Unix,
}

/// How the harness sees from outside that an attack succeeded. In texts `@NAME@` stands for a place of the stage.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    /// A file at this path, or below it, carries the attack's mark in its name or its bytes.
    Marked(&'static str),
    /// This path is not what it was: gone, or of other bytes or rights.
    Differs(&'static str),
    /// This file has more than so many bytes.
    Larger(&'static str, u64),
    /// The user's repository has this ref.
    Ref(&'static str),
    /// The user's repository has this ref no more, or elsewhere.
    RefMoved(&'static str),
    /// The remote has a branch of the attack's mark.
    Pushed,
    /// The index of the user's checkout names the mark.
    Staged,
    /// A secret was said by the attack.
    Leaked(&'static str),
    /// A listener was reached with the mark.
    Reached(Door),
    /// The attack's own listener was reached from outside.
    ReachedBack,
    /// A process of the attack is there after the end.
    Outlives,
    /// A core was left somewhere below the top, with the mark in it.
    Cored,
    /// Seen of the attack's processes.
    Seen(Peak),
    /// Something was done to a process of the harness that has this name.
    Hurt(&'static str, Hurt),
    /// The coordinator did not come to its own end.
    CoordinatorGone,
    /// An attempt's supervisor did not come to its own end.
    SupervisorGone,
    /// The journal has a record of this kind of event that a person alone may cause, and it names this.
    Recorded(&'static str, &'static str),
    /// The prompt of a later attempt names the mark.
    Prompted,
    /// What Turno prints holds an escape of the terminal.
    Escaped,
    /// The attack's output was kept beyond so many bytes.
    Kept(u64),
    /// What Turno prints about it has more than so many bytes.
    Shouted(usize),
}

impl Sight {
    /// What it is compared with later is remembered under this name, if it is compared at all.
    pub(super) fn remembers(self) -> Option<&'static str> {
        match self {
            Self::Differs(known) | Self::RefMoved(known) => Some(known),
            _ => None,
        }
    }
}

/// One attack.
#[derive(Debug, Clone)]
pub(super) struct Attack {
    pub(super) name: String,
    /// In words, for the table.
    pub(super) what: &'static str,
    pub(super) family: Family,
    pub(super) who: Who,
    /// Shell text, run in the slot.
    pub(super) tries: String,
    /// What the next attempt of the same persona at the same task does with what the first one left; shell text.
    pub(super) again: &'static str,
    /// What a person does later in the checkout, without a thought; shell text.
    pub(super) then: &'static str,
    pub(super) sight: Sight,
    pub(super) feasible: Feasible,
    pub(super) harm: Harm,
}

/// An attack of a writer that commands alone bring about.
pub(super) fn attack(
    family: Family,
    name: &str,
    what: &'static str,
    tries: impl Into<String>,
    sight: Sight,
) -> Attack {
    Attack {
        name: name.to_owned(),
        what,
        family,
        who: Who::Writer,
        tries: tries.into(),
        again: "",
        then: "",
        sight,
        feasible: Feasible::Always,
        harm: Harm::Apart,
    }
}

impl Attack {
    /// The same, tried by another, under a name of its own.
    pub(super) fn by(&self, who: Who) -> Self {
        Self {
            name: format!("{}-by-{who}", self.name),
            who,
            ..self.clone()
        }
    }

    pub(super) fn if_(self, feasible: Feasible) -> Self {
        Self { feasible, ..self }
    }

    pub(super) fn again(self, again: &'static str) -> Self {
        Self { again, ..self }
    }

    pub(super) fn then(self, then: &'static str) -> Self {
        Self { then, ..self }
    }

    pub(super) fn ends_its_attempt(self) -> Self {
        Self {
            harm: Harm::EndsItsAttempt,
            ..self
        }
    }

    pub(super) fn spoils(self, rank: u8) -> Self {
        Self {
            harm: Harm::Spoils(rank),
            ..self
        }
    }
}
