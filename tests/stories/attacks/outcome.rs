//! Owns what an attack came to, in a fixed number of words. Whether it succeeded is seen from outside; the rest is read
//! from its own complaints, and only tells a reader why.

use std::fmt;

/// What came of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It did what it was after.
    Succeeded,
    /// The kernel, or Turno, said no.
    Refused,
    /// What it was after cannot be seen from where it is.
    NothingThere,
    /// Nobody complained, and nothing came of it: what it changed was its own.
    NoEffect,
    /// Its attempt was ended.
    Ended,
    /// It waited until its time was over.
    InVain,
}

/// How an attack's own script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Its exit code.
    pub(super) code: i32,
    /// What it wrote to its errors.
    pub(super) words: String,
}

/// What `timeout` ends with when it had to end something.
const TIME_OVER: [i32; 2] = [124, 137];

/// The words by which the system says no.
const NO: [&str; 12] = [
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Invalid cross-device link",
    "Cross-device link",
    "Connection refused",
    "Network is unreachable",
    "Couldn't connect",
    "protocol not supported",
    "not allowed",
    "File too large",
    "Too many open files",
];

/// The words by which it says that there is nothing.
const NOTHING: [&str; 8] = [
    "No such file",
    "No such process",
    "nonexistent",
    "not found",
    "does not exist",
    "does not appear to be a git repository",
    "not a valid",
    "not a git repository",
];

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Succeeded,
        Self::Refused,
        Self::NothingThere,
        Self::NoEffect,
        Self::Ended,
        Self::InVain,
    ];

    /// Of an attack that did not succeed, by its complaint; none where its attempt ended before it could say one.
    pub(super) fn of_failed(complaint: Option<&Complaint>) -> Self {
        let Some(Complaint { code, words }) = complaint else {
            return Self::Ended;
        };
        if TIME_OVER.contains(code) {
            return Self::InVain;
        }
        let first = |all: &[&str]| all.iter().filter_map(|w| words.find(w)).min();
        match (first(&NO), first(&NOTHING), code) {
            (Some(no), Some(nothing), _) if nothing < no => Self::NothingThere,
            (Some(_), _, _) => Self::Refused,
            (None, Some(_), _) => Self::NothingThere,
            (None, None, 0) => Self::NoEffect,
            (None, None, _) => Self::Refused,
        }
    }

    /// What is written in a table.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.to_string() == text)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "**succeeds**",
            Self::Refused => "refused",
            Self::NothingThere => "nothing there",
            Self::NoEffect => "no effect",
            Self::Ended => "attempt ended",
            Self::InVain => "waited in vain",
        })
    }
}

#[test]
fn a_complaint_is_read_by_its_first_words() {
    let of = |code, words: &str| {
        Outcome::of_failed(Some(&Complaint {
            code,
            words: words.to_owned(),
        }))
    };
    assert_eq!(
        of(1, "mkdir: x: Permission denied sh: x: No such file"),
        Outcome::Refused
    );
    assert_eq!(
        of(2, "cannot create x: Directory nonexistent"),
        Outcome::NothingThere
    );
    assert_eq!(of(0, ""), Outcome::NoEffect);
    assert_eq!(of(124, "Permission denied"), Outcome::InVain);
    assert_eq!(Outcome::of_failed(None), Outcome::Ended);
    for outcome in Outcome::ALL {
        assert_eq!(Outcome::parse(&outcome.to_string()), Some(outcome));
    }
}
