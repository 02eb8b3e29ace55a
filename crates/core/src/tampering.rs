//! Owns what is said about a repository that is not as it was before an attempt, though nothing of Turno's changed
//! it: what it was, what it is, and what was done about it. It must not judge who did it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// At most this many are told about one attempt.
const TOLD: usize = 100;

/// One thing of the repository that changed while an attempt ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tampering {
    /// A branch, a tag, the stash or a ref of Turno's own.
    Ref {
        /// Its full name.
        name: String,
        /// Where it was.
        was: RefAt,
        /// Where it was found.
        found: RefAt,
        /// What was done about it.
        then: Then,
    },
    /// What a checkout of the user's has checked out.
    Head {
        /// Which checkout.
        checkout: String,
        /// What was checked out.
        was: RefAt,
        /// What was found.
        found: RefAt,
        /// What was done about it.
        then: Then,
    },
    /// What is staged in the user's checkout.
    Index {
        /// Which checkout.
        checkout: String,
    },
    /// A hook, or a file that tells git what to do.
    File {
        /// Its path below the repository's `.git`.
        path: String,
        /// How it changed.
        change: Change,
        /// What was done about it.
        then: Then,
    },
    /// A worktree that is not one of Turno's.
    Worktree {
        /// Its name below `.git/worktrees`.
        name: String,
        /// How it changed.
        change: Change,
    },
    /// So many more.
    More {
        /// How many.
        count: usize,
    },
}

/// Where a ref is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefAt {
    /// Nowhere.
    Absent,
    /// At the object of this id.
    Object(String),
    /// Where the ref of this name is.
    Ref(String),
    /// It holds something else.
    Odd,
}

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there before.
    Appeared,
    /// It is another one.
    Changed,
    /// It is not there any more.
    Vanished,
}

/// What was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It is as it was; what was found was of no worth.
    PutBack,
    /// It is as it was; what was found is kept.
    PutBackAndKept {
        /// As which file or ref.
        at: String,
    },
    /// Nothing: it may be the user's own doing.
    LeftAlone,
    /// It could not be put back.
    NotPutBack {
        /// Why.
        why: String,
    },
}

impl Tampering {
    /// The first hundred of them, and how many more there are.
    pub fn bounded(mut all: Vec<Self>) -> Vec<Self> {
        let count = all.len().saturating_sub(TOLD - 1);
        if count > 1 {
            all.truncate(TOLD - 1);
            all.push(Self::More { count });
        }
        all
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref {
                name,
                was,
                found,
                then,
            } => write!(f, "{name} was {was} and is found {found}; {then}"),
            Self::Head {
                checkout,
                was,
                found,
                then,
            } => write!(f, "HEAD of {checkout} was {was} and is found {found}; {then}"),
            Self::Index { checkout } => {
                write!(f, "what is staged in {checkout} changed; {}", Then::LeftAlone)
            }
            Self::File { path, change, then } => write!(f, ".git/{path} {change}; {then}"),
            Self::Worktree { name, change } => {
                write!(f, "the worktree {name} {change}; {}", Then::LeftAlone)
            }
            Self::More { count } => write!(f, "and {count} more"),
        }
    }
}

impl fmt::Display for RefAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Object(id) => write!(f, "at {}", id.get(..10).unwrap_or(id)),
            Self::Ref(name) => write!(f, "on {name}"),
            Self::Odd => f.write_str("unreadable"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Vanished => "vanished",
        })
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutBack => f.write_str("it was put back"),
            Self::PutBackAndKept { at } => write!(f, "it was put back, what was found is kept as {at}"),
            Self::LeftAlone => f.write_str("left alone, it may be your own doing"),
            Self::NotPutBack { why } => write!(f, "it could not be put back: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(count: usize) -> Vec<Tampering> {
        let one = |n| Tampering::Index {
            checkout: format!("{n}"),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_flood_is_counted_and_not_told() {
        assert_eq!(Tampering::bounded(some(100)), some(100));
        let told = Tampering::bounded(some(1000));
        assert_eq!(told.len(), 100);
        assert_eq!(told[99], Tampering::More { count: 901 });
    }

    #[test]
    fn it_is_told_in_words() {
        let moved = Tampering::Ref {
            name: "refs/heads/turno/7/base".into(),
            was: RefAt::Object("0123456789abcdef".into()),
            found: RefAt::Absent,
            then: Then::PutBack,
        };
        assert_eq!(
            moved.to_string(),
            "refs/heads/turno/7/base was at 0123456789 and is found absent; it was put back"
        );
        let hook = Tampering::File {
            path: "hooks/pre-commit".into(),
            change: Change::Appeared,
            then: Then::PutBackAndKept { at: "/x".into() },
        };
        assert_eq!(
            hook.to_string(),
            ".git/hooks/pre-commit appeared; it was put back, what was found is kept as /x"
        );
        let text = serde_json::to_string(&hook).unwrap();
        assert!(
            text.contains(r#""then":{"put-back-and-kept":{"at":"/x"}}"#),
            "{text}"
        );
    }
}
