//! Owns the survey of a change: everything between a base and a commit is looked through on the objects of git, with
//! bounds on time and size. What cannot be looked at is a finding, never clean. It decides nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use git2::{Delta, Diff, DiffDelta, DiffFile, DiffOptions, FileMode, ObjectType, Oid, Repository, Tree};
use turno_core::globs::Globs;
use turno_core::guard::{GuardKind, Guarded, Survey};
use turno_core::ids::CommitId;

use super::Repo;
use super::read::{find, reading};
use crate::change::{self, paths, tests, text, whole};

/// A file of more bytes is not looked into.
const FILE: u64 = 8 << 20;
/// More bytes than this are not looked into at all.
const ALL: u64 = 64 << 20;
/// More commits than this are not looked into one by one.
const COMMITS: usize = 300;
/// The longest that a survey may take, but for the file it is at.
const TIME: Duration = Duration::from_secs(60);
/// The name of what has no path.
const WHOLE: &str = "(the whole change)";

impl Repo {
    /// What there is to be found about a change. Never fails: what went wrong is a finding itself.
    pub async fn survey(&self, commit: &CommitId, survey: &Survey) -> Vec<Guarded> {
        let (repo, commit, survey) = (self.clone(), commit.clone(), survey.clone());
        let looked = tokio::task::spawn_blocking(move || repo.look(&commit, &survey)).await;
        looked.unwrap_or_else(|e| vec![unseen(WHOLE, format!("it could not be looked at: {e}"))])
    }

    fn look(&self, commit: &CommitId, survey: &Survey) -> Vec<Guarded> {
        let found = self.read().and_then(|repo| {
            let mut eye = Eye {
                repo: &repo,
                survey,
                tests: Globs::new(&survey.tests),
                left: ALL,
                until: Instant::now() + TIME,
                found: Vec::new(),
            };
            let base = reading("a tree", find(&repo, &survey.base)?.tree())?;
            let new = reading("a tree", find(&repo, commit)?.tree())?;
            eye.change(&reading("a diff", differ(&repo, Some(&base), &new))?);
            eye.history(commit)?;
            Ok(eye.found)
        });
        change::bounded(
            found.unwrap_or_else(|e| vec![unseen(WHOLE, format!("it could not be looked at: {e}"))]),
        )
    }
}

fn unseen(file: &str, what: impl Into<String>) -> Guarded {
    whole(GuardKind::Unseen, file, what)
}

fn differ<'r>(repo: &'r Repository, old: Option<&Tree<'_>>, new: &Tree<'_>) -> Result<Diff<'r>, git2::Error> {
    let mut options = DiffOptions::new();
    options.include_typechange(true).skip_binary_check(true);
    repo.diff_tree_to_tree(old, Some(new), Some(&mut options))
}

/// Looks, and remembers how much it may still look at.
struct Eye<'a> {
    repo: &'a Repository,
    survey: &'a Survey,
    tests: Globs,
    left: u64,
    until: Instant,
    found: Vec<Guarded>,
}

/// A file's bytes, or why they are not looked at.
enum Bytes {
    Read(Vec<u8>),
    NotRead(String),
}

