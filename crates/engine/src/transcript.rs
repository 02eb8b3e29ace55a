//! Owns the reading of what an attempt said while it still says it. The raw bytes are on disk before they are
//! seen here; this file only cuts them into lines: decoded one whole line at a time, each capped.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use turno_agents::dialect::Line;
use turno_core::check::LogRef;

/// A longer line is cut: its beginning is parsed, the rest stays in the transcript.
pub const LINE_CAP: usize = 4 << 20;

/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// How far a transcript has been read.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    buffer: Vec<u8>,
    lines: Lines,
}

/// Cuts what comes piece by piece into lines. Where the pieces end makes no difference.
#[derive(Debug)]
#[doc(hidden)]
pub struct Lines {
    part: Vec<u8>,
    skipping: Skipping,
    cap: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    No,
    /// The line was given, cut; its rest is not wanted.
    RestOfLine,
}

impl Tail {
    /// From the beginning of a file that may not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self::with_cap(path, LINE_CAP)
    }

    fn with_cap(path: PathBuf, cap: usize) -> Self {
        Self {
            path,
            file: None,
            buffer: Vec::new(),
            lines: Lines::new(cap),
        }
    }

    /// Gives every line that has come since the last call, however many they are.
    pub fn read(&mut self, mut each: impl FnMut(Line<'_>)) {
        while self.read_piece(&mut each) {}
    }

    /// Gives the lines of the next piece of what has come. True when there was any output; there may be more then,
    /// and whoever writes without end is not waited for.
    pub fn read_piece(&mut self, mut each: impl FnMut(Line<'_>)) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(CHUNK, 0);
        let count = self.read_some(&mut buffer);
        if let Some(count) = count {
            self.lines.take(&buffer[..count], &mut each);
        }
        self.buffer = buffer;
        count.is_some()
    }

    /// How many more bytes there are; none at the end of what there is by now.
    fn read_some(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.file.is_none() {
            self.file = crate::regular::open_file(&self.path).ok();
        }
        match self.file.as_mut()?.read(buffer) {
            Ok(0) => None,
            Ok(count) => Some(count),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read a transcript");
                None
            }
        }
    }

    /// Gives the last line if it has no end. Only when nothing more can come.
    pub fn finish(mut self, mut each: impl FnMut(Line<'_>)) {
        self.read(&mut each);
        self.lines.finish(each);
    }
}

impl Lines {
    /// Lines longer than `cap` bytes are cut.
    pub fn new(cap: usize) -> Self {
        Self {
            part: Vec::new(),
            skipping: Skipping::No,
            cap,
        }
    }

    /// Takes a piece and gives every line that has its end by now.
    pub fn take(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            // Most lines lie in one piece and need not be held.
            if self.skipping == Skipping::No && self.part.is_empty() && line.len() <= self.cap {
                each(Line::Whole(&decoded(without_return(line))));
                continue;
            }
            self.hold(line, each);
            match self.skipping {
                Skipping::RestOfLine => self.skipping = Skipping::No,
                Skipping::No => each(Line::Whole(&decoded(without_return(&self.part)))),
            }
            self.part.clear();
        }
        self.hold(bytes, each);
    }

    /// Gives the last line if it has no end.
    pub fn finish(self, mut each: impl FnMut(Line<'_>)) {
        if !self.part.is_empty() && self.skipping == Skipping::No {
            each(Line::Whole(&decoded(&self.part)));
        }
    }

    /// Adds to the line that has no end yet; gives its beginning when it is too long.
    fn hold(&mut self, bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        if self.skipping == Skipping::RestOfLine {
            return;
        }
        let room = self.cap.saturating_sub(self.part.len());
        self.part.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            each(Line::Cut(&decoded(&self.part)));
            self.part.clear();
            self.skipping = Skipping::RestOfLine;
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The text of a line. Almost all are UTF-8, and to find that out is several times faster than to mend one.
fn decoded(line: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}

/// The last `limit` bytes of a file, as text; empty when there is none.
pub fn end_of(path: &Path, limit: usize) -> String {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(limit as u64)))?;
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    read().map_or_else(|_| String::new(), |bytes| decoded(&bytes).into_owned())
}

/// A reference to a file below the state directory.
pub fn log_ref(root: &Path, path: &Path) -> LogRef {
    LogRef {
        path: path.strip_prefix(root).unwrap_or(path).display().to_string(),
        bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]], cap: usize) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut tail = Tail::with_cap(path.clone(), cap);
        let mut found = Vec::new();
        let mut all = Vec::new();
        let mut note = |line: Line<'_>| {
            found.push(match line {
                Line::Whole(text) => text.to_owned(),
                Line::Cut(text) => format!("CUT {text}"),
            });
        };
        for chunk in chunks {
            all.extend_from_slice(chunk);
            std::fs::write(&path, &all).unwrap();
            tail.read(&mut note);
        }
        tail.finish(&mut note);
        found
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(
            lines(&[b"one\ntw", b"o\r\n", b"three"], 100),
            ["one", "two", "three"]
        );
    }

    #[test]
    fn a_character_cut_between_two_reads_is_whole() {
        let text = "gr\u{fc}n\n".as_bytes();
        assert_eq!(lines(&[&text[..3], &text[3..]], 100), ["gr\u{fc}n"]);
    }

    #[test]
    fn what_is_no_text_is_mended() {
        assert_eq!(
            lines(&[b"a\xffb\nc", b"\xff\n\n"], 100),
            ["a\u{fffd}b", "c\u{fffd}", ""]
        );
    }

    #[test]
    fn a_line_as_long_as_the_cap_is_whole() {
        assert_eq!(
            lines(&[b"1234\n12", b"34\n12345\n"], 4),
            ["1234", "1234", "CUT 1234"]
        );
    }

    #[test]
    fn the_end_of_a_file_is_read_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("err");
        assert_eq!(end_of(&path, 4), "");
        std::fs::write(&path, "something").unwrap();
        assert_eq!(
            (end_of(&path, 5), end_of(&path, 50)),
            ("thing".into(), "something".into())
        );
    }

    #[test]
    fn a_flood_of_short_lines_is_given_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let lines = 2 * CHUNK;
        std::fs::write(&path, "x\n".repeat(lines)).unwrap();
        let mut tail = Tail::new(path);
        let mut pieces = Vec::new();
        loop {
            let mut count = 0;
            if !tail.read_piece(|_| count += 1) {
                break;
            }
            pieces.push(count);
        }
        assert_eq!(pieces.iter().sum::<usize>(), lines);
        assert!(pieces.iter().all(|count| *count <= CHUNK / 2), "{pieces:?}");
    }

    #[test]
    fn a_huge_line_is_given_once_and_cut() {
        let huge = vec![b'x'; 50];
        assert_eq!(
            lines(&[&huge, &huge, b"\nnext\n"], 10),
            ["CUT xxxxxxxxxx", "next"]
        );
    }
}
