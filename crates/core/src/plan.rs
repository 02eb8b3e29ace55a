//! Owns whether an author's plan is sound, and what it comes to. It changes no state.

pub mod edit;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};

use self::edit::Origin;
use crate::State;
use crate::globs;
use crate::ids::{IssueId, ProposalId, TaskId};
use crate::issue::Issue;
use crate::outcome::{PlannedDrop, PlannedTask, ProposalAnswer, ProposalVerdict};
use crate::persona::Role;
use crate::policy::PlanCaps;
use crate::task::{Park, PlanBecause, Stage, Task, TaskSpec, Work};
use crate::units::Timestamp;

/// A plan as its author gave it.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The tasks.
    pub tasks: &'a [PlannedTask],
    /// What becomes of proposed tasks.
    pub answers: &'a [ProposalAnswer],
    /// Parked tasks that are given up.
    pub drops: &'a [PlannedDrop],
    /// When its author began: what was proposed later it could not know of.
    pub begun: Timestamp,
}

/// A plan that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The new tasks, with their ids.
    pub tasks: Vec<(TaskId, TaskSpec)>,
    /// What becomes of proposals.
    pub answers: Vec<(ProposalId, Answered)>,
    /// Tasks given up, what replaces them, and why.
    pub drops: Vec<(TaskId, BTreeSet<TaskId>, String)>,
}

/// What becomes of one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// It became that new task.
    Accepted(TaskId, String),
    /// It becomes part of that task.
    Merged(TaskId, String),
    /// It was declined.
    Declined(String),
}

/// Holds a plan against the issue it is for. Each error is a sentence for the author.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(
    state: &State,
    issue: &Issue,
    because: &PlanBecause,
    caps: PlanCaps,
    draft: Draft<'_>,
) -> Result<Sound, Vec<String>> {
    let mut check = Check {
        state,
        issue,
        draft,
        errors: Vec::new(),
        ids: BTreeMap::new(),
    };
    check.size(because, caps);
    check.tasks();
    let answers = check.answers();
    let drops = check.drops();
    let mut specs = check.specs(&answers);
    let mut needs = needs_after(state, issue, &specs, &drops);
    if check.errors.is_empty() {
        check.cycles(&needs);
    }
    if check.errors.is_empty() {
        order_overlaps(&mut specs, &mut needs);
        return Ok(Sound {
            tasks: specs,
            answers,
            drops,
        });
    }
    Err(check.errors)
}

