//! Owns the writes to what all worktrees share: commits made from trees, and refs moved by compare-and-swap.
//! Only refs that are a [`TurnoRef`] can be moved here.

use std::fmt;
use std::path::Path;

use chrono::Utc;
use turno_core::ids::{CommitId, TreeId};
use turno_core::tampering::RefAt;

use super::guarded;
use super::{CommitMessage, Error, Place, Repo, Trailers, TurnoRef, carries, with_trailers};

/// Who commits what nobody else committed.
pub(super) const NAME: &str = "Turno";
/// Its address; never a real one.
pub(super) const EMAIL: &str = "turno@localhost";
/// How many salvage refs may be tried for one moment.
const SALVAGE_TRIES: u32 = 1000;

/// Where a ref is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nowhere: it is made.
    Absent,
    /// At this commit.
    At(CommitId),
    /// Anywhere: it is forced.
    Anywhere,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("to be absent"),
            Self::At(commit) => write!(f, "at {}", commit.short()),
            Self::Anywhere => f.write_str("anywhere"),
        }
    }
}

/// Where a ref is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nowhere.
    Absent,
    /// At this commit.
    At(CommitId),
}

impl Found {
    fn meets(&self, expected: &Expected) -> bool {
        match (self, expected) {
            (_, Expected::Anywhere) | (Self::Absent, Expected::Absent) => true,
            (Self::At(a), Expected::At(b)) => a == b,
            (Self::Absent, Expected::At(_)) | (Self::At(_), Expected::Absent) => false,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::At(commit) => write!(f, "at {}", commit.short()),
        }
    }
}

/// Who a commit is said to be by.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// Turno.
    Turno,
    /// The author of a commit that is made again.
    Author {
        name: String,
        email: String,
        when: String,
    },
}

impl Repo {
    /// Moves a ref of Turno's if it is where it is expected.
    pub async fn move_ref(&self, name: &TurnoRef, new: &CommitId, expected: &Expected) -> Result<(), Error> {
        self.move_any_ref(name.full(), new, expected, "turno").await
    }

    pub(super) async fn move_any_ref(
        &self,
        full: &str,
        new: &CommitId,
        expected: &Expected,
        why: &str,
    ) -> Result<(), Error> {
        let _gate = self.inner.gate.lock().await;
        let mut call =
            self.git(Place::Shared)
                .args(["update-ref", "--no-deref", "-m", why, full, new.as_str()]);
        match expected {
            Expected::Absent => call = call.args(["0".repeat(new.as_str().len())]),
            Expected::At(commit) => call = call.args([commit.as_str()]),
            Expected::Anywhere => {}
        }
        let begun = self.ledger().begin(full, RefAt::Object(new.to_string()));
        match call.done().await {
            Ok(()) => {
                self.ledger().done(&begun);
                Ok(())
            }
            Err(error) => Err(self.ref_error(full, expected, error)?),
        }
    }

    /// Deletes a ref of Turno's if it is where it is expected. One that is absent already is no error.
    pub async fn delete_ref(&self, name: &TurnoRef, expected: &Expected) -> Result<(), Error> {
        let _gate = self.inner.gate.lock().await;
        let mut call = self
            .git(Place::Shared)
            .args(["update-ref", "--no-deref", "-d", name.full()]);
        if let Expected::At(commit) = expected {
            call = call.args([commit.as_str()]);
        }
        let begun = self.ledger().begin(name.full(), RefAt::Absent);
        match call.done().await {
            Ok(()) => {
                self.ledger().done(&begun);
                Ok(())
            }
            Err(error) => match self.read_ref(name)? {
                Found::Absent => Ok(()),
                Found::At(_) => Err(self.ref_error(name.full(), expected, error)?),
            },
        }
    }

