//! `turno issue`: files, lists, shows, edits and closes issues.

use std::io::Read;
use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::event::Event;
use turno_core::foresight::clashes_phrase;
use turno_core::ids::{IssueId, RepoName, Seq};
use turno_core::issue::{IssueDraft, IssueStage};
use turno_core::retention::History;
use turno_core::shift::joined_phrase;
use turno_core::view::{self, IssueView, waiting_phrase};

use turno_engine::gc::disk;

use crate::args::{Issue, IssueAdd, IssueEdit};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Issue) -> Result<ExitCode, Failure> {
    let mut door = Door::open(scene).await?;
    match verb {
        Issue::Add(add) => file(scene, &mut door, add).await?,
        Issue::List { all, json } => list(&door.state().await?, all, json)?,
        Issue::Show { issue, json } => show(scene, &mut door, issue, json).await?,
        Issue::Edit(edit) => change(&mut door, edit).await?,
        Issue::Start { issue } => {
            door.take(Event::IssueJoined { issue }).await?;
            print::data(&joined_phrase(&door.state().await?, issue));
        }
        Issue::Close { issue, why } => {
            door.take(Event::IssueClosed { issue, why }).await?;
            print::data(&format!("issue {issue} is closed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn body(text: Option<String>) -> Result<Option<String>, Failure> {
    match text.as_deref() {
        Some("-") => {
            let mut read = String::new();
            std::io::stdin().read_to_string(&mut read).map_err(|e| {
                Failure::usage(format!(
                    "the issue's body cannot be read from standard input: {e}"
                ))
            })?;
            Ok(Some(read))
        }
        _ => Ok(text),
    }
}

async fn file(scene: &Scene, door: &mut Door, add: IssueAdd) -> Result<(), Failure> {
    let draft = IssueDraft {
        title: add.title,
        body: body(add.body)?.unwrap_or_default(),
        acceptance: add.acceptance,
        priority: add.priority.into(),
        labels: add.labels,
        repo: add.repo.unwrap_or_default(),
        needs: add.needs.into_iter().collect(),
        ..IssueDraft::default()
    };
    door.file(scene, draft).await?;
    let state = door.state().await?;
    let Some(id) = state.issues.keys().next_back().copied() else {
        return Err(Failure::bug("the issue was filed and is not there"));
    };
    if add.json {
        return print::json(&view::issue(&state, id));
    }
    print::data(&format!("issue {id}"));
    print::note(&format!("work on it with `turno run {id}`"));
    Ok(())
}

async fn change(door: &mut Door, edit: IssueEdit) -> Result<(), Failure> {
    let state = door.state().await?;
    let issue = state
        .issues
        .get(&edit.issue)
        .ok_or(Refused::NoSuchIssue(edit.issue))?;
    let old = issue.draft.clone();
    let draft = IssueDraft {
        title: edit.title.unwrap_or(old.title),
        body: body(edit.body)?.unwrap_or(old.body),
        acceptance: if edit.acceptance.is_empty() {
            old.acceptance
        } else {
            edit.acceptance
        },
        priority: edit.priority.map_or(old.priority, Into::into),
        labels: if edit.labels.is_empty() {
            old.labels
        } else {
            edit.labels
        },
        ..old
    };
    door.take(Event::IssueEdited {
        issue: edit.issue,
        draft,
    })
    .await?;
    print::data(&format!("issue {} is changed", edit.issue));
    Ok(())
}

/// How far an issue is, in one word.
pub(crate) fn stage_word(stage: &IssueStage) -> &'static str {
    match stage {
        IssueStage::Backlog => "backlog",
        IssueStage::Opening { .. } => "opening",
        IssueStage::Working { .. } => "working",
        IssueStage::Review { .. } => "review",
        IssueStage::Done { .. } => "done",
        IssueStage::Closed { .. } => "closed",
    }
}

fn list(state: &State, all: bool, json: bool) -> Result<(), Failure> {
    let open =
        |i: &&IssueView| all || !matches!(i.stage, IssueStage::Done { .. } | IssueStage::Closed { .. });
    let issues: Vec<IssueView> = view::status(state).issues;
    let issues: Vec<&IssueView> = issues.iter().filter(open).collect();
    if json {
        return print::json(&issues);
    }
    if issues.is_empty() {
        print::note("no open issues; file one with `turno issue add \"TITLE\"`");
    }
    for issue in issues {
        let labels = if issue.labels.is_empty() {
            String::new()
        } else {
            format!("  [{}]", issue.labels.join(", "))
        };
        print::data(&format!(
            "{:>4}  {:8} {:>9}  {}{}",
            issue.id.to_string(),
            stage_word(&issue.stage),
            issue.cost.to_string(),
            print::plain(&issue.title, 90),
            print::dim(&print::plain(&labels, 60))
        ));
    }
    Ok(())
}

async fn show(scene: &Scene, door: &mut Door, id: IssueId, json: bool) -> Result<(), Failure> {
    let state = &door.state().await?;
    let (Some(issue), Some(seen)) = (state.issues.get(&id), view::issue(state, id)) else {
        return Err(Refused::NoSuchIssue(id).into());
    };
    let history = History::of(&door.records(Seq(0)).await?, state);
    let bytes = disk::by_issue(&scene.dirs, &history)?.remove(&id).unwrap_or(0);
    if json {
        let shown = serde_json::json!({ "issue": issue.as_ref(), "view": seen, "disk_bytes": bytes });
        return print::json(&shown);
    }
    print::data(&format!(
        "{} {}",
        print::bold(&format!("issue {id}")),
        print::plain(&seen.title, 400)
    ));
    print::data(&format!(
        "{}, cost {}, filed {}, {} on the disk",
        stage_word(&seen.stage),
        seen.cost,
        print::clock(issue.filed),
        print::size(bytes)
    ));
    if let IssueStage::Closed { why, .. } = &seen.stage {
        print::data(&format!("closed: {}", print::plain(why, 300)));
    }
    if let Some(alarm) = seen.following.alarm_phrase() {
        print::data(&print::red(&print::plain(&alarm, 1000)));
    }
    if issue.draft.repo != RepoName::default() {
        print::data(&format!("in the repository {}", issue.draft.repo));
    }
    if !issue.draft.needs.is_empty() {
        let needs: Vec<String> = issue.draft.needs.iter().map(ToString::to_string).collect();
        print::data(&format!("needs {}", needs.join(", ")));
    }
    if !issue.draft.body.trim().is_empty() {
        print::data(&format!("\n{}", print::harmless(issue.draft.body.trim())));
    }
    for criterion in &issue.draft.acceptance {
        print::data(&format!("  [ ] {}", print::plain(criterion, 400)));
    }
    for task in &seen.tasks {
        print::data(&format!(
            "\n{} {}",
            print::bold(&format!("task {}", task.id)),
            print::plain(&task.title, 400)
        ));
        print::data(&format!(
            "  {}, {} attempt(s), {}",
            print::plain(&task.detail, 300),
            task.attempts,
            task.cost
        ));
        if let Some(why) = &task.waiting {
            print::data(&format!("  waits: {}", print::plain(&waiting_phrase(why), 300)));
        }
        if let Some(coming) = clashes_phrase(&task.clashes) {
            print::data(&format!("  {}", print::plain(&coming, 300)));
        }
    }
    Ok(())
}
