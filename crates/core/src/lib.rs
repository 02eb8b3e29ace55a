//! The core decides. One pure function takes a fact and returns the effects that follow from it.
//!
//! No clock, no I/O, no async, no randomness, no hash order: this crate's `clippy.toml` bans them.

pub mod brief;
pub mod check;
pub mod command;
pub mod config;
pub mod event;
pub mod failure;
pub mod ids;
pub mod issue;
pub mod outcome;
pub mod persona;
pub mod policy;
pub mod shift;
pub mod task;
pub mod units;
