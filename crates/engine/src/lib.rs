//! The engine does. It owns the state, the store, git, processes and the clock, and decides nothing:
//! every choice between two effects is made in `turno-core`.

mod attempt;
pub mod bridge;
mod change;
pub mod clock;
pub mod config;
pub mod containers;
pub mod crash_point;
pub mod detect;
pub mod follow;
pub mod gc;
pub mod git;
pub mod known;
pub mod land;
pub mod live;
pub mod notify;
pub mod open;
pub mod pace;
pub mod perform;
pub mod person;
pub mod preview;
#[doc(hidden)]
pub mod probe;
pub mod process;
pub mod prompt;
pub mod pull;
pub mod recording;
pub mod recover;
pub mod redact;
pub mod regular;
pub mod replay;
pub mod repos;
pub mod room;
pub mod run;
pub mod runner;
pub mod salvage;
pub mod sandbox;
pub mod secret;
pub mod simulate;
pub mod site;
pub mod slots;
pub mod socket;
pub mod store;
pub mod tools;
pub mod traces;
pub mod transcript;
pub mod wallet;
pub mod workspace;

pub use attempt::understudy;

/// A person at an agent's own terminal.
pub mod attach {
    pub(crate) use crate::attempt::is_used;
    pub use crate::attempt::{Attached, Gone, Seat, Unopened, attach, found_gone};
}
