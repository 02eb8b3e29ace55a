//! Owns the journal: segments of lines `LENGTH CRC32C JSON`, appended with one write and one fdatasync for each
//! group. It knows nothing of what a record means.
//!
//! The last group of the last segment may be cut off by a crash: it was never acknowledged, so it is set aside
//! and dropped. A bad line with a good one after it is damage, and is refused.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use turno_core::ids::Seq;
use turno_core::record::Record;

use super::{Error, FORMAT};

/// A segment is closed when it is longer than this.
const SEGMENT_BYTES: u64 = 64 << 20;
/// No record is longer; a place that says so is wrong.
const LONGEST: u64 = 1 << 30;
const MAGIC: &str = "turno-journal";

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

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    path: PathBuf,
    segment: u64,
    size: u64,
    head: Seq,
    buffer: Vec<u8>,
}

fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:016}.log"))
}

/// The first sequence numbers of all segments, in order.
fn segments(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let entry = entry.map_err(Error::io("read", dir))?;
        let name = entry.file_name();
        let first: Option<u64> = name
            .to_str()
            .and_then(|n| n.strip_suffix(".log"))
            .and_then(|n| n.parse().ok());
        found.extend(first);
    }
    found.sort_unstable();
    Ok(found)
}

/// Refuses a journal of which any part was written by a newer build.
pub(super) fn check_formats(dir: &Path) -> Result<(), Error> {
    for segment in segments(dir)? {
        let path = segment_path(dir, segment);
        let mut head = String::new();
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let read = BufReader::new(file.take(200)).read_line(&mut head);
        if read.is_ok()
            && let Some(found) = format_of(head.as_bytes())
            && found > FORMAT
        {
            return Err(Error::Newer { path, found });
        }
    }
    Ok(())
}

/// The format that the first line of a segment names, if it is such a line. A number that is too large for any
/// format is that of a newer one.
fn format_of(head: &[u8]) -> Option<u32> {
    let digits = head
        .strip_prefix(MAGIC.as_bytes())?
        .strip_prefix(b" ")?
        .strip_suffix(b"\n")?;
    let text = std::str::from_utf8(digits).ok()?;
    let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// Whether the record with that number lies exactly there. Anything else than a whole record is a no.
pub(super) fn holds(dir: &Path, seq: Seq, begins: Position, ends: Position) -> bool {
    let read = || -> Option<bool> {
        let length = ends.offset.checked_sub(begins.offset)?;
        let mut file = File::open(segment_path(dir, begins.segment)).ok()?;
        file.seek(SeekFrom::Start(begins.offset)).ok()?;
        let mut line = vec![0; usize::try_from(length).ok()?];
        file.read_exact(&mut line).ok()?;
        match decode(&line) {
            Decoded::Whole(record) => Some(record.seq == seq),
            Decoded::Bad(_) => None,
        }
    };
    begins.segment == ends.segment
        && ends.offset.saturating_sub(begins.offset) < LONGEST
        && read() == Some(true)
}

/// One line as it lies on disk.
fn encode(record: &Record, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let json = serde_json::to_vec(record)?;
    out.extend_from_slice(format!("{} {:08x} ", json.len(), crc32c::crc32c(&json)).as_bytes());
    out.extend_from_slice(&json);
    out.push(b'\n');
    Ok(())
}

/// What a line turned out to be.
enum Decoded {
    Whole(Box<Record>),
    Bad(String),
}

fn decode(line: &[u8]) -> Decoded {
    let bad = |why: &str| Decoded::Bad(why.to_owned());
    let Some(line) = line.strip_suffix(b"\n") else {
        return bad("the line has no end");
    };
    let mut parts = line.splitn(3, |b| *b == b' ');
    let (Some(length), Some(sum), Some(json)) = (parts.next(), parts.next(), parts.next()) else {
        return bad("the line is no record");
    };
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    if text(length).parse::<usize>() != Ok(json.len()) {
        return bad("the length does not match");
    }
    if u32::from_str_radix(&text(sum), 16) != Ok(crc32c::crc32c(json)) {
        return bad("the checksum does not match");
    }
    match serde_json::from_slice(json) {
        Ok(record) => Decoded::Whole(Box::new(record)),
        Err(error) => Decoded::Bad(format!("the record cannot be read: {error}")),
    }
}

/// How a segment's reading ended.
enum Tail {
    /// With its last line.
    Whole(u64),
    /// With a line that is not whole, from this byte on.
    Torn { at: u64, why: String },
}

/// Reads one segment from a byte on, and gives each record with where it begins and ends.
fn scan(
    path: &Path,
    segment: u64,
    offset: u64,
    mut each: impl FnMut(Box<Record>, Position, Position) -> Result<Next, Error>,
) -> Result<Tail, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    file.seek(SeekFrom::Start(offset))
        .map_err(Error::io("read", path))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut at = offset;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .map_err(Error::io("read", path))? as u64;
        if length == 0 {
            return Ok(Tail::Whole(at));
        }
        let begins = Position { segment, offset: at };
        let ends = Position {
            segment,
            offset: at + length,
        };
        if at == 0 {
            if format_of(&line).is_some() {
                at = ends.offset;
                continue;
            }
            let why = "the segment has no head".to_owned();
            if line.ends_with(b"\n") {
                // A head that was cut off has no end of line: somebody else wrote this one.
                return Err(Error::Damaged {
                    path: path.to_owned(),
                    offset: at,
                    why,
                });
            }
            return torn_or_damaged(reader, path, at, why);
        }
        match decode(&line) {
            Decoded::Whole(record) => match each(record, begins, ends)? {
                Next::More => at = ends.offset,
                Next::Enough => return Ok(Tail::Whole(ends.offset)),
            },
            Decoded::Bad(why) => return torn_or_damaged(reader, path, at, why),
        }
    }
}