impl Eye<'_> {
    /// Everything that differs.
    fn change(&mut self, diff: &Diff<'_>) {
        // A test that only moved is not deleted.
        let moved: BTreeSet<Oid> = diff
            .deltas()
            .filter(|d| d.status() == Delta::Added && tests::may_hold(&self.tests, &path_of(&d.new_file())))
            .map(|d| d.new_file().id())
            .collect();
        for delta in diff.deltas() {
            self.by_name(&delta);
            self.by_mode(&delta);
            let (old, new) = (delta.old_file(), delta.new_file());
            match delta.status() {
                Delta::Deleted => {
                    if is_file(&old) && !moved.contains(&old.id()) {
                        self.deleted(&old);
                    }
                }
                Delta::Added
                | Delta::Modified
                | Delta::Renamed
                | Delta::Copied
                | Delta::Ignored
                | Delta::Untracked
                | Delta::Typechange
                | Delta::Unmodified
                | Delta::Unreadable
                | Delta::Conflicted => {
                    if is_file(&new) && (old.id() != new.id() || !is_file(&old)) {
                        self.content(&old, &new);
                    }
                }
            }
        }
    }

    fn by_name(&mut self, delta: &DiffDelta<'_>) {
        let file = delta.new_file();
        let path = path_of(&file);
        let verb = match delta.status() {
            Delta::Added => "is added",
            Delta::Deleted => "is deleted",
            Delta::Modified
            | Delta::Renamed
            | Delta::Copied
            | Delta::Ignored
            | Delta::Untracked
            | Delta::Typechange
            | Delta::Unmodified
            | Delta::Unreadable
            | Delta::Conflicted => "is changed",
        };
        for (kind, what) in paths::groups(&path) {
            self.found.push(whole(kind, &path, format!("{what}: it {verb}")));
        }
        let hidden = text::hidden(path.as_bytes(), text::Place::Later);
        if let (Delta::Added, Some(hidden)) = (delta.status(), hidden) {
            let what = format!("in its name, {}", hidden.phrase());
            self.found.push(whole(GuardKind::HiddenText, &path, what));
        }
    }

    fn by_mode(&mut self, delta: &DiffDelta<'_>) {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = path_of(&new);
        if [old.mode(), new.mode()].contains(&FileMode::Commit) {
            self.found
                .push(whole(GuardKind::Submodules, &path, "a submodule is changed"));
        } else if path.eq_ignore_ascii_case(".gitmodules") {
            let what = "where submodules come from is changed";
            self.found.push(whole(GuardKind::Submodules, &path, what));
        }
        if new.mode() == FileMode::BlobExecutable && old.mode() != FileMode::BlobExecutable {
            let what = "it may be executed and could not before";
            self.found.push(whole(GuardKind::Executables, &path, what));
        }
        if new.mode() == FileMode::Link {
            match self.bytes(new.id()) {
                Bytes::Read(target) => {
                    if let Some(why) = paths::leads_out(&path, &target) {
                        let what = format!("a symbolic link that leads out of the repository: {why}");
                        self.found.push(whole(GuardKind::Links, &path, what));
                    }
                }
                Bytes::NotRead(why) => self.found.push(unseen(&path, why)),
            }
        }
    }

    fn deleted(&mut self, old: &DiffFile<'_>) {
        let path = path_of(old);
        if self.tests.matches(&path) {
            self.found
                .push(whole(GuardKind::Tests, &path, "a test file is deleted"));
            return;
        }
        if !tests::may_hold(&self.tests, &path) {
            return;
        }
        match self.bytes(old.id()) {
            Bytes::Read(bytes) => self.found.extend(change::weakened(&path, &bytes, b"")),
            Bytes::NotRead(why) => self.found.push(unseen(&path, format!("what was deleted: {why}"))),
        }
    }

    /// The content of a file that is new or changed.
    fn content(&mut self, old: &DiffFile<'_>, new: &DiffFile<'_>) {
        let path = path_of(new);
        match self.size(new.id()) {
            Ok(size) if size > self.survey.big_file => {
                let what = format!("{size} bytes, more than {}", self.survey.big_file);
                self.found.push(whole(GuardKind::BigFiles, &path, what));
            }
            Ok(_) => {}
            Err(why) => return self.found.push(unseen(&path, why)),
        }
        let bytes = match self.bytes(new.id()) {
            Bytes::Read(bytes) => bytes,
            Bytes::NotRead(why) => return self.found.push(unseen(&path, why)),
        };
        if text::is_binary(&bytes) {
            let what = "it is not text, so nobody can see what changed";
            return self.found.push(whole(GuardKind::Binaries, &path, what));
        }
        // Without what was there before, everything is new: that errs on the right side.
        let before = match self.bytes(old.id()) {
            Bytes::Read(before) if is_file(old) && !text::is_binary(&before) => before,
            Bytes::Read(_) => Vec::new(),
            Bytes::NotRead(why) => {
                self.found
                    .push(unseen(&path, format!("what it was before: {why}")));
                Vec::new()
            }
        };
        self.found.extend(change::added_lines(&path, &before, &bytes));
        if tests::may_hold(&self.tests, &path) {
            self.found.extend(change::weakened(&path, &before, &bytes));
        }
    }

    /// What is in the commits of a change and not in what comes of them. It would be kept for ever all the same.
    fn history(&mut self, tip: &CommitId) -> Result<(), super::Error> {
        let (from, to) = (
            find(self.repo, &self.survey.base)?.id(),
            find(self.repo, tip)?.id(),
        );
        let mut walk = reading("the history", self.repo.revwalk())?;
        reading("the history", walk.push(to))?;
        reading("the history", walk.hide(from))?;
        let all: Vec<Oid> = reading("the history", walk.take(COMMITS + 1).collect::<Result<_, _>>())?;
        if all.len() > COMMITS {
            let what = format!("it has more than {COMMITS} commits, which were not all looked at");
            self.found.push(unseen(WHOLE, what));
        }
        let single = all.len() == 1;
        for oid in all.into_iter().take(COMMITS) {
            let commit = reading("a commit", self.repo.find_commit(oid))?;
            let short: String = oid.to_string().chars().take(10).collect();
            let message = change::added_lines(
                &format!("(message of commit {short})"),
                b"",
                commit.message_raw_bytes(),
            );
            self.found
                .extend(message.into_iter().filter(|g| g.kind == GuardKind::Secrets));
            let parents: Vec<Oid> = commit.parent_ids().collect();
            if single && parents[..] == [from] {
                continue;
            }
            let old = match commit.parent(0) {
                Ok(parent) => Some(reading("a tree", parent.tree())?),
                Err(_) => None,
            };
            let new = reading("a tree", commit.tree())?;
            let diff = reading("a diff", differ(self.repo, old.as_ref(), &new))?;
            self.earlier(&diff, &short);
        }
        Ok(())
    }

    fn earlier(&mut self, diff: &Diff<'_>, commit: &str) {
        let known: BTreeSet<(GuardKind, String)> =
            self.found.iter().map(|g| (g.kind, g.file.clone())).collect();
        let where_it_is = format!("in commit {commit}, which would land as history");
        for delta in diff.deltas() {
            let (old, new) = (delta.old_file(), delta.new_file());
            let path = path_of(&new);
            if !is_file(&new) || old.id() == new.id() {
                continue;
            }
            let is_new = |kind| !known.contains(&(kind, path.clone()));
            match self.size(new.id()) {
                Ok(size) if size > self.survey.big_file && is_new(GuardKind::BigFiles) => {
                    let what = format!("{size} bytes, {where_it_is}");
                    self.found.push(whole(GuardKind::BigFiles, &path, what));
                }
                Ok(_) | Err(_) => {}
            }
            match self.bytes(new.id()) {
                Bytes::Read(bytes) if !text::is_binary(&bytes) => {
                    let before = match self.bytes(old.id()) {
                        Bytes::Read(before) if is_file(&old) => before,
                        Bytes::Read(_) | Bytes::NotRead(_) => Vec::new(),
                    };
                    let lines = change::added_lines(&path, &before, &bytes).into_iter();
                    let found = lines.filter(|g| g.kind == GuardKind::Secrets && is_new(g.kind));
                    self.found.extend(found.map(|g| Guarded {
                        what: format!("{}, {where_it_is}", g.what),
                        ..g
                    }));
                }
                Bytes::Read(_) => {}
                Bytes::NotRead(why) if is_new(GuardKind::Unseen) => {
                    self.found.push(unseen(&path, format!("{why}, {where_it_is}")));
                }
                Bytes::NotRead(_) => {}
            }
        }
    }

    fn size(&self, oid: Oid) -> Result<u64, String> {
        let header = self.repo.odb().and_then(|odb| odb.read_header(oid));
        match header {
            Ok((size, ObjectType::Blob)) => Ok(size as u64),
            Ok(_) => Err("it is no file".to_owned()),
            Err(e) => Err(format!("it cannot be read: {}", e.message())),
        }
    }

    /// Reads a file if that is within bounds.
    fn bytes(&mut self, oid: Oid) -> Bytes {
        if oid.is_zero() {
            return Bytes::Read(Vec::new());
        }
        let size = match self.size(oid) {
            Ok(size) => size,
            Err(why) => return Bytes::NotRead(why),
        };
        if size > FILE {
            return Bytes::NotRead(format!("its {size} bytes are too many to be looked through"));
        }
        if Instant::now() >= self.until {
            return Bytes::NotRead("the change takes too long to be looked through".to_owned());
        }
        match self.left.checked_sub(size) {
            Some(left) => self.left = left,
            None => return Bytes::NotRead("the change is too large to be looked through".to_owned()),
        }
        match self.repo.find_blob(oid) {
            Ok(blob) => Bytes::Read(blob.content().to_vec()),
            Err(e) => Bytes::NotRead(format!("it cannot be read: {}", e.message())),
        }
    }
}

/// A path, as far as it can be shown.
fn path_of(file: &DiffFile<'_>) -> String {
    String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned()
}

/// Whether it is a file with content, not a link, a submodule or nothing.
fn is_file(file: &DiffFile<'_>) -> bool {
    matches!(
        file.mode(),
        FileMode::Blob | FileMode::BlobExecutable | FileMode::BlobGroupWritable
    )
}
