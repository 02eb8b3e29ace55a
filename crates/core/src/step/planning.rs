//! Owns the author's turn to plan: when it comes, and what a plan leads to. Whether a plan is sound is `plan.rs`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Turn;
use super::contest::wrote;
use super::writing::stop_asked;
use crate::event::{AgentEnd, LeftBehind};
use crate::failure::{Cause, Failure};
use crate::ids::TaskId;
use crate::issue::{Issue, IssueStage, ProposalStage, Split};
use crate::outcome::Outcome;
use crate::plan::{self, Answered, Draft, Sound};
use crate::policy::{AcceptRule, PlanRule};
use crate::task::{AgentRun, Park, PlanBecause, Stage, StopWhy, Task, Trial, Work};

impl Turn<'_> {
    /// Gives an issue's own task its next work: a plan for what came up, or acceptance when all pieces are over.
    pub(super) fn lead(&mut self) {
        self.accept_again();
        let idle: Vec<Arc<Issue>> = self
            .state
            .issues
            .values()
            .filter(|i| matches!(i.stage, IssueStage::Working { .. }))
            .filter(|i| {
                self.state
                    .tasks
                    .get(&i.lead())
                    .is_some_and(|t| t.stage == Stage::Blocked)
            })
            .cloned()
            .collect();
        for issue in idle {
            if let Some(stage) = self.lead_next(&issue) {
                self.set_stage(issue.lead(), stage);
            }
        }
    }

    fn lead_next(&mut self, issue: &Issue) -> Option<Stage> {
        let config = self.state.config.clone()?;
        let policy = &config.policy;
        let since = self.now;
        let ready = |work| Some(Stage::Ready { work, since });
        if policy.plan == PlanRule::Author {
            if issue.open_proposals().next().is_some() {
                return ready(Work::Plan(PlanBecause::Proposals));
            }
            let stuck: BTreeSet<TaskId> = self
                .state
                .pieces_of(issue.id)
                .filter(|t| is_stuck(t) && !issue.plan.seen_parked.contains(&t.id))
                .map(|t| t.id)
                .collect();
            if !stuck.is_empty() && plan::room(self.state, issue, policy.caps) > 0 {
                return ready(Work::Plan(PlanBecause::Stuck { tasks: stuck }));
            }
        }
        if !self.state.pieces_of(issue.id).all(|t| t.is_over()) {
            return None;
        }
        let repairs = policy.plan == PlanRule::Checks || matches!(issue.draft.split, Split::Checks(_));
        if repairs {
            return ready(Work::Survey);
        }
        match policy.accept {
            AcceptRule::Team => ready(Work::Try),
            AcceptRule::Author => ready(Work::Accept(Trial::Untried)),
            AcceptRule::Off => {
                let (_, head) = issue.integration()?;
                Some(Stage::Accepted {
                    commit: head.clone(),
                    at: since,
                })
            }
        }
    }

    pub(super) fn planner_ended(
        &mut self,
        id: TaskId,
        because: PlanBecause,
        run: &AgentRun,
        end: &AgentEnd,
        left: &LeftBehind,
    ) {
        let asked = stop_asked(run);
        if asked == Some(StopWhy::Discarded) {
            return self.stopped(id, StopWhy::Discarded, Work::Plan(because));
        }
        if let Some(failure) = wrote(left) {
            return self.retry(id, Work::Plan(because), &failure);
        }
        match end {
            AgentEnd::Finished(Outcome::Plan {
                tasks,
                answers,
                drops,
            }) => {
                let draft = Draft {
                    tasks,
                    answers,
                    drops,
                    begun: run.run.started,
                };
                self.planned(id, because, draft);
            }
            AgentEnd::Finished(other) => {
                let detail = format!("a plan was asked for, it returned {:?}", other.kind());
                self.retry(id, Work::Plan(because), &Failure::new(Cause::NoOutcome, detail));
            }
            AgentEnd::Asked(question) => self.asked(id, run, question, Work::Plan(because)),
            AgentEnd::Failed(failure) => match asked {
                Some(why) => self.stopped(id, why, Work::Plan(because)),
                None => self.retry(id, Work::Plan(because), failure),
            },
        }
    }

    fn planned(&mut self, id: TaskId, because: PlanBecause, draft: Draft<'_>) {
        let Some(config) = self.state.config.clone() else {
            return;
        };
        let Some(issue) = self.state.issues.get(&id.issue).cloned() else {
            return;
        };
        let caps = config.policy.caps;
        let since = self.now;
        match plan::check(self.state, &issue, &because, caps, draft) {
            Ok(sound) => self.adopt(id, &because, sound),
            Err(errors) if issue.plan.repairs >= caps.repairs => self.set_stage(
                id,
                Stage::Parked {
                    work: Work::Plan(plan::asked(&because).clone()),
                    park: Park::NoPlan { errors },
                },
            ),
            Err(errors) => {
                if let Some(issue) = self.issue(id.issue) {
                    issue.plan.repairs += 1;
                }
                let asked = Box::new(plan::asked(&because).clone());
                let work = Work::Plan(PlanBecause::Invalid { errors, asked });
                self.set_stage(id, Stage::Ready { work, since });
            }
        }
    }

    /// A sound plan: its tasks are made, proposals get their answers, what is replaced is given up.
    fn adopt(&mut self, id: TaskId, because: &PlanBecause, sound: Sound) {
        for (task, by, reason) in &sound.drops {
            let dependants: Vec<TaskId> = self
                .state
                .tasks_of(id.issue)
                .filter(|t| t.spec.needs.contains(task))
                .map(|t| t.id)
                .collect();
            for dependant in dependants {
                if let Some(dependant) = self.task(dependant) {
                    dependant.spec.needs.remove(task);
                    dependant.spec.needs.extend(by.iter().copied());
                }
            }
            self.set_stage(*task, Stage::Dropped { why: reason.clone() });
        }
        for (_, spec) in sound.tasks {
            self.add_task(id.issue, spec, Stage::Blocked);
        }
        for (proposal, answered) in sound.answers {
            self.answer_proposal(id, proposal, answered);
        }
        if let Some(issue) = self.issue(id.issue) {
            issue.plan.repairs = 0;
            if let PlanBecause::Stuck { tasks } = plan::asked(because) {
                issue.plan.seen_parked.extend(tasks.iter().copied());
            }
        }
        self.plan_changes(id.issue);
        self.set_stage(id, Stage::Blocked);
    }

    /// An issue that is accepted needs nothing more, so what was proposed last, e.g. by its last tester, is declined.
    pub(super) fn decline_the_rest(&mut self, id: TaskId) {
        let Some(issue) = self.state.issues.get(&id.issue) else {
            return;
        };
        let open: Vec<_> = issue.open_proposals().map(|p| p.id).collect();
        for proposal in open {
            let reason = "the issue was accepted without it".to_owned();
            self.answer_proposal(id, proposal, Answered::Declined(reason));
        }
    }

    fn answer_proposal(&mut self, id: TaskId, proposal: crate::ids::ProposalId, answered: Answered) {
        let stage = match answered {
            Answered::Accepted(task, reason) => ProposalStage::Accepted { task, reason },
            Answered::Declined(reason) => ProposalStage::Declined { reason },
            Answered::Merged(into, reason) => ProposalStage::Merged { into, reason },
        };
        let Some(issue) = self.issue(id.issue) else { return };
        let Some(known) = issue.plan.proposals.iter_mut().find(|p| p.id == proposal) else {
            return;
        };
        known.stage = stage.clone();
        let proposed = known.proposed.clone();
        if let ProposalStage::Merged { into, .. } = stage
            && let Some(task) = self.task(into)
        {
            task.spec.brief = format!(
                "{}\n\nAlso: {}\n\n{}",
                task.spec.brief, proposed.title, proposed.brief
            );
            if !task.spec.touches.is_empty() {
                task.spec.touches.extend(proposed.touches);
            }
        }
    }
}

/// Whether a task waits for a person in a way that another plan may get around. A question is the person's alone.
pub(super) fn is_stuck(task: &Task) -> bool {
    if task.hold.is_held() {
        return false;
    }
    match &task.stage {
        Stage::Parked { park, .. } => match park {
            Park::OutOfTries { .. } | Park::NoProgress { .. } | Park::NoCandidate { .. } => true,
            Park::NoChecks
            | Park::RedBase { .. }
            | Park::Decision(_)
            | Park::Ceiling { .. }
            | Park::Account { .. }
            | Park::Budget { .. }
            | Park::NoPlan { .. }
            | Park::NotAccepted { .. } => false,
        },
        Stage::Blocked
        | Stage::Ready { .. }
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
        | Stage::Accepted { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => false,
    }
}