enum Next {
    More,
    Enough,
}

/// A bad line is a torn end only if nothing whole comes after it.
fn torn_or_damaged(mut reader: impl BufRead, path: &Path, at: u64, why: String) -> Result<Tail, Error> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .read_until(b'\n', &mut line)
            .map_err(Error::io("read", path))?
            == 0
        {
            return Ok(Tail::Torn { at, why });
        }
        if let Decoded::Whole(_) = decode(&line) {
            return Err(Error::Damaged {
                path: path.to_owned(),
                offset: at,
                why,
            });
        }
    }
}

impl Journal {
    /// Opens a journal that has no index beside it; all of it is read through once.
    ///
    /// # Errors
    /// When it cannot be read whole, or a newer build wrote it.
    pub fn open_alone(dir: &Path) -> Result<Self, Error> {
        check_formats(dir)?;
        Self::open(dir, Seq(0), Position::START, |_, _, _| {})
    }

    /// Opens the journal for appending; gives every record after `seq`, whose end is at `from`.
    pub(super) fn open(
        dir: &Path,
        seq: Seq,
        from: Position,
        mut each: impl FnMut(&Record, Position, Position),
    ) -> Result<Self, Error> {
        let mut head = seq;
        let all = segments(dir)?;
        let last = all.last().copied();
        let mut size = 0;
        for segment in all.into_iter().filter(|s| *s >= from.segment) {
            let path = segment_path(dir, segment);
            let offset = if segment == from.segment { from.offset } else { 0 };
            let tail = scan(&path, segment, offset, |record, begins, ends| {
                if record.seq.0 != head.0 + 1 {
                    let why = format!("record {} comes after record {head}", record.seq);
                    return Err(Error::Damaged {
                        path: path.clone(),
                        offset: begins.offset,
                        why,
                    });
                }
                head = record.seq;
                each(&record, begins, ends);
                Ok(Next::More)
            })?;
            size = match tail {
                Tail::Whole(end) => end,
                Tail::Torn { at, why: _ } if Some(segment) == last => {
                    set_aside(dir, &path, at)?;
                    at
                }
                Tail::Torn { at, why } => {
                    return Err(Error::Damaged {
                        path,
                        offset: at,
                        why,
                    });
                }
            };
        }
        match last {
            Some(segment) if size > 0 => {
                let path = segment_path(dir, segment);
                let file = OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .map_err(Error::io("open", &path))?;
                // What was read back may never have been synced; from here on it counts as committed.
                file.sync_data().map_err(Error::io("write", &path))?;
                Ok(Self {
                    dir: dir.to_owned(),
                    file,
                    path,
                    segment,
                    size,
                    head,
                    buffer: Vec::new(),
                })
            }
            Some(_) | None => Self::begin(dir, head),
        }
    }

