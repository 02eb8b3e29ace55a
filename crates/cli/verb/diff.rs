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
    show(verb, &repo, &base, &commit)?;
    if let Subject::Issue(id) = verb.subject {
        not_in_it(&state, id);
    }
    Ok(ExitCode::SUCCESS)
}

/// Names the tasks whose work is not in what an issue has landed, so that nobody takes that for all of it.
fn not_in_it(state: &State, id: IssueId) {
    for task in state.pieces_of(id).filter(|t| !t.is_over()) {
        let (id, title) = (task.id, print::plain(&task.spec.title, 60));
        print::warning(&format!(
            "{id} has not landed, so nothing of it is shown: {title}; `turno diff {id}` shows what it has so far"
        ));
    }
}

fn show(verb: &Diff, repo: &Repo, base: &CommitId, commit: &CommitId) -> Result<(), Failure> {
    if verb.stat {
        for file in repo.changed_files(base, commit)? {
            print::data(&print::plain(&file, 4096));
        }
        print::data(&print::harmless(&repo.diff_stat(base, commit)?.to_string()));
        return Ok(());
    }
    match repo.diff_text(base, commit, SHOWN)? {
        DiffText::Whole(text) => print::data(&print::harmless(text.trim_end())),
        DiffText::Shortened { text, bytes } => {
            print::data(&print::harmless(&text));
            print::warning(&format!(
                "the diff has {bytes} bytes and is not shown whole: git diff {base} {commit}"
            ));
        }
    }
    Ok(())
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
        IssueStage::Done { commit, back, .. } => Ok(match back {
            TakeBack::Possible { before, .. } => (before.clone(), commit.clone()),
            TakeBack::WasThere { base, head } => (base.clone(), head.clone()),
            // Promoted by an older turno, which kept no more of it.
            TakeBack::Impossible => (repo.before_issue(commit, id)?, commit.clone()),
        }),
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
    if id.is_lead() && state.pieces_of(id.issue).next().is_some() {
        let issue = id.issue;
        return Err(Failure::usage(format!(
            "task {id} plans and accepts, and writes nothing itself; `turno diff {issue}` shows all that has landed"
        )));
    }
    if let Stage::Landed { commit, .. } = &task.stage {
        // It may have landed as several: each time that it was sent back there is one more.
        return Ok((repo.before_task(commit, id)?, commit.clone()));
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
