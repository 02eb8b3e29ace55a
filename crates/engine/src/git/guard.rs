//! Owns the guard on a repository while an attempt runs: what refs, hooks and configuration were before, what
//! differs afterwards and is not Turno's own doing, and putting back what no user moves by hand. What may be the
//! user's own work is told and left alone; what is found and replaced is kept first. It must not decide what
//! follows for the attempt.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use turno_core::holding::FIRST_SLOT;
use turno_core::ids::CommitId;
use turno_core::tampering::{Change, RefAt, Tampering, Then};

use super::guarded::{self, Content};
use super::ledger::{Following, Moment};
use super::look::{Looked, head_at, index_of, look, refs_of, unreadable, users_worktrees};
use super::names::SalvageStamp;
use super::{Error, Place, Repo};

/// Where a guard's own things are.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The directory of Turno's worktrees: those below it are no worktrees of the user's.
    pub slots: PathBuf,
    /// Where what is found and replaced is kept.
    pub aside: PathBuf,
}

/// What a repository was before an attempt.
#[derive(Debug)]
pub struct Guard {
    repo: Repo,
    watch: Watch,
    since: Moment,
    before: Looked,
    /// Where else a ref may have been, because a coordinator died while it moved it.
    tried: BTreeMap<String, Vec<RefAt>>,
    /// Where the ledger is followed, for a coordinator that comes after this one.
    following: Option<Following>,
    /// When the agent had ended, where that was before anybody came to look.
    ended: Option<SystemTime>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(following) = self.following {
            self.repo.ledger().leave(following);
        }
    }
}

impl Guard {
    /// Looks at everything. Cheap: what is large is known by its times.
    ///
    /// # Errors
    /// When something cannot be read: then nothing could be said afterwards.
    pub async fn take(repo: &Repo, watch: Watch) -> Result<Self, Error> {
        let _gate = repo.gate().await;
        let before = look(repo, &watch).await?;
        Ok(Self {
            repo: repo.clone(),
            watch,
            since: repo.ledger().now(),
            before,
            tried: BTreeMap::new(),
            following: None,
            ended: None,
        })
    }

    /// Compares everything with before, and puts back what is Turno's own and what tells git to run or do something.
    ///
    /// # Errors
    /// When something cannot be read: then the repository is not to be trusted.
    pub async fn settle(&self) -> Result<Vec<Tampering>, Error> {
        let (mut found, odd) = {
            // Nobody of Turno's moves anything meanwhile.
            let _gate = self.repo.gate().await;
            // Files first: the calls that follow obey them.
            let mut found = self.files().await?;
            found.extend(self.heads());
            found.extend(self.worktrees());
            let odd = self.refs(&mut found).await?;
            (found, odd)
        };
        for (n, commit) in odd {
            let kept = match self.repo.is_kept(&commit).await {
                Ok(true) => continue,
                Ok(false) => self.repo.keep("tampered", &commit).await,
                Err(error) => Err(error),
            };
            if let Tampering::Ref { then, .. } = &mut found[n] {
                match kept {
                    Ok(at) => *then = Then::PutBackAndKept { at: at.to_string() },
                    Err(error) => {
                        tracing::warn!(%error, %commit, "a commit that was found could not be kept");
                    }
                }
            }
        }
        if index_of(&self.repo) != self.before.staged {
            found.push(Tampering::Index {
                checkout: self.repo.root().display().to_string(),
            });
        }
        Ok(found)
    }

    async fn files(&self) -> Result<Vec<Tampering>, Error> {
        let common = self.repo.common_dir();
        // A worktree that came or went since is told as such.
        let now = guarded::look(common, self.before.worktrees.keys()).map_err(unreadable(common))?;
        let mut paths: Vec<&PathBuf> = self.before.files.keys().collect();
        // What appeared inside a directory goes before the directory does.
        paths.extend(now.keys().rev().filter(|p| !self.before.files.contains_key(*p)));
        let mut found = Vec::new();
        for path in paths {
            let then_was = self.before.files.get(path).cloned().unwrap_or(Content::Absent);
            let was = self.repo.ledger().file(path, self.since).unwrap_or(then_was);
            let is = now.get(path).unwrap_or(&Content::Absent);
            // An empty directory tells nobody anything.
            if *is == was
                || matches!(
                    (&was, is),
                    (Content::Absent, Content::Dir) | (Content::Dir, Content::Absent)
                )
            {
                continue;
            }
            let change = match (&was, is) {
                (Content::Absent, _) => Change::Appeared,
                (_, Content::Absent) => Change::Vanished,
                (_, _) => Change::Changed,
            };
            let gone = path.starts_with("worktrees") && !common.join(path).parent().is_some_and(Path::is_dir);
            let is_users = self.is_later(&common.join(path)) || self.is_the_users_way(path, &was, is).await;
            let then = if gone || is_users {
                Then::LeftAlone
            } else {
                match guarded::put_back(common, path, &was, &self.watch.aside) {
                    Ok(kept) => {
                        self.repo.ledger().put_back(path, was);
                        match kept {
                            Some(at) => Then::PutBackAndKept {
                                at: at.display().to_string(),
                            },
                            None => Then::PutBack,
                        }
                    }
                    Err(why) => Then::NotPutBack { why },
                }
            };
            found.push(Tampering::File {
                path: path.to_string_lossy().into_owned(),
                change,
                then,
            });
        }
        Ok(found)
    }

