//! Owns following: when an issue's integration branch is brought along with the user's branch that it began on, and
//! what its end leads to. It is no task's work: the issue holds the attempt.

use super::Turn;
use super::rooms::no_room;
use crate::command::{Command, FollowStart};
use crate::event::FollowEnd;
use crate::failure::Failure;
use crate::following::{Alarm, CannotFollow, FollowHow, Following, Keeping};
use crate::ids::{AttemptId, CommitId, IssueId};
use crate::issue::{Issue, IssueStage};
use crate::policy::FollowRule;
use crate::promotion::Fork;
use crate::shift::{Shift, ShiftStage};
use crate::state::State;
use crate::task::{Stage, StartFrom, StopWhy, Stopping, Task, Work, WriteJob, checks_deadline};
use crate::units::Timestamp;

/// An integration branch that the running shift watches, with all that tells whether it has to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched<'a> {
    /// Whose.
    pub issue: &'a Issue,
    /// The branch of the user's that it keeps up with.
    pub branch: &'a str,
    /// Where that was when it was last looked at.
    pub tip: &'a CommitId,
    /// Where the integration branch is.
    pub head: &'a CommitId,
}

/// The integration branches whose targets are worth a look: those that may still be brought along, now or when a shift
/// takes them up again.
pub fn watched(state: &State) -> impl Iterator<Item = Watched<'_>> {
    let follows = rule(state) != FollowRule::Off;
    state.issues.values().filter_map(move |issue| {
        let Following::Branch { name, tip, .. } = &issue.following else {
            return None;
        };
        let (_, head) = issue.integration().filter(|_| issue.fork == Fork::ByHistory)?;
        follows.then_some(Watched {
            issue,
            branch: name,
            tip,
            head,
        })
    })
}

/// The head of a branch that nothing but Turno's own work has a say in: not one in review, nor one whose work is
/// counted from another place than the history's because it was promoted once and taken back.
fn may_move(issue: &Issue) -> Option<&CommitId> {
    match &issue.stage {
        IssueStage::Working { head, .. } if issue.fork == Fork::ByHistory => Some(head),
        IssueStage::Working { .. }
        | IssueStage::Backlog
        | IssueStage::Opening { .. }
        | IssueStage::Review { .. }
        | IssueStage::Done { .. }
        | IssueStage::Closed { .. } => None,
    }
}

fn rule(state: &State) -> FollowRule {
    let config = state.config.as_ref();
    config.map_or(FollowRule::Off, |c| c.policy.landing.follow)
}

/// Whether an issue's branch is to be brought along in the running shift, as soon as nothing stands in the way. What
/// failed before is not tried again unless one of the two branches has moved.
pub(super) fn is_due(state: &State, issue: &Issue) -> bool {
    let in_shift = |shift: &Shift| shift.stage == ShiftStage::Running && shift.issues.contains(&issue.id);
    if rule(state) == FollowRule::Off || !state.shift().is_some_and(|s| in_shift(s)) {
        return false;
    }
    let Some(head) = may_move(issue) else {
        return false;
    };
    match &issue.following {
        Following::Nothing => false,
        Following::Branch { tip, keeping, .. } => match keeping {
            Keeping::Level | Keeping::Running { .. } => false,
            Keeping::Behind => true,
            Keeping::Alarm(alarm) => alarm.tip != *tip || alarm.head != *head,
        },
    }
}