    /// Makes a ref what it was, wherever it is now. The gate must be held. A file that git cannot take for a ref is
    /// moved aside.
    pub(super) async fn put_ref_back(&self, full: &str, was: &RefAt, aside: &Path) -> Result<(), Error> {
        let begun = self.ledger().begin(full, was.clone());
        let call = || {
            let update = self.git(Place::Shared);
            match was {
                RefAt::Object(id) => {
                    update.args(["update-ref", "--no-deref", "-m", "turno: put back", full, id])
                }
                RefAt::Ref(name) => update.args(["symbolic-ref", "-m", "turno: put back", full, name]),
                RefAt::Absent | RefAt::Odd => update.args(["update-ref", "--no-deref", "-d", full]),
            }
        };
        if let Err(error) = call().done().await {
            let file = Path::new(full);
            guarded::put_back(self.common_dir(), file, &guarded::Content::Absent, aside)
                .map_err(|_| error)?;
            call().done().await?;
        }
        self.ledger().done(&begun);
        Ok(())
    }

    /// What really went wrong, told by where the ref is now and not by git's words.
    fn ref_error(&self, full: &str, expected: &Expected, error: Error) -> Result<Error, Error> {
        let found = self.read_any_ref(full)?;
        if !found.meets(expected) {
            return Ok(Error::Raced {
                name: full.to_owned(),
                expected: expected.clone(),
                found,
            });
        }
        Ok(match error {
            Error::Git { stderr, .. } if stderr.contains("cannot create") => Error::InTheWay {
                name: full.to_owned(),
                detail: stderr,
            },
            other => other,
        })
    }

    /// Keeps a commit under a new salvage ref.
    pub(crate) async fn keep(&self, label: &str, commit: &CommitId) -> Result<TurnoRef, Error> {
        let now = Utc::now();
        for n in 0..SALVAGE_TRIES {
            let name = TurnoRef::salvage(label, now, n);
            match self.move_ref(&name, commit, &Expected::Absent).await {
                Ok(()) => return Ok(name),
                Err(Error::Raced { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        let name = TurnoRef::salvage(label, now, SALVAGE_TRIES).full().to_owned();
        Err(Error::InTheWay {
            name,
            detail: "every name for this moment is taken".into(),
        })
    }

    /// Whether any ref leads to a commit.
    pub(crate) async fn is_kept(&self, commit: &CommitId) -> Result<bool, Error> {
        let args = ["rev-list", "-1", commit.as_str(), "--not", "--glob=refs/*"];
        Ok(self.git(Place::Shared).args(args).bytes().await?.is_empty())
    }

    pub(crate) async fn commit_tree(
        &self,
        tree: &TreeId,
        parents: &[CommitId],
        message: &str,
        identity: &Identity,
    ) -> Result<CommitId, Error> {
        let mut call = self
            .git(Place::Shared)
            .args(["commit-tree", tree.as_str(), "-F", "-"]);
        for parent in parents {
            call = call.args(["-p", parent.as_str()]);
        }
        if let Identity::Author { name, email, when } = identity {
            // git refuses an empty name; such a commit is possible all the same.
            let name = if name.trim().is_empty() { "unknown" } else { name };
            call = call
                .env("GIT_AUTHOR_NAME", name)
                .env("GIT_AUTHOR_EMAIL", email)
                .env("GIT_AUTHOR_DATE", when);
        }
        let call = call.input(message.as_bytes().to_vec());
        let answer = call.text().await?;
        answer.parse().map_err(|_| Error::Answer {
            what: call.what(),
            answer: answer.clone(),
        })
    }

    /// A commit of Turno's own on top of `parent`.
    pub(crate) async fn commit_own(
        &self,
        tree: &TreeId,
        parent: &CommitId,
        message: &CommitMessage,
    ) -> Result<CommitId, Error> {
        self.commit_tree(
            tree,
            std::slice::from_ref(parent),
            &message.text(),
            &Identity::Turno,
        )
        .await
    }

    /// The commit itself if its message says where it came from, else the same commit with a message that does.
    pub(crate) async fn signed_off(&self, commit: &CommitId, trailers: &Trailers) -> Result<CommitId, Error> {
        let parts = self.commit_parts(commit)?;
        if carries(&parts.message, trailers) {
            return Ok(commit.clone());
        }
        let author = Identity::Author {
            name: parts.author,
            email: parts.email,
            when: parts.when,
        };
        self.commit_tree(
            &parts.tree,
            &parts.parents,
            &with_trailers(&parts.message, trailers),
            &author,
        )
        .await
    }
}
