//! `turno board`: shows the board to browsers and programs until Ctrl-C. What people ask for through it is done by the
//! code of the verbs, each time through the door: beside a coordinator, or alone and with the lock for that moment.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use turno_board::{
    Board, Diff, Doing, Edit, Left, Listening, Planned, Problem, PullPlanned, Salvaged, Token, Unproven,
    Wish, Workspace, mint,
};
use turno_core::State;
use turno_core::event::{Discard, Event};
use turno_core::ids::{IssueId, PolicyName};
use turno_core::issue::IssueDraft;
use turno_core::promotion::Assurance;
use turno_core::remark;
use turno_core::report::Report;
use turno_engine::config::{self, Loaded, Overrides, Places, Setting};
use turno_engine::git::DiffText;
use turno_engine::salvage::{self, Held};
use turno_engine::workspace::StateDir;

use super::promote::Came;
use super::{answer, budget, comment, diff, discard, pr, promote, report, tell};
use crate::args::{self, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: Scene, verb: &args::Board) -> Result<ExitCode, Failure> {
    if verb.token {
        print::data(Token::keep(&scene.dirs)?.text());
        return Ok(ExitCode::SUCCESS);
    }
    let shown: Arc<dyn Workspace> = Arc::new(Shown(scene));
    if verb.link {
        let Some(at) = Listening::of(shown.as_ref())? else {
            return Err(Failure::usage(
                "no board of this workspace listens; `turno board` shows it",
            ));
        };
        print::data(&mint(shown.dirs())?.at(&at));
        return Ok(ExitCode::SUCCESS);
    }
    let stop = CancellationToken::new();
    let board = Board::open(Arc::clone(&shown), verb.port, stop.clone()).await?;
    print::data(&mint(shown.dirs())?.at(board.at()));
    print::note("open this link in a browser; it is good once, for five minutes. Ctrl-C ends the board");
    let serving = tokio::spawn(board.serve());
    let served = until(interrupted(), serving, &stop).await?;
    served.map_err(|e| Failure::bug(format!("the board came to a bad end: {e}")))??;
    Ok(ExitCode::SUCCESS)
}

/// What serving comes to. It is stopped when somebody says so; what ends it before is told at once.
async fn until<T>(
    asked: impl Future<Output = Result<(), Failure>>,
    mut serving: tokio::task::JoinHandle<T>,
    stop: &CancellationToken,
) -> Result<Result<T, tokio::task::JoinError>, Failure> {
    tokio::select! {
        served = &mut serving => return Ok(served),
        asked = asked => asked?,
    }
    stop.cancel();
    Ok(serving.await)
}

async fn interrupted() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// The workspace as the board asks for it.
#[derive(Debug)]
struct Shown(Scene);

impl Workspace for Shown {
    fn name(&self) -> String {
        let name = self.0.repo.root().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn dirs(&self) -> &StateDir {
        &self.0.dirs
    }

    fn take(&self, wish: Wish) -> Doing<'_, State> {
        Box::pin(async move {
            let mut door = Door::open(&self.0).await?;
            is_there(&door.state().await?, &wish)?;
            Ok(take(&self.0, door, wish).await?)
        })
    }

    fn config(&self) -> Result<Loaded, Problem> {
        Ok(self.0.config(&Overrides::default())?)
    }

    fn settings(&self) -> Result<Vec<Setting>, Problem> {
        let settings = config::settings(&places(&self.0), &self.0.env, &Overrides::default());
        Ok(settings.map_err(Failure::from)?)
    }

    fn policies(&self) -> Result<BTreeMap<PolicyName, Vec<Setting>>, Problem> {
        Ok(config::policy_settings(&places(&self.0)).map_err(Failure::from)?)
    }

    fn diff(&self, state: &State, of: turno_board::Subject, most: usize) -> Result<Diff, Problem> {
        let subject = match of {
            turno_board::Subject::Issue(id) => Subject::Issue(id),
            turno_board::Subject::Task(id) => Subject::Task(id),
        };
        let (repo, base, commit) = diff::range(&self.0, state, subject)?;
        let text = repo.diff_text(&base, &commit, most).map_err(Failure::from)?;
        Ok(match text {
            DiffText::Whole(text) => Diff {
                bytes: text.len(),
                text,
            },
            DiffText::Shortened { text, bytes } => Diff { text, bytes },
        })
    }

