//! Owns forms for a browser in which no script runs: the pages that have them, and what is sent from there. Each is the
//! wish of a route of the API, asked for by the same words; what follows is another page.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request, State};
use axum::response::{Redirect, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use turno_core::ids::{AttemptId, DecisionId, IssueId, TaskId};
use turno_core::plan::edit::PlanVersion;
use turno_core::remark::{Subject, looked_at};

use super::{Shown, Told, Trouble, trouble};
use crate::api::{Asked, Body, Id, changes, issues, plans, promotions, remarks};
use crate::error::Problem;
use crate::routes::Shared;

/// Where a browser goes on, or why what it asked for was not done.
type Sent = Result<Redirect, Trouble>;

/// What a form holds.
#[derive(Debug)]
pub(crate) struct Filled<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Filled<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Response> {
        let headers = request.headers().clone();
        let form = Form::<T>::from_request(request, app).await;
        let form = form.map_err(|e: FormRejection| Problem::BadRequest(e.body_text()));
        form.map(|Form(filled)| Self(filled))
            .map_err(|problem| trouble(problem, &headers))
    }
}

/// What is asked for, in the words of the API.
fn asked<T: DeserializeOwned>(words: Value) -> Result<Body<T>, Problem> {
    let body = serde_json::from_value(with_plain_lines(words));
    body.map(Body).map_err(|e| Problem::BadRequest(e.to_string()))
}

/// Browsers end the lines of a form by two characters, and nobody who reads them means the first.
fn with_plain_lines(words: Value) -> Value {
    match words {
        Value::String(text) => text.replace("\r\n", "\n").into(),
        Value::Array(all) => all.into_iter().map(with_plain_lines).collect(),
        Value::Object(all) => {
            let all = all
                .into_iter()
                .map(|(name, value)| (name, with_plain_lines(value)));
            Value::Object(all.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => words,
    }
}

/// Texts of a form, a line each.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect()
}

/// Words of a form, with commas or spaces between them.
fn words(text: &str) -> Vec<&str> {
    let between = |c: char| c == ',' || c.is_whitespace();
    text.split(between).filter(|w| !w.is_empty()).collect()
}

/// Which place of a change is meant.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    file: String,
    #[serde(default)]
    line: u32,
}

/// What is said about a change.
#[derive(Debug, Deserialize)]
pub(crate) struct Comment {
    text: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    line: String,
    #[serde(default)]
    commit: String,
}

impl Comment {
    fn asked(self) -> Result<Body<remarks::NewComment>, Problem> {
        let line = if self.line.trim().is_empty() {
            0
        } else {
            let wrong = |_| Problem::BadRequest(format!("`{}` is no number of a line", self.line));
            self.line.trim().parse::<u32>().map_err(wrong)?
        };
        let mut words = json!({"text": self.text, "file": self.file, "line": line});
        if !self.commit.is_empty() {
            words["commit"] = self.commit.into();
        }
        asked(words)
    }
}

/// A form for a comment on a task.
pub(crate) async fn about_task(
    State(app): State<Shared>,
    Id(id): Id<TaskId>,
    Asked(at): Asked<Place>,
) -> Shown {
    let page = issues::task(State(app.clone()), Id(id)).await?;
    let commit = looked_at(&app.seen().state, Subject::Task(id));
    let of = json!({"what": "task", "id": id, "title": page.task.title, "issue": id.issue, "commit": commit});
    comment_page(&app, &of, &at)
}

/// A form for a comment on what an issue has landed.
pub(crate) async fn about_issue(
    State(app): State<Shared>,
    Id(id): Id<IssueId>,
    Asked(at): Asked<Place>,
) -> Shown {
    let page = issues::issue(State(app.clone()), Id(id)).await?;
    let commit = looked_at(&app.seen().state, Subject::Issue(id));
    let of = json!({"what": "issue", "id": id, "title": page.issue.title, "issue": id, "commit": commit});
    comment_page(&app, &of, &at)
}

fn comment_page(app: &Shared, of: &Value, Place { file, line }: &Place) -> Shown {
    let told = Told::new(app).and("of", of).and("file", file).and("line", line);
    Ok(told.page("comment.html")?)
}

pub(crate) async fn comment_task(
    State(app): State<Shared>,
    Id(task): Id<TaskId>,
    Filled(comment): Filled<Comment>,
) -> Sent {
    drop(remarks::on_task(State(app), Id(task), comment.asked()?).await?);
    Ok(Redirect::to(&format!("/tasks/{task}")))
}

pub(crate) async fn comment_issue(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Filled(comment): Filled<Comment>,
) -> Sent {
    drop(remarks::on_issue(State(app), Id(issue), comment.asked()?).await?);
    Ok(Redirect::to(&format!("/issues/{issue}")))
}

/// Something that a person types in one field.
#[derive(Debug, Deserialize)]
pub(crate) struct Words {
    text: String,
}

