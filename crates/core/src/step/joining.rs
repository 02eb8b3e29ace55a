//! Owns how issues come into a running shift: those that waited for others, and whatever arrives in the backlog of a
//! shift that drains it. Their integration branches are begun by the engine, on top of what they need.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Turn;
use crate::State;
use crate::command::Command;
use crate::following::Target;
use crate::gate::Standing;
use crate::ids::{AgentName, CommitId, IssueId};
use crate::issue::{Issue, IssueStage, Priority};
use crate::persona::Role;
use crate::policy::PlanRule;
use crate::shift::{IssueAtStart, Scope, Shift, ShiftStage, Winding};
use crate::task::Stage;
use crate::units::Timestamp;

/// When the running shift starts nothing more.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let shift = state.shift().filter(|s| s.stage == ShiftStage::Running)?;
    match shift.scope {
        Scope::Backlog { until, .. } => until,
        Scope::Listed => None,
    }
}

/// The issues that must be done before this one and are not.
pub(crate) fn unmet_needs(state: &State, id: IssueId) -> BTreeSet<IssueId> {
    let Some(issue) = state.issues.get(&id) else {
        return BTreeSet::new();
    };
    let done = |need: &IssueId| {
        state
            .issues
            .get(need)
            .is_some_and(|i| matches!(i.stage, IssueStage::Review { .. } | IssueStage::Done { .. }))
    };
    issue.draft.needs.iter().filter(|n| !done(n)).copied().collect()
}

/// Whether an issue may begin, and needs nothing that is on an integration branch only.
pub(super) fn begins_on_the_users_branch(state: &State, id: IssueId) -> bool {
    let Some(issue) = state.issues.get(&id) else {
        return false;
    };
    let begun = issue.integration().is_some();
    begun || unmet_needs(state, id).is_empty() && heads_needed(state, issue).is_empty()
}

/// The integration heads of the issues that one needs in its repository, where they are not promoted yet.
fn heads_needed(state: &State, issue: &Issue) -> Vec<CommitId> {
    let head = |need: &Arc<Issue>| match &need.stage {
        IssueStage::Review { head, .. } => Some(head.clone()),
        IssueStage::Backlog
        | IssueStage::Opening { .. }
        | IssueStage::Working { .. }
        | IssueStage::Done { .. }
        | IssueStage::Closed { .. } => None,
    };
    let needs = issue.draft.needs.iter().filter_map(|need| state.issues.get(need));
    needs
        .filter(|need| need.draft.repo == issue.draft.repo)
        .filter_map(head)
        .collect()
}

/// Whether work on an issue goes on at this moment, or could.
fn is_active(state: &State, id: IssueId) -> bool {
    match state.issues.get(&id).map(|i| &i.stage) {
        Some(IssueStage::Opening { .. }) => true,
        Some(IssueStage::Working { .. }) => state.tasks_of(id).any(|t| {
            // What a person has taken for themselves holds nobody else up.
            !t.is_over()
                && (t.hold.is_free() || t.run().is_some())
                && !matches!(
                    t.stage,
                    Stage::Parked { .. } | Stage::Blocked | Stage::Entered { .. }
                )
        }),
        Some(
            IssueStage::Backlog
            | IssueStage::Review { .. }
            | IssueStage::Done { .. }
            | IssueStage::Closed { .. },
        )
        | None => false,
    }
}

/// How much an issue is wanted, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    /// A person named it for this shift.
    ByName,
    /// It is of the backlog, in its turn.
    InTurn(Priority),
}

/// What could come into the shift next, most wanted first.
fn candidates(state: &State, shift: &Shift) -> Vec<(Wanted, IssueId)> {
    let mut found: Vec<_> = state
        .issues
        .values()
        .filter(|i| match shift.scope {
            Scope::Listed => shift.issues.contains(&i.id) && i.stage == IssueStage::Backlog,
            Scope::Backlog { .. } => match i.stage {
                IssueStage::Backlog => true,
                IssueStage::Working { .. } => !shift.issues.contains(&i.id),
                IssueStage::Opening { .. }
                | IssueStage::Review { .. }
                | IssueStage::Done { .. }
                | IssueStage::Closed { .. } => false,
            },
        })
        .filter(|i| !shift.refused.contains_key(&i.id) && unmet_needs(state, i.id).is_empty())
        .map(|i| {
            let wanted = if shift.issues.contains(&i.id) {
                Wanted::ByName
            } else {
                Wanted::InTurn(i.draft.priority)
            };
            (wanted, i.id)
        })
        .collect();
    found.sort_unstable();
    found
}

