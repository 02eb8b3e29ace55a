//! Shifts in which the real CLIs work as a team, against the scripted model server on loopback: several of them in
//! one shift, agents behind the Agent Client Protocol, questions to a person, and the tools that Turno gives them.

mod attached;
mod protocol;
mod questions;
mod shift;
mod stage;
mod telling;
mod tools;
