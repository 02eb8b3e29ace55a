//! The one file that writes to the terminal: data to standard output, words to standard error. Colours go
//! through `anstream`, which leaves them out where nobody sees them and where `NO_COLOR` is set. Text from
//! outside is made harmless first: it must not move the cursor.

use std::io::{IsTerminal, Write};

use chrono::{DateTime, Local};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};
use turno_core::units::{MicroUsd, Span, Timestamp};
use turno_core::unseen::Heap;
pub(crate) use turno_core::unseen::is_unseen;

use crate::failure::Failure;

/// A line of data. A closed pipe is the reader's choice, not an error.
pub(crate) fn data(line: &str) {
    drop(writeln!(anstream::stdout(), "{}", guarded(line)));
}

/// A value as one line of JSON. What is written of it is the same value, without a character that a terminal heeds.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    data(&json_line(value)?);
    Ok(())
}

/// The line of [`json`].
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    let line = serde_json::to_string(value)?;
    if line.is_ascii() && !line.contains(is_unseen) {
        return Ok(line);
    }
    // They stand in texts alone, where each may be written as its number.
    let mut escaped = String::with_capacity(line.len());
    let mut heap = Heap::default();
    for c in line.chars() {
        if heap.is_too_high(c) || is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

/// Bytes as they are, but not to a terminal: there they are made harmless.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        drop(out.write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes()));
    } else {
        drop(out.write_all(bytes));
    }
}

/// Words for the person in front of the terminal.
pub(crate) fn note(line: &str) {
    drop(writeln!(anstream::stderr(), "{}", guarded(line)));
}

/// A line that is about to be shown, with our own colours and nothing else that a terminal heeds: the last
/// guard, whoever made the line.
fn guarded(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(|c| is_unseen(c) && !matches!(c, '\n' | '\t')) {
        let (before, from) = rest.split_at(at);
        shown.push_str(before);
        match OURS.iter().find(|code| from.starts_with(**code)) {
            Some(code) => {
                shown.push_str(code);
                rest = from.get(code.len()..).unwrap_or_default();
            }
            None => {
                shown.push('\u{fffd}');
                let mut chars = from.chars();
                chars.next();
                rest = chars.as_str();
            }
        }
    }
    shown.push_str(rest);
    shown
}

/// The colours that are used here.
const OURS: [&str; 6] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
];

/// Something that is not as it should be, and does not stop the verb.
pub(crate) fn warning(line: &str) {
    let line = folded(&harmless(line), error_width(), 9);
    note(&format!("\u{1b}[33mwarning:\u{1b}[0m {line}"));
}

pub(crate) fn error(line: &str) {
    let line = folded(&harmless(line), error_width(), 7);
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

pub(crate) fn yellow(text: &str) -> String {
    format!("\u{1b}[33m{text}\u{1b}[0m")
}

pub(crate) fn red(text: &str) -> String {
    format!("\u{1b}[31m{text}\u{1b}[0m")
}

/// Text from outside on one line, without control characters, at most `width` characters long.
pub(crate) fn plain(text: &str, width: usize) -> String {
    let mut line = String::new();
    let mut heap = Heap::default();
    for (count, c) in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !heap.is_too_high(*c))
        .enumerate()
    {
        if count + 1 >= width {
            line.push('…');
            break;
        }
        line.push(if is_unseen(c) { '\u{fffd}' } else { c });
    }
    line
}

/// A name as it is; one that holds anything but plain characters is quoted, with those written out.
pub(crate) fn name(path: &std::path::Path) -> String {
    match path.to_str() {
        Some(text) if !text.contains(is_unseen) && !text.contains(['"', '\\']) => text.to_owned(),
        Some(_) | None => {
            let mut quoted = String::from("\"");
            for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
                for c in chunk.valid().chars() {
                    if is_unseen(c) {
                        quoted.extend(c.escape_default());
                    } else if matches!(c, '"' | '\\') {
                        quoted.extend(['\\', c]);
                    } else {
                        quoted.push(c);
                    }
                }
                for byte in chunk.invalid() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
            quoted.push('"');
            quoted
        }
    }
}

