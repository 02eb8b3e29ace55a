//! Owns a task that a person takes for themselves: it is stopped, nothing is started for it, and what they bring goes
//! the way of any other candidate. What it costs is not in the ledger, and no account's gate is asked.

use super::Turn;
use super::brief::{brief, role_of};
use super::retry::go_on;
use crate::State;
use crate::command::{AgentStart, Limits, Session};
use crate::config::Config;
use crate::decision::DecisionStage;
use crate::failure::{Cause, Failure};
use crate::guard::{GuardedBy, History, Survey};
use crate::holding::{Brought, FIRST_SLOT, Hold, Leaving, Visit, WaitedFor};
use crate::ids::{AgentName, AttemptId, SlotId, TaskId};
use crate::ledger::Tariff;
use crate::persona::{Access, Persona, Role};
use crate::remark::{RemarkStage, Way};
use crate::shift::Shift;
use crate::task::{Because, Change, Stage, StartFrom, StopWhy, Task, Words, Work, WriteJob, WriterSession};
use crate::units::{MicroUsd, Span, Timestamp};

/// Until when the end of a shift waits for people who are attached to its tasks.
pub(super) fn waited_for(state: &State, shift: &Shift) -> Option<Timestamp> {
    let tasks = shift.issues.iter().flat_map(|id| state.tasks_of(*id));
    let visits = tasks.filter(|t| !t.is_over()).filter_map(|t| t.hold.visit());
    visits.filter_map(|v| v.waited_for.until()).max()
}

/// When nobody waits any more for the first of the people who are attached.
pub(super) fn deadline(state: &State) -> Option<Timestamp> {
    let visits = state.tasks.values().filter_map(|t| t.hold.visit());
    visits.filter_map(|v| v.waited_for.until()).min()
}

/// What a person is given who is attached to a task: as an agent's start, but for what it may use. `None` while an
/// attempt of it still runs, or when nobody is attached.
pub fn visit_start(state: &State, id: TaskId) -> Option<AgentStart> {
    let task = state.tasks.get(&id)?;
    let visit = task.hold.visit()?;
    if task.run().is_some() {
        return None;
    }
    let config = state.config.as_ref()?;
    let issue = state.issues.get(&id.issue)?;
    let (_, head) = issue.integration()?;
    let job = job_of(task)?;
    let (persona, agent) = cast(config, task, &job)?;
    let round = task.attempts.get(&persona.name).copied().unwrap_or(0) + 1;
    let (from, base) = match &job.from {
        StartFrom::Head => (head.clone(), head.clone()),
        StartFrom::Commit { commit, base } => (commit.clone(), base.clone()),
    };
    let brief = brief(state, config, issue, task, &Work::Write(job), round)?;
    let session = match &task.session {
        WriterSession::Open {
            persona: holder,
            agent: held,
            session,
        } if *holder == persona.name && *held == agent => Session::Resume(session.clone()),
        WriterSession::Open { .. } | WriterSession::Fresh => Session::Fresh,
    };
    Some(AgentStart {
        attempt: visit.attempt,
        task: id,
        repo: issue.draft.repo.clone(),
        slot: visit.slot,
        persona: persona.name.clone(),
        agent,
        access: Access::Write,
        since: Some(base.clone()),
        survey: Some(Survey {
            base,
            history: History::Kept,
            big_file: config.policy.big_file,
            tests: config.policy.test_paths.clone(),
        }),
        from,
        session,
        brief,
        limits: Limits {
            cap: MicroUsd::ZERO,
            wall_clock: Span(0),
            silence: config.policy.silence,
            notice: config.policy.patience().notice(),
            tariff: Tariff::Flat,
        },
    })
}

/// The writer's turn that a person takes. `None` where there is nothing that anybody could write.
fn job_of(task: &Task) -> Option<WriteJob> {
    let work = task.work()?;
    match &work {
        Work::Write(job) => Some(job.clone()),
        Work::Check(_) | Work::Test(_) | Work::Review(_) | Work::Compare(_) | Work::Land(_) => {
            let failure = Failure::new(Cause::Stopped, "a person attached to it");
            Some(go_on(work.change()?, Because::Interrupted { failure }))
        }
        Work::Survey | Work::Plan(_) | Work::Try | Work::Accept(_) => None,
    }
}

/// Whose conversation it is: the one that holds it, else the first who would write.
fn cast<'c>(config: &'c Config, task: &Task, job: &WriteJob) -> Option<(&'c Persona, AgentName)> {
    if let WriterSession::Open { persona, agent, .. } = &task.session
        && let Some(persona) = config.persona(persona)
        && persona.agents.contains(agent)
        && persona.access != Access::Read
    {
        return Some((persona, agent.clone()));
    }
    let role = role_of(&Work::Write(job.clone()), task).unwrap_or(Role::Engineer);
    let persona = config.personas.iter().find(|p| p.role == role)?;
    Some((persona, persona.agents.first()?.clone()))
}

/// Why nobody can attach to a task as it is, if nobody can.
pub fn cannot_attach(task: &Task) -> Option<&'static str> {
    if task.spec.contest.is_some() && !task.is_over() {
        return Some(
            "it competes with other candidates, and a person's hand in one of them would decide that",
        );
    }
    match &task.stage {
        Stage::Blocked => Some("it waits for tasks that must land first, so nothing of it is begun"),
        Stage::Entered { .. } | Stage::Comparing { .. } => {
            Some("it waits to be compared with the other candidates, and is not to change now")
        }
        Stage::Surveying { .. } | Stage::Planning { .. } | Stage::Trying { .. } | Stage::Accepting { .. } => {
            Some("nothing is written in it; attach to one of the issue's other tasks")
        }
        Stage::Landing { .. } => Some("it is being put on the issue's branch at this moment"),
        Stage::Landed { .. } => Some("it has landed; what is still to be done is a new issue"),
        Stage::Dropped { .. } => Some("it was given up"),
        Stage::Accepted { .. } => Some("it is over"),
        Stage::Writing { .. } | Stage::Checking { .. } | Stage::Testing { .. } | Stage::Reviewing { .. } => {
            None
        }
        Stage::Ready { .. } | Stage::Backoff { .. } | Stage::Parked { .. } => match job_of(task) {
            Some(_) => None,
            None => Some("nothing is written in it; attach to one of the issue's other tasks"),
        },
    }
}

