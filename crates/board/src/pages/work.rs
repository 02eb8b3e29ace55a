//! Owns the pages about one piece of work: an issue, a task, an attempt, and what has changed.

use std::convert::Infallible;
use std::future::ready;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use turno_core::ids::{AttemptId, IssueId, TaskId};
use turno_core::remark::{Subject, looked_at};

use super::diff::Shaped;
use super::graph::graph;
use super::{Shown, Told, Trouble};
use crate::api::{Asked, Id, attempts, issues, promotions, pulls, things};
use crate::error::Problem;
use crate::routes::Shared;
use crate::view::issue::TaskNode;
use crate::view::things::{DiffView, PreviewView};

/// No prompt is read longer than this for a page.
const PROMPT: usize = 4 << 20;
/// Where the page of an attempt has what was said.
const TALK: &str = "<!--talk-->";

/// An issue: its plan as a graph, its tasks, what came of them.
pub(crate) async fn issue(State(app): State<Shared>, id: Id<IssueId>) -> Shown {
    let Json(page) = issues::issue(State(app.clone()), id).await?;
    let previews = previews(&app, &page.issue.id.to_string()).await?;
    Ok(Told::new(&app)
        .and("graph", &graph(&page.tasks, &page.critical_path))
        .and("previews", &previews)
        .and("page", &page)
        .page("issue.html")?)
}

/// A task: what was said about it, and why each thing happened to it.
pub(crate) async fn task(State(app): State<Shared>, id: Id<TaskId>) -> Shown {
    let Json(page) = issues::task(State(app.clone()), id).await?;
    let previews = previews(&app, &page.task.id.to_string()).await?;
    Ok(Told::new(&app)
        .and("previews", &previews)
        .and("page", &page)
        .page("task.html")?)
}

/// The previews of a task or an issue.
async fn previews(app: &Shared, subject: &str) -> Result<Vec<PreviewView>, Problem> {
    let Json(mut all) = things::previews(State(app.clone())).await?;
    all.retain(|p| p.is_of(subject));
    Ok(all)
}

/// What an issue has landed, and which of its tasks are not in that.
pub(crate) async fn issue_diff(State(app): State<Shared>, Id(id): Id<IssueId>) -> Shown {
    let Json(page) = issues::issue(State(app.clone()), Id(id)).await?;
    let left: Vec<_> = {
        let seen = app.seen();
        let open = |t: &&TaskNode| seen.state.pieces_of(id).any(|p| p.id == t.id && !p.is_over());
        page.tasks.iter().filter(open).cloned().collect()
    };
    let (diff, told) = match issues::issue_diff(State(app.clone()), Id(id)).await {
        Ok(Json(diff)) => (diff, Told::new(&app)),
        // That there is nothing yet, and what is under way, is worth a page of its own.
        Err(problem @ (Problem::Refused(_) | Problem::BadRequest(_))) => {
            let none = DiffView {
                text: String::new(),
                bytes: 0,
            };
            (none, Told::new(&app).and("refused", &problem.to_string()))
        }
        Err(problem) => return Err(problem.into()),
    };
    let findings = page.findings;
    let shaped = app.heavy(move |_| Ok(Shaped::of(&diff, &findings))).await?;
    let commit = looked_at(&app.seen().state, Subject::Issue(id));
    let of = json!({"what": "issue", "id": id, "title": page.issue.title, "issue": id, "commit": commit});
    Ok(told
        .and("of", &of)
        .and("left", &left)
        .and("diff", &shaped)
        .page("diff.html")?)
}

/// What a task has written so far.
pub(crate) async fn task_diff(State(app): State<Shared>, Id(id): Id<TaskId>) -> Shown {
    let Json(page) = issues::task(State(app.clone()), Id(id)).await?;
    let Json(diff) = issues::task_diff(State(app.clone()), Id(id)).await?;
    let findings = page.findings;
    let shaped = app.heavy(move |_| Ok(Shaped::of(&diff, &findings))).await?;
    let commit = looked_at(&app.seen().state, Subject::Task(id));
    let of = json!({"what": "task", "id": id, "title": page.task.title, "issue": id.issue, "commit": commit});
    Ok(Told::new(&app)
        .and("of", &of)
        .and("left", &Vec::<TaskNode>::new())
        .and("diff", &shaped)
        .page("diff.html")?)
}

