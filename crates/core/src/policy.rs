//! Owns the numbers and switches of a mode. Typed data, no rule language: a new behaviour is code in `step`
//! and one knob here.

mod causes;

pub use causes::{AccountRule, Charge, Jitter, Then, TryRow, part};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Cause;
use crate::guard::{GuardKind, GuardRule};
use crate::ids::PolicyName;
use crate::liveness::Patience;
use crate::units::{MicroUsd, Span};

/// Whether a second pair of eyes must approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewRule {
    /// Changes that pass the checks land without a review.
    Off,
    /// Each change needs an approval of its commit.
    Required,
}

/// What to do with a project that has no checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncheckedRule {
    /// Park the task and ask a person. Nothing unproven lands.
    Refuse,
    /// Land on the reviewer's word alone; written down as such.
    LandOnReview,
}

/// Who splits an issue into tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanRule {
    /// Nobody: the issue is one task.
    #[default]
    Single,
    /// An author.
    Author,
    /// The project's checks: each one that fails becomes a task.
    Checks,
}

/// When a tester has its turn on a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestRule {
    /// Never.
    #[default]
    Off,
    /// On each change that passed its checks, before it is reviewed.
    EachChange,
    /// Before anything else is written; its tests are frozen then.
    First,
}

/// What must be shown of tests that a tester adds to a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewTestsRule {
    /// Nothing but that they pass.
    #[default]
    Pass,
    /// That they pass on the change and fail without it.
    FailOnBase,
}

/// Who says that an issue is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptRule {
    /// Nobody: it is done when its tasks are.
    #[default]
    Off,
    /// The author says what is missing.
    Author,
    /// A tester goes through the acceptance list on the integration branch, then the author says what is missing.
    Team,
}

/// What happens to a task whose paths overlap those of a task in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapRule {
    /// It waits.
    #[default]
    Wait,
    /// It may start; landing finds the conflicts.
    Start,
}

/// What happens to a change whose checks are red without it too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedBaseRule {
    /// It goes back to its writer: perhaps that check is what it is about. Nobody looks whether it is red without it.
    #[default]
    Writer,
    /// It waits for a person: it is nobody's task.
    Block,
    /// The check becomes a task of its own, and holds nothing else back meanwhile.
    Task,
}

/// What is made of conflicts that are seen coming between the changes of an issue and its branch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClashRule {
    /// Nobody looks.
    #[default]
    Ignore,
    /// They are shown, and nothing follows.
    Tell,
    /// Of changes that are otherwise equal those that conflict with nothing land first, and two that conflict are not
    /// landed together.
    Order,
    /// The same, and a change that conflicts with what has landed goes back before it is tried or reviewed.
    Return,
}

/// How changes land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingRule {
    /// So many changes of one issue that wait at the same time are tried together; 1 for one by one.
    pub batch: u8,
    /// How the integration branch keeps up with the branch that its issue began on.
    #[serde(default)]
    pub follow: FollowRule,
    /// What is made of conflicts that are seen coming.
    #[serde(default)]
    pub clashes: ClashRule,
}

/// How an integration branch keeps up with the branch of the user's that its issue began on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowRule {
    /// That is merged into it: what has landed stays the commit that was proven.
    #[default]
    Merge,
    /// Its own commits are made again on top.
    Rebase,
    /// It does not.
    Off,
}

impl Default for LandingRule {
    fn default() -> Self {
        Self {
            batch: 1,
            follow: FollowRule::default(),
            clashes: ClashRule::Ignore,
        }
    }
}

/// What happens to a question that nobody answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nobody {
    /// The task gives its slot up at once and waits without one.
    #[default]
    Park,
    /// The agent waits in its slot until the deadline; then the task gives the slot up.
    Wait,
    /// The agent waits until the deadline; then it is told to take the recommended option.
    Recommended,
}

/// How questions are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRule {
    /// What happens while nobody answers.
    pub nobody: Nobody,
    /// How long an agent may wait in its slot.
    pub deadline: Span,
}

impl Default for DecisionRule {
    fn default() -> Self {
        Self {
            nobody: Nobody::Park,
            deadline: Span::seconds(600),
        }
    }
}

/// Who lets the rest of a batch follow its trial group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialRule {
    /// A person is asked.
    #[default]
    Person,
    /// Nobody where the whole group has landed; else a person is asked.
    AllLanded,
}

/// Bounds of planning. All finite, so that a planner cannot spin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanCaps {
    /// Tasks of one issue, in all.
    pub tasks: u16,
    /// How far a proposed task may be from the plan: a task proposed while working on a planned one has depth 1.
    pub depth: u8,
    /// How often an issue that is not accepted is planned again.
    pub rounds: u8,
    /// How often a plan that is not valid is sent back.
    pub repairs: u8,
    /// Failures of one issue, of every cause and all its tasks, after which the task that fails is parked.
    #[serde(default = "failures")]
    pub failures: u16,
}

