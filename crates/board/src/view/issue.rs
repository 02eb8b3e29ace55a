//! Owns an issue as it is shown: what was asked for, the graph of its tasks, and what came of them.

use serde::Serialize;
use turno_core::State;
use turno_core::board::{Column, column, critical_path};
use turno_core::foresight::clashes_phrase;
use turno_core::ids::{CommitId, IssueId, ProposalId, RepoName, Seq, TaskId};
use turno_core::issue::{Issue, Priority, Proposal};
use turno_core::ledger::{Level, levels};
use turno_core::outcome::Size;
use turno_core::persona::Role;
use turno_core::plan::edit::Origin;
use turno_core::plan::view::Open;
use turno_core::pull::Page;
use turno_core::task::{Said, Stage, Task};
use turno_core::units::{MicroUsd, Timestamp};
use turno_core::view::{self, StageName, TaskView, waiting_phrase};
use utoipa::ToSchema;

use super::attempt::AttemptView;
use super::decision::DecisionView;
use super::things::{FindingView, HandoffView, LandingView};
use super::{BudgetView, word};

/// An issue with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssuePage {
    /// The last record that is in it.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// What was asked for.
    pub issue: IssueText,
    /// In which column it stands; absent for one that was closed.
    #[schema(value_type = Option<String>)]
    pub column: Option<Column>,
    /// How far it is, in one word.
    pub stage: String,
    /// Its integration branch, while there is one.
    pub branch: Option<BranchView>,
    /// What it has cost.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
    /// Its page of the ledger, once there is anything on it.
    pub budget: Option<BudgetView>,
    /// Its tasks, its own one first.
    pub tasks: Vec<TaskNode>,
    /// The longest chain of tasks that are not over, the first to be done first.
    #[schema(value_type = Vec<String>)]
    pub critical_path: Vec<TaskId>,
    /// What landed tasks leave the next ones.
    pub handoffs: Vec<HandoffView>,
    /// What was found wrong in the work on it.
    pub findings: Vec<FindingView>,
    /// What is on its branch.
    pub landings: Vec<LandingView>,
    /// Tasks that were proposed.
    pub proposals: Vec<ProposalView>,
    /// Questions about it, open and answered.
    pub decisions: Vec<DecisionView>,
    /// Every attempt for it.
    pub attempts: Vec<AttemptView>,
    /// How far its pull request is, in words, if there is one.
    pub pull_request: Option<String>,
    /// The address of it, once it is known.
    pub pull_request_url: Option<String>,
    /// What somebody should know of how its branch keeps up with the user's.
    pub alarm: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IssueText {
    /// Its id.
    #[schema(value_type = u32)]
    pub id: IssueId,
    /// One line.
    pub title: String,
    /// What is wanted, in Markdown. It is text from outside.
    pub body: String,
    /// What must be true afterwards.
    pub acceptance: Vec<String>,
    /// `urgent`, `high`, `normal` or `low`.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Free words.
    pub labels: Vec<String>,
    /// The repository it is about.
    #[schema(value_type = String)]
    pub repo: RepoName,
    /// Issues that must be done first.
    #[schema(value_type = Vec<u32>)]
    pub needs: Vec<IssueId>,
    /// When it was filed.
    #[schema(value_type = i64)]
    pub filed: Timestamp,
}

/// An integration branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BranchView {
    /// The commit that its own work comes on top of.
    #[schema(value_type = String)]
    pub base: CommitId,
    /// Where it is.
    #[schema(value_type = String)]
    pub head: CommitId,
}

/// A task as a node of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TaskNode {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TaskId,
    /// One line.
    pub title: String,
    /// Where it is.
    #[schema(value_type = String)]
    pub stage: StageName,
    /// What is next or under way, in words.
    pub detail: String,
    /// Why it does not run, if it does not and is not over.
    pub waiting: Option<String>,
    /// Conflicts of its change that are seen coming, in words.
    pub clashes: Option<String>,
    /// Tasks that must be landed first.
    #[schema(value_type = Vec<String>)]
    pub needs: Vec<TaskId>,
    /// Path globs it may write; empty means anywhere.
    pub touches: Vec<String>,
    /// Who writes it.
    #[schema(value_type = String)]
    pub writer: Role,
    /// How much work it is: `small`, `medium` or `large`.
    #[schema(value_type = String)]
    pub size: Size,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// Attempts of agents so far.
    pub attempts: u32,
    /// What it has cost.
    #[schema(value_type = u64)]
    pub cost: MicroUsd,
    /// Whose it is: `team` or `person`.
    #[schema(value_type = String)]
    pub by: Origin,
    /// What a person may change of it: `everything`, `words`, `running` or `nothing`.
    #[schema(value_type = String)]
    pub open: Open,
}

