//! Owns what is known of conflicts before they happen: which changes of one issue that are under way would not merge
//! with its branch or with each other, by the very commits that were looked at. It is a hint: it orders work and is
//! shown to people, and no change is refused for what was foreseen alone. Pure: it knows neither git nor commands.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{CommitId, IssueId, TaskId};
use crate::state::State;
use crate::task::{Change, Stage, Task, Work};

/// So many changes of one issue are looked at, those of the oldest tasks. The others have their turn when these have
/// landed: what is not looked at costs nothing but its warning.
pub const AT_MOST: usize = 24;

/// What a change may conflict with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// What is on the issue's integration branch.
    Branch {
        /// At this commit.
        head: CommitId,
    },
    /// Another change of the issue that is under way.
    Task {
        /// Whose.
        task: TaskId,
        /// As this commit.
        commit: CommitId,
    },
}

impl Rival {
    /// The commit itself.
    pub fn commit(&self) -> &CommitId {
        match self {
            Self::Branch { head } => head,
            Self::Task { commit, .. } => commit,
        }
    }
}

/// Files that do not merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Some of them by name.
    pub named: Vec<String>,
    /// So many more.
    #[serde(default)]
    pub more: u32,
}

/// What a look at a change and a rival has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Both merge.
    Merges,
    /// They do not, in these files.
    Clashes(Files),
    /// Nothing: it could not be looked at. It is not looked at again.
    Unseen {
        /// Why.
        why: String,
    },
}

/// What was seen of one rival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Which.
    pub rival: Rival,
    /// What.
    pub found: Found,
}

/// What was seen of one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The change.
    pub commit: CommitId,
    /// What is being looked at.
    pub asked: BTreeSet<Rival>,
    /// What was seen. What two changes have with each other is known of one of them.
    pub sights: Vec<Sight>,
}

/// What was seen of the changes of one issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Which issue.
    pub issue: IssueId,
    /// By task.
    pub changes: BTreeMap<TaskId, Seen>,
}

/// A conflict that is coming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clash {
    /// With what.
    pub with: Rival,
    /// Where.
    pub files: Files,
}

/// What is coming for a change as a whole, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// Nothing that is known of.
    Clear,
    /// It conflicts with another change: whichever lands second goes back.
    MeetsOthers,
    /// It conflicts with what has landed.
    MeetsBranch,
}

/// Which of the changes that wait for one branch are better not tried together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Apart {
    pairs: BTreeSet<(TaskId, TaskId)>,
    alone: BTreeSet<TaskId>,
}

impl Apart {
    /// The same with two that conflict.
    #[must_use]
    pub fn with_pair(mut self, one: TaskId, other: TaskId) -> Self {
        self.pairs.insert((one.min(other), one.max(other)));
        self
    }

    /// The same with one that conflicts with what has landed.
    #[must_use]
    pub fn with_alone(mut self, task: TaskId) -> Self {
        self.alone.insert(task);
        self
    }

    /// Whether two may be tried together.
    pub fn lets(&self, one: TaskId, other: TaskId) -> bool {
        let alone = self.alone.contains(&one) || self.alone.contains(&other);
        !alone && !self.pairs.contains(&(one.min(other), one.max(other)))
    }
}

impl Outlook {
    /// Of an issue of which nothing is known.
    pub fn new(issue: IssueId) -> Self {
        Self {
            issue,
            changes: BTreeMap::new(),
        }
    }

    /// What was found of a change and a rival, if that was looked at.
    fn found(&self, task: TaskId, commit: &CommitId, rival: &Rival) -> Option<&Found> {
        let seen = self.changes.get(&task).filter(|s| s.commit == *commit)?;
        seen.sights.iter().find(|s| s.rival == *rival).map(|s| &s.found)
    }

    /// Whether it is looked at now, or was.
    fn covers(&self, task: TaskId, commit: &CommitId, rival: &Rival) -> bool {
        let asked = |s: &Seen| s.commit == *commit && s.asked.contains(rival);
        self.found(task, commit, rival).is_some() || self.changes.get(&task).is_some_and(asked)
    }

    /// What was found of two changes, whichever of them was looked at.
    fn between(&self, one: (TaskId, &CommitId), other: (TaskId, &CommitId)) -> Option<&Found> {
        let rival = |(task, commit): (TaskId, &CommitId)| Rival::Task {
            task,
            commit: commit.clone(),
        };
        self.found(one.0, one.1, &rival(other))
            .or_else(|| self.found(other.0, other.1, &rival(one)))
    }
}

