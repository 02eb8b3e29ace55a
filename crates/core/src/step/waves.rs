//! Owns the groups of a batch: when the next one begins, and whether the rest may follow the trial group.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Turn;
use crate::State;
use crate::decision::{Asker, Choice, Decision, DecisionStage, Question};
use crate::ids::{DecisionId, IssueId, TaskId};
use crate::issue::{Issue, IssueStage, Split};
use crate::policy::{Nobody, TrialRule};
use crate::task::{Stage, Task};

/// The answer that lets the rest of a batch follow.
const GO_ON: &str = "go on";
/// The answer that gives it up.
const STOP: &str = "stop";

/// What the end of a group leads to.
enum Next {
    Wait,
    Open,
    Judge,
}

/// Whether a task that is not over comes to its end without a person: it is not parked, and waits for nothing that is, or
/// that was given up.
fn goes_on(state: &State, task: &Task) -> bool {
    let mut known = BTreeMap::new();
    comes_to_its_end(state, task, &mut known)
}

/// The same, with what is known of others already: many may need the same ones.
fn comes_to_its_end(state: &State, task: &Task, known: &mut BTreeMap<TaskId, bool>) -> bool {
    if matches!(task.stage, Stage::Parked { .. }) {
        return false;
    }
    if task.stage != Stage::Blocked {
        return true;
    }
    task.spec.needs.iter().all(|need| {
        if let Some(comes) = known.get(need) {
            return *comes;
        }
        let needed = state.tasks.get(need);
        let comes = state.has_landed(*need)
            || needed.is_some_and(|t| !t.is_over() && comes_to_its_end(state, t, known));
        known.insert(*need, comes);
        comes
    })
}

fn next(state: &State, issue: &Issue) -> Next {
    let Split::Items(items) = &issue.draft.split else {
        return Next::Wait;
    };
    let wave = issue.plan.wave;
    let more = state
        .pieces_of(issue.id)
        .any(|t| t.spec.wave > wave && !t.is_over());
    let busy = state
        .pieces_of(issue.id)
        .any(|t| t.spec.wave <= wave && !t.is_over() && goes_on(state, t));
    match (more && !busy, wave == 0 && items.trial > 0) {
        (false, _) => Next::Wait,
        (true, false) => Next::Open,
        (true, true) => Next::Judge,
    }
}

impl Turn<'_> {
    /// Begins the next group of each batch whose present one has come to its end.
    pub(super) fn waves(&mut self) {
        let working: Vec<IssueId> = self
            .state
            .issues
            .values()
            .filter(|i| matches!(i.stage, IssueStage::Working { .. }))
            .map(|i| i.id)
            .collect();
        for id in working {
            // A group that was given up as a whole ends as it begins, so the one after it is due at once.
            while let Some(issue) = self.state.issues.get(&id) {
                let wave = issue.plan.wave;
                match next(self.state, issue) {
                    Next::Wait => {}
                    Next::Open => self.open_wave(id),
                    Next::Judge => self.judge(id),
                }
                if self.state.issues.get(&id).is_none_or(|i| i.plan.wave == wave) {
                    break;
                }
            }
        }
    }

    fn open_wave(&mut self, id: IssueId) {
        if let Some(issue) = self.issue(id) {
            issue.plan.wave = issue.plan.wave.saturating_add(1);
        }
    }

    /// After the trial group: the policy, or else a person, says whether the rest follows.
    fn judge(&mut self, id: IssueId) {
        let lead = TaskId::lead(id);
        if self
            .state
            .decisions
            .values()
            .any(|d| d.task == lead && d.asker == Asker::Trial)
        {
            return;
        }
        let Some(config) = self.state.config.clone() else {
            return;
        };
        let trial: Vec<_> = self.state.pieces_of(id).filter(|t| t.spec.wave == 0).collect();
        let landed = trial
            .iter()
            .filter(|t| matches!(t.stage, Stage::Landed { .. }))
            .count();
        if config.policy.trial == TrialRule::AllLanded && landed == trial.len() {
            return self.open_wave(id);
        }
        let rest = self.state.pieces_of(id).filter(|t| t.spec.wave > 0).count();
        let many = trial.len();
        let stage = match config.policy.decisions.nobody {
            Nobody::Park => DecisionStage::Open,
            Nobody::Wait | Nobody::Recommended => DecisionStage::Waiting {
                key: String::new(),
                until: self.now + config.policy.decisions.deadline,
            },
        };
        let next = self.state.desk.next_decision;
        self.state.desk.next_decision = DecisionId(next.0 + 1);
        let decision = Decision {
            id: next,
            task: lead,
            asker: Asker::Trial,
            question: Question {
                question: format!(
                    "{landed} of {many} item(s) of the trial group have landed. Do the other {rest} follow?"
                ),
                options: vec![
                    Choice {
                        label: GO_ON.to_owned(),
                        detail: "work on the rest, group by group".to_owned(),
                    },
                    Choice {
                        label: STOP.to_owned(),
                        detail: "give the rest up; what has landed stays".to_owned(),
                    },
                ],
                recommended: (landed == many).then(|| GO_ON.to_owned()),
            },
            asked: self.now,
            stage,
        };
        self.state.decisions.insert(next, Arc::new(decision));
    }

    /// What a person, or the policy, said of a trial group.
    pub(super) fn trial_judged(&mut self, id: IssueId, answer: &str) {
        if answer.trim().eq_ignore_ascii_case(GO_ON) {
            return self.open_wave(id);
        }
        let rest: Vec<TaskId> = self
            .state
            .pieces_of(id)
            .filter(|t| t.spec.wave > 0 && !t.is_over())
            .map(|t| t.id)
            .collect();
        for task in rest {
            self.drop_task(task, &format!("the trial group was answered with: {answer}"));
        }
    }
}
