//! Owns the order in which ready work is wanted. It looks only: whether something may start is the offer's to say.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::shift_for;
use crate::State;
use crate::foresight::{self, Weather};
use crate::ids::{IssueId, TaskId};
use crate::issue::Priority;
use crate::policy::ClashRule;
use crate::task::{Approved, Stage, Task, Work};
use crate::units::Timestamp;

/// Ready tasks of the running shift, in no order of wanting.
pub(super) fn all_ready(
    state: &State,
    wanted: impl Fn(&Work, &Task) -> bool,
) -> impl Iterator<Item = (&Task, &Work, Timestamp)> {
    state.tasks.values().filter_map(move |task| {
        let Stage::Ready { work, since } = &task.stage else {
            return None;
        };
        (task.hold.is_free() && wanted(work, task) && shift_for(state, task.id.issue).is_ok())
            .then_some((&**task, work, *since))
    })
}

/// Ready tasks of the running shift, most wanted first: urgent, then as a person has ordered them, then with the longest chain of dependants, then those
/// to be landed that conflict with nothing, then the oldest.
pub(in crate::step) fn ready(state: &State, wanted: impl Fn(&Work, &Task) -> bool) -> Vec<(&Task, &Work)> {
    let mut chains: BTreeMap<IssueId, BTreeMap<TaskId, usize>> = BTreeMap::new();
    let mut found: Vec<_> = all_ready(state, wanted)
        .map(|(task, work, since)| {
            let issue = task.id.issue;
            let priority = state
                .issues
                .get(&issue)
                .map_or(Priority::Normal, |i| i.draft.priority);
            let chains = chains.entry(issue).or_insert_with(|| dependants(state, issue));
            let chain = chains.get(&task.id).copied().unwrap_or(0);
            let weather = landing_weather(state, task, work);
            let rank = task.spec.rank.unwrap_or(u16::MAX);
            let key = (priority, rank, Reverse(chain), weather, since, task.id);
            (key, task, work)
        })
        .collect();
    found.sort_by_key(|(key, ..)| *key);
    found.into_iter().map(|(_, task, work)| (task, work)).collect()
}

/// Those to be landed.
pub(super) fn to_land(state: &State) -> Vec<(TaskId, Approved)> {
    ready(state, |w, _| matches!(w, Work::Land(_)))
        .into_iter()
        .filter_map(|(task, work)| match work {
            Work::Land(approved) => Some((task.id, approved.clone())),
            Work::Write(_)
            | Work::Check(_)
            | Work::Test(_)
            | Work::Review(_)
            | Work::Compare(_)
            | Work::Survey
            | Work::Plan(_)
            | Work::Try
            | Work::Accept(_) => None,
        })
        .collect()
}

/// What is coming for a change that waits to be landed, where the policy lets that order landings.
fn landing_weather(state: &State, task: &Task, work: &Work) -> Weather {
    let rule = state.config.as_ref().map(|c| c.policy.landing.clashes);
    match (rule, work) {
        (Some(ClashRule::Order | ClashRule::Return), Work::Land(_)) => foresight::weather(state, task),
        (Some(_) | None, _) => Weather::Clear,
    }
}

/// For each task of an issue the length of the longest chain of tasks that wait for it. Every round makes at least
/// one chain longer, and none is longer than there are tasks, so it ends also where needs go round in a circle.
fn dependants(state: &State, issue: IssueId) -> BTreeMap<TaskId, usize> {
    let mut chains: BTreeMap<TaskId, usize> = BTreeMap::new();
    for _ in 0..state.tasks_of(issue).count() {
        let mut longer = false;
        for task in state.tasks_of(issue) {
            let own = chains.get(&task.id).copied().unwrap_or(0);
            for need in &task.spec.needs {
                let chain = chains.entry(*need).or_default();
                if *chain <= own {
                    *chain = own + 1;
                    longer = true;
                }
            }
        }
        if !longer {
            break;
        }
    }
    chains
}
