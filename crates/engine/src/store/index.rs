//! The only file that names sled. Owns the derived part of the store: the current entities and where each
//! record lies. All of it can be rebuilt from the journal, and is whenever anything about it is doubtful.
//!
//! sled's own flush issues no fsync and its damage shows as a panic (measured), so nothing is acknowledged on
//! its word, every value carries a checksum, and opening it is fenced.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

use turno_core::State;
use turno_core::ids::Seq;
use turno_core::state::Entity;

use super::journal::Place;
use super::walk::Position;

const CACHE_BYTES: u64 = 16 << 20;
/// Written together with the entities; no entity is called so.
const APPLIED: &[u8] = b"\0applied";
/// Of so many records the place of one is kept; the others are found by reading on from there.
const EVERY: u64 = 64;

/// What the index knew when it was opened.
pub(super) enum Loaded {
    /// The state after that record.
    Known {
        state: Box<State>,
        seq: Seq,
        place: Place,
    },
    /// Nothing that can be relied on.
    Nothing,
}

/// What the index takes of a committed record.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which record.
    pub(super) seq: Seq,
    /// Where it lies.
    pub(super) place: Place,
    /// The entities as they became.
    pub(super) changes: Vec<Entity>,
}

/// Whether the place of a record is kept.
pub(super) fn is_kept(seq: Seq) -> bool {
    seq.0.is_multiple_of(EVERY)
}

/// The sums of all entities: sled may lose one without a word, and then what they add up to is not what was marked.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    all: Arc<Mutex<BTreeMap<Vec<u8>, u32>>>,
}

impl Sums {
    fn put(&self, key: &[u8], value: &[u8]) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.to_owned(), crc32c::crc32c(value));
    }

    fn clear(&self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Over keys and sums in their order.
    fn total(&self) -> u32 {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold(0, |total, (key, sum)| {
            crc32c::crc32c_append(crc32c::crc32c_append(total, key), &sum.to_be_bytes())
        })
    }
}

