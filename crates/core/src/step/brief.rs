//! Owns what a persona is told: the brief of each kind of work, gathered from the state. A reviewer is not told the
//! writer's opinion of itself.

use super::guarding::{told, words_needed};
use crate::State;
use crate::brief::{
    AnswerBrief, Ask, Brief, CandidateBrief, HandoffBrief, IssueBrief, ProposalBrief, RemarkBrief, Standing,
    TaskBrief, TaskLine,
};
use crate::check::Check;
use crate::config::Config;
use crate::decision::DecisionStage;
use crate::globs;
use crate::guard::GuardedChange;
use crate::ids::AttemptId;
use crate::issue::Issue;
use crate::lesson::LessonStage;
use crate::outcome::{Finding, LessonDraft};
use crate::persona::Role;
use crate::plan;
use crate::remark::RemarkStage;
use crate::task::{Because, Bounds, ChangeKind, Stage, Task, Work};

/// So many lessons are given at once.
const LESSONS: usize = 20;
/// So many characters of lessons are given at once.
const LESSON_TEXT: usize = 4000;

/// What the agent of a running attempt would be told if it began now. `None` when no agent runs under that id.
pub fn current_brief(state: &State, attempt: AttemptId) -> Option<Brief> {
    let task = state.tasks.get(&state.task_of(attempt)?)?;
    let run = task.agent_run()?;
    let issue = state.issues.get(&task.id.issue)?;
    let round = task.attempts.get(&run.persona).copied().unwrap_or(1);
    brief(state, state.config.as_ref()?, issue, task, &task.work()?, round)
}

/// What a persona that does `work` for a task is told. `None` for work that no persona does.
pub(super) fn brief(
    state: &State,
    config: &Config,
    issue: &Issue,
    task: &Task,
    work: &Work,
    round: u32,
) -> Option<Brief> {
    let ask = ask(state, config, issue, task, work)?;
    Some(Brief {
        issue: IssueBrief {
            id: issue.id,
            title: issue.draft.title.clone(),
            body: issue.draft.body.clone(),
        },
        task: TaskBrief {
            id: task.id,
            title: task.spec.title.clone(),
            brief: task.spec.brief.clone(),
            acceptance: task.spec.acceptance.clone(),
            touches: task.spec.touches.clone(),
        },
        round,
        ask,
        handoffs: handoffs(state, task),
        others: others(state, task),
        answers: answers(state, task),
        lessons: lessons(state, issue, task),
        remarks: remarks(task, work),
    })
}

fn ask(state: &State, config: &Config, issue: &Issue, task: &Task, work: &Work) -> Option<Ask> {
    let checks = || {
        let checks = config.checks_of(&issue.draft.repo).iter();
        checks.map(Check::told).collect::<Vec<_>>()
    };
    Some(match work {
        Work::Write(job) => Ask::Write {
            because: job.because.clone(),
            checks: checks(),
        },
        Work::Test(proven) => Ask::Test {
            commit: proven.change.commit.clone(),
            base: proven.change.base.clone(),
            proof: proven.proof.clone(),
            test_paths: config.policy.test_paths.clone(),
            rule: config.policy.new_tests,
        },
        Work::Compare(proven) => Ask::Compare {
            base: proven.change.base.clone(),
            candidates: candidates(state, task, work),
        },
        Work::Plan(because) => Ask::Plan {
            because: because.clone(),
            checks: checks(),
            room: plan::room(state, issue, config.policy.caps),
            tasks: lines(state, issue),
            proposals: issue
                .open_proposals()
                .map(|p| ProposalBrief {
                    id: p.id,
                    by: p.by.persona.clone(),
                    during: p.during,
                    proposed: p.proposed.clone(),
                })
                .collect(),
        },
        Work::Review(proven) => Ask::Review {
            commit: proven.change.commit.clone(),
            base: proven.change.base.clone(),
            proof: proven.proof.clone(),
            earlier: held_against(task),
            protected: words_needed(config, &proven.change),
            guards: told(config, &proven.change),
        },
        Work::Accept(trial) => {
            let (base, head) = issue.integration()?;
            Ask::Accept {
                head: head.clone(),
                base: base.clone(),
                tasks: lines(state, issue),
                trial: trial.clone(),
            }
        }
        Work::Try => {
            let (base, head) = issue.integration()?;
            Ask::Try {
                head: head.clone(),
                base: base.clone(),
            }
        }
        Work::Check(_) | Work::Survey | Work::Land(_) => return None,
    })
}

fn candidates(state: &State, task: &Task, work: &Work) -> Vec<CandidateBrief> {
    state
        .tasks_of(task.id.issue)
        .filter(|t| t.spec.contest == task.spec.contest)
        .filter_map(|t| {
            let proven = if let Stage::Entered { proven } = &t.stage {
                proven
            } else if let Work::Compare(own) = work
                && t.id == task.id
            {
                own
            } else {
                return None;
            };
            Some(CandidateBrief {
                task: t.id,
                commit: proven.change.commit.clone(),
                proof: proven.proof.clone(),
                paths: proven.change.paths.clone(),
            })
        })
        .collect()
}

fn lines(state: &State, issue: &Issue) -> Vec<TaskLine> {
    state.pieces_of(issue.id).map(|t| line(t)).collect()
}

