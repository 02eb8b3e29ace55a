//! `turno plan`: shows the plan of an issue and changes it, also while a shift works on it. Each change is one event, held
//! against the plan that the person saw.

mod document;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use turno_core::State;
use turno_core::admit::Refused;
use turno_core::event::Event;
use turno_core::globs;
use turno_core::ids::{IssueId, TaskId};
use turno_core::outcome::{PlannedTask, Size};
use turno_core::plan::edit::{self, Dependants, Origin, PlanEdit, Running, TaskChange};
use turno_core::plan::view::{Open, PlanView, plan};
use turno_engine::config::env::{EDITOR, VISUAL};
use turno_engine::process::editor;

use super::issue::body;
use crate::args::{Plan, PlanAdd, PlanChange, PlanDo, PlanDrop, PlanSplit};
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) async fn run(scene: &Scene, verb: Plan) -> Result<ExitCode, Failure> {
    match (verb.act, verb.issue) {
        (None, Some(issue)) => {
            let (_, state) = Door::look_in(scene).await?;
            let plan = seen(&state, issue)?;
            if verb.json {
                print::json(&plan)?;
            } else {
                show(&plan);
            }
        }
        (None, None) => return Err(Failure::usage("name an issue: `turno plan 7`")),
        (Some(PlanDo::Add(add)), _) => added(scene, add).await?,
        (Some(PlanDo::Split(split)), _) => divide(scene, split).await?,
        (Some(PlanDo::Edit(change)), _) => changed(scene, change).await?,
        (Some(PlanDo::Drop(drop)), _) => dropped(scene, &drop).await?,
        (Some(PlanDo::Order { tasks }), _) => {
            let Some(first) = tasks.first().copied() else {
                return Err(Failure::usage("name the tasks in their order"));
            };
            let done = ask(scene, first.issue, |_| Ok(vec![PlanEdit::Order(tasks)])).await?;
            print::data(&format!("the order of issue {} is changed", done.issue));
        }
        (Some(PlanDo::Open { issue }), _) => open(scene, issue).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn seen(state: &State, issue: IssueId) -> Result<PlanView, Failure> {
    plan(state, issue).ok_or_else(|| Refused::NoSuchIssue(issue).into())
}

/// What a request came to.
pub(super) struct Done {
    pub(super) issue: IssueId,
    pub(super) plan: PlanView,
    /// The new tasks.
    pub(super) new: Vec<TaskId>,
}

/// Asks for edits of a plan as it is at this moment.
async fn ask(
    scene: &Scene,
    issue: IssueId,
    edits: impl FnOnce(&State) -> Result<Vec<PlanEdit>, Failure>,
) -> Result<Done, Failure> {
    let mut door = Door::open(scene).await?;
    let state = door.state().await?;
    let before = seen(&state, issue)?;
    let edits = edits(&state)?;
    let done = take(&mut door, &before, edits).await?;
    if door.state().await?.shift().is_none() {
        print::note(&format!("work on it with `turno run {issue}`"));
    }
    Ok(done)
}

/// Changes a plan, unless it is another one than that which was seen.
pub(super) async fn take(door: &mut Door, before: &PlanView, edits: Vec<PlanEdit>) -> Result<Done, Failure> {
    let issue = before.issue;
    let version = before.version;
    door.take(Event::PlanEdited {
        issue,
        version,
        edits,
    })
    .await?;
    let plan = seen(&door.state().await?, issue)?;
    let known: BTreeSet<TaskId> = before.tasks.iter().map(|t| t.id).collect();
    let new = plan.tasks.iter().map(|t| t.id).filter(|id| !known.contains(id));
    Ok(Done {
        issue,
        new: new.collect(),
        plan,
    })
}

async fn added(scene: &Scene, add: PlanAdd) -> Result<(), Failure> {
    let task = PlannedTask {
        key: "new".to_owned(),
        writer: add.writer.into(),
        size: Size::Medium,
        title: add.title,
        brief: body(add.text)?.unwrap_or_default(),
        acceptance: add.acceptance,
        needs: add.needs.iter().map(ToString::to_string).collect(),
        touches: add.paths,
    };
    let done = self::add(scene, add.issue, task).await?;
    for id in &done.new {
        beside(&done.plan, *id);
    }
    if add.json {
        let new = done.plan.tasks.iter().find(|t| done.new.contains(&t.id));
        return print::json(&new);
    }
    print::data(&format!("task {} is added", names(&done.new)));
    Ok(())
}

/// Adds a task to a plan as it is at this moment.
pub(super) async fn add(scene: &Scene, issue: IssueId, task: PlannedTask) -> Result<Done, Failure> {
    ask(scene, issue, |_| Ok(vec![PlanEdit::Add(Box::new(task))])).await
}

/// A task that may write what another one may, and does not wait for it, may meet it in a conflict: that is said.
fn beside(plan: &PlanView, id: TaskId) {
    let Some(new) = plan.tasks.iter().find(|t| t.id == id) else {
        return;
    };
    let meets = |t: &&turno_core::plan::view::PlanTask| {
        t.id != id
            && t.open != Open::Nothing
            && globs::overlap(&t.paths, &new.paths)
            && !new.needs.contains(&t.id)
    };
    let others: Vec<TaskId> = plan.tasks.iter().filter(meets).map(|t| t.id).collect();
    if !others.is_empty() {
        let others = names(&others);
        print::note(&format!(
            "{id} may write the same paths as {others}; `turno plan edit {id} --needs {others}` puts it after them",
            others = others.replace(", ", ",")
        ));
    }
}

fn names(ids: &[TaskId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

async fn divide(scene: &Scene, split: PlanSplit) -> Result<(), Failure> {
    let running = split.running();
    let PlanSplit { task, into, .. } = split;
    let name = into.display().to_string();
    let unread = |e: std::io::Error| Failure::usage(format!("{name} cannot be read: {e}"));
    let text = if into == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unread)?;
        text
    } else {
        std::fs::read_to_string(&into).map_err(unread)?
    };
    let into = document::list(&text).map_err(|why| Failure::usage(format!("{name}: {why}")))?;
    let edit = PlanEdit::Split { task, into, running };
    let done = ask(scene, task.issue, |_| Ok(vec![edit])).await?;
    print::data(&format!("task {task} is split into {}", names(&done.new)));
    Ok(())
}

async fn changed(scene: &Scene, change: PlanChange) -> Result<(), Failure> {
    let task = change.task;
    let running = change.running();
    let said = |lines: Vec<String>| {
        let some = !lines.is_empty();
        let lines: Vec<String> = lines.into_iter().filter(|l| !l.trim().is_empty()).collect();
        some.then_some(lines)
    };
    let to = TaskChange {
        title: change.title,
        brief: body(change.text)?,
        acceptance: said(change.acceptance),
        needs: said(change.needs),
        touches: said(change.paths),
    };
    if to == TaskChange::default() {
        return Err(Failure::usage(
            "say what is to change: --title, --text, --accept, --needs or --paths",
        ));
    }
    let to = Box::new(to);
    let mut ran = false;
    let done = ask(scene, task.issue, |state| {
        ran = state.tasks.get(&task).is_some_and(|t| t.run().is_some());
        Ok(vec![PlanEdit::Change { task, to, running }])
    })
    .await?;
    print::data(&format!("task {task} of issue {} is changed", done.issue));
    match (ran, running) {
        (true, Running::Finish) => print::note(
            "it is being worked on: what that comes to is not landed, a turn with the new words follows; `--stop` stops it \
             at once",
        ),
        (true, Running::Stop) => print::note("what runs for it is being stopped; its work is kept"),
        (false, Running::Finish | Running::Stop) => {}
    }
    Ok(())
}

async fn dropped(scene: &Scene, drop: &PlanDrop) -> Result<(), Failure> {
    let task = drop.task;
    let dependants = if drop.rewire {
        Dependants::Rewire
    } else {
        Dependants::Keep
    };
    ask(scene, task.issue, |_| {
        Ok(vec![PlanEdit::Drop { task, dependants }])
    })
    .await?;
    print::data(&format!("task {task} is given up; its work is kept"));
    Ok(())
}

/// Opens a plan in the person's editor. What they wrote is never lost: where it is refused, it stays in its file.
async fn open(scene: &Scene, issue: IssueId) -> Result<(), Failure> {
    let chosen = VISUAL.of(&scene.env).or_else(|| EDITOR.of(&scene.env));
    let chosen = chosen.ok_or_else(|| {
        Failure::usage("no editor is named: set EDITOR, or use `turno plan add`, `edit`, `split` and `drop`")
    })?;
    let (door, state) = Door::look_in(scene).await?;
    door.can_record()?;
    // Nobody is kept out while a person thinks.
    drop(door);
    let before = seen(&state, issue)?;
    if let Some(why) = &before.closed {
        return Err(Failure::usage(why.clone()));
    }
    let text = document::write(&before);
    let unusable =
        |e: std::io::Error| Failure::cannot_start(format!("the plan cannot be put into a file: {e}"));
    let file = tempfile::Builder::new()
        .prefix(&format!("turno-plan-{issue}-"))
        .suffix(".toml")
        .tempfile()
        .map_err(unusable)?;
    std::fs::write(file.path(), &text).map_err(unusable)?;
    let ended = editor::edit(chosen, file.path(), &scene.env).map_err(|e| {
        Failure::usage(format!(
            "the editor `{chosen}` cannot be started: {e}; set EDITOR"
        ))
    })?;
    let written = match std::fs::read_to_string(file.path()) {
        Ok(written) => written,
        Err(error) => {
            keep(file)?;
            let why = format!("what you wrote cannot be read as a plan: {error}; nothing is changed");
            return Err(Failure::usage(why));
        }
    };
    if written == text || written.trim().is_empty() {
        print::data("nothing is changed");
        return Ok(());
    }
    let done = if ended.success() {
        hand_in(scene, &before, &state, &written).await
    } else {
        Err(Failure::usage(format!(
            "the editor ended with {ended}, so nothing is changed"
        )))
    };
    match done {
        Ok(done) => {
            print::data(&format!("the plan of issue {issue} is changed"));
            if !done.new.is_empty() {
                print::data(&format!("new: {}", names(&done.new)));
            }
            Ok(())
        }
        Err(failure) => {
            keep(file)?;
            Err(failure)
        }
    }
}

/// Leaves the file where it is, and says where.
fn keep(file: tempfile::NamedTempFile) -> Result<(), Failure> {
    let (_, kept) = file.keep().map_err(|e| {
        let path = print::name(e.file.path());
        Failure::cannot_start(format!("what you wrote cannot be kept in {path}: {}", e.error))
    })?;
    print::note(&format!("what you wrote is in {}", print::name(&kept)));
    Ok(())
}

async fn hand_in(scene: &Scene, before: &PlanView, state: &State, written: &str) -> Result<Done, Failure> {
    let changes = document::read(written, before).map_err(Failure::usage)?;
    if changes.edits.is_empty() {
        return Err(Failure::usage("nothing of the plan changes"));
    }
    // Held against the plan that was seen, so that a line can be named.
    if let (Some(issue), Some(config)) = (state.issues.get(&before.issue), &state.config)
        && let Err(flaws) = edit::check(state, issue, config.policy.caps, &changes.edits)
    {
        let told = flaws.iter().map(|flaw| match changes.lines.get(flaw.edit) {
            None | Some(0) => flaw.why.clone(),
            Some(line) => format!("line {line}: {}", flaw.why),
        });
        return Err(Failure::usage(told.collect::<Vec<_>>().join("\n")));
    }
    take(&mut Door::open(scene).await?, before, changes.edits).await
}

fn show(plan: &PlanView) {
    print::data(&format!(
        "{} {}",
        print::bold(&format!("plan of issue {}", plan.issue)),
        print::plain(&plan.title, 400)
    ));
    print::data(&print::dim(&format!("version {}", plan.version)));
    if plan.tasks.is_empty() {
        print::data("it has no tasks yet");
    }
    for task in &plan.tasks {
        print::data(&format!(
            "\n{} {}{}",
            print::bold(&format!("task {}", task.id)),
            print::plain(&task.title, 400),
            match task.by {
                Origin::Person => print::dim("  (a person's)"),
                Origin::Team => String::new(),
            }
        ));
        print::data(&format!("  {}", print::plain(&task.detail, 300)));
        if let Some(why) = &task.waiting {
            print::data(&format!("  waits: {}", print::plain(why, 300)));
        }
        if !task.needs.is_empty() {
            print::data(&format!("  needs {}", names(&task.needs)));
        }
        if !task.paths.is_empty() {
            print::data(&format!(
                "  may write {}",
                print::plain(&task.paths.join(" "), 300)
            ));
        }
        for criterion in &task.acceptance {
            print::data(&format!("  [ ] {}", print::plain(criterion, 400)));
        }
    }
    if plan.critical_path.len() > 1 {
        let path: Vec<String> = plan.critical_path.iter().map(ToString::to_string).collect();
        print::data(&format!("\ncritical path: {}", path.join(" -> ")));
    }
    if let Some(why) = &plan.closed {
        print::note(why);
    }
}
