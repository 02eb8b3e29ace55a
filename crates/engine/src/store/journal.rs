//! Owns the journal's writing: segments of lines, appended with one write and one fdatasync for each group. It
//! knows nothing of what a record means.
//!
//! The last group of the last segment may be cut off by a crash: it was never acknowledged, so it is set aside and
//! dropped. Everything else that cannot be read is damage, and is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use turno_core::ids::Seq;
use turno_core::record::Record;

use super::disk::{Disk, Handle, Os, keep_dirs, make_dirs};
use super::line;
use super::walk::{self, End, Next, Piece, Position, SegmentEnd, segment_path, walk};
use super::{Error, FORMAT, Note};

/// A segment is closed when it is longer than this.
const SEGMENT_BYTES: u64 = 64 << 20;

/// What a journal lies on.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) disk: Arc<dyn Disk>,
    /// A segment is closed when it is longer than this.
    pub(super) segment_bytes: u64,
}

impl Default for Ground {
    fn default() -> Self {
        Self {
            disk: Arc::new(Os),
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

/// Whether a journal may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// All that was written is on disk.
    Sound,
    /// A write did not succeed: what is on disk is known again after the journal is opened anew, and only then.
    Failed,
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    ground: Ground,
    dir: PathBuf,
    handle: Handle,
    segment: u64,
    size: u64,
    head: Seq,
    health: Health,
    buffer: Vec<u8>,
}

/// Where a record came to lie, and its line's sum.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub(super) begins: Position,
    pub(super) ends: Position,
    pub(super) sum: u32,
}

/// What is read of a journal, and what is known of it from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Read after this record.
    pub(super) seq: Seq,
    /// Which ends here.
    pub(super) position: Position,
    /// Records up to this one were committed, as the index tells.
    pub(super) committed: Seq,
}

impl Since {
    /// All of it.
    pub(super) const START: Self = Self {
        seq: Seq(0),
        position: Position::START,
        committed: Seq(0),
    };
}

/// Makes the directory of a journal, durably.
pub(super) fn make(ground: &Ground, dir: &Path) -> Result<(), Error> {
    make_dirs(&*ground.disk, dir).map_err(|(path, source)| Error::Io {
        doing: "create",
        path,
        source,
    })
}

impl Journal {
    /// Opens a journal that has no index beside it; all of it is read through once.
    ///
    /// # Errors
    /// When it cannot be read whole.
    pub fn open_alone(dir: &Path) -> Result<Self, Error> {
        walk::check_formats(dir)?;
        Ok(Self::open(Ground::default(), dir, Since::START, |_, _| {})?.0)
    }

    /// Opens the journal for appending; gives every record that is asked for, and whether an end was set aside.
    pub(super) fn open(
        ground: Ground,
        dir: &Path,
        since: Since,
        mut each: impl FnMut(&Record, Place),
    ) -> Result<(Self, Option<Note>), Error> {
        let mut torn = None;
        let end = walk(dir, since.seq, since.position, |piece| {
            match piece {
                Piece::Record {
                    record,
                    begins,
                    ends,
                    sum,
                } => each(&record, Place { begins, ends, sum }),
                Piece::Damage(damage) => return Err(Error::Damaged(damage)),
                Piece::Torn(mut end) if end.from <= since.committed => {
                    end.why.push_str(
                        "; the index tells that it was committed. `turno store rebuild` gives it up",
                    );
                    return Err(Error::Damaged(end));
                }
                Piece::Torn(end) => torn = Some(end),
            }
            Ok(Next::More)
        })?;
        let note = torn
            .filter(|end| end.bytes > 0)
            .map(|end| set_aside(&*ground.disk, dir, &end.path, end.offset))
            .transpose()?;
        Ok((Self::after(ground, dir, end)?, note))
    }

    /// Ready to append to what was read.
    fn after(ground: Ground, dir: &Path, end: End) -> Result<Self, Error> {
        let End { head, segment } = end;
        let current = |s: &SegmentEnd| s.size > 0 && s.format == Some(FORMAT);
        let Some(end) = segment.filter(current) else {
            return Self::begin(ground, dir, head);
        };
        let path = segment_path(dir, end.number);
        let handle = ground.disk.open(&path).map_err(Error::io("open", &path))?;
        // What was read back may never have been synced, nor its name; from here on it counts as committed.
        ground.disk.sync(&handle).map_err(Error::io("write", &path))?;
        keep(&ground, dir)?;
        Ok(Self {
            ground,
            dir: dir.to_owned(),
            handle,
            segment: end.number,
            size: end.size,
            head,
            health: Health::Sound,
            buffer: Vec::new(),
        })
    }

    /// Begins a new segment after `head`.
    fn begin(ground: Ground, dir: &Path, head: Seq) -> Result<Self, Error> {
        let segment = head.0 + 1;
        let path = segment_path(dir, segment);
        // One that is there already holds no record: a crash came between its making and its first one.
        let handle = if path.exists() {
            let handle = ground.disk.open(&path).map_err(Error::io("open", &path))?;
            ground
                .disk
                .cut(&handle, 0)
                .map_err(Error::io("begin anew", &path))?;
            handle
        } else {
            ground.disk.create(&path).map_err(Error::io("create", &path))?
        };
        let line = line::head(FORMAT);
        let disk = &ground.disk;
        disk.write(&handle, line.as_bytes())
            .and_then(|()| disk.sync(&handle))
            .map_err(Error::io("write", &path))?;
        keep(&ground, dir)?;
        Ok(Self {
            ground,
            dir: dir.to_owned(),
            handle,
            segment,
            size: line.len() as u64,
            head,
            health: Health::Sound,
            buffer: Vec::new(),
        })
    }

