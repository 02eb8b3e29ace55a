//! Owns what each tool does but `run`: the same as its verb, told as data.

use serde_json::{Value, json};
use turno_core::admit::Refused;
use turno_core::conversation::{Speaker, conversation};
use turno_core::event::{Event, StopHow};
use turno_core::explain::{explain, headline};
use turno_core::ids::{DecisionId, IssueId, RepoName, Seq, TaskId};
use turno_core::issue::{IssueDraft, IssueStage};
use turno_core::ledger::ledger;
use turno_core::outcome::{PlannedTask, Size};
use turno_core::persona::Role;
use turno_core::view::{self, IssueView, waiting_phrase};
use turno_engine::run::now;

use super::words::{AddIssue, AddTask, Answer, ListIssues, Log, Report, ShowIssue, ShowTask, Stop};
use crate::args::{ReportFormat, Subject};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::verb::budget::warned_lines;
use crate::verb::{answer, diff, plan, report, resume};

/// So many lines of a log are told at once.
const MOST: u16 = 500;
/// So many lines of a task's story.
const STORY: usize = 100;

/// What a tool tells.
pub(super) enum Told {
    /// An object.
    Data(Value),
    /// Words.
    Words(String),
}

pub(super) async fn list_issues(scene: &Scene, asked: &ListIssues) -> Result<Told, Failure> {
    let (_, state) = Door::look_in(scene).await?;
    let is_open = |i: &IssueView| !matches!(i.stage, IssueStage::Done { .. } | IssueStage::Closed { .. });
    let mut issues = view::status(&state).issues;
    issues.retain(|issue| asked.all || is_open(issue));
    Ok(Told::Data(json!({ "issues": issues })))
}

pub(super) async fn show_issue(scene: &Scene, asked: &ShowIssue) -> Result<Told, Failure> {
    let (_, state) = Door::look_in(scene).await?;
    let id = IssueId(asked.issue);
    let (Some(issue), Some(seen)) = (state.issues.get(&id), view::issue(&state, id)) else {
        return Err(Refused::NoSuchIssue(id).into());
    };
    Ok(Told::Data(json!({ "issue": issue.as_ref(), "view": seen })))
}

pub(super) async fn show_task(scene: &Scene, asked: &ShowTask) -> Result<Told, Failure> {
    let id: TaskId = asked.task.parse()?;
    let (mut door, state) = Door::look_in(scene).await?;
    let issue = view::issue(&state, id.issue);
    let Some(task) = issue.iter().flat_map(|i| &i.tasks).find(|t| t.id == id) else {
        return Err(Refused::NoSuchTask(id).into());
    };
    let records = door.records(Seq(0)).await?;
    drop(door);
    let mut why = explain(&records, id);
    why.drain(..why.len().saturating_sub(STORY));
    // A task that has written nothing yet has changed nothing.
    let changed = match diff::range(scene, &state, Subject::Task(id)) {
        Ok((repo, base, commit)) => json!({
            "files": repo.changed_files(&base, &commit)?,
            "lines": repo.diff_stat(&base, &commit)?.to_string(),
        }),
        Err(_) => Value::Null,
    };
    Ok(Told::Data(json!({
        "task": task,
        "waits": task.waiting.as_ref().map(waiting_phrase),
        "why": why,
        "changed": changed,
    })))
}

pub(super) async fn add_issue(scene: &Scene, asked: AddIssue) -> Result<Told, Failure> {
    let repo = match asked.repo.as_str() {
        "" => RepoName::default(),
        name => name.parse()?,
    };
    let draft = IssueDraft {
        title: asked.title,
        body: asked.body,
        acceptance: asked.acceptance,
        priority: asked.priority.into(),
        labels: asked.labels,
        repo,
        needs: asked.needs.into_iter().map(IssueId).collect(),
        ..IssueDraft::default()
    };
    let mut door = Door::open(scene).await?;
    door.file(scene, draft).await?;
    let state = door.state().await?;
    let Some(id) = state.issues.keys().next_back() else {
        return Err(Failure::bug("the issue was filed and is not there"));
    };
    Ok(Told::Data(json!({ "issue": view::issue(&state, *id) })))
}

