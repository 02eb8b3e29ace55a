//! Owns what agents say while they work or at their end besides their outcome: proposed tasks, remarks, lessons.

use std::sync::Arc;

use super::Turn;
use crate::globs;
use crate::ids::{AttemptId, LessonId, ProposalId, RepoName, TaskId};
use crate::issue::{Proposal, ProposalStage};
use crate::lesson::{Lesson, LessonEdit, LessonStage, Taught};
use crate::outcome::{LessonDraft, Outcome, Proposed};
use crate::task::{Actor, AgentRun, Note, Said};

/// So many remarks are kept of one task.
const NOTES: usize = 200;
/// So many proposals are kept of one issue.
const PROPOSALS: usize = 200;
/// So many lessons wait for a person at most.
const LESSONS: usize = 500;

impl Turn<'_> {
    pub(super) fn task_proposed(&mut self, attempt: AttemptId, proposed: &Proposed) {
        let Some(task) = self.task_of(attempt) else { return };
        let Some(by) = task.agent_run().map(AgentRun::actor) else {
            return;
        };
        self.propose(task.id, by, proposed);
    }

    fn propose(&mut self, during: TaskId, by: Actor, proposed: &Proposed) {
        let caps = self
            .state
            .config
            .as_ref()
            .map_or_else(Default::default, |c| c.policy.caps);
        let depth = self.state.tasks.get(&during).map_or(0, |t| t.spec.depth);
        let since = self.now;
        let Some(issue) = self.issue(during.issue) else {
            return;
        };
        let known = &mut issue.plan.proposals;
        let title = proposed.title.trim();
        if title.is_empty()
            || known.len() >= PROPOSALS
            || known.iter().any(|p| p.proposed.title.trim() == title)
        {
            return;
        }
        let stage = if depth >= caps.depth {
            let reason = format!(
                "tasks may be {} step(s) from the plan; it was proposed during {during}",
                caps.depth
            );
            ProposalStage::Declined { reason }
        } else {
            ProposalStage::Open
        };
        let id = ProposalId(u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(1));
        known.push(Proposal {
            id,
            by,
            during,
            since,
            proposed: proposed.clone(),
            stage,
        });
    }

    pub(super) fn noted(&mut self, attempt: AttemptId, said: &Said) {
        let Some(task) = self.task_of(attempt) else { return };
        let Some(by) = task.agent_run().map(AgentRun::actor) else {
            return;
        };
        if let Some(task) = self.task(task.id)
            && task.notes.len() < NOTES
            // A call whose answer was lost with a coordinator is made again.
            && !task.notes.iter().any(|n| n.by == by && n.said == *said)
        {
            let said = said.clone();
            task.notes.push(Note { by, said });
        }
    }

    /// Takes in what a finished run proposes and has learnt.
    pub(super) fn hear_out(&mut self, id: TaskId, run: &AgentRun, outcome: &Outcome) {
        let (Outcome::Change {
            proposals, lessons, ..
        }
        | Outcome::Verdict {
            proposals, lessons, ..
        }) = outcome
        else {
            return;
        };
        for proposed in proposals {
            self.propose(id, run.actor(), proposed);
        }
        let repo = self.state.issues.get(&id.issue).map(|i| i.draft.repo.clone());
        let Some(repo) = repo else { return };
        for draft in lessons {
            self.learn(&repo, draft, Taught::ByAgent(run.actor()), LessonStage::Proposed);
        }
    }

    fn learn(&mut self, repo: &RepoName, draft: &LessonDraft, taught: Taught, stage: LessonStage) {
        let waiting = self
            .state
            .lessons
            .values()
            .filter(|l| l.stage == LessonStage::Proposed)
            .count();
        let known = self
            .state
            .lessons
            .values()
            .any(|l| l.repo == *repo && l.draft.text.trim() == draft.text.trim());
        let sound = !draft.text.trim().is_empty()
            && !draft.paths.is_empty()
            && draft.paths.iter().all(|p| globs::check(p).is_ok());
        if known || !sound || stage == LessonStage::Proposed && waiting >= LESSONS {
            return;
        }
        let id = self.state.desk.next_lesson;
        self.state.desk.next_lesson = LessonId(id.0 + 1);
        let lesson = Lesson {
            id,
            repo: repo.clone(),
            draft: draft.clone(),
            taught,
            since: self.now,
            stage,
        };
        self.state.lessons.insert(id, Arc::new(lesson));
    }

    pub(super) fn lesson_added(&mut self, repo: &RepoName, draft: &LessonDraft) {
        self.learn(repo, draft, Taught::ByPerson, LessonStage::Kept);
    }

    pub(super) fn lesson_edited(&mut self, id: LessonId, edit: &LessonEdit) {
        let Some(lesson) = self.state.lessons.get_mut(&id).map(Arc::make_mut) else {
            return;
        };
        match edit {
            LessonEdit::Keep => lesson.stage = LessonStage::Kept,
            LessonEdit::Reword(draft) => {
                lesson.draft = draft.clone();
                lesson.stage = LessonStage::Kept;
            }
            LessonEdit::Remove => lesson.stage = LessonStage::Removed,
        }
    }
}