impl Turn<'_> {
    /// A person attaches to a task. What runs for it is stopped, and its work kept.
    pub(super) fn task_taken(&mut self, id: TaskId) {
        let fits = |t: &Task| t.hold.visit().is_none() && cannot_attach(t).is_none();
        if !self.state.tasks.get(&id).is_some_and(|t| fits(t)) {
            return;
        }
        let patience = self
            .state
            .config
            .as_ref()
            .map_or(Span(0), |c| c.policy.decisions.deadline);
        let attempt = self.state.desk.next_attempt;
        self.state.desk.next_attempt = AttemptId(attempt.0 + 1);
        let (slot, since) = (self.free_visit_slot(), self.now);
        if let Some(task) = self.task(id) {
            task.hold = Hold::Attached(Visit {
                attempt,
                slot,
                since,
                waited_for: WaitedFor::Until(since + patience),
            });
        }
        self.stop(id, StopWhy::Taken);
    }

    /// Nobody is waited for longer than the policy waits for an answer.
    pub(super) fn expire_visits(&mut self) {
        let now = self.now;
        let is_due = |t: &Task| {
            t.hold
                .visit()
                .and_then(|v| v.waited_for.until())
                .is_some_and(|at| at <= now)
        };
        let due: Vec<TaskId> = self
            .state
            .tasks
            .values()
            .filter(|t| is_due(t))
            .map(|t| t.id)
            .collect();
        for id in due {
            if let Some(Hold::Attached(visit)) = self.task(id).map(|t| &mut t.hold) {
                visit.waited_for = WaitedFor::NoMore;
            }
        }
    }

    /// The first of the people's slots in which nobody is.
    fn free_visit_slot(&self) -> SlotId {
        let taken = |slot: &SlotId| {
            let mut holds = self.state.tasks.values().filter_map(|t| t.hold.visit());
            holds.any(|v| v.slot == *slot)
        };
        let mut slot = SlotId(FIRST_SLOT);
        while taken(&slot) && slot.0 < u16::MAX {
            slot = SlotId(slot.0 + 1);
        }
        slot
    }

    /// A person has left a task.
    pub(super) fn task_given_back(
        &mut self,
        id: TaskId,
        attempt: AttemptId,
        brought: &Brought,
        leaving: Leaving,
    ) {
        let since = self.now;
        let Some(task) = self.task(id) else { return };
        if task.hold.visit().map(|v| v.attempt) != Some(attempt) {
            return;
        }
        task.hold = match leaving {
            Leaving::GoesOn | Leaving::Lost => Hold::Free,
            Leaving::Kept => Hold::Kept { since },
        };
        // What was discarded stays so; what still runs was not theirs.
        if task.is_over() || task.run().is_some() {
            return;
        }
        let Brought::Change(change) = brought else { return };
        self.withdraw_all(id);
        if leaving != Leaving::Lost {
            self.heeded_by_hand(id, change);
        }
        match leaving {
            Leaving::GoesOn | Leaving::Kept => self.handed_in(id, Change::clone(change)),
            Leaving::Lost => {
                let failure = Failure::new(
                    Cause::Lost,
                    "a person was attached to it, and left without a word",
                );
                let work = Work::Write(go_on(change, Because::Interrupted { failure }));
                self.set_stage(id, Stage::Ready { work, since });
            }
        }
    }

    /// What people said of a task, and its words, were before their eyes when one of them worked on it.
    fn heeded_by_hand(&mut self, id: TaskId, change: &Change) {
        let Some(task) = self.task(id) else { return };
        task.words = Words::Held;
        let writer = task.spec.writer;
        for remark in task.remarks.iter_mut().filter(|r| r.is_open() && r.to == writer) {
            remark.stage = RemarkStage::Heeded {
                by: change.writer.clone(),
                way: Way::AtTheBeginning,
            };
        }
    }

    /// A person gives back what they had put aside.
    pub(super) fn task_released(&mut self, id: TaskId) {
        if let Some(task) = self.task(id)
            && let Hold::Kept { .. } = task.hold
        {
            task.hold = Hold::Free;
        }
    }

    /// What a person brought goes the way of any other change.
    fn handed_in(&mut self, id: TaskId, change: Change) {
        let refused = self.refused(&change);
        if !refused.is_empty() {
            return self.guarded(id, &change, refused, GuardedBy::Policy);
        }
        self.delivered(id);
        let since = self.now;
        if self.checks_for(id).is_empty() {
            return self.unchecked(id, change);
        }
        self.set_stage(
            id,
            Stage::Ready {
                work: Work::Check(change),
                since,
            },
        );
    }

    /// Nobody waits any more for answers to what was asked before.
    fn withdraw_all(&mut self, id: TaskId) {
        let open = self
            .state
            .decisions
            .values()
            .filter(|d| d.task == id && d.is_open());
        let open: Vec<_> = open.map(|d| d.id).collect();
        for id in open {
            if let Some(d) = self.state.decisions.get_mut(&id) {
                std::sync::Arc::make_mut(d).stage = DecisionStage::Withdrawn;
            }
        }
    }
}