pub(super) async fn add_task(scene: &Scene, asked: AddTask) -> Result<Told, Failure> {
    let task = PlannedTask {
        key: "new".to_owned(),
        writer: Role::Engineer,
        size: Size::Medium,
        title: asked.title,
        brief: asked.text,
        acceptance: asked.acceptance,
        needs: asked.needs,
        touches: asked.paths,
    };
    let done = plan::add(scene, IssueId(asked.issue), task).await?;
    let new = done.plan.tasks.iter().find(|t| done.new.contains(&t.id));
    Ok(Told::Data(json!({ "task": new })))
}

pub(super) async fn answer(scene: &Scene, asked: &Answer) -> Result<Told, Failure> {
    let id: DecisionId = asked.decision.parse()?;
    let given = answer::give(&mut Door::open(scene).await?, id, &asked.answer).await?;
    let next = given.next.map(|next| format!("; {next}")).unwrap_or_default();
    Ok(Told::Words(format!("{id} is answered: {}{next}", given.answer)))
}

pub(super) async fn stop(scene: &Scene, asked: &Stop) -> Result<Told, Failure> {
    let how = StopHow::from(asked.how);
    let mut door = Door::open(scene).await?;
    if let Door::Own { desk, .. } = &door {
        let left = desk.state.shift().map(|shift| shift.id).ok_or(Refused::NoShift)?;
        drop(door);
        // Its coordinator is dead, and its agents may be at work.
        return match how {
            StopHow::Now => {
                resume::end(scene).await?;
                Ok(Told::Words(format!("shift {left} is over; its work is kept")))
            }
            StopHow::Drain => Err(Failure::usage(format!(
                "the coordinator of shift {left} is dead, so nobody can wait for what runs: stop it `now`, or let a \
                person type `turno resume`"
            ))),
        };
    }
    door.take(Event::StopAsked { how }).await?;
    Ok(Told::Words(
        match how {
            StopHow::Drain => "asked: nothing new is started, what runs may finish",
            StopHow::Now => "asked: what runs is stopped and its work kept",
        }
        .to_owned(),
    ))
}

pub(super) async fn status(scene: &Scene) -> Result<Told, Failure> {
    let (door, state) = Door::look_in(scene).await?;
    let coordinator = match door {
        Door::Live(_) => "alive",
        Door::Own { .. } | Door::Look { .. } => "none",
    };
    let warnings = warned_lines(&ledger(&state, now()), state.shift().map(|s| s.id));
    Ok(Told::Data(json!({
        "coordinator": coordinator,
        "status": view::status(&state),
        "budgets_near_their_limit": warnings,
    })))
}

pub(super) async fn report(scene: &Scene, asked: &Report) -> Result<Told, Failure> {
    let shift = match asked.shift.as_str() {
        "" => None,
        id => Some(id.parse()?),
    };
    let (_, told) = report::told(scene, shift, ReportFormat::Markdown, 100).await?;
    Ok(Told::Words(told))
}

pub(super) async fn log(scene: &Scene, asked: &Log) -> Result<Told, Failure> {
    if !(1..=MOST).contains(&asked.last) {
        return Err(Failure::usage(format!(
            "`last` is {}: it goes from 1 to {MOST}",
            asked.last
        )));
    }
    let mut door = Door::open(scene).await?;
    let mut lines = Vec::new();
    if asked.task.is_empty() {
        door.each_record(|record| {
            if let Some(line) = headline(record) {
                let at = print::moment(record.at);
                lines.push(format!("{at} #{}  {}", record.seq, print::plain(&line, 500)));
            }
        })
        .await?;
    } else {
        let task: TaskId = asked.task.parse()?;
        if !door.state().await?.tasks.contains_key(&task) {
            return Err(Refused::NoSuchTask(task).into());
        }
        for turn in conversation(&door.records(Seq(0)).await?, task) {
            let by = match &turn.by {
                Speaker::Agent {
                    persona,
                    agent,
                    attempt,
                } => format!("{persona} ({agent}, {attempt})"),
                Speaker::Checks => "checks".to_owned(),
                Speaker::Landing => "landing".to_owned(),
                Speaker::Person => "a person".to_owned(),
            };
            let mut words = format!(
                "{}  {by}: {}",
                print::moment(turn.at),
                print::plain(&turn.says, 2000)
            );
            for more in turn.more.iter().flat_map(|m| m.lines()) {
                words.push_str(&format!("\n    {}", print::plain(more, 400)));
            }
            lines.push(words);
        }
    }
    lines.drain(..lines.len().saturating_sub(usize::from(asked.last)));
    if lines.is_empty() {
        lines.push("nothing has happened here yet".to_owned());
    }
    Ok(Told::Words(lines.join("\n")))
}
