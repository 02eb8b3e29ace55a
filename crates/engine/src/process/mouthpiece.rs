//! Owns a supervised program's standard input: what is on its way there, and when it ends.

use std::process::ChildStdin;

use super::wire::{AfterSpoken, Spoken};

/// The program's standard input.
pub(super) struct Mouthpiece {
    /// It is gone when the program has closed it, or has heard all.
    pub(super) to: Option<ChildStdin>,
    pub(super) spoken: Spoken,
    /// Whether it ends after what is on its way.
    pub(super) then: AfterSpoken,
}

impl Mouthpiece {
    /// Writes what the program takes now. One that has closed its input is no error: its end says what happened.
    pub(super) fn flush(&mut self) {
        if let Some(to) = &mut self.to
            && self.spoken.write_to(to).is_err()
        {
            self.to = None;
        }
        if self.spoken.is_empty() && self.then == AfterSpoken::Closes {
            self.to = None;
        }
    }
}
