//! Owns the one function that decides. After every event: handle it, expire deadlines, fill slots, settle
//! what is over. Level-triggered: what follows from the state is found again each time, so nothing can be
//! missed. Each stage has its own file below; the match here only says who handles what.

mod accepting;
mod brief;
mod casting;
mod checking;
mod contest;
mod deciding;
mod expire;
mod fill;
mod following;
mod foreseeing;
mod funding;
mod gates;
mod guarding;
mod holding;
mod intake;
mod joining;
mod landing;
mod liveness;
mod planning;
mod promoting;
mod recovery;
mod remarks;
mod replanning;
mod retry;
mod reviewing;
mod rooms;
mod settle;
mod spending;
mod surveying;
mod team;
mod testing;
mod waves;
mod writing;

pub use brief::current_brief;
pub use fill::{Reasons, Waiting, waiting};
pub use following::{Watched, watched};
pub use funding::lacking;
pub use holding::{cannot_attach, visit_start};
pub(crate) use joining::unmet_needs;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::command::Command;
use crate::event::Event;
use crate::ids::{AttemptId, TaskId};
use crate::issue::Issue;
use crate::ledger::{Day, Level};
use crate::shift::Shift;
use crate::state::State;
use crate::task::{Run, Stage, StopWhy, Stopping, Task};
use crate::units::{Span, Spend, Timestamp};

/// The whole brain. Total: any event in any state is legal. The same inputs give the same outputs, for ever.
pub fn step(state: &mut State, now: Timestamp, event: &Event) -> Vec<Command> {
    let mut turn = Turn {
        state,
        now,
        commands: Vec::new(),
        booked: BTreeSet::new(),
    };
    turn.state.desk.today = Day::of(now);
    turn.handle(event);
    turn.watch_booked();
    turn.tend_gates();
    turn.expire();
    turn.advance();
    // What is done makes room for what waits for it, so both are found in the same step.
    turn.settle_issues();
    turn.join();
    turn.advance();
    // What is parked may be what others waited for.
    while turn.park_unfunded() || turn.park_unserved() {
        turn.advance();
        turn.join();
        turn.advance();
    }
    turn.fill();
    turn.foresee();
    turn.settle();
    turn.commands
}

/// When [`step`] next has something to do by itself. The shell sleeps until then.
pub fn next_deadline(state: &State) -> Option<Timestamp> {
    let tasks = state.tasks.values().filter_map(|task| expire::deadline(task));
    let watched = liveness::deadline(state);
    let decisions = state.decisions.values().filter_map(|d| deciding::deadline(d));
    let others = joining::deadline(state)
        .into_iter()
        .chain(following::deadline(state))
        .chain(gates::deadline(state))
        .chain(watched)
        .chain(rooms::deadline(state))
        .chain(holding::deadline(state));
    tasks.chain(decisions).chain(others).min()
}

/// One call of [`step`].
struct Turn<'a> {
    state: &'a mut State,
    now: Timestamp,
    commands: Vec<Command>,
    /// Levels at which something was booked in this step.
    booked: BTreeSet<Level>,
}

