//! The only file that names sled. Owns the derived part of the store: the current entities and where each
//! record lies. All of it can be rebuilt from the journal, and is whenever anything about it is doubtful.
//!
//! sled's own flush issues no fsync and its damage shows as a panic (measured), so nothing is acknowledged on
//! its word, every value carries a checksum, and opening it is fenced.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use turno_core::State;
use turno_core::ids::Seq;
use turno_core::record::Record;
use turno_core::state::Entity;

use super::journal::Position;

const CACHE_BYTES: u64 = 16 << 20;
const APPLIED: &[u8] = b"applied";

/// What the index knew when it was opened.
pub(super) enum Loaded {
    /// The state after that record, whose end is there.
    Known {
        state: Box<State>,
        seq: Seq,
        position: Position,
    },
    /// Nothing that can be relied on.
    Nothing,
}

/// What the index takes of a committed record.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which record.
    pub(super) seq: Seq,
    /// Where it begins.
    pub(super) begins: Position,
    /// Where it ends.
    pub(super) ends: Position,
    /// The entities as they became.
    pub(super) changes: Vec<Entity>,
}

impl Entry {
    pub(super) fn of(record: &Record, begins: Position, ends: Position) -> Self {
        Self {
            seq: record.seq,
            begins,
            ends,
            changes: record.changes.clone(),
        }
    }
}

/// The open index; without one, when sled cannot be used, every question is answered by the journal.
#[derive(Debug, Clone)]
pub(super) enum Index {
    Open {
        db: sled::Db,
        entities: sled::Tree,
        places: sled::Tree,
    },
    Without,
}

fn sealed(value: &[u8]) -> Vec<u8> {
    let mut out = crc32c::crc32c(value).to_be_bytes().to_vec();
    out.extend_from_slice(value);
    out
}

fn unsealed(value: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = value.split_at_checked(4)?;
    (sum == crc32c::crc32c(rest).to_be_bytes()).then_some(rest)
}

fn encode_position(seq: Seq, position: Position) -> Vec<u8> {
    [seq.0, position.segment, position.offset]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect()
}

fn decode_position(value: &[u8]) -> Option<(Seq, Position)> {
    let mut numbers = value
        .chunks_exact(8)
        .map(|c| c.try_into().map(u64::from_be_bytes));
    let mut next = || numbers.next()?.ok();
    Some((
        Seq(next()?),
        Position {
            segment: next()?,
            offset: next()?,
        },
    ))
}

/// sled meets damage with a panic: caught, because the journal heals it.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// The same and silent. Only while no other thread can panic, because it is the process that is silenced.
fn fenced<T>(work: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = caught(work);
    std::panic::set_hook(hook);
    result
}

impl Index {
    /// Opens the index; moves a broken one aside.
    pub(super) fn open(dir: &Path) -> (Self, Loaded) {
        if let Some(Some(found)) = fenced(|| Self::try_open(dir)) {
            return found;
        }
        let aside = (1..)
            .map(|n| dir.with_extension(format!("broken-{n}")))
            .find(|p| !p.exists());
        if let Some(aside) = aside
            && std::fs::rename(dir, &aside).is_ok()
        {
            tracing::warn!(path = %aside.display(), "the index was damaged; it is rebuilt from the journal");
            if let Some(Some((index, _))) = fenced(|| Self::try_open(dir)) {
                return (index, Loaded::Nothing);
            }
        }
        tracing::warn!(path = %dir.display(), "no index can be kept; the journal answers alone");
        (Self::Without, Loaded::Nothing)
    }

    fn try_open(dir: &Path) -> Option<(Self, Loaded)> {
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .open()
            .ok()?;
        let entities = db.open_tree("entities").ok()?;
        let places = db.open_tree("places").ok()?;
        let loaded = Self::load(&db, &entities).unwrap_or(Loaded::Nothing);
        Some((Self::Open { db, entities, places }, loaded))
    }

    fn load(db: &sled::Db, entities: &sled::Tree) -> Option<Loaded> {
        let applied = db.get(APPLIED).ok()??;
        let (seq, position) = decode_position(unsealed(&applied)?)?;
        let mut state = State::default();
        for pair in entities.iter() {
            let (_, value) = pair.ok()?;
            let entity: Entity = serde_json::from_slice(unsealed(&value)?).ok()?;
            state.put(entity);
        }
        Some(Loaded::Known {
            state: Box::new(state),
            seq,
            position,
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if let Self::Open { db, entities, places } = self {
            let cleared =
                fenced(|| db.remove(APPLIED).is_ok() && entities.clear().is_ok() && places.clear().is_ok());
            if cleared != Some(true) {
                *self = Self::Without;
            }
        }
    }

    /// Takes committed records in, in their order. Entities first, the mark last: what is missing is redone.
    pub(super) fn put(&mut self, entries: &[Entry]) {
        let (Self::Open { db, entities, places }, Some(last)) = (&*self, entries.last()) else {
            return;
        };
        let changes = entries.iter().flat_map(|entry| &entry.changes);
        // Of several changes of one entity only the last is of interest.
        let newest: BTreeMap<String, &Entity> = changes.map(|entity| (entity.key(), entity)).collect();
        let mut changed = sled::Batch::default();
        for (key, entity) in &newest {
            if let Ok(json) = serde_json::to_vec(entity) {
                changed.insert(key.as_bytes(), sealed(&json));
            }
        }
        let mut begin = sled::Batch::default();
        for entry in entries {
            let place = sealed(&encode_position(entry.seq, entry.begins));
            begin.insert(&entry.seq.0.to_be_bytes(), place);
        }
        let mark = sealed(&encode_position(last.seq, last.ends));
        let kept = caught(|| {
            entities.apply_batch(changed).is_ok()
                && places.apply_batch(begin).is_ok()
                && db.insert(APPLIED, mark).is_ok()
        });
        if kept != Some(true) {
            tracing::warn!("the index cannot be written; the journal answers alone");
            *self = Self::Without;
        }
    }

    /// Where a record begins, if that is known.
    pub(super) fn place(&self, seq: Seq) -> Option<Position> {
        let Self::Open { places, .. } = self else {
            return None;
        };
        let value = caught(|| places.get(seq.0.to_be_bytes()))?.ok()??;
        let (found, position) = decode_position(unsealed(&value)?)?;
        (found == seq).then_some(position)
    }
}
