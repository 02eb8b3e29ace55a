//! Owns the line between a supervisor and whoever coordinates: what is said to the program, and the bell that tells
//! that there is more to read. A coordinator that goes away ends the line and nothing else; the next one finds the
//! supervisor's socket in the directory of the run.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::socket::reach;

/// What a coordinator has to say to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// The first lines for the program, and whether its input stays open; all of that or nothing.
    Begin {
        /// The lines.
        lines: Vec<String>,
        /// What follows.
        then: AfterSpoken,
    },
    /// A line for the program.
    Say(String),
    /// The program's input ends.
    CloseInput,
}

/// What becomes of a program's input after what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSpoken {
    /// It stays open.
    Stays,
    /// It ends.
    Closes,
}

/// A longer word is none: an agent is not told so much at once.
const LONGEST: usize = 64 << 20;

impl Word {
    /// As it goes over the line: its length, then its text.
    ///
    /// # Errors
    /// When it is too long.
    pub(super) fn frame(&self) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len())
            .ok()
            .filter(|_| text.len() <= LONGEST)
            .ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "that is too much to be said"))?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&text);
        Ok(frame)
    }
}

/// The name of a supervisor's socket below the directory of its run.
const SOCKET: &str = "line.sock";

/// Listens for coordinators.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn listen(dir: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(dir.join(SOCKET)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = reach(&dir.join(SOCKET), |short| UnixListener::bind(short))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connects to the supervisor of a run.
///
/// # Errors
/// When nobody listens there.
pub(super) fn connect(dir: &Path) -> std::io::Result<UnixStream> {
    reach(&dir.join(SOCKET), |short| UnixStream::connect(short))
}

/// The supervisor's end of the line.
#[derive(Debug)]
pub(super) struct Line {
    listener: UnixListener,
    /// Whoever coordinates now; none while nobody does.
    peer: Option<UnixStream>,
    heard: Vec<u8>,
}

impl Line {
    /// The line, with the coordinator that began the run at its other end.
    ///
    /// # Errors
    /// When its socket cannot be made.
    pub(super) fn new(dir: &Path, first: UnixStream) -> std::io::Result<Self> {
        first.set_nonblocking(true)?;
        Ok(Self {
            listener: listen(dir)?,
            peer: Some(first),
            heard: Vec::new(),
        })
    }

    /// What can be waited on.
    pub(super) fn fds(&self) -> impl Iterator<Item = std::os::fd::BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        std::iter::once(self.listener.as_fd()).chain(self.peer.as_ref().map(AsFd::as_fd))
    }

    /// Whether somebody is there.
    pub(super) fn is_held(&self) -> bool {
        self.peer.is_some()
    }

    /// Takes in what was said by now. A new coordinator takes the place of the last.
    pub(super) fn hear(&mut self) -> Vec<Word> {
        let mut words = self.read();
        if let Ok((next, _)) = self.listener.accept()
            && next.set_nonblocking(true).is_ok()
        {
            self.heard.clear();
            self.peer = Some(next);
            // It must look at what was written before it came.
            self.ring();
            words.extend(self.read());
        }
        words
    }

    fn read(&mut self) -> Vec<Word> {
        let mut chunk = [0; 1 << 14];
        while let Some(peer) = &mut self.peer {
            match peer.read(&mut chunk) {
                Ok(0) => self.peer = None,
                Ok(count) => self.heard.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.peer = None,
            }
        }
        let mut words = Vec::new();
        while let Some((word, rest)) = cut(&self.heard) {
            match word {
                Some(word) => words.push(word),
                // Whoever speaks like this is no coordinator.
                None => {
                    self.peer = None;
                    self.heard.clear();
                    return words;
                }
            }
            self.heard.drain(..rest);
        }
        words
    }

    /// Tells the coordinator that there is something to read. It may be gone: then nobody needs to be told. It may
    /// not be listening, e.g. because it was suspended: what it has not heard yet says the same, and nobody waits.
    pub(super) fn ring(&mut self) {
        if let Some(peer) = &mut self.peer {
            match peer.write(b".") {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.peer = None,
            }
        }
    }
}

/// The first whole word, and how many bytes it took. `None` within: it is none.
fn cut(heard: &[u8]) -> Option<(Option<Word>, usize)> {
    let (length, rest) = heard.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > LONGEST {
        return Some((None, heard.len()));
    }
    let text = rest.get(..length)?;
    Some((serde_json::from_slice(text).ok(), 4 + length))
}

/// What is on its way to a program, which may be slow to read it.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    waiting: VecDeque<u8>,
}

impl Spoken {
    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        self.waiting.extend(line.as_bytes());
        self.waiting.push_back(b'\n');
    }

    /// Whether there is nothing left to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes as much as is taken now.
    ///
    /// # Errors
    /// When nobody reads it any more.
    pub(super) fn write_to(&mut self, to: &mut impl Write) -> std::io::Result<()> {
        while !self.waiting.is_empty() {
            match to.write(self.waiting.as_slices().0) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> (tempfile::TempDir, Line, UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let (ours, first) = UnixStream::pair().unwrap();
        let line = Line::new(dir.path(), first).unwrap();
        (dir, line, ours)
    }

    #[test]
    fn words_arrive_whole_however_they_are_cut() {
        let (_dir, mut line, mut ours) = line();
        let words = [
            Word::Begin {
                lines: vec!["a\nb".to_owned()],
                then: AfterSpoken::Stays,
            },
            Word::Say("c".to_owned()),
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.frame().unwrap()).collect();
        let mut heard = Vec::new();
        for byte in bytes {
            ours.write_all(&[byte]).unwrap();
            heard.extend(line.hear());
        }
        assert_eq!(heard, words);
    }

    #[test]
    fn whoever_comes_later_takes_the_line_and_is_told_to_look() {
        let (dir, mut line, ours) = line();
        drop(ours);
        assert!(line.hear().is_empty());
        assert!(!line.is_held());
        let mut later = connect(dir.path()).unwrap();
        later.write_all(&Word::CloseInput.frame().unwrap()).unwrap();
        assert_eq!(line.hear(), [Word::CloseInput]);
        let mut rung = [0];
        later.read_exact(&mut rung).unwrap();
        assert_eq!(rung, *b".");
    }

    #[test]
    fn what_is_no_word_ends_the_line() {
        let (_dir, mut line, mut ours) = line();
        ours.write_all(b"\xff\xff\xff\xffhello").unwrap();
        assert!(line.hear().is_empty());
        assert!(!line.is_held());
    }

    #[test]
    fn a_directory_may_lie_deeper_than_a_sockets_path_may_be_long() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let (_ours, first) = UnixStream::pair().unwrap();
        let mut line = Line::new(&deep, first).unwrap();
        let _later = connect(&deep).unwrap();
        line.hear();
        assert!(line.is_held());
    }
}