/// Whether nothing of an issue is being landed, and nobody works on what is at its head.
fn is_idle(state: &State, issue: IssueId, head: &CommitId) -> bool {
    !state.tasks_of(issue).any(|task| match &task.stage {
        Stage::Landing { .. } => true,
        Stage::Surveying { commit, .. } => commit == head,
        Stage::Blocked
        | Stage::Ready { .. }
        | Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Entered { .. }
        | Stage::Comparing { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Accepted { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => task.agent_run().is_some_and(|r| r.from == *head),
    })
}

/// The issue whose branch is about to move, for work that would begin at its head.
pub(super) fn holds_back(state: &State, task: &Task) -> Option<IssueId> {
    let Stage::Ready { work, .. } = &task.stage else {
        return None;
    };
    let at_head = match work {
        Work::Write(WriteJob { from, .. }) => *from == StartFrom::Head,
        Work::Plan(_) | Work::Try | Work::Accept(_) | Work::Survey => true,
        Work::Check(_) | Work::Test(_) | Work::Review(_) | Work::Compare(_) | Work::Land(_) => false,
    };
    let issue = state.issues.get(&task.id.issue)?;
    (at_head && issue.following.run().is_some()).then_some(issue.id)
}

/// When a following next has something to do by itself.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let run = state.following()?.following.run()?;
    (run.stopping == Stopping::No).then_some(run.deadline)
}

impl Turn<'_> {
    /// The user's branch was seen at another commit, which an issue's branch does not have.
    pub(super) fn target_moved(&mut self, id: IssueId, at: &CommitId) {
        let Some(issue) = self.issue(id) else { return };
        let Following::Branch { tip, keeping, .. } = &mut issue.following else {
            return;
        };
        *tip = at.clone();
        if *keeping == Keeping::Level {
            *keeping = Keeping::Behind;
        }
    }

    /// A shift takes an issue up again: what failed for a reason of the machine's may be gone by now.
    pub(super) fn follow_again(&mut self, id: IssueId) {
        let follows = rule(self.state) != FollowRule::Off;
        let Some(issue) = self.issue(id) else { return };
        if !follows || issue.fork != Fork::ByHistory {
            return;
        }
        // In review it is the person's to look at, until they have it taken up again.
        if let IssueStage::Review { base, head } = &issue.stage
            && let Following::Branch { tip, keeping, .. } = &issue.following
            && match keeping {
                Keeping::Behind => true,
                Keeping::Alarm(alarm) => {
                    alarm.tip != *tip
                        || alarm.head != *head
                        || matches!(alarm.why, CannotFollow::Failed { .. })
                }
                Keeping::Level | Keeping::Running { .. } => false,
            }
        {
            issue.stage = IssueStage::Working {
                base: base.clone(),
                head: head.clone(),
            };
        }
        if let Following::Branch { keeping, .. } = &mut issue.following
            && let Keeping::Alarm(Alarm {
                why: CannotFollow::Failed { .. },
                ..
            }) = keeping
        {
            *keeping = Keeping::Behind;
        }
    }

    /// Whether a branch that is over could follow is nobody's concern.
    pub(super) fn forget_alarm(&mut self, id: IssueId) {
        let Some(issue) = self.issue(id) else { return };
        if let Following::Branch { keeping, .. } = &mut issue.following
            && let Keeping::Alarm(_) = keeping
        {
            *keeping = Keeping::Behind;
        }
    }

    /// Brings one branch along, in the place of landings. `false` when none is to be, or none can be now.
    pub(super) fn start_following(&mut self) -> bool {
        if self.state.landing().is_some() || self.state.following().is_some() || no_room(self.state).is_some()
        {
            return false;
        }
        let how = match rule(self.state) {
            FollowRule::Off => return false,
            FollowRule::Merge => FollowHow::Merge,
            FollowRule::Rebase => FollowHow::Rebase,
        };
        let next = self.state.issues.values().find_map(|issue| {
            let head = may_move(issue)?;
            (is_due(self.state, issue) && is_idle(self.state, issue.id, head)).then(|| issue.clone())
        });
        let Some(issue) = next else { return false };
        let (Some(config), Some((base, head))) = (self.state.config.clone(), issue.integration()) else {
            return false;
        };
        let Following::Branch { name, tip, .. } = &issue.following else {
            return false;
        };
        // What it stands on may be commits of others: these are not its own, to be made again or to be missed.
        let (how, since) = if issue.draft.needs.is_empty() {
            (how, Some(base.clone()))
        } else {
            (FollowHow::Merge, None)
        };
        let checks = config.checks_of(&issue.draft.repo).to_vec();
        let reruns = config.policy.check_reruns;
        let run = self.new_run(checks_deadline(checks.iter().map(|c| c.timeout), reruns));
        self.commands.push(Command::Follow(Box::new(FollowStart {
            attempt: run.attempt,
            issue: issue.id,
            repo: issue.draft.repo.clone(),
            branch: name.clone(),
            onto: tip.clone(),
            base: base.clone(),
            since,
            head: head.clone(),
            how,
            checks,
            known_red: issue.plan.red.clone(),
            reruns,
        })));
        let onto = tip.clone();
        self.keep(issue.id, Keeping::Running { onto, run });
        true
    }

    fn keep(&mut self, id: IssueId, now: Keeping) {
        if let Some(issue) = self.issue(id)
            && let Following::Branch { keeping, .. } = &mut issue.following
        {
            *keeping = now;
        }
    }

    /// The issue that an attempt brings along, and up to where.
    fn follower(&self, attempt: AttemptId) -> Option<(IssueId, CommitId, CommitId)> {
        let issue = self.state.following()?;
        match &issue.following {
            Following::Branch {
                tip,
                keeping: Keeping::Running { onto, run },
                ..
            } if run.attempt == attempt => Some((issue.id, tip.clone(), onto.clone())),
            Following::Nothing | Following::Branch { .. } => None,
        }
    }

    pub(super) fn follow_ended(&mut self, attempt: AttemptId, end: &FollowEnd) {
        let Some((id, tip, onto)) = self.follower(attempt) else {
            return;
        };
        let since = self.now;
        let alarm = |head: &CommitId, why| {
            let (tip, head) = (onto.clone(), head.clone());
            let alarm = Alarm {
                tip,
                head,
                why,
                since,
            };
            Keeping::Alarm(alarm)
        };
        let now = match end {
            FollowEnd::Followed { head } => {
                self.head_is(id, head);
                self.counts_from(id, &onto);
                if tip == onto {
                    Keeping::Level
                } else {
                    Keeping::Behind
                }
            }
            FollowEnd::Conflict { files, head } => {
                self.head_is(id, head);
                let files = files.clone();
                alarm(head, CannotFollow::Conflict { files })
            }
            FollowEnd::NotGreen { report, head } => {
                self.head_is(id, head);
                let report = report.clone();
                alarm(head, CannotFollow::NotGreen { report })
            }
            FollowEnd::Rewritten { lost, head } => {
                self.head_is(id, head);
                let lost = lost.clone();
                alarm(head, CannotFollow::Rewritten { lost })
            }
            FollowEnd::Raced { head } => {
                self.head_is(id, head);
                Keeping::Behind
            }
        };
        self.keep(id, now);
    }

    /// What an issue has done itself is what its branch has and the user's has not.
    fn counts_from(&mut self, id: IssueId, tip: &CommitId) {
        let Some(issue) = self.issue(id) else { return };
        if issue.draft.needs.is_empty()
            && let IssueStage::Working { base, .. } = &mut issue.stage
        {
            *base = tip.clone();
        }
    }

    /// It came to no end of its own.
    pub(super) fn follow_failed(&mut self, attempt: AttemptId, failure: &Failure) {
        let Some((id, _, onto)) = self.follower(attempt) else {
            return;
        };
        let Some(issue) = self.state.issues.get(&id) else {
            return;
        };
        let asked = issue.following.run().map(|r| r.stopping.clone());
        let now = match (asked, issue.integration()) {
            (
                Some(Stopping::Asked {
                    why:
                        StopWhy::Asked
                        | StopWhy::Discarded
                        | StopWhy::Taken
                        | StopWhy::Remarked
                        | StopWhy::AttemptBudget
                        | StopWhy::TaskBudget
                        | StopWhy::IssueBudget
                        | StopWhy::AgentBudget
                        | StopWhy::ShiftBudget
                        | StopWhy::DayBudget,
                    ..
                })
                | None,
                _,
            )
            | (_, None) => Keeping::Behind,
            (
                Some(
                    Stopping::No
                    | Stopping::Asked {
                        why: StopWhy::WallClock | StopWhy::Stalled,
                        ..
                    },
                ),
                Some((_, head)),
            ) => Keeping::Alarm(Alarm {
                tip: onto,
                head: head.clone(),
                why: CannotFollow::Failed {
                    failure: failure.clone(),
                },
                since: self.now,
            }),
        };
        self.keep(id, now);
    }

    /// The coordinator died during it. Whether the branch has moved is seen when it is begun again.
    pub(super) fn follow_lost(&mut self) {
        if let Some(id) = self.state.following().map(|i| i.id) {
            self.keep(id, Keeping::Behind);
        }
    }

    /// Tells the attempt that brings an issue's branch along to stop, if one does. A discard outranks every other
    /// reason.
    pub(super) fn stop_following(&mut self, id: IssueId, why: StopWhy) {
        let at = self.now;
        let Some(issue) = self.issue(id) else { return };
        let Following::Branch {
            keeping: Keeping::Running { run, .. },
            ..
        } = &mut issue.following
        else {
            return;
        };
        let attempt = run.attempt;
        let first = run.stopping == Stopping::No;
        if first || why == StopWhy::Discarded {
            run.stopping = Stopping::Asked { why, at };
        }
        if first {
            self.commands.push(Command::StopAttempt { attempt, why });
        }
    }
}