/// Whether all that would happen to another issue is that it is parked, because no agent that begins one is started
/// again in this shift.
fn nobody_begins(state: &State) -> bool {
    let Some(config) = &state.config else { return false };
    let role = match config.policy.plan {
        PlanRule::Author => Role::Author,
        PlanRule::Single => Role::Engineer,
        PlanRule::Checks => return false,
    };
    let is_shut = |agent: &AgentName| {
        let gate = state.gates.get(agent);
        gate.is_some_and(|g| matches!(g.standing, Standing::Shut { .. }))
    };
    let mut agents = config
        .personas
        .iter()
        .filter(|p| p.role == role)
        .flat_map(|p| &p.agents)
        .peekable();
    agents.peek().is_some() && agents.all(is_shut)
}

impl Turn<'_> {
    /// Takes in as many issues as there are slots for.
    pub(super) fn join(&mut self) {
        if deadline(self.state).is_some_and(|until| until <= self.now) {
            self.wind(Winding::TimeUp);
        }
        loop {
            let Some(shift) = self.state.shift().filter(|s| s.stage == ShiftStage::Running) else {
                return;
            };
            let slots = self.state.config.as_ref().map_or(0, |c| usize::from(c.slots));
            let active = shift
                .issues
                .iter()
                .filter(|id| is_active(self.state, **id))
                .count();
            let next = candidates(self.state, shift).into_iter().next();
            let Some((wanted, id)) = next else { return };
            let full = match (shift.scope, wanted) {
                (Scope::Listed, _) | (Scope::Backlog { .. }, Wanted::ByName) => false,
                // What is urgent is begun at once: it has the next free slot, and those that are kept for it.
                (Scope::Backlog { at_most, .. }, Wanted::InTurn(priority)) => {
                    active >= slots && priority != Priority::Urgent
                        || at_most.is_some_and(|most| shift.issues.len() >= usize::from(most))
                }
            };
            if full || nobody_begins(self.state) {
                return;
            }
            if let Some(shift) = self.shift() {
                shift.issues.insert(id);
            }
            self.begin(id);
        }
    }

    /// A person wants it in this shift: it is begun as soon as what it needs is done, whatever else waits.
    pub(super) fn issue_joined(&mut self, id: IssueId) {
        if !self.state.issues.contains_key(&id) {
            return;
        }
        if let Some(shift) = self.shift() {
            shift.issues.insert(id);
            shift.refused.remove(&id);
        }
    }

    fn begin(&mut self, id: IssueId) {
        let Some(issue) = self.state.issues.get(&id).cloned() else {
            return;
        };
        if let Some((base, _)) = issue.integration() {
            return self.take_up(&IssueAtStart {
                issue: id,
                base: base.clone(),
                target: Target::Unknown,
            });
        }
        let on = heads_needed(self.state, &issue);
        if let Some(issue) = self.issue(id) {
            issue.stage = IssueStage::Opening { on: on.clone() };
        }
        self.commands.push(Command::OpenIssue {
            issue: id,
            repo: issue.draft.repo.clone(),
            on,
        });
    }

    /// After a restart nobody knows whether a branch was begun; beginning it twice is harmless.
    pub(super) fn begin_again(&mut self) {
        let opening: Vec<_> = self
            .state
            .issues
            .values()
            .filter_map(|i| match &i.stage {
                IssueStage::Opening { on } => Some((i.id, i.draft.repo.clone(), on.clone())),
                IssueStage::Backlog
                | IssueStage::Working { .. }
                | IssueStage::Review { .. }
                | IssueStage::Done { .. }
                | IssueStage::Closed { .. } => None,
            })
            .collect();
        for (issue, repo, on) in opening {
            self.commands.push(Command::OpenIssue { issue, repo, on });
        }
    }

    fn is_opening(&self, id: IssueId) -> bool {
        self.state
            .issues
            .get(&id)
            .is_some_and(|i| matches!(i.stage, IssueStage::Opening { .. }))
    }

    pub(super) fn issue_opened(&mut self, id: IssueId, base: &CommitId, target: &Target) {
        if !self.is_opening(id) {
            return;
        }
        let wanted = self.state.shift().is_some_and(|s| s.issues.contains(&id));
        if wanted {
            self.take_up(&IssueAtStart {
                issue: id,
                base: base.clone(),
                target: target.clone(),
            });
        } else {
            self.back_to_backlog(id);
        }
    }

    pub(super) fn issue_not_opened(&mut self, id: IssueId, why: &str) {
        if !self.is_opening(id) {
            return;
        }
        self.back_to_backlog(id);
        if let Some(shift) = self.shift() {
            shift.refused.insert(id, why.to_owned());
        }
    }

    pub(super) fn back_to_backlog(&mut self, id: IssueId) {
        if self.is_opening(id)
            && let Some(issue) = self.issue(id)
        {
            issue.stage = IssueStage::Backlog;
        }
    }
}
