//! Owns reading the journal, whatever state it is in: its records in order, and what of them cannot be read. It
//! changes nothing and refuses nothing; whoever reads decides what damage means.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use turno_core::ids::Seq;
use turno_core::record::Record;

use super::line::{self, Group, Line};
use super::{Error, FORMAT};

/// No head of a segment is longer.
const HEAD_BYTES: u64 = 32;

/// Where a record begins: the first sequence number of its segment, and the byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Position {
    pub(super) const START: Self = Self {
        segment: 0,
        offset: 0,
    };
}

/// A part of a segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In which file.
    pub path: PathBuf,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes; none where records are missing without a trace.
    pub bytes: u64,
    /// The first record that is missing.
    pub from: Seq,
    /// The last one that is missing; `None` when nothing whole comes after it.
    pub to: Option<Seq>,
    /// What is wrong with the first line of it.
    pub why: String,
}

impl Damage {
    /// Which records are missing, in words.
    pub fn records(&self) -> String {
        match self.to {
            None => format!("record {} and all after it", self.from),
            Some(to) if to < self.from => "no record".to_owned(),
            Some(to) if to == self.from => format!("record {to}"),
            Some(to) => format!("records {} to {to}", self.from),
        }
    }
}

/// What a walk comes by.
#[derive(Debug)]
pub(super) enum Piece {
    /// A whole record.
    Record {
        record: Box<Record>,
        begins: Position,
        ends: Position,
        sum: u32,
    },
    /// Something that was acknowledged and cannot be read.
    Damage(Damage),
    /// An end that was never acknowledged: its last group was cut off while it was written. Nothing comes after it.
    Torn(Damage),
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    More,
    Enough,
}

/// Where a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The last record.
    pub(super) head: Seq,
    /// The last segment, if there is one.
    pub(super) segment: Option<SegmentEnd>,
}

/// The end of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentEnd {
    pub(super) number: u64,
    /// The byte after its last whole line.
    pub(super) size: u64,
    pub(super) format: Option<u32>,
}

pub(super) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:016}.log"))
}

/// The first sequence numbers of all segments, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let entry = entry.map_err(Error::io("read", dir))?;
        let name = entry.file_name();
        let first: Option<u64> = name
            .to_str()
            .and_then(|n| n.strip_suffix(".log"))
            .and_then(|n| n.parse().ok());
        // What has such a number and is not called as Turno calls it was put there by somebody else.
        found.extend(first.filter(|n| segment_path(dir, *n).ends_with(&name)));
    }
    found.sort_unstable();
    Ok(found)
}

/// The format that a segment tells.
fn format_of(path: &Path) -> Result<Option<u32>, Error> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    BufReader::new(file.take(200))
        .read_until(b'\n', &mut head)
        .map_err(Error::io("read", path))?;
    Ok(line::format_of(&head))
}

/// Refuses a journal of which any part was written by a newer build.
pub(super) fn check_formats(dir: &Path) -> Result<(), Error> {
    for segment in segments(dir)? {
        let path = segment_path(dir, segment);
        if let Some(found) = format_of(&path)?.filter(|f| *f > FORMAT) {
            return Err(Error::Newer { path, found });
        }
    }
    Ok(())
}

/// Whether the very record with that number and sum lies exactly there.
pub(super) fn holds(dir: &Path, seq: Seq, sum: u32, begins: Position, ends: Position) -> bool {
    let read = || -> Option<Line> {
        let length = ends.offset.checked_sub(begins.offset)?;
        let mut file = File::open(segment_path(dir, begins.segment)).ok()?;
        let size = file.metadata().ok()?.len();
        if begins.segment != ends.segment || size < ends.offset {
            return None;
        }
        file.seek(SeekFrom::Start(begins.offset)).ok()?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        file.read_exact(&mut bytes).ok()?;
        line::decode(&bytes).ok()
    };
    read().is_some_and(|line| line.record.seq == seq && line.sum == sum)
}

/// What a line of a segment is.
enum What {
    Head,
    Whole(Line),
    Bad(String),
}

/// The lines of one segment.
struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    at: u64,
    bytes: Vec<u8>,
}