fn line(task: &Task) -> TaskLine {
    let standing = match &task.stage {
        Stage::Blocked => Standing::Waiting,
        Stage::Parked { park, .. } => Standing::Parked { why: park.clone() },
        Stage::Landed { handoff, .. } => Standing::Landed {
            handoff: handoff.clone(),
        },
        Stage::Dropped { why } => Standing::Dropped { why: why.clone() },
        Stage::Ready { .. } if plan::is_unbegun(task) => Standing::Waiting,
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
        | Stage::Accepted { .. }
        | Stage::Backoff { .. } => Standing::AtWork,
    };
    TaskLine {
        task: task.id,
        title: task.spec.title.clone(),
        touches: task.spec.touches.clone(),
        standing,
        by: task.spec.by,
    }
}

fn handoffs(state: &State, task: &Task) -> Vec<HandoffBrief> {
    let left = |id| {
        let need: &Task = state.tasks.get(id)?;
        if let Stage::Landed { handoff, .. } = &need.stage {
            return Some(HandoffBrief {
                task: *id,
                handoff: handoff.clone(),
            });
        }
        None
    };
    task.spec.needs.iter().filter_map(left).collect()
}

/// Who else is at work on the same issue. A lead sees all tasks in its ask.
fn others(state: &State, task: &Task) -> Vec<TaskLine> {
    if task.id.is_lead() {
        return Vec::new();
    }
    let rival = |t: &Task| t.spec.contest.is_some() && t.spec.contest == task.spec.contest;
    state
        .pieces_of(task.id.issue)
        .filter(|t| t.id != task.id && t.is_in_flight() && !rival(t))
        .map(|t| line(t))
        .collect()
}

fn answers(state: &State, task: &Task) -> Vec<AnswerBrief> {
    state
        .decisions
        .values()
        .filter(|d| d.task == task.id)
        .filter_map(|d| match &d.stage {
            DecisionStage::Answered { answer, .. } => Some(AnswerBrief {
                question: d.question.question.clone(),
                answer: answer.clone(),
            }),
            DecisionStage::Waiting { .. } | DecisionStage::Open | DecisionStage::Withdrawn => None,
        })
        .collect()
}

/// What a reviewer holds a change against: findings of earlier rounds, and what a person had the writer mend.
fn held_against(task: &Task) -> Vec<Finding> {
    let said = task.remarks.iter().filter(|r| r.to == task.spec.writer);
    let heeded = said.filter_map(|r| match &r.stage {
        RemarkStage::Heeded { .. } => Some(r.finding.clone()),
        RemarkStage::Open
        | RemarkStage::Saying { .. }
        | RemarkStage::Given { .. }
        | RemarkStage::Task { .. } => None,
    });
    task.earlier_findings.iter().cloned().chain(heeded).collect()
}

/// What people said that whoever does this work is to be told now, or was told when it began.
fn remarks(task: &Task, work: &Work) -> Vec<RemarkBrief> {
    let running = task.agent_run().map(|r| r.run.attempt);
    let to = role_of(work, task);
    let mine = task.remarks.iter().filter(|r| Some(r.to) == to);
    mine.filter(|r| match &r.stage {
        RemarkStage::Open => true,
        RemarkStage::Given { to, .. } => Some(to.attempt) == running,
        RemarkStage::Saying { .. } | RemarkStage::Heeded { .. } | RemarkStage::Task { .. } => false,
    })
    .map(|r| RemarkBrief {
        id: r.id,
        finding: r.finding.clone(),
        commit: r.commit.clone(),
    })
    .collect()
}

/// Kept lessons about the paths that the task may write or has changed, newest first, within a limit.
fn lessons(state: &State, issue: &Issue, task: &Task) -> Vec<LessonDraft> {
    let changed = task
        .work()
        .as_ref()
        .and_then(Work::change)
        .map(|c| c.paths.clone())
        .unwrap_or_default();
    let mut room = LESSON_TEXT;
    state
        .lessons
        .values()
        .rev()
        .filter(|l| l.stage == LessonStage::Kept && l.repo == issue.draft.repo)
        .filter(|l| {
            globs::overlap(&l.draft.paths, &task.spec.touches)
                || changed.iter().any(|p| globs::matches(&l.draft.paths, p))
        })
        .map(|l| l.draft.clone())
        .take(LESSONS)
        .take_while(|l| {
            let long = l.text.chars().count();
            let fits = long <= room;
            room = room.saturating_sub(long);
            fits
        })
        .collect()
}

/// Whether a change was gone over by a tester.
pub(super) fn is_tested(kind: &ChangeKind) -> bool {
    match kind {
        ChangeKind::Tested { .. } => true,
        ChangeKind::Written | ChangeKind::TestsFirst => false,
    }
}

/// The role that does a piece of work; none where the checks or the landing queue do it.
pub(super) fn role_of(work: &Work, task: &Task) -> Option<Role> {
    match work {
        Work::Write(job) => Some(match job.because {
            Because::TestsFirst
            | Because::TestsPassAlready
            | Because::OutOfBounds {
                rule: Bounds::TestsOnly,
                ..
            }
            | Because::Guarded {
                change: GuardedChange::TestsFirst,
                ..
            } => Role::Tester,
            Because::New
            | Because::Interrupted { .. }
            | Because::ChecksFailed { .. }
            | Because::Findings { .. }
            | Because::Conflict { .. }
            | Because::MakePass { .. }
            | Because::OutOfBounds {
                rule: Bounds::FrozenTests,
                ..
            }
            | Because::Guarded {
                change: GuardedChange::Written,
                ..
            }
            | Because::Answered { .. }
            | Because::Remarked => task.spec.writer,
        }),
        Work::Test(_) | Work::Try => Some(Role::Tester),
        Work::Review(_) | Work::Compare(_) => Some(Role::Reviewer),
        Work::Plan(_) | Work::Accept(_) => Some(Role::Author),
        Work::Check(_) | Work::Land(_) | Work::Survey => None,
    }
}
