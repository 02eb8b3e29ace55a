//! `turno store`: looks the stored state through, makes its index anew, takes its records out and puts them into a
//! new one. None of it runs a rule or starts anything.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use turno_core::record::Record;
use turno_engine::store::{self, Checkup, Damage, Held, IndexHealth};
use turno_engine::workspace::{Error as WorkspaceError, Lock};

use crate::args::Store;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) fn run(scene: &Scene, verb: Store) -> Result<ExitCode, Failure> {
    match verb {
        Store::Check(verb) => {
            let (_lock, held) = hold(scene)?;
            let found = store::check(&scene.dirs.store(), held)?;
            if verb.json {
                print::json(&Shown::of(&found))?;
            } else {
                show(&found);
            }
            Ok(ExitCode::from(if found.is_sound() {
                exit::OK
            } else {
                exit::NEEDS_PERSON
            }))
        }
        Store::Rebuild => {
            let _lock = scene.dirs.lock()?;
            let (head, notes) = store::rebuild(&scene.dirs.store())?;
            for note in notes {
                print::warning(&note.to_string());
            }
            print::data(&format!("the index is made anew, up to record {head}"));
            Ok(ExitCode::from(exit::OK))
        }
        Store::Export { file } => export(scene, file.as_deref()),
        Store::Import { file } => {
            let _lock = scene.dirs.lock()?;
            let lines = || File::open(&file).map(BufReader::new);
            let head = store::import(&scene.dirs.store(), lines)?;
            print::data(&format!("{head} records are imported"));
            Ok(ExitCode::from(exit::OK))
        }
    }
}

/// Takes the store if it can be had: a journal can be looked through without it, an index cannot.
fn hold(scene: &Scene) -> Result<(Option<Lock>, Held), Failure> {
    if !scene.dirs.root().is_dir() {
        return Ok((None, Held::NotByUs));
    }
    match scene.dirs.lock() {
        Ok(lock) => Ok((Some(lock), Held::ByUs)),
        Err(WorkspaceError::Taken { .. } | WorkspaceError::Unusable { .. }) => Ok((None, Held::NotByUs)),
        Err(other) => Err(other.into()),
    }
}

fn export(scene: &Scene, file: Option<&Path>) -> Result<ExitCode, Failure> {
    let dir = scene.dirs.store();
    let mut lost = 0;
    let damage = |found: &Damage| {
        lost += 1;
        print::warning(&line_of(found));
    };
    match file {
        None => {
            let write =
                |record: &Record| print::json(record).map_err(|e| std::io::Error::other(e.to_string()));
            store::export(&dir, write, damage)?;
        }
        Some(path) => {
            let cannot = |e: std::io::Error| {
                Failure::cannot_start(format!(
                    "cannot write {}: {e}; name a new file on a disk with enough space",
                    path.display()
                ))
            };
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .map_err(cannot)?;
            let mut out = BufWriter::new(file);
            let mut count = 0_u64;
            let write = |record: &Record| {
                count += 1;
                store::write_line(&mut out, record)
            };
            store::export(&dir, write, damage)?;
            out.flush()
                .and_then(|()| out.get_ref().sync_all())
                .map_err(cannot)?;
            print::note(&format!("{count} records are in {}", path.display()));
        }
    }
    Ok(ExitCode::from(if lost == 0 {
        exit::OK
    } else {
        exit::NEEDS_PERSON
    }))
}

fn line_of(damage: &Damage) -> String {
    let bytes = match damage.bytes {
        0 => String::new(),
        n => format!(", {n} bytes"),
    };
    format!(
        "{} cannot be read: {} at byte {}{bytes}: {}",
        damage.records(),
        damage.path.display(),
        damage.offset,
        damage.why
    )
}

