//! Owns smaller things as they are shown: settings, what was salvaged, what was found wrong, a change.

use serde::Serialize;
use turno_core::ids::{CommitId, RepoName, TaskId};
use turno_core::outcome::{Finding, Severity};
use turno_core::remark::Remark;
use turno_core::task::Handoff;
use turno_core::units::Timestamp;
use turno_engine::config::{Setting, Shown};
use turno_engine::preview::{Answers, Shown as RunningPreview};
use utoipa::ToSchema;

use crate::workspace::{Diff, Planned, PullPlanned, Salvaged};

/// A key of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SettingView {
    /// Its path, with dots.
    pub key: String,
    /// What it is set to.
    pub value: SettingValue,
    /// Where that came from, in words.
    pub source: String,
}

/// What a key is set to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SettingValue {
    /// To this, as JSON.
    #[schema(value_type = Object)]
    Value(serde_json::Value),
    /// To something that may be a secret.
    Hidden,
}

impl SettingValue {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Value(serde_json::Value::String(text)) => text.clone(),
            Self::Value(value) => value.to_string(),
            Self::Hidden => "(not shown: it may be a secret)".to_owned(),
        }
    }
}

impl SettingView {
    pub(crate) fn of(setting: &Setting) -> Self {
        Self {
            key: setting.key.clone(),
            value: match &setting.value {
                Shown::Value(value) => SettingValue::Value(serde_json::to_value(value).unwrap_or_default()),
                Shown::Hidden => SettingValue::Hidden,
            },
            source: setting.source.to_string(),
        }
    }
}

/// Work that was found and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SalvageView {
    /// What `turno salvage show` calls it.
    pub name: String,
    /// In which repository.
    #[schema(value_type = String)]
    pub repo: RepoName,
    /// When it was kept.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Where it was found: a slot, like `s1`, or a word.
    pub from: String,
    /// What it is: the first line of its commit, or the directory that it lies in.
    pub what: String,
}

impl From<Salvaged> for SalvageView {
    fn from(salvaged: Salvaged) -> Self {
        Self {
            name: salvaged.name,
            repo: salvaged.repo,
            at: salvaged.at,
            from: salvaged.from,
            what: salvaged.what,
        }
    }
}

/// What a promotion would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromotionView {
    /// The branch.
    pub onto: String,
    /// The commits that come onto it; none where it has all already.
    pub commits: Vec<PromotedView>,
    /// How many commits the branch has that the checks never saw together with the issue's. Where there are some, it
    /// is promoted only if that is asked for.
    pub behind: u32,
    /// What has not landed and is over with its issue.
    pub left: Vec<LeftView>,
}

/// A commit that a promotion would put on a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromotedView {
    /// Its first line.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
}

/// A task that has not landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeftView {
    /// Which.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// One line.
    pub title: String,
}

/// What a pull request would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PullPlanView {
    /// The remote.
    pub remote: String,
    /// The branch there.
    pub branch: String,
    /// What would be done, a line each.
    pub lines: Vec<String>,
    /// How many commits the base has that the checks never saw together with the issue's. Where there are some, it is
    /// opened only if that is asked for.
    pub behind: u32,
    /// Its text, as Markdown.
    pub body: String,
}

impl From<PullPlanned> for PullPlanView {
    fn from(planned: PullPlanned) -> Self {
        let PullPlanned {
            remote,
            branch,
            lines,
            behind,
            body,
        } = planned;
        Self {
            remote,
            branch,
            lines,
            behind,
            body,
        }
    }
}

impl From<Planned> for PromotionView {
    fn from(planned: Planned) -> Self {
        let commits = planned.commits.into_iter();
        let left = planned.left.into_iter();
        Self {
            onto: planned.onto,
            commits: commits
                .map(|(subject, author)| PromotedView { subject, author })
                .collect(),
            behind: planned.behind,
            left: left
                .map(|l| LeftView {
                    task: l.task,
                    title: l.title,
                })
                .collect(),
        }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiffView {
    /// As much of it as is shown, as git writes it. It is text from outside.
    pub text: String,
    /// How long it is in all, in bytes.
    pub bytes: usize,
}

impl From<Diff> for DiffView {
    fn from(diff: Diff) -> Self {
        Self {
            text: diff.text,
            bytes: diff.bytes,
        }
    }
}

/// Something that was found wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FindingView {
    /// In the work on which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// Path within the repository.
    pub file: String,
    /// Line in that file, counted from 1; 0 means the file as a whole.
    pub line: u32,
    /// `note`, `major` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// How to see it.
    pub how_to_see: String,
    /// What became of it, where a person said it; absent for what an agent found.
    pub said: Option<String>,
}

impl FindingView {
    /// What a person said.
    pub(crate) fn by_person(task: TaskId, remark: &Remark) -> Self {
        Self {
            said: Some(remark.phrase()),
            ..Self::of(task, &remark.finding)
        }
    }

    pub(crate) fn of(task: TaskId, finding: &Finding) -> Self {
        Self {
            task,
            file: finding.file.clone(),
            line: finding.line,
            severity: finding.severity,
            what: finding.what.clone(),
            how_to_see: finding.how_to_see.clone(),
            said: None,
        }
    }
}

/// What a landed task leaves the next ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HandoffView {
    /// Which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// What it was for.
    pub goal: String,
    /// What changed, in the writer's words.
    pub summary: String,
    /// Where.
    pub paths: Vec<String>,
    /// How it was seen to work.
    pub evidence: Vec<String>,
    /// What is left open.
    pub open_questions: Vec<String>,
    /// What was noted on the way.
    pub notes: Vec<String>,
}

impl HandoffView {
    pub(crate) fn of(task: TaskId, handoff: &Handoff) -> Self {
        Self {
            task,
            goal: handoff.goal.clone(),
            summary: handoff.summary.clone(),
            paths: handoff.paths.iter().cloned().collect(),
            evidence: handoff.evidence.clone(),
            open_questions: handoff.open_questions.clone(),
            notes: handoff.notes.clone(),
        }
    }
}

/// Something that is on an integration branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LandingView {
    /// Which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// As which commit.
    #[schema(value_type = String)]
    pub commit: CommitId,
    /// When.
    #[schema(value_type = i64)]
    pub at: Timestamp,
}

/// A preview that runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewView {
    /// Of which task or issue: `1.2` or `1`.
    subject: String,
    /// The commit that is shown.
    commit: String,
    /// Where it answers, on this machine.
    url: String,
    /// Whether it has answered: `starting` or `ready`.
    state: &'static str,
    /// Since when, in milliseconds since 1970.
    since: i64,
}

impl PreviewView {
    /// Whether it is of a task or an issue, by its name.
    pub(crate) fn is_of(&self, subject: &str) -> bool {
        self.subject == subject
    }
}

impl From<RunningPreview> for PreviewView {
    fn from(shown: RunningPreview) -> Self {
        Self {
            subject: shown.subject,
            commit: shown.commit.to_string(),
            url: shown.url,
            state: match shown.state {
                Answers::Starting => "starting",
                Answers::Ready => "ready",
            },
            since: shown.since,
        }
    }
}
