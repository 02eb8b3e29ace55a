//! Owns the state and the questions that can be asked of it. It takes no decisions.
//!
//! Free slots, totals and columns are derived here, never stored beside what they follow from. The state is
//! made of entities behind `Arc`, so a copy is cheap and what changed in a step can be told by comparing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::decision::Decision;
use crate::foresight::Outlook;
use crate::gate::Gate;
use crate::ids::{AgentName, AttemptId, DecisionId, IssueId, LessonId, PersonaName, ShiftId, SlotId, TaskId};
use crate::issue::Issue;
use crate::ledger::{Account, Day, Level};
use crate::lesson::Lesson;
use crate::room::Room;
use crate::shift::{Shift, ShiftStage};
use crate::task::{AgentRun, Stage, Task};
use crate::units::MicroUsd;

/// What belongs to no single issue: whose turn it is, and the next free numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// Personas in the order of their turns, next first.
    pub ring: Vec<PersonaName>,
    /// Number of the next issue.
    pub next_issue: IssueId,
    /// Number of the next attempt.
    pub next_attempt: AttemptId,
    /// Number of the next shift.
    pub next_shift: ShiftId,
    /// Number of the next question.
    #[serde(default = "first_decision")]
    pub next_decision: DecisionId,
    /// Number of the next lesson.
    #[serde(default = "first_lesson")]
    pub next_lesson: LessonId,
    /// The day of the last event, by UTC: the one whose budget a start is held against.
    #[serde(default)]
    pub today: Day,
    /// The room on the disks that Turno writes to.
    #[serde(default)]
    pub room: Room,
}

fn first_decision() -> DecisionId {
    DecisionId(1)
}

fn first_lesson() -> LessonId {
    LessonId(1)
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            ring: Vec::new(),
            next_issue: IssueId(1),
            next_attempt: AttemptId(1),
            next_shift: ShiftId(1),
            next_decision: first_decision(),
            next_lesson: first_lesson(),
            today: Day::default(),
            room: Room::default(),
        }
    }
}

/// One part of the state, as a journal record and the store hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entity {
    /// The configuration.
    Config(Arc<Config>),
    /// An issue.
    Issue(Arc<Issue>),
    /// A task.
    Task(Arc<Task>),
    /// A shift.
    Shift(Arc<Shift>),
    /// A question for a person.
    Decision(Arc<Decision>),
    /// A lesson.
    Lesson(Arc<Lesson>),
    /// What was seen of coming conflicts in an issue.
    Outlook(Arc<Outlook>),
    /// A page of the ledger.
    Account(Arc<Account>),
    /// The gate of an agent's account.
    Gate(Arc<Gate>),
    /// The rest.
    Desk(Desk),
}

impl Entity {
    /// Its key in the store; a later entity of the same key replaces it.
    pub fn key(&self) -> String {
        match self {
            Self::Config(_) => "config".to_owned(),
            Self::Issue(issue) => format!("issue/{}", issue.id),
            Self::Task(task) => format!("task/{}", task.id),
            Self::Shift(shift) => format!("shift/{}", shift.id),
            Self::Decision(decision) => format!("decision/{}", decision.id),
            Self::Lesson(lesson) => format!("lesson/{}", lesson.id),
            Self::Outlook(outlook) => format!("outlook/{}", outlook.issue),
            Self::Account(account) => format!("account/{}", account.level),
            Self::Gate(gate) => format!("gate/{}", gate.agent),
            Self::Desk(_) => "desk".to_owned(),
        }
    }
}

/// Everything Turno knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The configuration, once one was loaded.
    pub config: Option<Arc<Config>>,
    /// All issues.
    pub issues: BTreeMap<IssueId, Arc<Issue>>,
    /// All tasks.
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    /// All shifts.
    pub shifts: BTreeMap<ShiftId, Arc<Shift>>,
    /// All questions.
    #[serde(default)]
    pub decisions: BTreeMap<DecisionId, Arc<Decision>>,
    /// All lessons.
    #[serde(default)]
    pub lessons: BTreeMap<LessonId, Arc<Lesson>>,
    /// What was seen of coming conflicts, by issue.
    #[serde(default)]
    pub outlooks: BTreeMap<IssueId, Arc<Outlook>>,
    /// The pages of the ledger: of each level at which anything was used, set or warned of.
    #[serde(default)]
    pub accounts: BTreeMap<Level, Arc<Account>>,
    /// The gates of agents' accounts: of each that was ever started.
    #[serde(default)]
    pub gates: BTreeMap<AgentName, Arc<Gate>>,
    /// The rest.
    pub desk: Desk,
}

impl State {
    /// The entities that are not as they were in `before`. Nothing is ever removed.
    pub fn changes_since(&self, before: &Self) -> Vec<Entity> {
        fn changed<K: Ord, V: PartialEq>(
            now: &BTreeMap<K, Arc<V>>,
            before: &BTreeMap<K, Arc<V>>,
            wrap: fn(Arc<V>) -> Entity,
            out: &mut Vec<Entity>,
        ) {
            out.extend(
                now.iter()
                    .filter(|(k, v)| before.get(k).is_none_or(|old| !Arc::ptr_eq(v, old) && v != &old))
                    .map(|(_, v)| wrap(Arc::clone(v))),
            );
        }
        let mut out = Vec::new();
        if let Some(config) = &self.config
            && before.config.as_ref() != Some(config)
        {
            out.push(Entity::Config(Arc::clone(config)));
        }
        changed(&self.issues, &before.issues, Entity::Issue, &mut out);
        changed(&self.tasks, &before.tasks, Entity::Task, &mut out);
        changed(&self.shifts, &before.shifts, Entity::Shift, &mut out);
        changed(&self.decisions, &before.decisions, Entity::Decision, &mut out);
        changed(&self.lessons, &before.lessons, Entity::Lesson, &mut out);
        changed(&self.outlooks, &before.outlooks, Entity::Outlook, &mut out);
        changed(&self.accounts, &before.accounts, Entity::Account, &mut out);
        changed(&self.gates, &before.gates, Entity::Gate, &mut out);
        if self.desk != before.desk {
            out.push(Entity::Desk(self.desk.clone()));
        }
        out
    }

