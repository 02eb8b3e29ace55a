//! Owns what of a text nobody sees, and which lines a change adds. Both are linear in the size of the text, whatever
//! is in it.

use std::collections::BTreeMap;

/// The lines of `new` that `old` has not, counted from 1. A line that only moved is not added.
pub(crate) fn added<'a>(old: &'a [u8], new: &'a [u8]) -> impl Iterator<Item = (u32, &'a [u8])> {
    let mut had: BTreeMap<&[u8], u32> = BTreeMap::new();
    for line in lines(old) {
        *had.entry(line).or_default() += 1;
    }
    lines(new)
        .zip(1..)
        .filter_map(move |(line, number)| match had.get_mut(line) {
            Some(left) if *left > 0 => {
                *left -= 1;
                None
            }
            Some(_) | None => Some((number, line)),
        })
}

/// The lines of a text without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Whether it is no text, as git sees it.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(8000).any(|&b| b == 0)
}

/// What a character does that nobody sees, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// Text is shown in another order than programs read it.
    Direction(char),
    /// Nothing is shown.
    Invisible(char),
}

impl Hidden {
    /// In words, with the character's number.
    pub(crate) fn phrase(self) -> String {
        match self {
            Self::Direction(c) => format!(
                "U+{:04X} shows text in another order than programs read it",
                u32::from(c)
            ),
            Self::Invisible(c) => format!("U+{:04X} is invisible", u32::from(c)),
        }
    }
}

/// The first character of a line that is hidden and does not belong to a script or a picture beside it. `first` is
/// whether the line is the first of its file, where a byte order mark may stand.
pub(crate) fn hidden(line: &[u8], first: Place) -> Option<Hidden> {
    if line.is_ascii() {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let chars: Vec<char> = text.chars().collect();
    // A flag of a region is a black flag and letters that nobody sees.
    let mut in_flag = false;
    for (index, &c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| chars.get(i)).copied();
        let after = chars.get(index + 1).copied();
        in_flag = c == '\u{1f3f4}' || in_flag && matches!(c, '\u{e0020}'..='\u{e007f}');
        let found = match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(Hidden::Direction(c)),
            '\u{200e}' | '\u{200f}' | '\u{61c}' if ![before, after].into_iter().flatten().any(is_rtl) => {
                Some(Hidden::Direction(c))
            }
            '\u{feff}' if index == 0 && first == Place::First => None,
            // Joined pictures and scripts need these between two of their own.
            '\u{200c}' | '\u{200d}' => {
                let joins = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_blank(c));
                (!joins(before) || !joins(after)).then_some(Hidden::Invisible(c))
            }
            '\u{e0020}'..='\u{e007f}' if in_flag => None,
            '\u{e0100}'..='\u{e01ef}' if before.is_some_and(is_ideograph) => None,
            c if is_blank(c) => Some(Hidden::Invisible(c)),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Where in its file a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At its beginning.
    First,
    /// Somewhere else.
    Later,
}

/// Shown as nothing at all.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'
            | '\u{200c}'
            | '\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_rtl(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod checks {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("let admin\u{202e} = 1;", true)]
    #[case("a\u{2066}b\u{2069}", true)]
    #[case("let a\u{200b}b = 1;", true)]
    #[case("a\u{200d}b", true)]
    #[case("a\u{200e}b", true)]
    #[case("\u{feff}use x;", true)]
    #[case("x\u{e0041}y", true)]
    #[case("soft\u{ad}hyphen", true)]
    #[case("a\u{3164}b", true)]
    #[case("plain ascii \t", false)]
    #[case("Grüße, 日本語, русский", false)]
    #[case("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} family", false)]
    #[case("\u{2764}\u{fe0f}", false)]
    #[case("\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", false)]
    #[case("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", false)]
    #[case("\u{5e9}\u{200f}!", false)]
    fn what_nobody_sees_is_found(#[case] line: &str, #[case] yes: bool) {
        assert_eq!(hidden(line.as_bytes(), Place::Later).is_some(), yes);
    }

    #[test]
    fn a_file_may_begin_with_its_mark() {
        assert_eq!(hidden("\u{feff}use x;".as_bytes(), Place::First), None);
        assert!(hidden("x\u{feff}".as_bytes(), Place::First).is_some());
    }

    #[test]
    fn only_what_is_new_is_added() {
        let all: Vec<_> = added(b"a\nb\nb\nc\n", b"c\r\nb\nb\nb\nnew\na\n").collect();
        assert_eq!(all, [(4, &b"b"[..]), (5, b"new")]);
        assert_eq!(added(b"", b"a").collect::<Vec<_>>(), [(1, &b"a"[..])]);
    }

    #[test]
    fn a_nul_makes_it_binary() {
        assert!(is_binary(b"a\0b") && !is_binary("日本".as_bytes()));
    }
}
