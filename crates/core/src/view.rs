//! Owns the projections that people and programs are shown: the only ones, for terminal, JSON and board alike.
//! Pure functions of the state.

mod accounts;

pub use self::accounts::AccountView;

use serde::{Deserialize, Serialize};

use crate::config::Confinement;
use crate::decision::Decision;
use crate::following::Following;
use crate::foresight::{self, Clash};
use crate::gate::{Gate, Opens, Standing};
use crate::guard::GuardedBy;
use crate::ids::{AgentName, AttemptId, IssueId, PersonaName, PolicyName, RepoName, ShiftId, SlotId, TaskId};
use crate::issue::{Issue, IssueStage, Priority, Proposal};
use crate::ledger::Shortage;
use crate::liveness::Watch;
use crate::pull::Pull;
use crate::room::{MAKE_ROOM, Tight};
use crate::shift::ShiftStage;
use crate::state::State;
use crate::step::{Reasons, Waiting};
use crate::task::{AgentRun, Because, Bounds, Likeness, Park, PlanBecause, Stage, Stopping, Task, Work};
use crate::units::{MicroUsd, Timestamp};

/// The name of a stage, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each variant is named as the stage it stands for")]
pub enum StageName {
    Blocked,
    Ready,
    Writing,
    Checking,
    Testing,
    Reviewing,
    Entered,
    Comparing,
    Surveying,
    Planning,
    Trying,
    Accepting,
    Landing,
    Backoff,
    Parked,
    Accepted,
    Landed,
    Dropped,
    /// No stage of a task's: its issue's branch is brought along with the user's.
    Following,
}

impl StageName {
    /// The name of a task's stage.
    pub fn of(stage: &Stage) -> Self {
        match stage {
            Stage::Blocked => Self::Blocked,
            Stage::Ready { .. } => Self::Ready,
            Stage::Writing { .. } => Self::Writing,
            Stage::Checking { .. } => Self::Checking,
            Stage::Testing { .. } => Self::Testing,
            Stage::Reviewing { .. } => Self::Reviewing,
            Stage::Entered { .. } => Self::Entered,
            Stage::Comparing { .. } => Self::Comparing,
            Stage::Surveying { .. } => Self::Surveying,
            Stage::Planning { .. } => Self::Planning,
            Stage::Trying { .. } => Self::Trying,
            Stage::Accepting { .. } => Self::Accepting,
            Stage::Accepted { .. } => Self::Accepted,
            Stage::Landing { .. } => Self::Landing,
            Stage::Backoff { .. } => Self::Backoff,
            Stage::Parked { .. } => Self::Parked,
            Stage::Landed { .. } => Self::Landed,
            Stage::Dropped { .. } => Self::Dropped,
        }
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Writing => "writing",
            Self::Checking => "checking",
            Self::Testing => "testing",
            Self::Reviewing => "reviewing",
            Self::Entered => "entered",
            Self::Comparing => "comparing",
            Self::Surveying => "surveying",
            Self::Planning => "planning",
            Self::Trying => "trying",
            Self::Accepting => "accepting",
            Self::Accepted => "accepted",
            Self::Landing => "landing",
            Self::Backoff => "backoff",
            Self::Parked => "parked",
            Self::Landed => "landed",
            Self::Dropped => "dropped",
            Self::Following => "following",
        }
    }
}

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

/// What is next or under way for a task, in words. An issue's own task needs nobody's work: it waits for all of it.
pub fn task_phrase(task: &Task) -> String {
    if task.id.is_lead() && task.stage == Stage::Blocked {
        return "waits until its tasks are over".to_owned();
    }
    let stage = stage_phrase(&task.stage);
    if task.hold.is_held() && !task.is_over() {
        return format!("{stage}; {}", task.hold.phrase());
    }
    stage
}

/// A stage in words.
fn stage_phrase(stage: &Stage) -> String {
    match stage {
        Stage::Blocked => "waits for the tasks it needs".to_owned(),
        Stage::Ready { work, .. } => format!("ready: {}", work_phrase(work)),
        Stage::Writing { job, run } => format!(
            "{} ({}) writes in {} as {}{}",
            run.persona,
            run.agent,
            run.slot,
            run.run.attempt,
            because_phrase(&job.because)
        ),
        Stage::Checking { change, slot, run } => {
            format!(
                "checks run on {} in {slot} as {}",
                change.commit.short(),
                run.attempt
            )
        }
        Stage::Testing { proven, run } => acts(run, &format!("tests {}", proven.change.commit.short())),
        Stage::Reviewing { proven, run } => acts(run, &format!("reads {}", proven.change.commit.short())),
        Stage::Entered { .. } => "is proven and waits for the other candidates".to_owned(),
        Stage::Comparing { run, .. } => acts(run, "compares the candidates"),
        Stage::Surveying { commit, slot, run } => format!(
            "all checks run at {} in {slot} as {}",
            commit.short(),
            run.attempt
        ),
        Stage::Planning { because, run } => acts(run, &format!("plans{}", plan_phrase(because))),
        Stage::Trying { run } => acts(run, "goes through the acceptance list"),
        Stage::Accepting { run, .. } => acts(run, "looks for what is missing"),
        Stage::Accepted { commit, .. } => format!("nothing is missing at {}", commit.short()),
        Stage::Landing { approved, run } => {
            format!(
                "{} is being landed as {}",
                approved.proven.change.commit.short(),
                run.attempt
            )
        }
        Stage::Backoff { work, failure, .. } => {
            format!("waits to {} again: {}", work.verb(), failure_phrase(failure))
        }
        Stage::Parked { park, .. } => park_phrase(park),
        Stage::Landed { commit, .. } => format!("landed as {}", commit.short()),
        Stage::Dropped { why } => format!("dropped: {why}"),
    }
}

