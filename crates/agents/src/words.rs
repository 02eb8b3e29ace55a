//! Owns what an agent without a schema has said in its turn: the end of it, where its outcome must stand.

/// How much of it is kept. An outcome stands at the end, and an agent may print without end.
const KEPT: usize = 1 << 20;

/// The end of what was said.
#[derive(Debug, Default)]
pub(crate) struct Words(String);

impl Words {
    /// More words, as they come.
    pub(crate) fn push(&mut self, more: &str) {
        self.0.push_str(more);
        if self.0.len() > 2 * KEPT {
            let mut from = self.0.len() - KEPT;
            while !self.0.is_char_boundary(from) {
                from += 1;
            }
            self.0.drain(..from);
        }
    }

    /// They count no more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// All that is kept.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut words = Words::default();
        for _ in 0..40 {
            words.push(&"ä".repeat(KEPT / 10));
        }
        words.push("the end");
        assert!(words.text().len() <= 2 * KEPT);
        assert!(words.text().ends_with("ääthe end"));
    }
}