/// Money to the cent, for people; a sum below half a cent that is not nothing is told so.
pub(crate) fn dollars(sum: MicroUsd) -> String {
    let cents = sum.0.saturating_add(5_000) / 10_000;
    if cents == 0 && sum.0 > 0 {
        return "<$0.01".to_owned();
    }
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// A number of tokens, for people.
pub(crate) fn count(tokens: u64) -> String {
    match tokens {
        0..10_000 => tokens.to_string(),
        10_000..1_000_000 => format!("{} k", tokens / 1000),
        _ => format!("{}.{} M", tokens / 1_000_000, tokens % 1_000_000 / 100_000),
    }
}

/// A length of time in words: `40 ms`, `0.9 s`, `42 s`, `12 min`, `7 h 05 min`.
pub(crate) fn lasting(span: Span) -> String {
    let seconds = span.0 / 1000;
    match seconds {
        0 if span.0 < 100 => format!("{} ms", span.0),
        0..10 => format!("{}.{} s", seconds, span.0 % 1000 / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    const STEP: f64 = 1024.0;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64;
    for unit in ["KiB", "MiB", "GiB"] {
        amount /= STEP;
        if amount < STEP {
            return format!("{amount:.1} {unit}");
        }
    }
    format!("{:.1} TiB", amount / STEP)
}

/// How many characters fit on a line of standard output; none where it is no terminal.
pub(crate) fn data_width() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(std::io::stdout())?;
    Some(usize::from(columns))
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

/// Text from outside as it is, but for control characters other than line ends and tabs, and heaps of marks.
pub(crate) fn harmless(text: &str) -> String {
    let mut heap = Heap::default();
    text.chars()
        .filter(|c| !heap.is_too_high(*c))
        .map(|c| {
            if is_unseen(c) && !matches!(c, '\n' | '\t') {
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

/// A day and a time of day, for people.
pub(crate) fn moment(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.0).map_or_else(
        || at.0.to_string(),
        |t| t.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string(),
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
    fn nothing_but_our_colours_reaches_a_terminal() {
        let line = format!("{} \u{1b}]0;x\u{7}\u{1b}[8m\u{9b}2J \u{202e}\ta\n", bold("b"));
        let shown = "\u{1b}[1mb\u{1b}[0m \u{fffd}]0;x\u{fffd}\u{fffd}[8m\u{fffd}2J \u{fffd}\ta\n";
        assert_eq!(guarded(&line), shown);
        assert_eq!(
            guarded("plain \u{1f468}\u{200d}\u{1f469}"),
            "plain \u{1f468}\u{200d}\u{1f469}"
        );
    }

    #[test]
    fn an_odd_name_is_quoted_on_one_line() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = |b: &'static [u8]| name(std::path::Path::new(std::ffi::OsStr::from_bytes(b)));
        assert_eq!(bytes(b"src/a b.rs"), "src/a b.rs");
        assert_eq!(bytes(b"a\nb\x1b[2J\"\\\xff"), r#""a\nb\u{1b}[2J\"\\\xff""#);
    }

    #[test]
    fn sums_and_lengths_are_told_as_people_tell_them() {
        let sums = [0, 4_999, 5_000, 349_500, 8_400_000].map(|n| dollars(MicroUsd(n)));
        assert_eq!(sums, ["$0.00", "<$0.01", "$0.01", "$0.35", "$8.40"]);
        let spans = [0, 940, 42_000, 725_000, 25_500_000].map(|n| lasting(Span(n)));
        assert_eq!(spans, ["0 ms", "0.9 s", "42 s", "12 min", "7 h 05 min"]);
    }

    #[test]
    fn sizes_are_shown() {
        let shown = [0, 1023, 1024, 5_500_000, 3 << 40].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "5.2 MiB", "3.0 TiB"]);
    }

    #[test]
    fn json_is_the_same_value_without_what_a_terminal_heeds() {
        let text = "\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{e0041} \u{e9}\n";
        let line = json_line(&text).unwrap();
        assert!(!line.contains(is_unseen), "{line:?}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

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