/// What a pull request would be, and the button that asks for it.
pub(crate) async fn pull_request(State(app): State<Shared>, Id(id): Id<IssueId>) -> Shown {
    let Json(page) = issues::issue(State(app.clone()), Id(id)).await?;
    let told = Told::new(&app).and("issue", &page.issue);
    let told = match pulls::plan(State(app), Id(id)).await {
        Ok(Json(plan)) => told.and("plan", &plan),
        Err(problem @ (Problem::Refused(_) | Problem::BadRequest(_) | Problem::Unavailable(_))) => {
            told.and("refused", &problem.to_string())
        }
        Err(problem) => return Err(problem.into()),
    };
    Ok(told.page("pull.html")?)
}

/// What a promotion would do, and the button that does it.
pub(crate) async fn promote(
    State(app): State<Shared>,
    Id(id): Id<IssueId>,
    onto: Asked<promotions::Onto>,
) -> Shown {
    let Json(page) = issues::issue(State(app.clone()), Id(id)).await?;
    let told = Told::new(&app)
        .and("issue", &page.issue)
        .and("onto", &onto.0.onto);
    // Why not is worth a page of its own: a person mends it and comes again.
    let told = match promotions::plan(State(app), Id(id), onto).await {
        Ok(Json(plan)) => told.and("plan", &plan),
        Err(problem @ (Problem::Refused(_) | Problem::BadRequest(_))) => {
            told.and("refused", &problem.to_string())
        }
        Err(problem) => return Err(problem.into()),
    };
    Ok(told.page("promote.html")?)
}

/// From where on a page shows what was said; absent: its end, which goes on while the attempt runs.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Place {
    after: Option<usize>,
}

/// An attempt: its conversation as it goes, and what it was told. Whoever says much is heard for a while the first time,
/// so what stands above is sent before that.
pub(crate) async fn attempt(
    State(app): State<Shared>,
    Id(id): Id<AttemptId>,
    Asked(Place { after }): Asked<Place>,
) -> Result<Response, Trouble> {
    let Json(page) = attempts::attempt(State(app.clone()), Id(id)).await?;
    let mut told = Told::new(&app).and("page", &page);
    if let Ok(prompt) = attempts::prompt(State(app.clone()), Id(id)).await {
        let bytes = to_bytes(prompt.into_body(), PROMPT).await;
        let bytes = bytes.map_err(|e| Problem::Bug(e.to_string()))?;
        told = told.and("prompt", &String::from_utf8_lossy(&bytes));
    }
    let Html(shell) = told.page("attempt.html")?;
    // What is put into a page is escaped, so this is the template's own.
    let (before, behind) = shell
        .split_once(TALK)
        .ok_or_else(|| Problem::Bug("the page has no place for what was said".to_owned()))?;
    let behind = behind.to_owned();
    let talk = async move { talk(app, id, after).await + &behind };
    let sent = stream::once(ready(before.to_owned())).chain(stream::once(talk));
    let sent = sent.map(Ok::<_, Infallible>);
    Ok(Html(Body::from_stream(sent)).into_response())
}

/// What an attempt said, or why that cannot be shown.
async fn talk(app: Shared, id: AttemptId, after: Option<usize>) -> String {
    let asked = Asked(attempts::After::of_page(after));
    let told = Told::bare().and("id", &id).and("page_length", &attempts::SAID);
    let told = match attempts::conversation(State(app), Id(id), asked).await {
        Ok(Json(conversation)) => told.and("conversation", &conversation),
        Err(problem) => told.and("silent", &problem.to_string()),
    };
    match told.and("after", &after).page("talk.html") {
        Ok(Html(text)) => text,
        Err(problem) => {
            tracing::warn!(%problem, "what an attempt said cannot be shown");
            String::new()
        }
    }
}
