//! Given a state and an event, expect commands and stages, told case by case. One file for each part of the flow.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic"
)]

mod accounts;
mod batches;
mod budgets;
mod clashes;
mod contests;
mod draining;
mod following;
mod guards;
mod holding;
mod liveness;
mod notices;
mod plan_edits;
mod planning;
mod progress;
mod promoting;
mod questions;
mod red_base;
mod remarks;
mod repairs;
mod report;
mod restarts;
mod rooms;
mod shares;
mod soundness;
mod starts;
mod stops;
mod task;
mod team;
mod testing;
mod together;
mod trains;
mod turns;
mod world;