    /// Appends records: one write, one fdatasync. Gives where each came to lie.
    ///
    /// # Errors
    /// When they could not be made durable. Nothing may be done for them then, and nothing can be appended any more
    /// until the journal is opened again.
    pub fn append(&mut self, records: &[Record]) -> Result<Vec<Place>, Error> {
        match self.health {
            Health::Sound => {}
            Health::Failed => {
                return Err(Error::Failed {
                    path: self.handle.path.clone(),
                });
            }
        }
        self.health = Health::Failed;
        let places = self.try_append(records)?;
        self.health = Health::Sound;
        Ok(places)
    }

    fn try_append(&mut self, records: &[Record]) -> Result<Vec<Place>, Error> {
        if self.size > self.ground.segment_bytes {
            *self = Self::begin(self.ground.clone(), &self.dir, self.head)?;
        }
        let Some(first) = records.first().map(|r| r.seq) else {
            return Ok(Vec::new());
        };
        let path = &self.handle.path;
        self.buffer.clear();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let at = |offset| Position {
                segment: self.segment,
                offset,
            };
            let begins = at(self.size + self.buffer.len() as u64);
            let sum = line::encode(record, first, &mut self.buffer)
                .map_err(|e| Error::io("write", path)(std::io::Error::other(e)))?;
            let ends = at(self.size + self.buffer.len() as u64);
            places.push(Place { begins, ends, sum });
        }
        let disk = &self.ground.disk;
        let written = disk
            .write(&self.handle, &self.buffer)
            .and_then(|()| disk.sync(&self.handle));
        if let Err(source) = written {
            self.take_back();
            return Err(Error::io("write", path)(source));
        }
        self.size += self.buffer.len() as u64;
        self.head = records.last().map_or(self.head, |r| r.seq);
        Ok(places)
    }

    /// Cuts off what was written and could not be made durable: nobody was told of it, and after a sync that failed
    /// it could be read for a while without being on disk.
    fn take_back(&self) {
        let disk = &self.ground.disk;
        let cut = disk
            .cut(&self.handle, self.size)
            .and_then(|()| disk.sync(&self.handle));
        if let Err(error) = cut {
            let path = self.handle.path.display();
            tracing::warn!(%path, %error, "what could not be written whole is set aside at the next start");
        }
    }

    pub(super) fn head(&self) -> Seq {
        self.head
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Makes durable that the segments are there.
fn keep(ground: &Ground, dir: &Path) -> Result<(), Error> {
    keep_dirs(&*ground.disk, dir).map_err(|(path, source)| Error::Io {
        doing: "write",
        path,
        source,
    })
}

/// Keeps the torn end of a segment beside it, then cuts it off. The copy is on disk before anything is cut.
fn set_aside(disk: &dyn Disk, dir: &Path, path: &Path, at: u64) -> Result<Note, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let at_byte = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let torn = &bytes[at_byte..];
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("segment");
    let names =
        std::iter::once(format!("torn-{stem}-{at}")).chain((2..).map(|n| format!("torn-{stem}-{at}-{n}")));
    let mut free = names.map(|name| dir.join(name)).filter(|p| !p.exists());
    let aside = free.next().unwrap_or_else(|| dir.join("torn"));
    let copy = disk.create(&aside).map_err(Error::io("create", &aside))?;
    disk.write(&copy, torn)
        .and_then(|()| disk.sync(&copy))
        .and_then(|()| disk.sync_dir(dir))
        .map_err(Error::io("write", &aside))?;
    let handle = disk.open(path).map_err(Error::io("open", path))?;
    disk.cut(&handle, at)
        .and_then(|()| disk.sync(&handle))
        .map_err(Error::io("cut", path))?;
    Ok(Note::TornEnd {
        path: path.to_owned(),
        aside,
        bytes: torn.len() as u64,
    })
}

/// Up to `max` records from number `first` on. `hint` is where one of them or of those before them begins, if the
/// index knows; when that turns out wrong, the segment is read from its beginning.
pub(super) fn read(
    dir: &Path,
    hint: Option<(Seq, Position)>,
    first: Seq,
    max: usize,
) -> Result<Vec<Record>, Error> {
    let segments = walk::segments(dir)?;
    // The first segment is always asked for, so that one that is missing is told.
    let holding = segments.into_iter().rfind(|s| *s <= first.0).unwrap_or(1);
    let begins = Position {
        segment: holding,
        offset: 0,
    };
    let hinted = hint.filter(|(seq, at)| at.segment == holding && *seq <= first);
    if let Some((seq, at)) = hinted
        && let Ok((found, end)) = read_from(dir, Seq(seq.0.saturating_sub(1)), at, first, max)
        && end.head >= seq
        && found.first().is_none_or(|r| r.seq == first)
    {
        return Ok(found);
    }
    Ok(read_from(dir, Seq(holding.saturating_sub(1)), begins, first, max)?.0)
}

fn read_from(
    dir: &Path,
    after: Seq,
    from: Position,
    first: Seq,
    max: usize,
) -> Result<(Vec<Record>, End), Error> {
    let mut found = Vec::new();
    let end = walk(dir, after, from, |piece| {
        match piece {
            Piece::Record { record, .. } if record.seq >= first => found.push(*record),
            Piece::Record { .. } => {}
            Piece::Damage(damage) if damage.to.is_some_and(|to| to < first) => {}
            Piece::Damage(damage) => return Err(Error::Damaged(damage)),
            // It is being written at this moment: what is before it is all there is.
            Piece::Torn(_) => {}
        }
        Ok(if found.len() >= max {
            Next::Enough
        } else {
            Next::More
        })
    })?;
    Ok((found, end))
}
