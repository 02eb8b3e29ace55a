//! Owns the projections that people and programs are shown: the only ones, for terminal, JSON and board alike.
//! Pure functions of the state.

mod accounts;
mod phrase;
mod stage;

pub use self::accounts::AccountView;
pub use self::phrase::{failure_phrase, park_phrase, task_phrase, waiting_phrase};
pub use self::stage::StageName;

use serde::{Deserialize, Serialize};

use crate::config::Confinement;
use crate::decision::Decision;
use crate::following::Following;
use crate::foresight::{self, Clash};
use crate::gate::{Gate, Standing};
use crate::ids::{AgentName, AttemptId, IssueId, PersonaName, PolicyName, RepoName, ShiftId, SlotId, TaskId};
use crate::issue::{Issue, IssueStage, Priority, Proposal};
use crate::liveness::Watch;
use crate::pull::Pull;
use crate::room::Tight;
use crate::shift::ShiftStage;
use crate::state::State;
use crate::step::{Reasons, Waiting};
use crate::task::{Stopping, Task};
use crate::units::{MicroUsd, Timestamp};

/// Everything at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The latest shift, running or over.
    pub shift: Option<ShiftView>,
    /// What runs, by attempt.
    pub running: Vec<RunView>,
    /// Slots that nobody holds.
    pub free_slots: Vec<SlotId>,
    /// Questions that wait for a person.
    pub decisions: Vec<Decision>,
    /// Accounts of agents of which something is known.
    #[serde(default)]
    pub accounts: Vec<AccountView>,
    /// Accounts of agents that may not be started whenever there is work.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// All issues.
    pub issues: Vec<IssueView>,
    /// Disks that had too little room for anything to be started when they were last looked at.
    #[serde(default)]
    pub tight: Vec<Tight>,
}

/// A shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftView {
    /// Its id.
    pub id: ShiftId,
    /// Its mode.
    pub mode: PolicyName,
    /// How far it is.
    pub stage: ShiftStage,
    /// When it began.
    pub started: Timestamp,
    /// All it may spend.
    pub budget: MicroUsd,
    /// Spent so far, running attempts included.
    pub spent: MicroUsd,
    /// Spent, or promised to running attempts.
    pub committed: MicroUsd,
    /// What holds its attempts and checks to what they may do.
    pub confinement: Confinement,
}

/// A running attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub attempt: AttemptId,
    /// For which task; for an issue's branch that is brought along, the issue's own.
    pub task: TaskId,
    /// What it does.
    pub stage: StageName,
    /// Who does it.
    pub by: RunBy,
    /// Where.
    pub place: RunPlace,
    /// Since when.
    pub started: Timestamp,
    /// Until when at the latest.
    pub deadline: Timestamp,
    /// Whether it has been told to stop.
    pub stopping: Stopping,
    /// Spent by it so far.
    pub cost: MicroUsd,
    /// What was last seen of an agent; absent where Turno's own code runs.
    #[serde(default)]
    pub watch: Option<Watch>,
}

/// Who does a running attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunBy {
    /// An agent in a role.
    Agent {
        /// The role's persona.
        persona: PersonaName,
        /// The agent.
        agent: AgentName,
    },
    /// Turno's own code.
    Turno,
}

/// Where a running attempt works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunPlace {
    /// In a slot of the pool.
    Slot(SlotId),
    /// In the slot kept for landing.
    Landing,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueView {
    /// Its id.
    pub id: IssueId,
    /// One line.
    pub title: String,
    /// Which work comes first.
    pub priority: Priority,
    /// Free words.
    pub labels: Vec<String>,
    /// How far it is.
    pub stage: IssueStage,
    /// What it has cost.
    pub cost: MicroUsd,
    /// The repository it is about.
    pub repo: RepoName,
    /// Issues that must be done first.
    pub needs: Vec<IssueId>,
    /// Tasks that were proposed, and what became of them.
    pub proposals: Vec<Proposal>,
    /// How its branch keeps up with the user's branch that it began on.
    #[serde(default)]
    pub following: Following,
    /// How far its pull request is.
    #[serde(default)]
    pub pull: Pull,
    /// Its tasks.
    pub tasks: Vec<TaskView>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// Where it is.
    pub stage: StageName,
    /// What is next or under way, in words.
    pub detail: String,
    /// Why it does not run, if it does not and is not over.
    pub waiting: Option<Waiting>,
    /// Conflicts of its change that are seen coming.
    #[serde(default)]
    pub clashes: Vec<Clash>,
    /// Attempts of agents so far.
    pub attempts: u32,
    /// What it has cost.
    pub cost: MicroUsd,
}