    /// Every entity there is.
    pub fn entities(&self) -> Vec<Entity> {
        self.changes_since(&Self {
            desk: Desk {
                ring: Vec::new(),
                next_attempt: AttemptId(0),
                ..Desk::default()
            },
            ..Self::default()
        })
    }

    /// Takes an entity in, in place of the one with the same key.
    pub fn put(&mut self, entity: Entity) {
        match entity {
            Entity::Config(config) => self.config = Some(config),
            Entity::Issue(issue) => drop(self.issues.insert(issue.id, issue)),
            Entity::Task(task) => drop(self.tasks.insert(task.id, task)),
            Entity::Shift(shift) => drop(self.shifts.insert(shift.id, shift)),
            Entity::Decision(decision) => drop(self.decisions.insert(decision.id, decision)),
            Entity::Lesson(lesson) => drop(self.lessons.insert(lesson.id, lesson)),
            Entity::Outlook(outlook) => drop(self.outlooks.insert(outlook.issue, outlook)),
            Entity::Account(account) => drop(self.accounts.insert(account.level.clone(), account)),
            Entity::Gate(gate) => drop(self.gates.insert(gate.agent.clone(), gate)),
            Entity::Desk(desk) => self.desk = desk,
        }
    }

    /// The task an attempt runs for, if it still runs.
    pub fn task_of(&self, attempt: AttemptId) -> Option<TaskId> {
        self.running()
            .find(|t| t.run().is_some_and(|r| r.attempt == attempt))
            .map(|t| t.id)
    }

    /// The tasks that have an attempt running.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values().filter(|t| t.run().is_some())
    }

    /// The tasks of one issue.
    pub fn tasks_of(&self, issue: IssueId) -> impl Iterator<Item = &Arc<Task>> {
        let from = TaskId { issue, number: 0 };
        let to = TaskId {
            issue,
            number: u16::MAX,
        };
        self.tasks.range(from..=to).map(|(_, t)| t)
    }

    /// The shift that is not over, if there is one. There is at most one.
    pub fn shift(&self) -> Option<&Arc<Shift>> {
        self.shifts
            .values()
            .next_back()
            .filter(|s| !matches!(s.stage, ShiftStage::Ended { .. }))
    }

    /// Slots that no task holds.
    pub fn free_slots(&self) -> BTreeSet<SlotId> {
        let all = self.config.as_ref().map_or(0, |c| c.slots);
        let mut free: BTreeSet<SlotId> = (1..=all).map(SlotId).collect();
        for task in self.tasks.values() {
            if let Some(slot) = task.slot() {
                free.remove(&slot);
            }
        }
        free
    }

    /// Whether a task is on its integration branch, or another candidate for the same work is.
    pub fn has_landed(&self, id: TaskId) -> bool {
        let landed = |t: &Task| matches!(t.stage, Stage::Landed { .. });
        let Some(task) = self.tasks.get(&id) else {
            return false;
        };
        let rivals = task.spec.contest.is_some();
        landed(task)
            || rivals
                && self
                    .tasks_of(id.issue)
                    .any(|t| t.spec.contest == task.spec.contest && landed(t))
    }

    /// The tasks of one issue besides its own one.
    pub fn pieces_of(&self, issue: IssueId) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks_of(issue).filter(|t| !t.id.is_lead())
    }

    /// The task that is being landed, if one is.
    pub fn landing(&self) -> Option<&Arc<Task>> {
        self.tasks
            .values()
            .find(|t| matches!(t.stage, Stage::Landing { .. }))
    }

    /// The issue whose integration branch is being brought along, if one is. There is at most one.
    pub fn following(&self) -> Option<&Arc<Issue>> {
        self.issues.values().find(|i| i.following.run().is_some())
    }

    /// Every attempt that runs: of tasks, and of the issue whose branch is being brought along.
    pub fn attempts(&self) -> BTreeSet<AttemptId> {
        let following = self.following().and_then(|i| i.following.run());
        let of_tasks = self.running().filter_map(|t| t.run());
        of_tasks.chain(following).map(|r| r.attempt).collect()
    }

    /// How many attempts of an agent run.
    pub fn running_of(&self, agent: &AgentName) -> usize {
        self.running()
            .filter_map(|t| t.agent_run())
            .filter(|r| r.agent == *agent)
            .count()
    }

    /// What a shift has spent so far, running attempts included.
    pub fn spent(&self, shift: &Shift) -> MicroUsd {
        shift.spent + self.runs_in(shift).map(AgentRun::cost).sum()
    }

    /// What a shift has spent or has promised to running attempts.
    pub fn committed(&self, shift: &Shift) -> MicroUsd {
        shift.spent + self.runs_in(shift).map(AgentRun::held).sum()
    }

    fn runs_in(&self, shift: &Shift) -> impl Iterator<Item = &AgentRun> {
        // What runs on the issues of a shift that is over belongs to the one after it.
        let over = matches!(shift.stage, ShiftStage::Ended { .. });
        self.running()
            .filter(move |t| !over && shift.issues.contains(&t.id.issue))
            .filter_map(|t| t.agent_run())
    }

    /// What an issue has cost so far.
    pub fn cost_of(&self, issue: IssueId) -> MicroUsd {
        self.tasks_of(issue).map(|t| t.cost()).sum()
    }
}
