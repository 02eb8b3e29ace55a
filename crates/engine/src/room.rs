//! Owns the question whether a disk has any room, and the words for one that has none. It frees nothing, and what
//! follows from too little is the core's.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use turno_core::room::{Bytes, Lack, Room, Tight};

/// Less than this is as good as nothing: whatever is done next writes as much.
const LITTLE: u64 = 32 << 10;
/// Whoever could not write a file and does not say why had less than this: git removes the part that it had written.
const SCARCE: u64 = 256 << 20;

/// The room below which nothing is started; 0 for no floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Space.
    pub free: Bytes,
    /// How many further files.
    pub files: u64,
}

/// What a disk has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    space: u64,
    /// Some file systems have no fixed number of files: none.
    files: Option<u64>,
}

impl Left {
    /// None when the disk cannot be asked.
    fn at(path: &Path) -> Option<Self> {
        let disk = nix::sys::statvfs::statvfs(path).ok()?;
        Some(Self {
            space: disk.blocks_available().saturating_mul(disk.fragment_size()),
            // They say that there are none at all.
            files: (disk.files() > 0).then(|| disk.files_available()),
        })
    }

    /// What of it is below a floor. What was below it before must be a tenth above it, so that a disk at the floor
    /// does not make work begin and wait in turn.
    fn lacks(self, floor: Floor, was: impl Fn(&Lack) -> bool) -> Vec<Lack> {
        let too_little = |free: u64, floor: u64, lack: Lack| {
            let least = if was(&lack) {
                floor.saturating_add(floor / 10)
            } else {
                floor
            };
            (free < least).then_some(lack)
        };
        let space = Lack::Space {
            free: Bytes(self.space),
            floor: floor.free,
        };
        let files = self.files.and_then(|free| {
            let floor = floor.files;
            too_little(free, floor, Lack::Files { free, floor })
        });
        too_little(self.space, floor.free.0, space)
            .into_iter()
            .chain(files)
            .collect()
    }
}

/// The disks of some directories that have too little room, each disk once. What cannot be asked stays as it was.
pub fn tight(places: &[PathBuf], floor: Floor, known: &Room) -> Vec<Tight> {
    let mut disks = BTreeSet::new();
    let mut found = Vec::new();
    for place in places {
        // What is not there yet is made on a disk that another of them is on.
        let Ok(meta) = std::fs::metadata(place) else {
            continue;
        };
        if !disks.insert(meta.dev()) {
            continue;
        }
        let at = place.display().to_string();
        let tight = |lack| Tight { at: at.clone(), lack };
        let was = |lack: &Lack| known.tight().any(|t| t.is_about(&tight(*lack)));
        match Left::at(place) {
            Some(left) => found.extend(left.lacks(floor, was).into_iter().map(tight)),
            None => found.extend(known.tight().filter(|t| t.at == at).cloned()),
        }
    }
    found
}

/// The same where it is news: another disk has too little, or one has enough again.
pub(crate) fn news(places: &[PathBuf], floor: Floor, known: &Room) -> Option<Vec<Tight>> {
    let found = tight(places, floor, known);
    let same = found.len() == known.tight().count()
        && found.iter().all(|new| known.tight().any(|old| old.is_about(new)));
    (!same).then_some(found)
}

/// Whether nothing can be written at a path. What cannot be asked is taken to have room.
pub(crate) fn is_none(path: &Path) -> bool {
    is_below(path, LITTLE)
}

/// Whether there is so little that a large file may not fit.
pub(crate) fn is_scarce(path: &Path) -> bool {
    is_below(path, SCARCE)
}

fn is_below(path: &Path, bytes: u64) -> bool {
    Left::at(path).is_some_and(|left| left.space < bytes || left.files == Some(0))
}

/// What to do about it.
pub(crate) fn words(at: &[PathBuf]) -> String {
    let paths: Vec<_> = at.iter().map(|p| p.display().to_string()).collect();
    format!(
        "the disk is full at {}: free some space there, then try again",
        paths.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use turno_core::room::{Bytes, Lack, Room, Tight};
    use turno_core::units::Timestamp;

    use super::{Floor, Left, news};

    const FLOOR: Floor = Floor {
        free: Bytes(1000),
        files: 100,
    };

    fn lacks(space: u64, files: Option<u64>, was: bool) -> usize {
        Left { space, files }.lacks(FLOOR, |_| was).len()
    }

    #[test]
    fn the_floor_is_crossed_downwards_at_once_and_upwards_a_tenth_later() {
        assert_eq!(lacks(1000, Some(100), false), 0);
        assert_eq!(lacks(999, Some(100), false), 1);
        assert_eq!(lacks(999, Some(99), false), 2);
        assert_eq!(lacks(1099, Some(110), true), 1);
        assert_eq!(lacks(1100, Some(109), true), 1);
        assert_eq!(lacks(1100, Some(110), true), 0);
    }

    #[test]
    fn a_disk_without_a_number_of_files_and_a_floor_of_nothing_lack_nothing() {
        assert_eq!(lacks(1000, None, true), 1, "only space");
        let off = Floor {
            free: Bytes(0),
            files: 0,
        };
        let nothing = Left {
            space: 0,
            files: Some(0),
        };
        assert_eq!(nothing.lacks(off, |_| true), []);
    }

    #[test]
    fn what_is_known_is_no_news() {
        let dir = std::env::temp_dir();
        let nobody_has = Floor {
            free: Bytes(u64::MAX / 2),
            files: 0,
        };
        let places = [dir.clone(), dir.join(".."), dir.join("not-there")];
        let found = news(&places[..1], nobody_has, &Room::Enough).unwrap();
        let [first] = &found[..] else { panic!("{found:?}") };
        let mut first = first.clone();
        // How much it was does not matter.
        first.lack = Lack::Space {
            free: Bytes(1),
            floor: Bytes(2),
        };
        let known = Room::Short {
            since: Timestamp(0),
            first: first.clone(),
            others: Vec::new(),
        };
        assert_eq!(news(&places[..1], nobody_has, &known), None);
        let off = Floor {
            free: Bytes(0),
            files: 0,
        };
        assert_eq!(news(&places[..1], off, &known), Some(Vec::new()));
        let elsewhere = Room::Short {
            since: Timestamp(0),
            first: Tight {
                at: "/elsewhere".to_owned(),
                ..first
            },
            others: Vec::new(),
        };
        assert!(news(&places, nobody_has, &elsewhere).is_some());
    }
}