    fn promotion(&self, issue: IssueId, onto: Option<String>) -> Doing<'_, Planned> {
        Box::pin(async move {
            let mut door = Door::open(&self.0).await?;
            let state = door.state().await?;
            let known = state.issues.contains_key(&issue);
            known
                .then_some(())
                .ok_or_else(|| Problem::no_such("issue", issue))?;
            let verb = args::Promote {
                issue,
                onto,
                manner: args::MannerFlags::default(),
                dry_run: true,
                unproven: false,
            };
            let (came, left) = promote::promote(&self.0, &mut door, &verb).await?;
            Ok(planned(came, left))
        })
    }

    fn pull_request(&self, issue: IssueId) -> Doing<'_, PullPlanned> {
        Box::pin(async move {
            let mut door = Door::open(&self.0).await?;
            let known = door.state().await?.issues.contains_key(&issue);
            known
                .then_some(())
                .ok_or_else(|| Problem::no_such("issue", issue))?;
            let verb = args::Pr {
                dry_run: true,
                ..pr_of(issue, Unproven::Refused)
            };
            drop(door);
            match pr::pull_request(&self.0, &verb).await? {
                pr::Came::Planned(plan) => Ok(pull_planned(*plan)),
                pr::Came::There { .. } => Err(Problem::Bug("a look at a pull request opened it".to_owned())),
            }
        })
    }

    fn report(&self, report: &Report) -> Result<String, Problem> {
        Ok(report::page_of(&self.0, report)?)
    }

    fn salvage(&self) -> Result<Vec<Salvaged>, Problem> {
        let repos = self.0.repos(&self.config()?)?;
        let found = salvage::find(&repos, &self.0.dirs).map_err(Failure::from)?;
        let kept = found.kept.into_iter().map(|one| Salvaged {
            name: one.name(),
            repo: one.repo,
            at: one.at,
            from: one.from,
            what: match one.held {
                Held::Commit { subject, .. } => subject,
                Held::Aside { path } => path.display().to_string(),
            },
        });
        Ok(kept.collect())
    }
}

/// The verb as the board types it.
/// Where its configuration is.
fn places(scene: &Scene) -> Places {
    Places {
        repo: scene.repo.root().to_owned(),
        user: config::env::user_dir(&scene.env),
    }
}

fn pr_of(issue: IssueId, unproven: Unproven) -> args::Pr {
    args::Pr {
        issue,
        remote: None,
        base: None,
        dry_run: false,
        unproven: unproven == Unproven::Accepted,
    }
}

/// What a pull request would be, as the board shows it.
fn pull_planned(plan: pr::Plan) -> PullPlanned {
    PullPlanned {
        lines: plan.lines(),
        behind: match plan.assurance {
            Assurance::Unproven { behind } => behind,
            Assurance::Proven => 0,
        },
        remote: plan.pushed.remote,
        branch: plan.pushed.branch,
        body: plan.body,
    }
}

/// What a promotion would do, as the board shows it.
fn planned(came: Came, left: Vec<promote::Left>) -> Planned {
    let (onto, commits, behind) = match came {
        Came::Planned(plan) => {
            let commits = plan.ready.commits.into_iter();
            let behind = match plan.assurance {
                Assurance::Unproven { behind } => behind,
                Assurance::Proven => 0,
            };
            let commits = commits.map(|c| (c.subject, c.author)).collect();
            (plan.ready.target.branch, commits, behind)
        }
        Came::Earlier(begun) => (begun.onto, Vec::new(), 0),
        Came::WasThere { branch, .. } | Came::Put { branch, .. } => (branch, Vec::new(), 0),
    };
    Planned {
        onto,
        commits,
        behind,
        left: left
            .into_iter()
            .map(|l| Left {
                task: l.task,
                title: l.title,
            })
            .collect(),
    }
}