/// A task that somebody on the team proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProposalView {
    /// Its id within the issue.
    #[schema(value_type = u32)]
    pub id: ProposalId,
    /// The persona who proposed it.
    pub by: String,
    /// While working on which task.
    #[schema(value_type = String)]
    pub during: TaskId,
    /// One line.
    pub title: String,
    /// Why it is needed.
    pub why: String,
    /// What the author made of it: `open`, `accepted`, `merged` or `declined`.
    pub stage: String,
}

impl TaskNode {
    fn of(task: &Task, view: &TaskView, path: &[TaskId]) -> Self {
        Self {
            id: task.id,
            title: view.title.clone(),
            stage: view.stage,
            detail: view.detail.clone(),
            waiting: view.waiting.as_ref().map(waiting_phrase),
            clashes: clashes_phrase(&view.clashes),
            needs: task.spec.needs.iter().copied().collect(),
            touches: task.spec.touches.clone(),
            writer: task.spec.writer,
            size: task.spec.size,
            critical: path.contains(&task.id),
            attempts: view.attempts,
            cost: view.cost,
            by: task.spec.by,
            open: Open::of(task),
        }
    }

    /// One task of a state.
    pub(crate) fn one(state: &State, id: TaskId) -> Option<Self> {
        let task = state.tasks.get(&id)?;
        let issue = view::issue(state, id.issue)?;
        let view = issue.tasks.iter().find(|t| t.id == id)?;
        Some(Self::of(task, view, &critical_path(state, id.issue)))
    }
}

impl From<&Proposal> for ProposalView {
    fn from(proposal: &Proposal) -> Self {
        Self {
            id: proposal.id,
            by: proposal.by.persona.to_string(),
            during: proposal.during,
            title: proposal.proposed.title.clone(),
            why: proposal.proposed.why.clone(),
            stage: word(&proposal.stage),
        }
    }
}

impl From<&Issue> for IssueText {
    fn from(issue: &Issue) -> Self {
        let draft = &issue.draft;
        Self {
            id: issue.id,
            title: draft.title.clone(),
            body: draft.body.clone(),
            acceptance: draft.acceptance.clone(),
            priority: draft.priority,
            labels: draft.labels.clone(),
            repo: draft.repo.clone(),
            needs: draft.needs.iter().copied().collect(),
            filed: issue.filed,
        }
    }
}

/// What was found wrong in the work on a task.
pub(crate) fn findings(task: &Task) -> Vec<FindingView> {
    let noted = task.notes.iter().filter_map(|note| match &note.said {
        Said::Finding(finding) => Some(finding),
        Said::Remark(_) => None,
    });
    let all = task.earlier_findings.iter().chain(noted);
    let said = task.remarks.iter().map(|r| FindingView::by_person(task.id, r));
    all.map(|finding| FindingView::of(task.id, finding))
        .chain(said)
        .collect()
}

/// An issue. `attempts` are those of the whole journal.
pub(crate) fn issue(
    state: &State,
    seq: Seq,
    id: IssueId,
    attempts: Vec<AttemptView>,
    now: Timestamp,
) -> Option<IssuePage> {
    let issue = state.issues.get(&id)?;
    let view = view::issue(state, id)?;
    let path = critical_path(state, id);
    let tasks: Vec<&Task> = state.tasks_of(id).map(AsRef::as_ref).collect();
    let landed = tasks.iter().filter_map(|task| match &task.stage {
        Stage::Landed { commit, at, handoff } => Some((task.id, commit, *at, handoff)),
        _ => None,
    });
    let decisions = state.decisions.values().filter(|d| d.task.issue == id);
    Some(IssuePage {
        seq,
        issue: issue.as_ref().into(),
        column: column(state, issue),
        stage: word(&issue.stage),
        branch: issue.integration().map(|(base, head)| BranchView {
            base: base.clone(),
            head: head.clone(),
        }),
        cost: view.cost,
        budget: levels(state, now)
            .iter()
            .find(|l| l.level == Level::Issue(id))
            .map(BudgetView::of),
        tasks: tasks
            .iter()
            .zip(&view.tasks)
            .map(|(task, view)| TaskNode::of(task, view, &path))
            .collect(),
        critical_path: path,
        handoffs: landed
            .clone()
            .map(|(task, _, _, h)| HandoffView::of(task, h))
            .collect(),
        findings: tasks.iter().flat_map(|t| findings(t)).collect(),
        landings: landed
            .map(|(task, commit, at, _)| LandingView {
                task,
                commit: commit.clone(),
                at,
            })
            .collect(),
        proposals: view.proposals.iter().map(Into::into).collect(),
        decisions: decisions.map(|d| DecisionView::of(d)).collect(),
        attempts: attempts.into_iter().filter(|a| a.task.issue == id).collect(),
        pull_request: issue.pull.phrase(),
        pull_request_url: issue.pull.known().and_then(|k| match &k.page {
            Page::Opened { url, .. } => Some(url.clone()),
            Page::Branch => None,
        }),
        alarm: issue.following.alarm_phrase(),
    })
}