fn failures() -> u16 {
    100
}

impl Default for PlanCaps {
    fn default() -> Self {
        Self {
            tasks: 20,
            depth: 2,
            rounds: 3,
            repairs: 2,
            failures: failures(),
        }
    }
}

/// Over this a file is big where no policy says another size.
fn big_file() -> u64 {
    1 << 20
}

/// The numbers and switches of a mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// One line for people.
    pub description: String,
    /// Whether changes are reviewed.
    pub review: ReviewRule,
    /// What happens without checks.
    pub unchecked: UncheckedRule,
    /// How often a failing check is run again at the same tree to see whether it is flaky.
    pub check_reruns: u8,
    /// Quiet for this long, an agent is reminded.
    pub silence: Span,
    /// Quiet for this long, it is stopped.
    #[serde(default = "silence_hard")]
    pub silence_hard: Span,
    /// Quiet for this long in one command, it is stopped.
    #[serde(default = "longest_command")]
    pub longest_command: Span,
    /// Talking for this long without the use of a tool or a changed file, it is stopped.
    #[serde(default = "no_progress")]
    pub no_progress: Span,
    /// An attempt is not started with less money than this.
    pub least_start: MicroUsd,
    /// The longest wait between retries.
    pub longest_wait: Span,
    /// Who splits issues.
    #[serde(default)]
    pub plan: PlanRule,
    /// Bounds of planning.
    #[serde(default)]
    pub caps: PlanCaps,
    /// When a tester has its turn on a task.
    #[serde(default)]
    pub tests: TestRule,
    /// What must be shown of a tester's tests.
    #[serde(default)]
    pub new_tests: NewTestsRule,
    /// Globs of the paths that a tester may write.
    #[serde(default)]
    pub test_paths: Vec<String>,
    /// Globs of the paths whose change is guarded as [`GuardKind::Paths`].
    #[serde(default)]
    pub protected: Vec<String>,
    /// What follows from what is found about a change; what is not named has its default.
    #[serde(default)]
    pub guards: BTreeMap<GuardKind, GuardRule>,
    /// Bytes over which a new or changed file is big.
    #[serde(default = "big_file")]
    pub big_file: u64,
    /// Who says that an issue is done.
    #[serde(default)]
    pub accept: AcceptRule,
    /// What overlapping tasks do.
    #[serde(default)]
    pub overlap: OverlapRule,
    /// How questions are treated.
    #[serde(default)]
    pub decisions: DecisionRule,
    /// Who lets the rest of a batch go on.
    #[serde(default)]
    pub trial: TrialRule,
    /// How changes land.
    #[serde(default)]
    pub landing: LandingRule,
    /// What happens to a change whose checks are red without it too.
    #[serde(default)]
    pub red_base: RedBaseRule,
    /// When an agent's account is closed and opened again.
    #[serde(default)]
    pub accounts: AccountRule,
    /// A row for each cause.
    pub rows: BTreeMap<Cause, TryRow>,
}

fn silence_hard() -> Span {
    Span::seconds(1800)
}

fn longest_command() -> Span {
    Span::seconds(3600)
}

fn no_progress() -> Span {
    Span::seconds(1800)
}

impl Policy {
    /// A policy that asks for nothing but checks and a review, and tries nothing again.
    pub fn new(name: PolicyName) -> Self {
        Self {
            name,
            description: String::new(),
            review: ReviewRule::Required,
            unchecked: UncheckedRule::Refuse,
            check_reruns: 0,
            silence: Span::seconds(600),
            silence_hard: silence_hard(),
            longest_command: longest_command(),
            no_progress: no_progress(),
            least_start: MicroUsd(10_000),
            longest_wait: Span::seconds(600),
            plan: PlanRule::Single,
            caps: PlanCaps::default(),
            tests: TestRule::Off,
            new_tests: NewTestsRule::Pass,
            test_paths: Vec::new(),
            protected: Vec::new(),
            guards: BTreeMap::new(),
            big_file: big_file(),
            accept: AcceptRule::Off,
            overlap: OverlapRule::Wait,
            decisions: DecisionRule::default(),
            trial: TrialRule::Person,
            landing: LandingRule::default(),
            red_base: RedBaseRule::Writer,
            accounts: AccountRule::default(),
            rows: BTreeMap::new(),
        }
    }

    /// How long an agent may go on in each way. One that may be quiet longer than it is stopped for is never reminded.
    pub fn patience(&self) -> Patience {
        Patience {
            silence: self.silence,
            silence_hard: self.silence_hard,
            longest_command: self.longest_command.max(self.silence_hard),
            no_progress: self.no_progress,
        }
    }

    /// The row for a cause. A cause without one is tried once more, at once.
    pub fn row(&self, cause: Cause) -> TryRow {
        let row = self.rows.get(&cause).copied();
        row.unwrap_or(TryRow::new(cause, 1, Span(0)))
    }
}