fn acts(run: &AgentRun, what: &str) -> String {
    format!(
        "{} ({}) {what} in {} as {}",
        run.persona, run.agent, run.slot, run.run.attempt
    )
}

fn plan_phrase(because: &PlanBecause) -> String {
    match because {
        PlanBecause::New => String::new(),
        PlanBecause::Invalid { errors, .. } => {
            format!(
                ", again because {}",
                errors.first().map_or("it was not valid", String::as_str)
            )
        }
        PlanBecause::Proposals => ", to answer proposed tasks".to_owned(),
        PlanBecause::Stuck { tasks } => {
            let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            format!(", to get around {}", names.join(", "))
        }
        PlanBecause::Missing { missing } => format!(", for {} thing(s) that are missing", missing.len()),
    }
}

fn work_phrase(work: &Work) -> String {
    match work {
        Work::Write(job) => format!("a writer's turn{}", because_phrase(&job.because)),
        Work::Check(change) => format!("checks of {}", change.commit.short()),
        Work::Test(proven) => format!("a tester's turn on {}", proven.change.commit.short()),
        Work::Review(proven) => format!("a reviewer's turn on {}", proven.change.commit.short()),
        Work::Compare(_) => "a reviewer's turn, to choose a candidate".to_owned(),
        Work::Survey => "a run of all checks on the integration branch".to_owned(),
        Work::Plan(because) => format!("the author's turn to plan{}", plan_phrase(because)),
        Work::Try => "a tester's turn on the integration branch".to_owned(),
        Work::Accept(_) => "the author's turn to accept".to_owned(),
        Work::Land(approved) => format!("landing of {}", approved.proven.change.commit.short()),
    }
}

fn because_phrase(because: &Because) -> String {
    match because {
        Because::New => String::new(),
        Because::Interrupted { failure } => format!(", again because {}", failure_phrase(failure)),
        Because::ChecksFailed { failing, .. } => {
            let names: Vec<_> = failing.iter().map(|r| r.check.as_str()).collect();
            format!(", to mend the checks: {}", names.join(", "))
        }
        Because::Findings { by, findings } => {
            format!(", to answer {} finding(s) of {}", findings.len(), by.persona)
        }
        Because::Conflict { hunks, .. } => {
            let files: Vec<_> = hunks.iter().map(|h| h.file.as_str()).collect();
            format!(", to resolve a conflict in {}", files.join(", "))
        }
        Because::TestsFirst => ", tests before the work".to_owned(),
        Because::TestsPassAlready => ", again because its tests pass before the work is done".to_owned(),
        Because::MakePass { frozen, .. } => format!(", to make the tests in {} file(s) pass", frozen.len()),
        Because::OutOfBounds { paths, rule } => {
            let names: Vec<_> = paths.iter().take(3).map(String::as_str).collect();
            let rule = match rule {
                Bounds::FrozenTests => "frozen tests",
                Bounds::TestsOnly => "what is no test",
            };
            format!(", to undo changes of {rule}: {}", names.join(", "))
        }
        Because::Guarded { found, by, .. } => {
            let names: Vec<_> = found.iter().take(3).map(crate::guard::Guarded::place).collect();
            let who = match by {
                GuardedBy::Policy => "the policy refuses",
                GuardedBy::Person { .. } => "a person sent back",
            };
            format!(", to undo what {who}: {}", names.join(", "))
        }
        Because::Answered { decision } => format!(", with the answer to {decision}"),
        Because::Remarked => ", to heed what a person said".to_owned(),
    }
}

/// As much of a failure's detail as fits beside its cause; the journal has all of it.
const DETAIL: usize = 200;

