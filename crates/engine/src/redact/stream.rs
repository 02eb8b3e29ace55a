//! Owns redaction of what comes piece by piece: a secret may be cut in two by a read. As little as possible is
//! held back, and never for longer than until the next piece.

use std::sync::Arc;

use super::{Redaction, shapes};

/// A shape that goes on for longer is no secret; it is let through as what it is by then.
const HELD: usize = 32 << 10;

/// Takes secrets out of one stream.
#[derive(Debug)]
pub struct Redactor {
    redaction: Arc<Redaction>,
    held: Vec<u8>,
}

impl Redactor {
    pub(super) fn new(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            held: Vec::new(),
        }
    }

    /// Takes a piece and adds to `out` what can be written down by now.
    pub fn chunk(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let settled = self.settled();
        out.extend_from_slice(&self.redaction.bytes(self.held.get(..settled).unwrap_or_default()));
        self.held.drain(..settled);
    }

    /// Adds the rest: nothing more comes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.redaction.bytes(&self.held));
        self.held.clear();
    }

    /// How much of what is held is decided, whatever comes next.
    fn settled(&self) -> usize {
        let all = self.held.len();
        let window = all.saturating_sub(2 * HELD);
        let tail = self.held.get(window..).unwrap_or_default();
        let shape = window + shapes::open_from(tail);
        let shape = if all - shape > HELD { all } else { shape };
        let mut settled = shape.min(self.value_from());
        // What is found is given out as a whole or not at all.
        for span in self.redaction.spans(&self.held).iter().rev() {
            if span.start < settled && settled < span.end {
                settled = if all - span.start > 2 * HELD {
                    all
                } else {
                    span.start
                };
            }
        }
        settled
    }

    /// Where a value may have begun that goes on after what is held.
    fn value_from(&self) -> usize {
        let all = self.held.len();
        let begun = self.redaction.forms.iter().filter_map(|form| {
            let tail_at = all.saturating_sub(form.len().saturating_sub(1));
            let tail = self.held.get(tail_at..)?;
            let at = memchr::memchr_iter(*form.first()?, tail)
                .find(|at| tail.get(*at..).is_some_and(|rest| form.starts_with(rest)))?;
            Some(tail_at + at)
        });
        begun.min().unwrap_or(all)
    }
}