/// The change of a task that is on its way to the branch, if it has one: it is being checked, tried, reviewed or
/// landed, or waits for that.
pub fn under_way(task: &Task) -> Option<&Change> {
    match &task.stage {
        Stage::Checking { change, .. } => Some(change),
        Stage::Testing { proven, .. }
        | Stage::Reviewing { proven, .. }
        | Stage::Entered { proven }
        | Stage::Comparing { proven, .. } => Some(&proven.change),
        Stage::Landing { approved, .. } => Some(&approved.proven.change),
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } => match work {
            Work::Check(change) => Some(change),
            Work::Test(proven) | Work::Review(proven) | Work::Compare(proven) => Some(&proven.change),
            Work::Land(approved) => Some(&approved.proven.change),
            Work::Write(_) | Work::Survey | Work::Plan(_) | Work::Try | Work::Accept(_) => None,
        },
        Stage::Blocked
        | Stage::Writing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Accepted { .. }
        | Stage::Parked { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => None,
    }
}

/// The changes of an issue that are under way, at most [`AT_MOST`].
fn changes(state: &State, issue: IssueId) -> Vec<(&Task, &CommitId)> {
    state
        .pieces_of(issue)
        .filter_map(|t| Some((&**t, &under_way(t)?.commit)))
        .take(AT_MOST)
        .collect()
}

/// Whether only one of both will ever land.
fn compete(one: &Task, other: &Task) -> bool {
    one.spec.contest.is_some() && one.spec.contest == other.spec.contest
}

/// What is still to be looked at: for each change its rivals. A change of which something is being looked at waits
/// for that.
pub(crate) fn unseen(state: &State, issue: IssueId) -> Vec<(TaskId, CommitId, BTreeSet<Rival>)> {
    let Some((_, head)) = state.issues.get(&issue).and_then(|i| i.integration()) else {
        return Vec::new();
    };
    let nothing = Outlook::new(issue);
    let outlook = state.outlooks.get(&issue).map_or(&nothing, |o| o);
    let changes = changes(state, issue);
    let is_new = |task: TaskId, commit: &CommitId| {
        let seen = outlook.changes.get(&task);
        seen.is_none_or(|s| s.commit != *commit)
    };
    let mut unseen: Vec<(TaskId, CommitId, BTreeSet<Rival>)> = Vec::new();
    for (n, (task, commit)) in changes.iter().enumerate() {
        let busy = |s: &Seen| s.commit == **commit && !s.asked.is_empty();
        if outlook.changes.get(&task.id).is_some_and(busy) {
            continue;
        }
        let mut rivals = BTreeSet::new();
        let branch = Rival::Branch { head: head.clone() };
        if !outlook.covers(task.id, commit, &branch) {
            rivals.insert(branch);
        }
        for (m, (other, at)) in changes.iter().enumerate() {
            let rival = |task: &Task, commit: &CommitId| Rival::Task {
                task: task.id,
                commit: commit.clone(),
            };
            let mine = rival(task, commit);
            // A new one asks about all there are; of two that are both new the first does.
            let left_to_it = is_new(other.id, at) && !is_new(task.id, commit);
            let asked_now = m < n
                && unseen
                    .iter()
                    .any(|(id, _, r)| *id == other.id && r.contains(&mine));
            let known = outlook.covers(task.id, commit, &rival(other, at))
                || outlook.covers(other.id, at, &mine)
                || asked_now
                || left_to_it;
            if m != n && !known && !compete(task, other) {
                rivals.insert(rival(other, at));
            }
        }
        if !rivals.is_empty() {
            unseen.push((task.id, (*commit).clone(), rivals));
        }
    }
    unseen
}

/// What an outlook still says once only these changes are under way and the branch is at `head`.
pub(crate) fn current(state: &State, outlook: &Outlook) -> Outlook {
    let head = state.issues.get(&outlook.issue).and_then(|i| i.integration());
    let changes: BTreeMap<TaskId, &CommitId> = changes(state, outlook.issue)
        .into_iter()
        .map(|(t, c)| (t.id, c))
        .collect();
    let stands = |rival: &Rival| match rival {
        Rival::Branch { head: at } => head.is_some_and(|(_, head)| head == at),
        Rival::Task { task, commit } => changes.get(task) == Some(&commit),
    };
    let mut left = Outlook::new(outlook.issue);
    for (task, seen) in &outlook.changes {
        if changes.get(task) == Some(&&seen.commit) {
            let seen = Seen {
                commit: seen.commit.clone(),
                asked: seen.asked.clone(),
                sights: seen.sights.iter().filter(|s| stands(&s.rival)).cloned().collect(),
            };
            left.changes.insert(*task, seen);
        }
    }
    left
}

