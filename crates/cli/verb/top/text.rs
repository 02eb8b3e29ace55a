//! Owns text as a screen has it: made harmless, and measured by the columns it takes. It knows nothing of what it says.

use ratatui::text::Span;

use crate::print;

/// What is shown of one text at most, in characters: nobody reads more of it here, and it may be of any length.
const READ: usize = 4000;

/// Text from outside on one line, without anything that a terminal heeds.
pub(super) fn clean(text: &str, longest: usize) -> String {
    let longest = longest.min(READ);
    // White space is folded afterwards, so some more is read.
    let end = text
        .char_indices()
        .nth(longest * 4)
        .map_or(text.len(), |(at, _)| at);
    print::plain(text.get(..end).unwrap_or(text), longest)
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// As much of a text as fits, with a mark where something is left out.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > columns {
            break;
        }
        kept.push(c);
        used += wide;
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A text in a column of this width.
pub(super) fn column(text: &str, columns: usize) -> String {
    let mut cell = fit(text, columns);
    let used = width(&cell);
    cell.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    cell
}

/// A line broken between words; a word that is longer than a line is broken where the line ends. Leading spaces
/// stay, and begin the lines that follow too.
pub(super) fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let words = line.trim_start_matches(' ');
    let indent = " ".repeat((line.len() - words.len()).min(columns / 2));
    let mut lines = Vec::new();
    let (mut row, mut used) = (indent.clone(), indent.len());
    let mut begun = false;
    for word in words.split(' ') {
        let long = width(word);
        let gap = usize::from(begun);
        if used + gap + long > columns && begun {
            lines.push(std::mem::replace(&mut row, indent.clone()));
            used = indent.len();
        } else if begun {
            row.push(' ');
            used += 1;
        }
        begun = true;
        if used + long <= columns {
            row.push_str(word);
            used += long;
            continue;
        }
        for c in word.chars() {
            let wide = width(c.encode_utf8(&mut [0; 4]));
            if used + wide > columns {
                lines.push(std::mem::replace(&mut row, indent.clone()));
                used = indent.len();
            }
            row.push(c);
            used += wide;
        }
    }
    lines.push(row);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_takes_no_more_columns_than_there_are() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("longer", 5), "long…");
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("anything", 0), "");
        assert_eq!(column("漢", 4), "漢  ");
        assert_eq!(width(&column("漢字漢字", 6)), 6);
    }

    #[test]
    fn a_line_is_broken_between_words_and_a_long_word_where_it_must() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrapped("abcdefghijkl", 8), ["abcdefgh", "ijkl"]);
        assert_eq!(wrapped("", 8), [""]);
        for row in wrapped("漢字漢字漢字 and some 漢字漢字漢字漢字", 9) {
            assert!(width(&row) <= 9, "{row}");
        }
    }

    #[test]
    fn ten_megabytes_are_not_read() {
        let long = format!("a\u{1b}[2J\u{202e} \n b{}", "x ".repeat(5 << 20));
        let shown = clean(&long, 20);
        assert_eq!(shown, "a\u{fffd}[2J\u{fffd} bx x x x x x…");
    }
}