fn index_words(index: &IndexHealth) -> String {
    match index {
        IndexHealth::Agrees => "agrees with the journal".to_owned(),
        IndexHealth::Behind { head } => {
            format!("knows up to record {head}; it is brought up when the store is next opened")
        }
        IndexHealth::Absent => {
            "there is none that can be relied on; it is made when the store is next opened".to_owned()
        }
        IndexHealth::InUse => {
            "not looked at: a coordinator has it, or the directory cannot be written".to_owned()
        }
        IndexHealth::Ahead { head } => format!(
            "knows of record {head}, which the journal does not have; `turno store rebuild` makes it anew"
        ),
        IndexHealth::Differs => {
            "says something else than the journal; `turno store rebuild` makes it anew".to_owned()
        }
        IndexHealth::Unreadable => "cannot be read; `turno store rebuild` makes it anew".to_owned(),
        IndexHealth::Unknown { head } => {
            format!("knows up to record {head}; there is no whole journal to hold it against")
        }
    }
}

fn show(found: &Checkup) {
    print::data(&format!("journal   {}", found.journal.display()));
    print::data(&format!(
        "records   {} in {} files, the last is {}, checksum {:08x}",
        found.records, found.segments, found.head, found.sum
    ));
    print::data(&format!("index     {}", index_words(&found.index)));
    if let Some(torn) = &found.torn {
        print::data(&format!(
            "end       {} bytes of {} from byte {} on were never acknowledged; they are set aside at the next start",
            torn.bytes,
            torn.path.display(),
            torn.offset
        ));
    }
    for damage in &found.damage {
        print::data(&format!("damage    {}", line_of(damage)));
    }
    if !found.damage.is_empty() {
        print::note(
            "Keep a copy of the state directory. `turno store export FILE` saves what can be read; the lines before \
             the first gap can be put into an empty state directory with `turno store import FILE`",
        );
    }
}

/// The same for programs.
#[derive(Serialize)]
struct Shown<'a> {
    journal: &'a Path,
    segments: usize,
    records: u64,
    head: u64,
    checksum: String,
    sound: bool,
    index: ShownIndex,
    torn: Option<ShownDamage<'a>>,
    damage: Vec<ShownDamage<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
enum ShownIndex {
    Agrees,
    Behind { head: u64 },
    Absent,
    InUse,
    Ahead { head: u64 },
    Differs,
    Unreadable,
    Unknown { head: u64 },
}

#[derive(Serialize)]
struct ShownDamage<'a> {
    file: &'a Path,
    offset: u64,
    bytes: u64,
    /// The first record that is missing.
    from: u64,
    /// The last one, unless nothing whole comes after it.
    to: Option<u64>,
    why: &'a str,
}

impl<'a> ShownDamage<'a> {
    fn of(damage: &'a Damage) -> Self {
        Self {
            file: &damage.path,
            offset: damage.offset,
            bytes: damage.bytes,
            from: damage.from.0,
            to: damage.to.map(|to| to.0),
            why: &damage.why,
        }
    }
}

impl<'a> Shown<'a> {
    fn of(found: &'a Checkup) -> Self {
        Self {
            journal: &found.journal,
            segments: found.segments,
            records: found.records,
            head: found.head.0,
            checksum: format!("{:08x}", found.sum),
            sound: found.is_sound(),
            index: match found.index {
                IndexHealth::Agrees => ShownIndex::Agrees,
                IndexHealth::Behind { head } => ShownIndex::Behind { head: head.0 },
                IndexHealth::Absent => ShownIndex::Absent,
                IndexHealth::InUse => ShownIndex::InUse,
                IndexHealth::Ahead { head } => ShownIndex::Ahead { head: head.0 },
                IndexHealth::Differs => ShownIndex::Differs,
                IndexHealth::Unreadable => ShownIndex::Unreadable,
                IndexHealth::Unknown { head } => ShownIndex::Unknown { head: head.0 },
            },
            torn: found.torn.as_ref().map(ShownDamage::of),
            damage: found.damage.iter().map(ShownDamage::of).collect(),
        }
    }
}
