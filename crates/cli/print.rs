//! The one file that writes to the terminal: data to standard output, words to standard error. Colours go
//! through `anstream`, which leaves them out where nobody sees them and where `NO_COLOR` is set. Text from
//! outside is made harmless first: it must not move the cursor.

use std::io::Write;

use chrono::{DateTime, Local};
use serde::Serialize;
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
