//! Owns the exit codes. Scripts rely on them: they are part of the contract.

use std::process::ExitCode;

use turno_core::shift::ShiftEnd;

/// All landed, or nothing to do.
pub(crate) const OK: u8 = 0;
/// Something needs a person.
pub(crate) const NEEDS_PERSON: u8 = 1;
/// Wrong usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// Stopped by the budget.
pub(crate) const BUDGET: u8 = 3;
/// Cannot start.
pub(crate) const CANNOT_START: u8 = 4;
/// A bug in Turno.
pub(crate) const BUG: u8 = 70;
/// A person interrupted it.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of a shift's end.
pub(crate) fn of(end: ShiftEnd) -> ExitCode {
    ExitCode::from(match end {
        ShiftEnd::Done => OK,
        ShiftEnd::NeedsPerson | ShiftEnd::TimeUp => NEEDS_PERSON,
        ShiftEnd::Budget => BUDGET,
        ShiftEnd::Interrupted => INTERRUPTED,
    })
}
