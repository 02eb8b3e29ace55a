//! `turno diff`: what an issue has landed, or what a task has written so far.

use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::ids::{CommitId, IssueId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::task::{Stage, StartFrom, Work};
use turno_engine::git::DiffText;

use crate::args::{Diff, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

const SHOWN: usize = 64 << 20;

pub(crate) async fn run(scene: &Scene, verb: &Diff) -> Result<ExitCode, Failure> {
    let state = Door::open(scene).await?.state().await?;
    let (base, commit) = match verb.subject {
        Subject::Issue(id) => of_issue(scene, &state, id)?,
        Subject::Task(id) => of_task(scene, &state, id)?,
    };
    if verb.stat {
        for file in scene.repo.changed_files(&base, &commit)? {
            print::data(&file);
        }
        print::data(&scene.repo.diff_stat(&base, &commit)?.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    match scene.repo.diff_text(&base, &commit, SHOWN)? {
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

fn of_issue(scene: &Scene, state: &State, id: IssueId) -> Result<(CommitId, CommitId), Failure> {
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
        IssueStage::Done { commit, .. } => Ok((scene.repo.parent_of(commit)?, commit.clone())),
        IssueStage::Backlog
        | IssueStage::Working { .. }
        | IssueStage::Review { .. }
        | IssueStage::Closed { .. } => Err(Failure::usage(format!(
            "issue {id} has no work to show; `turno run {id}` works on it"
        ))),
    }
}

fn of_task(scene: &Scene, state: &State, id: TaskId) -> Result<(CommitId, CommitId), Failure> {
    let task = state.tasks.get(&id).ok_or(Refused::NoSuchTask(id))?;
    if let Stage::Landed { commit, .. } = &task.stage {
        return Ok((scene.repo.parent_of(commit)?, commit.clone()));
    }
    match task.work() {
        Some(Work::Write(job)) => match job.from {
            StartFrom::Commit { commit, base } => Ok((base, commit)),
            StartFrom::Head => Err(Failure::usage(format!("task {id} has written nothing yet"))),
        },
        Some(Work::Check(change)) => Ok((change.base, change.commit)),
        Some(Work::Review(proven)) => Ok((proven.change.base, proven.change.commit)),
        Some(Work::Land(approved)) => Ok((approved.proven.change.base, approved.proven.change.commit)),
        None => Err(Failure::usage(format!("task {id} has nothing to show"))),
    }
}
