//! `turno diff`: what an issue has landed, or what a task has written so far.

use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::ids::{CommitId, IssueId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::promotion::TakeBack;
use turno_core::task::{Stage, StartFrom, Work};
use turno_engine::git::{DiffText, Repo};

use crate::args::{Diff, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

const SHOWN: usize = 64 << 20;

pub(crate) async fn run(scene: &Scene, verb: &Diff) -> Result<ExitCode, Failure> {
    let state = Door::open(scene).await?.state().await?;
    let (repo, base, commit) = range(scene, &state, verb.subject)?;
    if verb.stat {
        for file in repo.changed_files(&base, &commit)? {
            print::data(&print::plain(&file, 4096));
        }
        print::data(&print::harmless(&repo.diff_stat(&base, &commit)?.to_string()));
        return Ok(ExitCode::SUCCESS);
    }
    match repo.diff_text(&base, &commit, SHOWN)? {
        DiffText::Whole(text) => print::data(&print::harmless(text.trim_end())),
        DiffText::Shortened { text, bytes } => {
            print::data(&print::harmless(&text));
            print::warning(&format!(
                "the diff has {bytes} bytes and is not shown whole: git diff {base} {commit}"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where an issue's or a task's change begins and ends, and in which repository.
pub(super) fn range(
    scene: &Scene,
    state: &State,
    subject: Subject,
) -> Result<(Repo, CommitId, CommitId), Failure> {
    let issue = match subject {
        Subject::Issue(id) => id,
        Subject::Task(id) if state.tasks.contains_key(&id) => id.issue,
        Subject::Task(id) => return Err(Refused::NoSuchTask(id).into()),
    };
    let repo = scene.repo_of(state, issue)?;
    let (base, commit) = match subject {
        Subject::Issue(id) => of_issue(&repo, state, id)?,
        Subject::Task(id) => of_task(&repo, state, id)?,
    };
    Ok((repo, base, commit))
}

fn of_issue(repo: &Repo, state: &State, id: IssueId) -> Result<(CommitId, CommitId), Failure> {
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    if let Some((base, head)) = issue.integration() {
        if base == head {
            return Err(Failure::usage(format!(
                "issue {id} has landed nothing yet; `turno diff {id}.1` shows what its first task has written"
            )));
        }
        return Ok((base.clone(), head.clone()));
    }
    match &issue.stage {
        IssueStage::Done {
            commit,
            back: TakeBack::Possible { before, .. },
            ..
        } => Ok((before.clone(), commit.clone())),
        IssueStage::Done { commit, .. } => Ok((repo.parent_of(commit)?, commit.clone())),
        IssueStage::Backlog
        | IssueStage::Opening { .. }
        | IssueStage::Working { .. }
        | IssueStage::Review { .. }
        | IssueStage::Closed { .. } => Err(Failure::usage(format!(
            "issue {id} has no work to show; `turno run {id}` works on it"
        ))),
    }
}

fn of_task(repo: &Repo, state: &State, id: TaskId) -> Result<(CommitId, CommitId), Failure> {
    let task = state.tasks.get(&id).ok_or(Refused::NoSuchTask(id))?;
    if let Stage::Landed { commit, .. } = &task.stage {
        return Ok((repo.parent_of(commit)?, commit.clone()));
    }
    if let Stage::Entered { proven } = &task.stage {
        return Ok((proven.change.base.clone(), proven.change.commit.clone()));
    }
    let work = task.work();
    if let Some(change) = work.as_ref().and_then(Work::change) {
        return Ok((change.base.clone(), change.commit.clone()));
    }
    match work {
        Some(Work::Write(job)) => match job.from {
            StartFrom::Commit { commit, base } => Ok((base, commit)),
            StartFrom::Head => Err(Failure::usage(format!("task {id} has written nothing yet"))),
        },
        Some(_) | None => Err(Failure::usage(format!("task {id} has nothing to show"))),
    }
}