/// The conflicts that are coming for a task's change as far as they are known; what was seen of other commits than
/// those of now is not among them.
pub fn clashes(state: &State, task: &Task) -> Vec<Clash> {
    let issue = task.id.issue;
    let (Some(change), Some(outlook)) = (under_way(task), state.outlooks.get(&issue)) else {
        return Vec::new();
    };
    let head = state.issues.get(&issue).and_then(|i| i.integration());
    let branch = head.map(|(_, head)| Rival::Branch { head: head.clone() });
    let of_branch = branch.and_then(|rival| {
        let found = outlook.found(task.id, &change.commit, &rival)?;
        Some((rival, found))
    });
    let others = state.pieces_of(issue).filter(|t| t.id != task.id);
    let of_others = others.filter_map(|other| {
        let at = &under_way(other)?.commit;
        let found = outlook.between((task.id, &change.commit), (other.id, at))?;
        let rival = Rival::Task {
            task: other.id,
            commit: at.clone(),
        };
        Some((rival, found))
    });
    let clash = |(with, found): (Rival, &Found)| match found {
        Found::Clashes(files) => Some(Clash {
            with,
            files: files.clone(),
        }),
        Found::Merges | Found::Unseen { .. } => None,
    };
    of_branch.into_iter().chain(of_others).filter_map(clash).collect()
}

/// What is coming for a task's change as a whole.
pub fn weather(state: &State, task: &Task) -> Weather {
    let one = |clash: &Clash| match clash.with {
        Rival::Branch { .. } => Weather::MeetsBranch,
        Rival::Task { .. } => Weather::MeetsOthers,
    };
    clashes(state, task)
        .iter()
        .map(one)
        .max()
        .unwrap_or(Weather::Clear)
}

/// Which of these tasks, which wait for one branch, are better not tried together.
pub fn apart(state: &State, waiting: impl IntoIterator<Item = TaskId>) -> Apart {
    let mut apart = Apart::default();
    for task in waiting.into_iter().filter_map(|id| state.tasks.get(&id)) {
        for clash in clashes(state, task) {
            apart = match clash.with {
                Rival::Branch { .. } => apart.with_alone(task.id),
                Rival::Task { task: other, .. } => apart.with_pair(task.id, other),
            };
        }
    }
    apart
}

/// Coming conflicts in words, e.g. `will conflict with 1.3 in src/a.rs`. `None` where none is coming.
pub fn clashes_phrase(clashes: &[Clash]) -> Option<String> {
    let one = |clash: &Clash| format!("{} in {}", rival_phrase(&clash.with), files_phrase(&clash.files));
    let all: Vec<String> = clashes.iter().map(one).collect();
    (!all.is_empty()).then(|| format!("will conflict with {}", all.join(", and with ")))
}

/// What a look has shown, in words. `None` where all of it merges: that is no news.
pub fn sights_phrase(of: TaskId, sights: &[Sight]) -> Option<String> {
    let clash = |sight: &Sight| match &sight.found {
        Found::Clashes(files) => Some(Clash {
            with: sight.rival.clone(),
            files: files.clone(),
        }),
        Found::Merges | Found::Unseen { .. } => None,
    };
    let unseen = sights.iter().find_map(|sight| match &sight.found {
        Found::Unseen { why } => Some(format!(
            "it could not be seen whether it merges with {}: {why}",
            rival_phrase(&sight.rival)
        )),
        Found::Merges | Found::Clashes(_) => None,
    });
    let clashes: Vec<Clash> = sights.iter().filter_map(clash).collect();
    let parts: Vec<String> = clashes_phrase(&clashes).into_iter().chain(unseen).collect();
    (!parts.is_empty()).then(|| format!("{of} {}", parts.join("; ")))
}

/// Whether a look has shown a conflict of this task with something.
pub(crate) fn warns(of: TaskId, sights: &[Sight], task: TaskId) -> bool {
    let about = |rival: &Rival| match rival {
        Rival::Branch { .. } => of == task,
        Rival::Task { task: other, .. } => of == task || *other == task,
    };
    sights
        .iter()
        .any(|s| matches!(s.found, Found::Clashes(_)) && about(&s.rival))
}

fn rival_phrase(rival: &Rival) -> String {
    match rival {
        Rival::Branch { .. } => "the issue's branch".to_owned(),
        Rival::Task { task, .. } => task.to_string(),
    }
}

fn files_phrase(files: &Files) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> = files.named.iter().take(SHOWN).cloned().collect();
    let rest = files.named.len().saturating_sub(SHOWN);
    let more = u64::from(files.more).saturating_add(u64::try_from(rest).unwrap_or(u64::MAX));
    if more > 0 {
        names.push(format!("{more} more file(s)"));
    }
    names.join(", ")
}
