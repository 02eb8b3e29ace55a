//! Owns what a change is looked through for: which paths are sensitive, what a secret looks like, which characters
//! nobody sees, how a test is switched off. It reads names and bytes; it must not read the repository itself, which
//! [`crate::git`] does, nor decide what follows.

pub(crate) mod paths;
pub(crate) mod secrets;
pub(crate) mod tests;
pub(crate) mod text;

use turno_core::guard::{GuardKind, Guarded};

/// So many findings of one kind are told; one more says how many there are.
const PER_KIND: usize = 25;

/// A finding about a file as a whole.
pub(crate) fn whole(kind: GuardKind, file: &str, what: impl Into<String>) -> Guarded {
    Guarded {
        kind,
        file: file.to_owned(),
        line: 0,
        what: what.into(),
    }
}

/// What the lines that a change adds to a file hold.
pub(crate) fn added_lines(file: &str, before: &[u8], now: &[u8]) -> Vec<Guarded> {
    let mut found = Vec::new();
    for (line, added) in text::added(before, now) {
        let at = |kind, what: String| Guarded {
            kind,
            file: file.to_owned(),
            line,
            what,
        };
        match secrets::secrets(added) {
            Ok(secrets) => found.extend(secrets.into_iter().map(|s| at(GuardKind::Secrets, s))),
            Err(e) => {
                return vec![whole(
                    GuardKind::Unseen,
                    file,
                    format!("nothing can be said of it: {e}"),
                )];
            }
        }
        let place = if line == 1 {
            text::Place::First
        } else {
            text::Place::Later
        };
        if let Some(hidden) = text::hidden(added, place) {
            found.push(at(GuardKind::HiddenText, hidden.phrase()));
        }
        if found.len() > 10 * PER_KIND {
            // So much is enough to act on, and no file may fill the memory with findings.
            break;
        }
    }
    found
}

/// Tests of a file that are switched off, or that are no longer there.
pub(crate) fn weakened(file: &str, before: &[u8], now: &[u8]) -> Vec<Guarded> {
    let looked = || {
        let mut found = Vec::new();
        for (line, added) in text::added(before, now) {
            if found.len() <= PER_KIND && tests::switches_off(added)? {
                found.push(Guarded {
                    kind: GuardKind::Tests,
                    file: file.to_owned(),
                    line,
                    what: "a test is switched off, or all others are".to_owned(),
                });
            }
        }
        let (had, has) = (tests::count(before)?, tests::count(now)?);
        if has < had {
            let what = format!("it had {had} test(s) and has {has}");
            found.push(whole(GuardKind::Tests, file, what));
        }
        Ok::<_, tests::Unreadable>(found)
    };
    looked().unwrap_or_else(|e| {
        vec![whole(
            GuardKind::Unseen,
            file,
            format!("its tests cannot be seen: {e}"),
        )]
    })
}

/// The findings in order, with those of each kind that go past a bound told as a number. Those that are not told by
/// name cannot be approved by name either, so the number itself is a finding that somebody must look at.
pub(crate) fn bounded(mut found: Vec<Guarded>) -> Vec<Guarded> {
    found.sort();
    found.dedup();
    let mut told = Vec::new();
    for kind in GuardKind::ALL {
        let of: Vec<Guarded> = found.extract_if(.., |g| g.kind == kind).collect();
        let more = of.len().saturating_sub(PER_KIND);
        told.extend(of.into_iter().take(PER_KIND));
        if more > 0 {
            let what = format!("{more} more of this kind were found and are not listed");
            told.push(whole(kind, &format!("(more {kind})"), what));
        }
    }
    told
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn many_findings_are_told_as_a_number_and_no_kind_is_lost() {
        let mut found: Vec<Guarded> = (0..1000)
            .map(|n| whole(GuardKind::Lockfiles, &format!("{n:04}/Cargo.lock"), "changed"))
            .collect();
        found.push(whole(GuardKind::Unseen, "x", "too large"));
        let told = bounded(found);
        assert_eq!(told.len(), PER_KIND + 2);
        assert!(
            told[PER_KIND].what.starts_with("975 more"),
            "{:?}",
            told[PER_KIND]
        );
        assert_eq!(told[PER_KIND + 1].kind, GuardKind::Unseen);
    }
}
