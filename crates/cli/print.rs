//! The one file that writes to the terminal: data to standard output, words to standard error. Colours go
//! through `anstream`, which leaves them out where nobody sees them and where `NO_COLOR` is set. Text from
//! outside is made harmless first: it must not move the cursor.

use std::io::Write;

use chrono::{DateTime, Local};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};
use turno_core::units::{Span, Timestamp};

use crate::failure::Failure;

/// A line of data. A closed pipe is the reader's choice, not an error.
pub(crate) fn data(line: &str) {
    drop(writeln!(anstream::stdout(), "{line}"));
}

/// A value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    data(&serde_json::to_string(value)?);
    Ok(())
}

/// Words for the person in front of the terminal.
pub(crate) fn note(line: &str) {
    drop(writeln!(anstream::stderr(), "{line}"));
}

/// Something that is not as it should be, and does not stop the verb.
pub(crate) fn warning(line: &str) {
    note(&format!("\u{1b}[33mwarning:\u{1b}[0m {line}"));
}

pub(crate) fn error(line: &str) {
    note(&format!("\u{1b}[31merror:\u{1b}[0m {line}"));
}

pub(crate) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

pub(crate) fn dim(text: &str) -> String {
    format!("\u{1b}[2m{text}\u{1b}[0m")
}

pub(crate) fn green(text: &str) -> String {
    format!("\u{1b}[32m{text}\u{1b}[0m")
}

pub(crate) fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
}

/// Text from outside on one line, without control characters, at most `width` characters long.
pub(crate) fn plain(text: &str, width: usize) -> String {
    let mut line = String::new();
    for (count, c) in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .enumerate()
    {
        if count + 1 >= width {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { '\u{fffd}' } else { c });
    }
    line
}

/// How many characters fit on a line of standard error; none where it is no terminal.
pub(crate) fn error_width() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(std::io::stderr())?;
    Some(usize::from(columns))
}

/// One line broken between words to fit a width, with the lines after the first set in by `indent`, as the first
/// already is by something else. A word that is longer than a line stays whole, and a narrow terminal is left alone.
pub(crate) fn folded(line: &str, width: Option<usize>, indent: usize) -> String {
    let Some(room) = width.and_then(|w| w.checked_sub(indent)).filter(|r| *r >= 20) else {
        return line.to_owned();
    };
    let mut folded = String::new();
    let mut used = 0;
    for word in line.split(' ') {
        let long = word.chars().count();
        if used > 0 && used + 1 + long > room {
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        } else if used > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(word);
        used += long;
    }
    folded
}

/// Text from outside as it is, but for control characters other than line ends and tabs.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// A time of day, for people.
pub(crate) fn clock(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.0).map_or_else(
        || at.0.to_string(),
        |t| t.with_timezone(&Local).format("%H:%M:%S").to_string(),
    )
}

/// A length of time as `2:05` or `1:02:03`.
pub(crate) fn elapsed(span: Span) -> String {
    let seconds = span.0 / 1000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m}:{s:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words() {
        let line = "a1 ended after $0.03: a plan of 3 task(s), and so on";
        assert_eq!(
            folded(line, Some(34), 9),
            "a1 ended after $0.03: a\n         plan of 3 task(s), and so\n         on"
        );
        assert_eq!(folded(line, None, 9), line);
        assert_eq!(folded(line, Some(25), 9), line, "too narrow to be worth it");
        let whole = "x".repeat(60);
        assert_eq!(
            folded(&format!("a {whole} b"), Some(40), 2),
            format!("a\n  {whole}\n  b")
        );
    }
}
