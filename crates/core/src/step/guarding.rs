//! Owns what follows from what was found about a change: back to its writer, a reviewer's explicit word, or a
//! question to a person. It is looked at again right before each landing, by the policy of then.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Turn;
use super::retry::go_on;
use super::writing::clip;
use crate::config::Config;
use crate::decision::{AnsweredBy, Asker, Choice, Decision, DecisionStage, Question};
use crate::failure::{Cause, Failure};
use crate::guard::{self, GuardKind, GuardRule, Guarded, GuardedBy, GuardedChange};
use crate::ids::{DecisionId, TaskId};
use crate::outcome::{Finding, Severity};
use crate::task::{Approved, Because, Change, Park, Proven, Stage, Work};

/// The answer that lets a change land.
pub(super) const LAND: &str = "let it land";
/// The answer that gives it back to its writer.
const BACK: &str = "send it back";
/// So many findings are told in a question; the others are counted.
const TOLD: usize = 12;

/// What of a change needs a reviewer's explicit approval, by the names to approve it under.
pub(super) fn words_needed(config: &Config, change: &Change) -> BTreeSet<String> {
    let found = guard::found(config, change, GuardRule::Reviewer);
    found.into_iter().map(|g| g.file).collect()
}

/// What a reviewer is told that was found, beside the paths that the policy protects by name.
pub(super) fn told(config: &Config, change: &Change) -> Vec<Guarded> {
    let mut found = guard::found(config, change, GuardRule::Reviewer);
    found.extend(guard::found(config, change, GuardRule::Person));
    found.retain(|g| g.kind != GuardKind::Paths);
    found
}

impl Turn<'_> {
    fn under(&self, change: &Change, rule: GuardRule) -> Vec<Guarded> {
        let config = self.state.config.as_ref();
        config.map_or_else(Vec::new, |c| guard::found(c, change, rule))
    }

    /// What of a change the policy refuses.
    pub(super) fn refused(&self, change: &Change) -> Vec<Guarded> {
        self.under(change, GuardRule::Refuse)
    }

    /// Whether a change needs a reviewer's explicit approval.
    pub(super) fn needs_word(&self, proven: &Proven) -> bool {
        !self.under(&proven.change, GuardRule::Reviewer).is_empty()
    }

    /// Gives a change back to its writer with what was found.
    pub(super) fn guarded(&mut self, id: TaskId, change: &Change, found: Vec<Guarded>, by: GuardedBy) {
        let failure = Failure::new(Cause::OutOfBounds, summary(&found, &by));
        let because = Because::Guarded {
            found,
            by,
            change: GuardedChange::from(&change.kind),
        };
        self.retry(id, Work::Write(go_on(change, because)), &failure);
    }

    /// What needs an explicit approval and did not get it, as findings for the writer.
    pub(super) fn unapproved(&self, change: &Change, approved: &[String]) -> Vec<Finding> {
        let found = self.under(change, GuardRule::Reviewer);
        let unnamed = found.into_iter().filter(|g| !approved.contains(&g.file));
        unnamed.map(|g| unapproved(&g)).collect()
    }

    /// Holds a change that is about to land against the policy.
    pub(super) fn guard_landing(&mut self, id: TaskId, approved: &Approved) {
        let change = &approved.proven.change;
        let refused = self.refused(change);
        if !refused.is_empty() {
            return self.guarded(id, change, refused, GuardedBy::Policy);
        }
        let found = self.under(change, GuardRule::Person);
        if !found.is_empty() && !self.is_let_land(id, change, &found) {
            self.ask_person(id, approved.clone(), found);
        }
    }

    /// Whether a person let this very commit land, and was told of all that was found.
    fn is_let_land(&self, id: TaskId, change: &Change, found: &[Guarded]) -> bool {
        self.state.decisions.values().any(|d| {
            let Asker::Guard { commit, found: told } = &d.asker else {
                return false;
            };
            let agreed = matches!(
                &d.stage,
                DecisionStage::Answered { by: AnsweredBy::Person, answer, .. } if lets_land(answer)
            );
            agreed && d.task == id && *commit == change.commit && found.iter().all(|g| told.contains(g))
        })
    }

    /// It is never the policy that answers: a person was asked for.
    fn ask_person(&mut self, id: TaskId, approved: Approved, found: Vec<Guarded>) {
        let next = self.state.desk.next_decision;
        self.state.desk.next_decision = DecisionId(next.0 + 1);
        let choice = |label: &str, detail: &str| Choice {
            label: label.to_owned(),
            detail: detail.to_owned(),
        };
        let change = &approved.proven.change;
        let decision = Decision {
            id: next,
            task: id,
            question: Question {
                question: question(id, change, &found),
                options: vec![
                    choice(LAND, "it is put on the integration branch as it is"),
                    choice(BACK, "its writer undoes it; say why in words of your own instead"),
                ],
                recommended: None,
            },
            asker: Asker::Guard {
                commit: change.commit.clone(),
                found,
            },
            asked: self.now,
            stage: DecisionStage::Open,
        };
        self.state.decisions.insert(next, Arc::new(decision));
        let (work, park) = (Work::Land(approved), Park::Decision(next));
        self.set_stage(id, Stage::Parked { work, park });
    }

    /// A person has answered whether a change may land.
    pub(super) fn guard_answered(
        &mut self,
        decision: DecisionId,
        id: TaskId,
        found: Vec<Guarded>,
        answer: &str,
    ) {
        if !self.waits_for(id, decision) {
            return;
        }
        let Some(Work::Land(approved)) = self.state.tasks.get(&id).and_then(|t| t.work()) else {
            return;
        };
        if lets_land(answer) {
            let (work, since) = (Work::Land(approved), self.now);
            return self.set_stage(id, Stage::Ready { work, since });
        }
        let answer = answer.to_owned();
        self.guarded(id, &approved.proven.change, found, GuardedBy::Person { answer });
    }

    /// Whether a task is parked with this question.
    pub(super) fn waits_for(&self, id: TaskId, decision: DecisionId) -> bool {
        self.state.tasks.get(&id).is_some_and(
            |t| matches!(&t.stage, Stage::Parked { park: Park::Decision(waits), .. } if *waits == decision),
        )
    }
}