/// Everything at a glance.
pub fn status(state: &State) -> StatusView {
    StatusView {
        shift: state.shifts.values().next_back().map(|shift| ShiftView {
            id: shift.id,
            mode: shift.mode.clone(),
            stage: shift.stage.clone(),
            started: shift.started,
            budget: shift.budget,
            spent: state.spent(shift),
            committed: state.committed(shift),
            confinement: state.config.as_ref().map_or(Confinement::Off, |c| c.confinement),
        }),
        running: state
            .running()
            .filter_map(|task| run(task))
            .chain(state.following().and_then(|issue| following(issue)))
            .collect(),
        free_slots: state.free_slots().into_iter().collect(),
        decisions: state
            .decisions
            .values()
            .filter(|d| d.is_open())
            .map(|d| Decision::clone(d))
            .collect(),
        accounts: accounts::accounts(state),
        gates: state
            .gates
            .values()
            .filter(|g| g.standing != Standing::Open)
            .map(|g| Gate::clone(g))
            .collect(),
        issues: {
            let reasons = Reasons::of(state);
            let ids = state.issues.keys();
            ids.filter_map(|id| issue_view(state, &reasons, *id)).collect()
        },
        tight: state.desk.room.tight().cloned().collect(),
    }
}

/// One issue with its tasks.
pub fn issue(state: &State, id: IssueId) -> Option<IssueView> {
    issue_view(state, &Reasons::of(state), id)
}

fn issue_view(state: &State, reasons: &Reasons<'_>, id: IssueId) -> Option<IssueView> {
    let issue = state.issues.get(&id)?;
    Some(IssueView {
        id,
        title: issue.draft.title.clone(),
        priority: issue.draft.priority,
        labels: issue.draft.labels.clone(),
        stage: issue.stage.clone(),
        cost: state.cost_of(id),
        repo: issue.draft.repo.clone(),
        needs: issue.draft.needs.iter().copied().collect(),
        proposals: issue.plan.proposals.clone(),
        following: issue.following.clone(),
        pull: issue.pull.clone(),
        tasks: state
            .tasks_of(id)
            .map(|task| task_view(state, reasons, task))
            .collect(),
    })
}

fn task_view(state: &State, reasons: &Reasons<'_>, task: &Task) -> TaskView {
    let waiting = reasons.why(task);
    TaskView {
        id: task.id,
        title: task.spec.title.clone(),
        stage: StageName::of(&task.stage),
        detail: task_phrase(task),
        waiting,
        clashes: foresight::clashes(state, task),
        attempts: task.attempts.values().sum(),
        cost: task.cost(),
    }
}

fn run(task: &Task) -> Option<RunView> {
    let run = task.run()?;
    let by = task.agent_run().map_or(RunBy::Turno, |r| RunBy::Agent {
        persona: r.persona.clone(),
        agent: r.agent.clone(),
    });
    Some(RunView {
        attempt: run.attempt,
        task: task.id,
        stage: StageName::of(&task.stage),
        by,
        place: task.slot().map_or(RunPlace::Landing, RunPlace::Slot),
        started: run.started,
        deadline: run.deadline,
        stopping: run.stopping.clone(),
        cost: task.agent_run().map_or(MicroUsd::ZERO, |r| r.spend.cost),
        watch: task.agent_run().map(|r| r.watch.clone()),
    })
}

fn following(issue: &Issue) -> Option<RunView> {
    let run = issue.following.run()?;
    Some(RunView {
        attempt: run.attempt,
        task: issue.lead(),
        stage: StageName::Following,
        by: RunBy::Turno,
        place: RunPlace::Landing,
        started: run.started,
        deadline: run.deadline,
        stopping: run.stopping.clone(),
        cost: MicroUsd::ZERO,
        watch: None,
    })
}