/// The open index; without one, when sled cannot be used, every question is answered by the journal.
#[derive(Debug, Clone)]
pub(super) enum Index {
    Open {
        db: sled::Db,
        entities: sled::Tree,
        places: sled::Tree,
        sums: Sums,
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

fn encode_place(seq: Seq, place: &Place) -> Vec<u8> {
    let Place { begins, ends, sum } = place;
    [
        seq.0,
        begins.segment,
        begins.offset,
        ends.segment,
        ends.offset,
        u64::from(*sum),
    ]
    .iter()
    .flat_map(|n| n.to_be_bytes())
    .collect()
}

fn decode_place(value: &[u8]) -> Option<(Seq, Place)> {
    let mut numbers = value
        .chunks_exact(8)
        .map(|c| c.try_into().map(u64::from_be_bytes));
    let mut next = || numbers.next()?.ok();
    let seq = Seq(next()?);
    let mut position = || {
        Some(Position {
            segment: next()?,
            offset: next()?,
        })
    };
    let place = Place {
        begins: position()?,
        ends: position()?,
        sum: u32::try_from(next()?).ok()?,
    };
    Some((seq, place))
}

thread_local! {
    /// What a panic said that is caught on this thread; `None` outside of the fence.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// sled meets damage with a panic: caught, because the journal heals it, and told in the log instead of on the
/// terminal. Panics of other threads are shown as ever.
fn fenced<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours =
                SAID.with_borrow_mut(|said| said.as_mut().map(|said| *said = info.to_string()).is_some());
            if !ours {
                before(info);
            }
        }));
    });
    SAID.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(work));
    let said = SAID.take().unwrap_or_default();
    if result.is_err() {
        let said = said.replace('\n', " ");
        tracing::warn!(%said, "the index met damage");
    }
    result.ok()
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

    /// Opens the index only to look at it; leaves a broken one where it is.
    pub(super) fn look(dir: &Path) -> Option<(Self, Loaded)> {
        fenced(|| Self::try_open(dir))?
    }

    fn try_open(dir: &Path) -> Option<(Self, Loaded)> {
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .open()
            .ok()?;
        let entities = db.open_tree("entities").ok()?;
        let places = db.open_tree("places").ok()?;
        let sums = Sums::default();
        let loaded = Self::load(&entities, &sums).unwrap_or(Loaded::Nothing);
        let open = Self::Open {
            db,
            entities,
            places,
            sums,
        };
        Some((open, loaded))
    }

    fn load(entities: &sled::Tree, sums: &Sums) -> Option<Loaded> {
        let applied = entities.get(APPLIED).ok()??;
        let (mark, total) = unsealed(&applied)?.split_last_chunk::<4>()?;
        let (seq, place) = decode_place(mark)?;
        let mut state = State::default();
        for pair in entities.iter() {
            let (key, value) = pair.ok()?;
            if key == APPLIED {
                continue;
            }
            sums.put(&key, &value);
            let entity: Entity = serde_json::from_slice(unsealed(&value)?).ok()?;
            state.put(entity);
        }
        if sums.total().to_be_bytes() != *total {
            return None;
        }
        Some(Loaded::Known {
            state: Box::new(state),
            seq,
            place,
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if let Self::Open {
            entities,
            places,
            sums,
            ..
        } = self
        {
            sums.clear();
            let cleared = fenced(|| entities.clear().is_ok() && places.clear().is_ok());
            if cleared != Some(true) {
                *self = Self::Without;
            }
        }
    }

    /// Takes committed records in, in their order.
    pub(super) fn put(&mut self, entries: &[Entry]) {
        let Some(last) = entries.last() else { return };
        let changes = entries.iter().flat_map(|entry| &entry.changes);
        let places = entries.iter().map(|entry| (entry.seq, entry.place));
        self.put_all(changes, places, (last.seq, last.place));
    }

    /// Takes entities and places in, up to a last record. The mark comes with the entities, in one piece.
    pub(super) fn put_all<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Entity>,
        kept: impl Iterator<Item = (Seq, Place)>,
        last: (Seq, Place),
    ) {
        let Self::Open {
            entities,
            places,
            sums,
            ..
        } = &*self
        else {
            return;
        };
        // Of several changes of one entity only the last is of interest.
        let newest: BTreeMap<String, &Entity> = changes.map(|entity| (entity.key(), entity)).collect();
        let mut changed = sled::Batch::default();
        for (key, entity) in &newest {
            if let Ok(json) = serde_json::to_vec(entity) {
                let value = sealed(&json);
                sums.put(key.as_bytes(), &value);
                changed.insert(key.as_bytes(), value);
            }
        }
        let mut lie = sled::Batch::default();
        for (seq, place) in kept.filter(|(seq, _)| is_kept(*seq)) {
            lie.insert(&seq.0.to_be_bytes(), sealed(&encode_place(seq, &place)));
        }
        let mut mark = encode_place(last.0, &last.1);
        mark.extend_from_slice(&sums.total().to_be_bytes());
        changed.insert(APPLIED, sealed(&mark));
        let kept = fenced(|| places.apply_batch(lie).is_ok() && entities.apply_batch(changed).is_ok());
        if kept != Some(true) {
            tracing::warn!("the index cannot be written; the journal answers alone");
            *self = Self::Without;
        }
    }

    /// Where a record begins that is this one or a little before it, if one is known.
    pub(super) fn before(&self, seq: Seq) -> Option<(Seq, Position)> {
        let Self::Open { places, .. } = self else {
            return None;
        };
        let past = seq.0.checked_add(1)?.to_be_bytes();
        let (_, value) = fenced(|| places.get_lt(past))?.ok()??;
        let (found, place) = decode_place(unsealed(&value)?)?;
        (found <= seq).then_some((found, place.begins))
    }

    /// Waits until what was taken in is written. Nothing relies on it.
    pub(super) fn flush(&self) {
        if let Self::Open { db, .. } = self {
            let flushed = fenced(|| db.flush().is_ok());
            if flushed != Some(true) {
                tracing::debug!("the index was not flushed");
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Whether sled itself panics when this is opened and read through.
    pub(in super::super) fn sled_panics(dir: &Path) -> bool {
        let read = || -> sled::Result<usize> {
            let db = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).open()?;
            let mut read = 0;
            for name in db.tree_names() {
                read += db.open_tree(name)?.iter().flatten().count();
            }
            Ok(read)
        };
        catch_unwind(AssertUnwindSafe(read)).is_err()
    }

    #[test]
    fn an_entity_that_is_lost_without_a_word_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let (state, seq, place) = {
            let (store, state) = crate::store::tests::filled(dir.path(), 5);
            drop(store);
            let (_, loaded) = Index::open(&dir.path().join("index"));
            let Loaded::Known {
                state: known,
                seq,
                place,
            } = loaded
            else {
                panic!("it is whole")
            };
            assert_eq!(*known, state);
            (state, seq, place)
        };
        assert_eq!((seq, state.issues.len()), (Seq(5), 5));
        assert!(place.ends > place.begins);
        let (index, _) = Index::open(&dir.path().join("index"));
        let Index::Open { entities, .. } = &index else {
            panic!("it opens")
        };
        let key = entities.iter().keys().flatten().find(|k| k != APPLIED).unwrap();
        entities.remove(key).unwrap();
        entities.flush().unwrap();
        drop(index);
        let (_, loaded) = Index::open(&dir.path().join("index"));
        assert!(matches!(loaded, Loaded::Nothing));
    }
}
