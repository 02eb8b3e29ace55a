//! Owns making a new repository of an example. It touches no repository that is there already.

use std::path::Path;

use turno_core::ids::CommitId;

use super::Error;
use super::read::{commit_id, reading};

/// Makes a repository of a directory's files, with one commit on `main`.
///
/// # Errors
/// When there is a repository already, or git cannot.
pub fn create(path: &Path, message: &str) -> Result<CommitId, Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options
        .no_reinit(true)
        .initial_head("main")
        .external_template(false);
    let repo = reading("a new repository", git2::Repository::init_opts(path, &options))?;
    let mut index = reading("the index", repo.index())?;
    reading(
        "the files",
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None),
    )?;
    reading("the index", index.write())?;
    let tree = reading("the tree", index.write_tree())?;
    let tree = reading("the tree", repo.find_tree(tree))?;
    let who = reading("an identity", git2::Signature::now("Turno", "turno@localhost"))?;
    let commit = reading(
        "the first commit",
        repo.commit(Some("HEAD"), &who, &who, message, &tree, &[]),
    )?;
    commit_id(commit)
}