pub(crate) async fn tell(
    State(app): State<Shared>,
    Id(attempt): Id<AttemptId>,
    Filled(Words { text }): Filled<Words>,
) -> Sent {
    drop(remarks::to_attempt(State(app), Id(attempt), asked(json!({"text": text}))?).await?);
    Ok(Redirect::to(&format!("/attempts/{attempt}")))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    answer: String,
}

pub(crate) async fn answer(
    State(app): State<Shared>,
    Id(decision): Id<DecisionId>,
    Filled(Answer { answer }): Filled<Answer>,
) -> Sent {
    drop(changes::answer(State(app), Id(decision), asked(json!({"answer": answer}))?).await?);
    Ok(Redirect::to("/decisions"))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Promote {
    onto: String,
    unproven: Option<Ticked>,
}

/// A box is sent when it is ticked, and else not at all.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ticked {
    Yes,
}

pub(crate) async fn promote(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Filled(Promote { onto, unproven }): Filled<Promote>,
) -> Sent {
    let words = json!({"onto": onto, "unproven": unproven.is_some()});
    drop(promotions::promote(State(app), Id(issue), asked(words)?).await?);
    Ok(Redirect::to(&format!("/issues/{issue}")))
}

pub(crate) async fn start(State(app): State<Shared>, Id(issue): Id<IssueId>) -> Sent {
    drop(changes::start(State(app), Id(issue)).await?);
    Ok(Redirect::to(&format!("/issues/{issue}")))
}

/// The plan of an issue as forms.
pub(crate) async fn plan(State(app): State<Shared>, Id(id): Id<IssueId>) -> Shown {
    let page = issues::issue(State(app.clone()), Id(id)).await?;
    let plan = plans::plan(State(app.clone()), Id(id)).await?;
    let told = Told::new(&app).and("issue", &page.issue).and("plan", &plan.0);
    Ok(told.page("plan.html")?)
}

/// One change of a plan. Its buttons say which.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum PlanForm {
    /// A new task.
    Add {
        version: String,
        title: String,
        text: String,
        acceptance: String,
        needs: String,
        paths: String,
    },
    /// Other words: what is left empty stays, as what is stored may be more than a page shows.
    Edit {
        version: String,
        task: String,
        title: String,
        text: String,
        acceptance: String,
        stop: Option<Ticked>,
    },
    /// Several in its place, a line each.
    Split {
        version: String,
        task: String,
        into: String,
        stop: Option<Ticked>,
    },
    /// One is given up.
    Drop {
        version: String,
        task: String,
        rewire: Option<Ticked>,
    },
}

impl PlanForm {
    /// The version that was seen, and the change, in the words of the API.
    fn words(self) -> (String, Value) {
        match self {
            Self::Add {
                version,
                title,
                text,
                acceptance,
                needs,
                paths,
            } => {
                let add = json!({"title": title, "text": text, "acceptance": lines(&acceptance),
                    "needs": words(&needs), "paths": lines(&paths)});
                (version, json!({"add": add}))
            }
            Self::Edit {
                version,
                task,
                title,
                text,
                acceptance,
                stop,
            } => {
                let mut edit = json!({"task": task, "stop": stop.is_some()});
                for (name, text) in [("title", title), ("text", text)] {
                    if !text.trim().is_empty() {
                        edit[name] = text.into();
                    }
                }
                if !acceptance.trim().is_empty() {
                    edit["acceptance"] = lines(&acceptance).into();
                }
                (version, json!({"edit": edit}))
            }
            Self::Split {
                version,
                task,
                into,
                stop,
            } => {
                let into: Vec<_> = lines(&into).iter().map(|t| json!({"title": t})).collect();
                (
                    version,
                    json!({"split": {"task": task, "into": into, "stop": stop.is_some()}}),
                )
            }
            Self::Drop {
                version,
                task,
                rewire,
            } => (
                version,
                json!({"drop": {"task": task, "rewire": rewire.is_some()}}),
            ),
        }
    }
}

pub(crate) async fn change_plan(
    State(app): State<Shared>,
    Id(issue): Id<IssueId>,
    Filled(form): Filled<PlanForm>,
) -> Sent {
    let (version, edit) = form.words();
    let version: PlanVersion = serde_json::from_str(&version)
        .map_err(|e| Problem::BadRequest(format!("`{version}` is no version of a plan: {e}")))?;
    let words = json!({"version": version, "edits": [edit]});
    drop(plans::edit(State(app), Id(issue), asked(words)?).await?);
    Ok(Redirect::to(&format!("/issues/{issue}/plan")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::with_plain_lines;

    #[test]
    fn lines_of_a_form_end_as_those_of_a_file() {
        let typed = json!({"add": {"text": "one\r\ntwo\r\n", "needs": ["a\r\nb"]}, "line": 3, "stop": false});
        let meant = json!({"add": {"text": "one\ntwo\n", "needs": ["a\nb"]}, "line": 3, "stop": false});
        assert_eq!(with_plain_lines(typed), meant);
    }
}
