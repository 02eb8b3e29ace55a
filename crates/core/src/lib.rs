//! The core decides. One pure function takes a fact and returns the effects that follow from it.
//!
//! No clock, no I/O, no async, no randomness, no hash order: this crate's `clippy.toml` bans them.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod admit;
pub mod board;
pub mod brief;
pub mod check;
pub mod command;
pub mod config;
pub mod contact;
pub mod container;
pub mod conversation;
pub mod decision;
pub mod event;
pub mod explain;
pub mod failure;
pub mod following;
pub mod foresight;
pub mod gate;
pub mod globs;
pub mod guard;
pub mod holding;
pub mod ids;
pub mod issue;
pub mod ledger;
pub mod lesson;
pub mod liveness;
pub mod notice;
pub mod outcome;
pub mod persona;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod promotion;
pub mod pull;
pub mod quota;
pub mod record;
pub mod remark;
pub mod report;
pub mod retention;
pub mod room;
pub mod shift;
pub mod state;
pub mod step;
pub mod tampering;
pub mod task;
pub mod trace;
pub mod train;
pub mod units;
pub mod unseen;
pub mod view;
pub mod work;

pub use state::State;
pub use step::{next_deadline, step};
