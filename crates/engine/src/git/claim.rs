//! Owns the claim on a repository: a note in it that says which workspace the branches below `turno/` belong to.
//! It is a ref of Turno's own, so it is moved by compare-and-swap and is seen by every workspace, wherever that
//! keeps its state. Whether a claim of another is respected is not decided here.

use serde::{Deserialize, Serialize};
use turno_core::ids::TreeId;

use super::read::reading;
use super::write::Identity;
use super::{Error, Expected, Found, Place, Repo, TurnoRef};

/// Which workspace works on a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The top of the repository that holds its `turno.toml`.
    pub home: String,
    /// Its state directory.
    pub state: String,
}

/// The claim as it is written down.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The repository it was made in: a copy of a repository has the note, but is not claimed by it.
    repository: String,
    #[serde(flatten)]
    claim: Claim,
}

/// What is known of the claim on a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Who made it; nobody if there is none, or if it came along in a copy of another repository.
    pub by: Option<Claim>,
    /// Where the note was found, for the compare-and-swap.
    found: Found,
}

impl Repo {
    /// Who claims the repository.
    ///
    /// # Errors
    /// When there is a note and it cannot be read: then it is not known whose the branches are.
    pub fn claimed(&self) -> Result<Claimed, Error> {
        let name = TurnoRef::owner();
        let found = self.read_ref(&name)?;
        let by = match &found {
            Found::Absent => None,
            Found::At(commit) => {
                let message = self.commit_parts(commit)?.message;
                let (_, text) = message.split_once("\n\n").unwrap_or_default();
                let note: Note = serde_json::from_str(text).map_err(|e| Error::Answer {
                    what: format!("show {name}"),
                    answer: e.to_string(),
                })?;
                let here = note.repository == self.common_dir().to_string_lossy();
                here.then_some(note.claim)
            }
        };
        Ok(Claimed { by, found })
    }

    /// Claims the repository, if the claim on it is still as it was found.
    ///
    /// # Errors
    /// When somebody else was faster, or git cannot.
    pub async fn claim(&self, claimed: &Claimed, claim: &Claim) -> Result<(), Error> {
        if claimed.by.as_ref() == Some(claim) {
            return Ok(());
        }
        let note = Note {
            repository: self.common_dir().to_string_lossy().into_owned(),
            claim: claim.clone(),
        };
        let text = serde_json::to_string(&note).map_err(|e| Error::Answer {
            what: "commit-tree".to_owned(),
            answer: e.to_string(),
        })?;
        let message = format!("Turno works on this repository\n\n{text}\n");
        let tree = self.empty_tree().await?;
        // A commit, though nothing is in it: every tool knows what to do with one.
        let commit = self.commit_tree(&tree, &[], &message, &Identity::Turno).await?;
        let expected = match &claimed.found {
            Found::Absent => Expected::Absent,
            Found::At(old) => Expected::At(old.clone()),
        };
        self.move_ref(&TurnoRef::owner(), &commit, &expected).await
    }

    async fn empty_tree(&self) -> Result<TreeId, Error> {
        let args = ["hash-object", "-t", "tree", "-w", "--stdin"];
        let call = self.git(Place::Shared).args(args).input(Vec::new());
        let answer = call.text().await?;
        answer.parse().map_err(|_| Error::Answer {
            what: call.what(),
            answer: answer.clone(),
        })
    }

    /// One of Turno's branches in the repository, if there is any.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn any_branch_of_turnos(&self) -> Result<Option<TurnoRef>, Error> {
        let pattern = "refs/heads/turno/*";
        let repo = self.read()?;
        for reference in reading(pattern, repo.references_glob(pattern))? {
            let reference = reading(pattern, reference)?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            if let Some(branch) = TurnoRef::found(&name) {
                return Ok(Some(branch));
            }
        }
        Ok(None)
    }
}
