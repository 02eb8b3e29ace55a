//! Owns which characters a reader does not see, or that move and cover what others see. How a surface shows that there
//! is one, is its own.

use unicode_width::UnicodeWidthChar;

/// So many marks may stand on one character. No script needs more.
const MARKS: u8 = 8;

/// A character that a terminal heeds or that a reader does not see: control characters, line ends among them, marks of
/// direction, and marks without width that are no part of any script or picture.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{180b}'..='\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Counts the marks that stand on one character, as a text goes by: a heap of them covers the lines around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap(u8);

impl Heap {
    /// Whether the next character of a text is one mark too many.
    pub fn is_too_high(&mut self, c: char) -> bool {
        // What has a width stands beside what was before, and most of what is read is plain.
        if c.is_ascii() || c.width() != Some(0) {
            self.0 = 0;
            return false;
        }
        self.0 = self.0.saturating_add(1);
        self.0 > MARKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut heap = Heap::default();
        text.chars().filter(|c| !heap.is_too_high(*c)).collect()
    }

    #[test]
    fn a_heap_of_marks_is_cut_and_what_is_written_is_not() {
        let storm = format!("a{}b", "\u{301}\u{489}".repeat(500));
        assert_eq!(shown(&storm).chars().count(), 10);
        for kept in [
            "\u{e9} e\u{301}",
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
            "\u{e01}\u{e49}\u{e33}",
            "\u{1112}\u{1161}\u{11ab}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        ] {
            assert_eq!(shown(kept), kept);
        }
    }
}