impl Turn<'_> {
    fn handle(&mut self, event: &Event) {
        match event {
            Event::ConfigLoaded { config } => self.config_loaded(config),
            Event::IssueAdded { draft } => self.issue_added(draft),
            Event::IssueEdited { issue, draft } => self.issue_edited(*issue, draft),
            Event::IssueClosed { issue, why } => self.issue_closed(*issue, why),
            Event::IssueJoined { issue } => self.issue_joined(*issue),
            Event::ShiftStarted {
                mode,
                issues,
                budget,
                scope,
            } => {
                self.ask_again();
                self.gates_for_a_shift();
                self.wait_anew();
                self.shift_started(mode, issues, *budget, *scope);
            }
            Event::IssueOpened { issue, base, target } => self.issue_opened(*issue, base, target),
            Event::TargetMoved { issue, tip } => self.target_moved(*issue, tip),
            Event::IssueNotOpened { issue, why } => self.issue_not_opened(*issue, why),
            Event::DecisionAnswered { decision, answer } => self.decision_answered(*decision, answer),
            Event::LessonAdded { repo, draft } => self.lesson_added(repo, draft),
            Event::LessonEdited { lesson, edit } => self.lesson_edited(*lesson, edit),
            Event::DecisionAsked {
                attempt,
                question,
                key,
            } => {
                self.account_heard(*attempt);
                self.decision_asked(*attempt, question, key);
            }
            Event::TaskProposed { attempt, proposed } => {
                self.account_heard(*attempt);
                self.task_proposed(*attempt, proposed);
            }
            Event::Noted { attempt, said } => {
                self.account_heard(*attempt);
                self.noted(*attempt, said);
            }
            Event::BudgetSet { level, allowance } => self.budget_set(level, *allowance),
            Event::StopAsked { how } => self.stop_asked(*how),
            Event::Discarded { what } => self.discarded(*what),
            Event::PlanEdited {
                issue,
                version,
                edits,
            } => self.plan_edited(*issue, *version, edits),
            Event::TaskTaken { task } => self.task_taken(*task),
            Event::TaskGivenBack {
                task,
                attempt,
                brought,
                leaving,
            } => self.task_given_back(*task, *attempt, brought, *leaving),
            Event::TaskReleased { task } => self.task_released(*task),
            Event::PullRequestBegun { issue, pushed } => self.pull_begun(*issue, pushed),
            Event::PullRequestOpened { issue, request } => self.pull_opened(*issue, request),
            Event::PromotionBegun { issue, begun } => self.promotion_begun(*issue, begun),
            Event::Promoted {
                issue,
                onto,
                commit,
                put,
            } => self.promoted(*issue, onto, commit, put),
            Event::Reverted { issue, from, .. } => self.reverted(*issue, from),
            Event::Commented { on, finding, commit } => self.commented(*on, finding, commit.as_ref()),
            Event::Told { attempt, words } => self.told(*attempt, words),
            Event::Heard { attempt, remark } => {
                self.account_heard(*attempt);
                self.heard(*attempt, *remark);
            }
            Event::SessionOpened { attempt, session } => self.session_opened(*attempt, session),
            Event::Metered { attempt, spend } => {
                self.account_metered(*attempt, *spend);
                self.metered(*attempt, *spend);
            }
            Event::QuotaSeen { attempt, quota } => self.quota_seen(*attempt, quota),
            Event::Seen {
                attempt,
                activity,
                lasts,
            } => self.seen(*attempt, activity, *lasts),
            Event::ClockJumped { by, .. } => self.clock_jumped(*by),
            Event::AgentEnded {
                attempt,
                end,
                spend,
                left,
                ..
            } => {
                self.account_ended(*attempt, end, *spend);
                self.agent_ended(*attempt, end, *spend, left);
            }
            Event::ChecksEnded {
                attempt,
                report,
                without,
                on_base,
            } => self.checks_ended(*attempt, report, without.as_ref(), on_base.as_ref()),
            Event::LandingEnded { attempt, end } => self.landing_ended(*attempt, end),
            Event::FollowEnded { attempt, end } => self.follow_ended(*attempt, end),
            Event::AttemptFailed { attempt, failure } => {
                self.account_failed(*attempt, failure, Spend::NOTHING);
                self.attempt_failed(*attempt, failure);
            }
            // For people: what could be put back was, and what follows for the task its own end says.
            Event::Contacted { .. } | Event::Tampered { .. } | Event::TimePassed => {}
            Event::RoomSeen { tight } => self.room_seen(tight),
            Event::Foreseen { of, commit, sights } => self.foreseen(*of, commit, sights),
            Event::Restarted { lost, adopted } => {
                self.ask_again();
                self.wait_anew();
                self.restarted(lost, adopted);
            }
        }
    }

    /// What follows for tasks and issues from where the others are.
    fn advance(&mut self) {
        // First of all: what a person sent back is no candidate of anything.
        self.tend_remarks();
        // What is written again anyway asks nobody whether it may land.
        self.hold_to_words();
        // Before the rest: what waits for a person makes no group of a batch wait.
        self.guard_landings();
        self.waves();
        self.contests();
        self.guard_landings();
        self.hold_to_words();
        self.unblock();
        self.return_clashing();
        self.lead();
    }

    /// A task to change. Only its own copy is made, and only once for each step.
    fn task(&mut self, id: TaskId) -> Option<&mut Task> {
        self.state.tasks.get_mut(&id).map(Arc::make_mut)
    }

    fn issue(&mut self, id: crate::ids::IssueId) -> Option<&mut Issue> {
        self.state.issues.get_mut(&id).map(Arc::make_mut)
    }

    /// The shift that is not over.
    fn shift(&mut self) -> Option<&mut Shift> {
        let id = self.state.shift()?.id;
        self.state.shifts.get_mut(&id).map(Arc::make_mut)
    }

    fn set_stage(&mut self, id: TaskId, stage: Stage) {
        if let Some(task) = self.task(id) {
            task.stage = stage;
        }
    }

    /// A new attempt that may run for `limit`.
    fn new_run(&mut self, limit: Span) -> Run {
        let attempt = self.state.desk.next_attempt;
        self.state.desk.next_attempt = AttemptId(attempt.0 + 1);
        Run {
            attempt,
            started: self.now,
            deadline: self.now + limit,
            stopping: Stopping::No,
        }
    }

    /// Tells a task's attempt to stop. One that is stopping already may be told a stronger reason: a discard
    /// outranks every other, because what follows is final, and money makes haste, because each message costs.
    fn stop(&mut self, id: TaskId, why: StopWhy) {
        let at = self.now;
        let Some(run) = self.task(id).and_then(Task::run_mut) else {
            return;
        };
        let attempt = run.attempt;
        let tell = match run.stopping {
            Stopping::No => {
                run.stopping = Stopping::Asked { why, at };
                true
            }
            Stopping::Asked { why: before, .. } => {
                let hastens = why.is_about_money() && !before.is_about_money();
                if why == StopWhy::Discarded || hastens && before != StopWhy::Discarded {
                    run.stopping = Stopping::Asked { why, at };
                }
                hastens
            }
        };
        if tell {
            self.commands.push(Command::StopAttempt { attempt, why });
        }
    }

    /// The task of an attempt that still runs. Anything else is stale and ignored.
    fn task_of(&self, attempt: AttemptId) -> Option<Task> {
        let id = self.state.task_of(attempt)?;
        self.state.tasks.get(&id).map(|t| Task::clone(t))
    }
}
