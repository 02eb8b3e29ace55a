//! The engine does. It owns the state, the store, git, processes and the clock, and decides nothing:
//! every choice between two effects is made in `turno-core`.

pub mod config;
pub mod git;
pub mod land;
pub mod process;
pub mod prompt;
pub mod slots;