    /// Whether something was changed after the agent had ended, so by somebody else. Nobody sets the time of such a
    /// change but the kernel; of what is gone, its directory has it.
    fn is_later(&self, path: &Path) -> bool {
        let Some(ended) = self.ended else { return false };
        let there = path.symlink_metadata().ok();
        let at = there.or_else(|| path.parent()?.symlink_metadata().ok());
        at.is_some_and(|m| {
            let since = Duration::new(
                m.ctime().try_into().unwrap_or(0),
                m.ctime_nsec().try_into().unwrap_or(0),
            );
            SystemTime::UNIX_EPOCH + since > ended
        })
    }

    /// Whether a configuration differs only in what git notes there when a person switches or pushes a branch.
    async fn is_the_users_way(&self, path: &Path, was: &Content, is: &Content) -> bool {
        if path != Path::new("config") {
            return false;
        }
        let (Content::File { bytes: old, mode: a }, Content::File { bytes: new, mode: b }) = (was, is) else {
            return false;
        };
        let (old, new) = (entries(&self.repo, old).await, entries(&self.repo, new).await);
        match (old, new) {
            (Ok(old), Ok(new)) => a == b && old.symmetric_difference(&new).all(|e| is_harmless(e)),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    fn heads(&self) -> Vec<Tampering> {
        let common = self.repo.common_dir();
        let mut found = Vec::new();
        for (path, was) in &self.before.heads {
            let whole = common.join(path);
            let is = head_at(&whole);
            if is == *was || is == RefAt::Absent && path != Path::new("HEAD") {
                continue;
            }
            // No user's git leaves such a HEAD, and with it there is no repository any more.
            let then = match &is {
                RefAt::Object(_) | RefAt::Ref(_) => Then::LeftAlone,
                RefAt::Absent | RefAt::Odd => {
                    let text = match was {
                        RefAt::Object(id) => format!("{id}\n"),
                        RefAt::Ref(name) => format!("ref: {name}\n"),
                        RefAt::Absent | RefAt::Odd => continue,
                    };
                    let was = Content::File {
                        bytes: text.into_bytes().into(),
                        mode: 0o644,
                    };
                    match guarded::put_back(common, path, &was, &self.watch.aside) {
                        Ok(Some(at)) => Then::PutBackAndKept {
                            at: at.display().to_string(),
                        },
                        Ok(None) => Then::PutBack,
                        Err(why) => Then::NotPutBack { why },
                    }
                }
            };
            found.push(Tampering::Head {
                checkout: checkout_name(&self.repo, path),
                was: was.clone(),
                found: is,
                then,
            });
        }
        found
    }

    fn worktrees(&self) -> Vec<Tampering> {
        let now = users_worktrees(&self.repo, &self.watch);
        let names: BTreeSet<&String> = self.before.worktrees.keys().chain(now.keys()).collect();
        let told = names.into_iter().filter_map(|name| {
            let change = match (self.before.worktrees.get(name), now.get(name)) {
                (None, _) => Change::Appeared,
                (_, None) => Change::Vanished,
                (a, b) if a != b => Change::Changed,
                (_, _) => return None,
            };
            Some(Tampering::Worktree {
                name: name.clone(),
                change,
            })
        });
        told.collect()
    }

    /// Puts refs of Turno's back. Gives the commits that were found in their places, by where they are told.
    async fn refs(&self, found: &mut Vec<Tampering>) -> Result<Vec<(usize, CommitId)>, Error> {
        let now = refs_of(&self.repo).await?;
        let moved = self.repo.ledger().moved(self.since);
        let names: BTreeSet<&String> = self.before.refs.keys().chain(now.keys()).chain(&moved).collect();
        let (mut back, mut odd) = (Vec::new(), Vec::new());
        for name in names {
            let was = self.before.refs.get(name).unwrap_or(&RefAt::Absent);
            let is = now.get(name).unwrap_or(&RefAt::Absent);
            let mut may_be = vec![was.clone()];
            may_be.extend(self.tried.get(name).cloned().unwrap_or_default());
            let may_be = self.repo.ledger().expected(name, &may_be, self.since);
            if may_be.contains(is) {
                continue;
            }
            let was = may_be.first().unwrap_or(was);
            let then = match whose(name, was, is, &now) {
                Whose::Turnos => {
                    back.push((name.clone(), was.clone(), is.clone(), found.len()));
                    Then::PutBack
                }
                Whose::Users => Then::LeftAlone,
                Whose::Persons => continue,
            };
            found.push(Tampering::Ref {
                name: name.clone(),
                was: was.clone(),
                found: is.clone(),
                then,
            });
        }
        // What is in the way goes first.
        back.sort_by_key(|(_, was, ..)| *was != RefAt::Absent);
        for (name, was, is, n) in back {
            if let Err(error) = self.repo.put_ref_back(&name, &was, &self.watch.aside).await
                && let Some(Tampering::Ref { then, .. }) = found.get_mut(n)
            {
                *then = Then::NotPutBack {
                    why: error.to_string(),
                };
            } else if let RefAt::Object(id) = &is
                && let Ok(commit) = id.parse::<CommitId>()
                && self.repo.tree_of(&commit).is_ok()
            {
                odd.push((n, commit));
            }
        }
        Ok(odd)
    }
}

/// Whose doing a move of a ref can be.
enum Whose {
    /// Nobody's but Turno's, which did not do it.
    Turnos,
    /// The user's.
    Users,
    /// A person gave an issue up with `turno discard`, left a task with `turno attach`, or ended a preview, in a process of
    /// its own; its commits are kept.
    Persons,
}

fn whose(name: &str, was: &RefAt, is: &RefAt, now: &BTreeMap<String, RefAt>) -> Whose {
    const SALVAGE: &str = "refs/turno/salvage/";
    let discarded = |name: &str| name.starts_with("refs/turno/salvage/discarded-");
    let left = |name: &str| name.starts_with("refs/turno/salvage/attached-");
    let persons_slot = |name: &str| name.strip_prefix(SALVAGE).is_some_and(is_of_a_persons_slot);
    if *was == RefAt::Absent && (discarded(name) || left(name) || persons_slot(name)) {
        return Whose::Persons;
    }
    // One more that keeps something harms nobody, and what it keeps may be of worth.
    if *was == RefAt::Absent && name.starts_with(SALVAGE) {
        return Whose::Users;
    }
    if name.starts_with("refs/heads/turno/") && *is == RefAt::Absent {
        let kept = now.iter().any(|(other, at)| discarded(other) && at == was);
        return if kept { Whose::Persons } else { Whose::Turnos };
    }
    if name.starts_with("refs/heads/turno/") || name.starts_with("refs/turno/") {
        Whose::Turnos
    } else {
        Whose::Users
    }
}

/// Whether something was kept from a slot of people and previews, by its name: no attempt runs there.
fn is_of_a_persons_slot(leaf: &str) -> bool {
    let slot =
        SalvageStamp::of(leaf).and_then(|s| s.label.strip_prefix('s')?.split('-').next()?.parse().ok());
    slot.is_some_and(|slot: u16| slot >= FIRST_SLOT)
}

fn checkout_name(repo: &Repo, head: &Path) -> String {
    let mut parts = head.components().rev().skip(1);
    match parts.next() {
        Some(name) => format!("the worktree {}", name.as_os_str().to_string_lossy()),
        None => repo.root().display().to_string(),
    }
}

async fn entries(repo: &Repo, bytes: &[u8]) -> Result<BTreeSet<Vec<u8>>, Error> {
    let args = ["config", "--file", "-", "--no-includes", "--list", "-z"];
    let output = repo
        .git(Place::Shared)
        .args(args)
        .input(bytes.to_vec())
        .bytes()
        .await?;
    Ok(output
        .split(|&b| b == 0)
        .filter(|e| !e.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

/// Whether an entry is one that git writes by itself, and that leads nowhere but to a remote known by name.
pub(super) fn is_harmless(entry: &[u8]) -> bool {
    let text = String::from_utf8_lossy(entry);
    let (key, value) = text.split_once('\n').unwrap_or((&text, ""));
    let Some((_, variable)) = key.strip_prefix("branch.").and_then(|k| k.rsplit_once('.')) else {
        return false;
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match variable {
        "remote" | "pushremote" => value.chars().all(plain) && !value.starts_with(['.', '-']),
        "merge" => value.starts_with("refs/"),
        "rebase" => matches!(value, "true" | "false" | "merges"),
        "description" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_from_slots_of_people_is_no_tampering() {
        for good in ["s500-20231114T221320123Z-0", "s900-20231114T221320123Z-12"] {
            assert!(is_of_a_persons_slot(good), "{good}");
        }
        for bad in [
            "s1-20231114T221320123Z-0",
            "s499-20231114T221320123Z-0",
            "s900",
            "s900-mine-0",
            "landing-20231114T221320123Z-0",
        ] {
            assert!(!is_of_a_persons_slot(bad), "{bad}");
        }
    }

    #[test]
    fn only_what_leads_nowhere_is_harmless() {
        for good in [
            "branch.topic.remote\norigin",
            "branch.a.b.merge\nrefs/heads/a.b",
            "branch.x.rebase\ntrue",
        ] {
            assert!(is_harmless(good.as_bytes()), "{good}");
        }
        for bad in [
            "branch.x.remote\next::sh -c evil",
            "branch.x.remote\n../elsewhere",
            "branch.x.remote\n..",
            "core.fsmonitor\nevil",
            "branch.x.mergeoptions\n--strategy=evil",
            "alias.branch.merge\nrefs/x",
        ] {
            assert!(!is_harmless(bad.as_bytes()), "{bad}");
        }
    }
}