fn lets_land(answer: &str) -> bool {
    answer.trim().eq_ignore_ascii_case(LAND)
}

fn summary(found: &[Guarded], by: &GuardedBy) -> String {
    let first = found.first().map(ToString::to_string).unwrap_or_default();
    let more = match found.len() {
        0 | 1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    match by {
        GuardedBy::Policy => format!("{first}{more}"),
        GuardedBy::Person { answer } => format!("a person says: {}; {first}{more}", clip(answer, 100)),
    }
}

fn question(id: TaskId, change: &Change, found: &[Guarded]) -> String {
    let mut parts: Vec<String> = found.iter().take(TOLD).map(ToString::to_string).collect();
    if found.len() > TOLD {
        parts.push(format!("{} more", found.len() - TOLD));
    }
    format!(
        "May the change of task {id} land, commit {}? It was approved, and your policy leaves this to a person: {}",
        change.commit.short(),
        parts.join("; ")
    )
}

fn unapproved(guarded: &Guarded) -> Finding {
    let (what, how_to_see) = match guarded.kind {
        GuardKind::Paths => (
            format!(
                "{} is a protected path (tests, checks or their settings) and its change was not approved: undo \
                 it, or say in the summary why the task cannot be done without it",
                guarded.file
            ),
            "the policy's `protected` list".to_owned(),
        ),
        kind @ (GuardKind::Ci
        | GuardKind::Hooks
        | GuardKind::Lockfiles
        | GuardKind::CheckSettings
        | GuardKind::Licence
        | GuardKind::AgentFiles
        | GuardKind::Tests
        | GuardKind::Binaries
        | GuardKind::BigFiles
        | GuardKind::Secrets
        | GuardKind::Links
        | GuardKind::Submodules
        | GuardKind::Executables
        | GuardKind::HiddenText
        | GuardKind::Unseen) => (
            format!("{}, and it was not approved. {}", guarded.what, kind.mend()),
            format!("`{kind}` in the policy's `guards`"),
        ),
    };
    Finding {
        file: guarded.file.clone(),
        line: guarded.line,
        severity: Severity::Major,
        what,
        how_to_see,
    }
}
