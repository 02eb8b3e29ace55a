//! Owns where a run stands, for the dialects that give an agent one turn to mend its outcome.

use turno_core::event::AgentEnd;

/// Where a run stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// No outcome yet.
    Working,
    /// It was asked to mend its outcome.
    Repairing,
    /// What the run ends in is known.
    Ended(AgentEnd),
}

/// Whether Turno asked it to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskedToStop {
    /// No.
    No,
    /// Yes: whatever it ends in without an outcome, it was stopped.
    Yes,
}
