//! Owns sorting what lies in an object directory that a hostile program wrote: objects are moved to where git may
//! see them, and everything else stays where nobody looks. It must not run git.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::lend::names;
use super::{Error, Lent, Odd, io};

/// No more oddities than this are told.
const TOLD: usize = 100;
/// Where the objects are when they are sorted.
pub(super) const TAKEN: &str = "taken";

/// Whether the objects can be looked at.
pub(super) enum Sorted {
    Ready,
    TooMuch { bytes: u64 },
}

/// Moves every loose object and every pack to a directory that nobody but Turno has ever written, and leaves
/// everything else where it is: alternates, marks that keep packs, graphs and maps that git would believe.
pub(super) fn sort(lent: &Lent, odd: &mut Vec<Odd>) -> Result<Sorted, Error> {
    let (from, to) = (lent.dir.join(names::OBJECTS), lent.dir.join(TAKEN));
    let mut moves = Vec::new();
    let mut bytes = size_of(&to);
    let mut planted = |path| {
        if odd.len() < TOLD {
            odd.push(Odd::Planted { path });
        }
    };
    for entry in list(&from)? {
        let name = entry.file_name();
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        let known = name == "pack" || name == "info" || is_hex(name.as_bytes(), 2);
        if !known || !is_dir {
            planted(name.into());
            continue;
        }
        let Ok(inside) = list(&entry.path()) else {
            planted(name.into());
            continue;
        };
        for inner in inside {
            let file = inner.file_name();
            let path = Path::new(&name).join(&file);
            let good = match name.as_bytes() {
                b"info" => {
                    // The one that is Turno's own may have been rewritten; it is not used any more.
                    if file != "alternates" && file != "packs" && file != "commit-graph" {
                        planted(path);
                    }
                    continue;
                }
                b"pack" => pack_file(file.as_bytes()),
                _ if is_hex(file.as_bytes(), 38) || is_hex(file.as_bytes(), 62) => File::Object,
                _ => File::Unknown,
            };
            let meta = inner.metadata().map_err(io("look at", &inner.path()))?;
            match good {
                File::Object if meta.is_file() => {
                    bytes += meta.len();
                    moves.push(path);
                }
                File::Helper if meta.is_file() => {}
                File::Object | File::Helper | File::Unknown => planted(path),
            }
        }
    }
    if bytes > lent.object_limit {
        return Ok(Sorted::TooMuch { bytes });
    }
    for dir in ["pack", "info"] {
        fs::create_dir_all(to.join(dir)).map_err(io("create", &to))?;
    }
    for path in moves {
        let whole = to.join(&path);
        if let Some(dir) = whole.parent() {
            fs::create_dir_all(dir).map_err(io("create", dir))?;
        }
        fs::rename(from.join(&path), &whole).map_err(io("move", &whole))?;
    }
    Ok(Sorted::Ready)
}

enum File {
    Object,
    /// Git makes it to be faster, and does without it.
    Helper,
    Unknown,
}

fn pack_file(name: &[u8]) -> File {
    let Some((stem, extension)) = std::str::from_utf8(name).ok().and_then(|n| n.rsplit_once('.')) else {
        return match name {
            b"multi-pack-index" => File::Helper,
            _ => File::Unknown,
        };
    };
    let id = stem.strip_prefix("pack-").unwrap_or_default().as_bytes();
    match extension {
        _ if !is_hex(id, 40) && !is_hex(id, 64) => File::Unknown,
        "pack" | "idx" => File::Object,
        "rev" | "bitmap" | "mtimes" => File::Helper,
        _ => File::Unknown,
    }
}

fn is_hex(name: &[u8], digits: usize) -> bool {
    name.len() == digits && name.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn list(dir: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(io("list", dir)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(io("list", dir)(e)),
    }
}

/// What an earlier try has sorted already.
fn size_of(dir: &Path) -> u64 {
    let below = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = below(dir).flat_map(|d| below(&d.path()).filter_map(|f| Some(f.metadata().ok()?.len())));
    sizes.sum()
}