impl Lines {
    fn open(path: &Path, offset: u64) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(Error::io("read", path))?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 18, file),
            path: path.to_owned(),
            at: offset,
            bytes: Vec::new(),
        })
    }

    /// The next line, and the byte at which it begins.
    fn next(&mut self) -> Result<Option<(u64, What)>, Error> {
        self.bytes.clear();
        let length = self
            .reader
            .read_until(b'\n', &mut self.bytes)
            .map_err(Error::io("read", &self.path))?;
        if length == 0 {
            return Ok(None);
        }
        let begins = self.at;
        self.at += length as u64;
        let what = if begins == 0 {
            match line::format_of(&self.bytes) {
                Some(_) => What::Head,
                None => What::Bad("the segment has no head".to_owned()),
            }
        } else {
            line::decode(&self.bytes).map_or_else(What::Bad, What::Whole)
        };
        Ok(Some((begins, what)))
    }

    fn has_end(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// Whether what is bad here, where record `missing` should be, is an end that was never acknowledged. It is none
    /// when a group comes after it that was begun later: then this one was on disk.
    fn tears_here(mut self, missing: Seq) -> Result<bool, Error> {
        while let Some((_, what)) = self.next()? {
            let later = match what {
                What::Whole(line) => match line.group {
                    Group::Since(first) => first > missing,
                    Group::Untold => true,
                },
                What::Head | What::Bad(_) => false,
            };
            if later {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Reads the records after number `after`, beginning at `from`, and gives each piece.
///
/// # Errors
/// When a file cannot be read at all, and what `each` refuses.
pub(super) fn walk(
    dir: &Path,
    after: Seq,
    from: Position,
    mut each: impl FnMut(Piece) -> Result<Next, Error>,
) -> Result<End, Error> {
    let all = segments(dir)?;
    let mut end = End {
        head: after,
        segment: None,
    };
    for (n, number) in all.iter().copied().enumerate() {
        if number < from.segment {
            continue;
        }
        let offset = if number == from.segment { from.offset } else { 0 };
        let segment = Segment {
            number,
            path: segment_path(dir, number),
            next: all.get(n + 1).copied(),
        };
        if number != from.segment && number != end.head.0 + 1 {
            let gap = segment.missing(0, 0, end.head, "the segment before it is not there or too long");
            let to = number.saturating_sub(1);
            let gap = Damage {
                to: Some(Seq(to)),
                ..gap
            };
            each(Piece::Damage(gap))?;
            end.head = Seq(to.max(end.head.0));
        }
        if segment.walk(offset, &mut end, &mut each)? == Next::Enough {
            break;
        }
    }
    Ok(end)
}

/// One segment, and the first record of the one after it.
struct Segment {
    number: u64,
    path: PathBuf,
    next: Option<u64>,
}

impl Segment {
    fn missing(&self, offset: u64, bytes: u64, head: Seq, why: &str) -> Damage {
        Damage {
            path: self.path.clone(),
            offset,
            bytes,
            from: Seq(head.0 + 1),
            to: None,
            why: why.to_owned(),
        }
    }

    fn walk(
        &self,
        offset: u64,
        end: &mut End,
        each: &mut impl FnMut(Piece) -> Result<Next, Error>,
    ) -> Result<Next, Error> {
        let mut lines = Lines::open(&self.path, offset)?;
        let format = format_of(&self.path)?;
        let place = |offset| Position {
            segment: self.number,
            offset,
        };
        let mut bad: Option<Damage> = None;
        let ends_at = |size| SegmentEnd {
            number: self.number,
            size,
            format,
        };
        end.segment = Some(ends_at(offset));
        while let Some((begins, what)) = lines.next()? {
            match what {
                What::Head => end.segment = Some(ends_at(lines.at)),
                What::Bad(why) => {
                    if bad.is_some() {
                        continue;
                    }
                    let damage = self.missing(begins, 0, end.head, &why);
                    // A head is on disk before anything else is written: only one that was cut off is torn, and that
                    // has no end of line. Somebody else wrote any other.
                    let is_head = begins == 0;
                    let is_cut = !lines.has_end() && lines.at <= HEAD_BYTES;
                    let may_be_torn = self.next.is_none() && (!is_head || is_cut);
                    if may_be_torn && Lines::open(&self.path, lines.at)?.tears_here(damage.from)? {
                        let size = std::fs::metadata(&self.path).map_or(lines.at, |m| m.len());
                        let bytes = size.saturating_sub(begins);
                        return each(Piece::Torn(Damage { bytes, ..damage }));
                    }
                    bad = Some(damage);
                }
                What::Whole(line) => {
                    let seq = line.record.seq;
                    if seq <= end.head {
                        let why = format!("record {seq} comes after record {}", end.head);
                        bad.get_or_insert_with(|| self.missing(begins, 0, end.head, &why));
                        continue;
                    }
                    if bad.is_some() || seq.0 != end.head.0 + 1 {
                        let why = format!("record {seq} comes after record {}", end.head);
                        let damage = bad
                            .take()
                            .unwrap_or_else(|| self.missing(begins, 0, end.head, &why));
                        let damage = Damage {
                            bytes: begins.saturating_sub(damage.offset),
                            to: Some(Seq(seq.0 - 1)),
                            ..damage
                        };
                        each(Piece::Damage(damage))?;
                    }
                    end.head = seq;
                    end.segment = Some(ends_at(lines.at));
                    let piece = Piece::Record {
                        record: line.record,
                        begins: place(begins),
                        ends: place(lines.at),
                        sum: line.sum,
                    };
                    if each(piece)? == Next::Enough {
                        return Ok(Next::Enough);
                    }
                }
            }
        }
        if let Some(damage) = bad {
            let to = self.next.map(|n| Seq(n.saturating_sub(1)));
            let damage = Damage {
                bytes: lines.at.saturating_sub(damage.offset),
                to,
                ..damage
            };
            end.head = to.unwrap_or(end.head);
            each(Piece::Damage(damage))?;
        }
        Ok(Next::More)
    }
}