/// What a wish names must be there.
fn is_there(state: &State, wish: &Wish) -> Result<(), Problem> {
    let (known, what, id) = match wish {
        Wish::Edit { issue, .. }
        | Wish::Plan { issue, .. }
        | Wish::Close { issue, .. }
        | Wish::Join { issue }
        | Wish::Promote { issue, .. }
        | Wish::PullRequest { issue, .. }
        | Wish::Discard(Discard::Issue(issue)) => {
            (state.issues.contains_key(issue), "issue", issue.to_string())
        }
        Wish::Discard(Discard::Task(task)) => (state.tasks.contains_key(task), "task", task.to_string()),
        Wish::Answer { decision, .. } => {
            let known = state.decisions.contains_key(decision);
            (known, "question", decision.to_string())
        }
        Wish::Comment {
            on: remark::Subject::Task(task),
            ..
        } => (state.tasks.contains_key(task), "task", task.to_string()),
        Wish::Comment {
            on: remark::Subject::Issue(issue),
            ..
        } => (state.issues.contains_key(issue), "issue", issue.to_string()),
        Wish::File(_) | Wish::Stop(_) | Wish::Budget { .. } | Wish::Tell { .. } => return Ok(()),
    };
    known.then_some(()).ok_or_else(|| Problem::no_such(what, id))
}

/// Does what is wished; gives the state after it.
async fn take(scene: &Scene, mut door: Door, wish: Wish) -> Result<State, Failure> {
    match wish {
        Wish::File(draft) => door.file(scene, *draft).await?,
        Wish::Edit { issue, edit } => {
            let state = door.state().await?;
            let old = state.issues.get(&issue).map(|i| i.draft.clone());
            let draft = edited(old.unwrap_or_default(), edit);
            door.take(Event::IssueEdited { issue, draft }).await?;
        }
        Wish::Join { issue } => door.take(Event::IssueJoined { issue }).await?,
        Wish::Close { issue, why } => door.take(Event::IssueClosed { issue, why }).await?,
        Wish::Answer { decision, answer } => {
            let state = door.state().await?;
            let asked = state.decisions.get(&decision);
            let answer = match asked {
                Some(asked) => answer::meant(&asked.question, &answer, decision)?,
                None => answer,
            };
            door.take(Event::DecisionAnswered { decision, answer }).await?;
        }
        Wish::Comment { on, finding, commit } => {
            return comment::say(&mut door, on, finding, commit).await;
        }
        Wish::Tell { attempt, words } => return tell::tell(&mut door, attempt, words).await,
        Wish::Stop(how) => match door {
            Door::Live(_) => door.take(Event::StopAsked { how }).await?,
            // Its agents may be at work, and ending them means running programs: a person types that.
            Door::Own { .. } | Door::Look { .. } => {
                return Err(Failure::usage(
                    "no coordinator is alive; `turno stop` in a terminal ends a shift whose coordinator died",
                ));
            }
        },
        Wish::Discard(what) => {
            let subject = match what {
                Discard::Issue(id) => Subject::Issue(id),
                Discard::Task(id) => Subject::Task(id),
            };
            discard::give_up(scene, door, subject).await?;
            return Door::open(scene).await?.state().await;
        }
        Wish::Promote {
            issue,
            onto,
            unproven,
        } => {
            let verb = args::Promote {
                issue,
                onto,
                manner: args::MannerFlags::default(),
                dry_run: false,
                unproven: unproven == Unproven::Accepted,
            };
            promote::promote(scene, &mut door, &verb).await?;
        }
        Wish::Plan {
            issue,
            version,
            edits,
        } => {
            door.take(Event::PlanEdited {
                issue,
                version,
                edits,
            })
            .await?;
        }
        Wish::PullRequest { issue, unproven } => {
            drop(door);
            pr::pull_request(scene, &pr_of(issue, unproven)).await?;
            return Door::open(scene).await?.state().await;
        }
        Wish::Budget { level, allowance } => {
            let event = Event::BudgetSet {
                level,
                allowance: allowance.into(),
            };
            budget::limit(scene, &mut door, event).await?;
        }
    }
    door.state().await
}

fn edited(old: IssueDraft, edit: Edit) -> IssueDraft {
    IssueDraft {
        title: edit.title.unwrap_or(old.title),
        body: edit.body.unwrap_or(old.body),
        acceptance: edit.acceptance.unwrap_or(old.acceptance),
        priority: edit.priority.unwrap_or(old.priority),
        labels: edit.labels.unwrap_or(old.labels),
        ..old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_ends_the_board_is_told_before_anybody_asks_it_to_end() {
        let stop = CancellationToken::new();
        let serving = tokio::spawn(async { Err::<(), _>("no more") });
        let served = until(std::future::pending(), serving, &stop).await;
        assert_eq!(served.unwrap().unwrap(), Err("no more"));
        let serving = tokio::spawn(stop.clone().cancelled_owned());
        until(async { Ok(()) }, serving, &stop).await.unwrap().unwrap();
    }
}