/// Whether nobody has begun a task, so that it can still take something in.
pub fn is_unbegun(task: &Task) -> bool {
    if !task.hold.is_free() {
        return false;
    }
    match &task.stage {
        Stage::Blocked => true,
        Stage::Ready {
            work: Work::Write(_), ..
        } => task.attempts.is_empty(),
        Stage::Ready { .. }
        | Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Landing { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Accepted { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => false,
    }
}

struct Check<'a> {
    state: &'a State,
    issue: &'a Issue,
    draft: Draft<'a>,
    errors: Vec<String>,
    ids: BTreeMap<&'a str, TaskId>,
}

impl<'a> Check<'a> {
    fn wrong(&mut self, what: String) {
        self.errors.push(what);
    }

    fn size(&mut self, because: &PlanBecause, caps: PlanCaps) {
        let some_needed = match asked(because) {
            PlanBecause::New => Some("the issue needs at least one task"),
            PlanBecause::Missing { .. } => Some("plan at least one task for what is missing"),
            PlanBecause::Proposals | PlanBecause::Stuck { .. } | PlanBecause::Invalid { .. } => None,
        };
        if let Some(why) = some_needed
            && self.draft.tasks.is_empty()
        {
            self.wrong(why.to_owned());
        }
        let room = room(self.state, self.issue, caps);
        if self.draft.tasks.len() > usize::from(room) {
            let many = self.draft.tasks.len();
            self.wrong(format!(
                "the plan has {many} tasks, the issue may get {room} more; make fewer, larger ones"
            ));
        }
    }

    fn tasks(&mut self) {
        let draft = self.draft;
        for (at, task) in draft.tasks.iter().enumerate() {
            let number = self.issue.next_task + u16::try_from(at).unwrap_or(u16::MAX);
            let id = TaskId {
                issue: self.issue.id,
                number,
            };
            let key = task.key.trim();
            if key.is_empty() {
                self.wrong(format!("task {} has no key", at + 1));
            } else if key.parse::<TaskId>().is_ok() {
                self.wrong(format!(
                    "the key `{key}` looks like the id of a task; choose a word"
                ));
            } else if self.ids.insert(key, id).is_some() {
                self.wrong(format!("two tasks have the key `{key}`"));
            }
            if task.title.trim().is_empty() || task.brief.trim().is_empty() {
                self.wrong(format!("task `{key}` needs a title and a brief"));
            }
            if task.acceptance.iter().all(|a| a.trim().is_empty()) {
                self.wrong(format!("task `{key}` has no acceptance criterion"));
            }
            if !matches!(task.writer, Role::Engineer | Role::Tester) {
                self.wrong(format!(
                    "task `{key}` is to be written by the {}; only an engineer or a tester writes",
                    task.writer
                ));
            }
            for glob in &task.touches {
                if let Err(why) = globs::check(glob) {
                    self.wrong(format!("task `{key}`, touches: {why}"));
                }
            }
        }
    }

    /// The task that a name in `needs` stands for.
    fn named(&self, name: &str) -> Option<TaskId> {
        if let Some(id) = self.ids.get(name.trim()) {
            return Some(*id);
        }
        let id: TaskId = name.trim().parse().ok()?;
        let task = self.state.tasks.get(&id)?;
        // What never lands on this issue's branch would be waited for without end.
        let given_up =
            matches!(task.stage, Stage::Dropped { .. }) || self.draft.drops.iter().any(|d| d.task == id);
        (id.issue == self.issue.id && !id.is_lead() && !given_up).then_some(id)
    }

    fn answers(&mut self) -> Vec<(ProposalId, Answered)> {
        let mut open: BTreeSet<ProposalId> = self.issue.open_proposals().map(|p| p.id).collect();
        let mut given = Vec::new();
        let draft = self.draft;
        for answer in draft.answers {
            let id = answer.proposal;
            if !open.remove(&id) {
                self.wrong(format!("{id} is no proposal that waits for an answer"));
                continue;
            }
            if answer.reason.trim().is_empty() {
                self.wrong(format!("the answer to {id} needs a reason"));
            }
            let reason = answer.reason.clone();
            match &answer.verdict {
                ProposalVerdict::Decline => given.push((id, Answered::Declined(reason))),
                ProposalVerdict::Accept { key } => match self.ids.get(key.trim()) {
                    Some(task) => given.push((id, Answered::Accepted(*task, reason))),
                    None => self.wrong(format!("{id} is accepted as `{key}`, but no task has that key")),
                },
                ProposalVerdict::Merge { into } => match self.state.tasks.get(into) {
                    Some(task) if task.spec.by == Origin::Person => self.wrong(format!(
                        "{id} cannot be merged into {into}: the words of {into} are a person's"
                    )),
                    Some(task) if into.issue == self.issue.id && is_unbegun(task) && !into.is_lead() => {
                        given.push((id, Answered::Merged(*into, reason)));
                    }
                    Some(_) | None => self.wrong(format!(
                        "{id} cannot be merged into {into}: only a task of this issue that nobody has begun takes more"
                    )),
                },
            }
        }
        let known = |id: &ProposalId| {
            let mut proposals = self.issue.plan.proposals.iter();
            proposals.any(|p| p.id == *id && p.since <= draft.begun)
        };
        let unanswered: Vec<ProposalId> = open.into_iter().filter(known).collect();
        for id in unanswered {
            self.wrong(format!(
                "proposal {id} is not answered: accept, merge or decline it"
            ));
        }
        given
    }

    fn drops(&mut self) -> Vec<(TaskId, BTreeSet<TaskId>, String)> {
        let mut dropped = Vec::new();
        let draft = self.draft;
        for drop in draft.drops {
            let id = drop.task;
            let parked = id.issue == self.issue.id
                && !id.is_lead()
                && self
                    .state
                    .tasks
                    .get(&id)
                    .is_some_and(|t| may_be_given_up(&t.stage));
            if !parked {
                self.wrong(format!(
                    "{id} cannot be given up: only a parked task of this issue can that waits for no answer"
                ));
                continue;
            }
            if self
                .state
                .tasks
                .get(&id)
                .is_some_and(|t| t.spec.by == Origin::Person)
            {
                self.wrong(format!("{id} cannot be given up: a person put it there or changed it, and only a person gives it up"));
                continue;
            }
            let mut by = BTreeSet::new();
            for key in &drop.replaced_by {
                match self.ids.get(key.trim()) {
                    Some(task) => drop_insert(&mut by, *task),
                    None => self.wrong(format!("{id} is replaced by `{key}`, but no task has that key")),
                }
            }
            dropped.push((id, by, drop.reason.clone()));
        }
        dropped
    }

    fn specs(&mut self, answers: &[(ProposalId, Answered)]) -> Vec<(TaskId, TaskSpec)> {
        let mut specs = Vec::new();
        let draft = self.draft;
        for task in draft.tasks {
            let key = task.key.trim();
            let Some(id) = self.ids.get(key).copied() else {
                continue;
            };
            let mut needs = BTreeSet::new();
            for name in &task.needs {
                match self.named(name) {
                    Some(need) => drop_insert(&mut needs, need),
                    None => {
                        let known: Vec<&str> = self.ids.keys().copied().collect();
                        let known = known.join(", ");
                        self.wrong(format!(
                            "task `{key}` needs `{name}`, which is no key of this plan ({known}) and no task of this \
                             issue that will land"
                        ));
                    }
                }
            }
            let spec = TaskSpec {
                title: task.title.trim().to_owned(),
                brief: task.brief.clone(),
                acceptance: task
                    .acceptance
                    .iter()
                    .filter(|a| !a.trim().is_empty())
                    .cloned()
                    .collect(),
                needs,
                touches: task.touches.clone(),
                writer: task.writer,
                size: task.size,
                depth: self.depth(id, answers),
                ..TaskSpec::default()
            };
            specs.push((id, spec));
        }
        specs
    }

    /// A task that was proposed is one deeper than the one it was proposed during.
    fn depth(&self, id: TaskId, answers: &[(ProposalId, Answered)]) -> u8 {
        answers
            .iter()
            .filter(|(_, a)| matches!(a, Answered::Accepted(task, _) if *task == id))
            .filter_map(|(p, _)| self.issue.plan.proposals.iter().find(|known| known.id == *p))
            .filter_map(|p| self.state.tasks.get(&p.during))
            .map(|t| t.spec.depth.saturating_add(1))
            .max()
            .unwrap_or(0)
    }

    /// The first cycle there is, with its path shown.
    fn cycles(&mut self, needs: &Needs) {
        let keys: BTreeMap<TaskId, &str> = self.ids.iter().map(|(k, id)| (*id, *k)).collect();
        for start in needs.keys() {
            if let Some(path) = path_back(*start, needs) {
                let names: Vec<String> = path
                    .iter()
                    .map(|id| keys.get(id).map_or_else(|| id.to_string(), |k| (*k).to_owned()))
                    .collect();
                self.wrong(format!("the needs go round in a circle: {}", names.join(" -> ")));
                return;
            }
        }
    }
}

/// What each task of an issue needs.
type Needs = BTreeMap<TaskId, BTreeSet<TaskId>>;

/// The needs as they are once a plan is adopted: those of the tasks there are lead to what replaces a dropped one.
fn needs_after(
    state: &State,
    issue: &Issue,
    specs: &[(TaskId, TaskSpec)],
    drops: &[(TaskId, BTreeSet<TaskId>, String)],
) -> Needs {
    let mut needs: Needs = state
        .pieces_of(issue.id)
        .map(|t| (t.id, t.spec.needs.clone()))
        .collect();
    for (dropped, by, _) in drops {
        for needed in needs.values_mut() {
            if needed.remove(dropped) {
                needed.extend(by.iter().copied());
            }
        }
    }
    needs.extend(specs.iter().map(|(id, s)| (*id, s.needs.clone())));
    needs
}

/// A question is the person's alone; its task is not given up over their head.
fn may_be_given_up(stage: &Stage) -> bool {
    if let Stage::Parked { park, .. } = stage {
        return !matches!(park, Park::Decision(_));
    }
    false
}

fn drop_insert(set: &mut BTreeSet<TaskId>, id: TaskId) {
    set.insert(id);
}

/// Why a plan was asked for in the first place.
pub fn asked(because: &PlanBecause) -> &PlanBecause {
    match because {
        PlanBecause::Invalid { asked: before, .. } => asked(before),
        PlanBecause::New
        | PlanBecause::Proposals
        | PlanBecause::Stuck { .. }
        | PlanBecause::Missing { .. } => because,
    }
}

/// How many tasks an issue may still get.
pub fn room(state: &State, issue: &Issue, caps: PlanCaps) -> u16 {
    let there = state.tasks_of(issue.id).filter(|t| !t.id.is_lead()).count();
    caps.tasks
        .saturating_sub(u16::try_from(there).unwrap_or(u16::MAX))
}

/// A way from a task over its needs back to itself, if there is one.
fn path_back(start: TaskId, needs: &Needs) -> Option<Vec<TaskId>> {
    fn walk(
        at: TaskId,
        start: TaskId,
        needs: &Needs,
        seen: &mut BTreeSet<TaskId>,
        path: &mut Vec<TaskId>,
    ) -> bool {
        path.push(at);
        for next in needs.get(&at).into_iter().flat_map(|n| n.iter()) {
            if *next == start {
                path.push(start);
                return true;
            }
            if seen.insert(*next) && walk(*next, start, needs, seen, path) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut path = Vec::new();
    walk(start, start, needs, &mut BTreeSet::new(), &mut path).then_some(path)
}

/// Tasks whose paths overlap are ordered: the later one in the plan needs the earlier one, unless one of them waits
/// for the other anyway.
fn order_overlaps(specs: &mut [(TaskId, TaskSpec)], needs: &mut Needs) {
    for later in 0..specs.len() {
        // The nearest first, so that a chain stays one.
        for earlier in (0..later).rev() {
            let (Some((a, x)), Some((b, y))) = (specs.get(earlier), specs.get(later)) else {
                continue;
            };
            let (a, b) = (*a, *b);
            if !globs::overlap(&x.touches, &y.touches) || waits_for(a, b, needs) || waits_for(b, a, needs) {
                continue;
            }
            needs.entry(b).or_default().insert(a);
            if let Some((_, spec)) = specs.get_mut(later) {
                spec.needs.insert(a);
            }
        }
    }
}

/// Whether `task` waits for `other`, directly or over others of the issue.
fn waits_for(task: TaskId, other: TaskId, needs: &Needs) -> bool {
    let mut open = vec![task];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == other {
            return true;
        }
        if seen.insert(at)
            && let Some(needed) = needs.get(&at)
        {
            open.extend(needed.iter().copied());
        }
    }
    false
}

/// The issues that an issue waits for, over any number of steps, lead back to it: the way, if there is one.
pub fn issue_cycle(state: &State, id: IssueId, needs: &BTreeSet<IssueId>) -> Option<Vec<IssueId>> {
    fn walk(
        state: &State,
        at: IssueId,
        goal: IssueId,
        seen: &mut BTreeSet<IssueId>,
        path: &mut Vec<IssueId>,
    ) -> bool {
        path.push(at);
        if at == goal {
            return true;
        }
        for next in state
            .issues
            .get(&at)
            .into_iter()
            .flat_map(|i| i.draft.needs.iter())
        {
            if seen.insert(*next) && walk(state, *next, goal, seen, path) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut seen = BTreeSet::new();
    needs.iter().find_map(|need| {
        let mut path = vec![id];
        walk(state, *need, id, &mut seen, &mut path).then_some(path)
    })
}