    /// Begins a new segment after `head`.
    fn begin(dir: &Path, head: Seq) -> Result<Self, Error> {
        let segment = head.0 + 1;
        let path = segment_path(dir, segment);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        let line = format!("{MAGIC} {FORMAT}\n");
        file.write_all(line.as_bytes())
            .map_err(Error::io("write", &path))?;
        file.sync_all().map_err(Error::io("write", &path))?;
        File::open(dir)
            .and_then(|d| d.sync_all())
            .map_err(Error::io("write", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            path,
            segment,
            size: line.len() as u64,
            head,
            buffer: Vec::new(),
        })
    }

    /// Appends records: one write, one fdatasync. Gives where each begins and ends.
    ///
    /// # Errors
    /// When they could not be made durable. Nothing may be done for them then.
    pub fn append(&mut self, records: &[Record]) -> Result<Vec<(Position, Position)>, Error> {
        if self.size > SEGMENT_BYTES {
            *self = Self::begin(&self.dir, self.head)?;
        }
        self.buffer.clear();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let begins = self.size + self.buffer.len() as u64;
            encode(record, &mut self.buffer)
                .map_err(|e| Error::io("write", &self.path)(std::io::Error::other(e)))?;
            let ends = self.size + self.buffer.len() as u64;
            let at = |offset| Position {
                segment: self.segment,
                offset,
            };
            places.push((at(begins), at(ends)));
        }
        self.file
            .write_all(&self.buffer)
            .map_err(Error::io("write", &self.path))?;
        self.file.sync_data().map_err(Error::io("write", &self.path))?;
        self.size += self.buffer.len() as u64;
        self.head = records.last().map_or(self.head, |r| r.seq);
        Ok(places)
    }

    pub(super) fn head(&self) -> Seq {
        self.head
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Keeps the torn end of a segment beside it, then cuts it off.
fn set_aside(dir: &Path, path: &Path, at: u64) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(Error::io("open", path))?;
    file.seek(SeekFrom::Start(at)).map_err(Error::io("read", path))?;
    let mut torn = Vec::new();
    file.read_to_end(&mut torn).map_err(Error::io("read", path))?;
    if torn.is_empty() {
        return Ok(());
    }
    let aside = dir.join(format!(
        "torn-{}-{at}",
        path.file_stem().and_then(|s| s.to_str()).unwrap_or("segment")
    ));
    std::fs::write(&aside, &torn).map_err(Error::io("write", &aside))?;
    file.set_len(at).map_err(Error::io("cut", path))?;
    file.sync_all().map_err(Error::io("write", path))
}

/// Up to `max` records from number `first` on, beginning to look at `from`.
pub(super) fn read(dir: &Path, from: Position, first: Seq, max: usize) -> Result<Vec<Record>, Error> {
    let mut found = Vec::new();
    for segment in segments(dir)?.into_iter().filter(|s| *s >= from.segment) {
        if found.len() >= max {
            break;
        }
        let path = segment_path(dir, segment);
        let offset = if segment == from.segment { from.offset } else { 0 };
        // A torn end is being written at this moment: what is before it is all there is.
        scan(&path, segment, offset, |record, _, _| {
            if record.seq >= first {
                found.push(*record);
            }
            Ok(if found.len() >= max {
                Next::Enough
            } else {
                Next::More
            })
        })?;
    }
    Ok(found)
}