/// A failure in words: the phrase of its cause and the first line of its detail.
pub fn failure_phrase(failure: &crate::failure::Failure) -> String {
    let phrase = failure.cause.phrase();
    match failure.detail.lines().next() {
        None | Some("") => phrase.to_owned(),
        Some(line) if line == phrase => phrase.to_owned(),
        Some(line) if line.chars().count() > DETAIL => {
            format!("{phrase} ({}…)", line.chars().take(DETAIL).collect::<String>())
        }
        Some(line) => format!("{phrase} ({line})"),
    }
}

/// Why a task waits for a person, in words, with what to do.
pub fn park_phrase(park: &Park) -> String {
    match park {
        Park::OutOfTries { failure } => format!("parked, no tries left: {}", failure_phrase(failure)),
        Park::NoProgress { same, alike } => {
            let what: Vec<_> = same
                .failing
                .iter()
                .map(ToString::to_string)
                .chain(same.findings.iter().cloned())
                .collect();
            let same = match alike {
                Likeness::Tree => "the same tree",
                Likeness::Essence => "the same change but for white space,",
            };
            format!("parked, no progress: three times {same} with {}", what.join("; "))
        }
        Park::NoChecks => {
            "parked: there are no checks, so nothing can be proven; name some in turno.toml under [checks]"
                .to_owned()
        }
        Park::RedBase { checks, base } => {
            let names: Vec<_> = checks.iter().map(|c| format!("`{c}`")).collect();
            format!(
                "parked: {} red at {} without this change, so nothing lands there; mend it on your branch and file \
                 the issue again, or set red_base = \"task\" in the policy to have it repaired",
                if names.len() == 1 {
                    format!("{} is", names.join(""))
                } else {
                    format!("{} are", names.join(", "))
                },
                base.short()
            )
        }
        Park::Decision(id) => format!("parked with a question; `turno answer {id}` shows and answers it"),
        Park::NoPlan { errors } => format!("parked, no valid plan: {}", errors.join("; ")),
        Park::NotAccepted { missing } => format!("parked, still missing: {}", missing.join("; ")),
        Park::Budget { level, left, least } => format!(
            "parked, the budget of {} is spent: {left} left, an attempt starts with at least {least}; `{}` raises it, \
             and it goes on",
            level.phrase(),
            level.raise(left.measure())
        ),
        Park::NoCandidate { why } => format!("parked, no candidate is good enough: {why}"),
        Park::Ceiling { failures, failure } => format!(
            "parked, its issue failed {failures} times, which is as often as it may (caps.failures); at last: {}",
            failure_phrase(failure)
        ),
        Park::Account { agent, failure } => {
            format!("parked, `{agent}` cannot be started: {}", failure_phrase(failure))
        }
    }
}

/// Why a task does not run, in words.
pub fn waiting_phrase(waiting: &Waiting) -> String {
    match waiting {
        Waiting::NoShift => "no shift works on its issue; `turno run` starts one".to_owned(),
        Waiting::WindingDown(_) => "the shift starts nothing more".to_owned(),
        Waiting::Needs(needs) => {
            let names: Vec<_> = needs.iter().map(ToString::to_string).collect();
            format!("needs {} first", names.join(", "))
        }
        Waiting::Opening => "its issue's branch is being begun".to_owned(),
        Waiting::Group(_) => "the group of the batch before it is not done".to_owned(),
        Waiting::Candidates(tasks) => {
            let names: Vec<_> = tasks.iter().map(ToString::to_string).collect();
            format!("waits for the other candidates: {}", names.join(", "))
        }
        Waiting::Overlaps(task) => format!("{task} is in flight and may write the same paths"),
        Waiting::PersonaBusy(persona) => format!("{persona} runs as often as it may"),
        Waiting::Reserved => "the free slots are kept for urgent issues".to_owned(),
        Waiting::Until { cause, .. } => format!("is tried again after a wait: {}", cause.phrase()),
        Waiting::Person(park) => park_phrase(park),
        Waiting::NoFreeSlot => "every slot is held".to_owned(),
        Waiting::Following(issue) => format!("the branch of issue {issue} is brought along with yours"),
        Waiting::LandingBusy(task) => format!("task {task} is being landed"),
        Waiting::NobodyFor(role) => format!("no persona has the role {role}"),
        Waiting::AgentsBusy(role) => format!("every agent that may play {role} is at its limit"),
        Waiting::Account { agent, opens, cause } => {
            let when = match opens {
                Opens::AfterTrial => "is closed until an attempt has shown that it works again",
                Opens::At(_) => "is closed for a time",
                Opens::NotInThisShift => "is closed until the next shift",
            };
            format!("the account of `{agent}` {when}: {}", cause.phrase())
        }
        Waiting::Budget(Shortage { level, left, least }) => {
            format!(
                "the budget of {} has {left} left, an attempt starts with at least {least}",
                level.phrase()
            )
        }
        Waiting::Disk(tight) => format!("{}; {MAKE_ROOM}", tight.phrase()),
        Waiting::Held(hold) => hold.phrase().to_owned(),
    }
}
