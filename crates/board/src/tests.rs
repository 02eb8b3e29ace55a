//! The board on a workspace that has a journal and nothing else: who gets in, what is answered, what is streamed.

mod answers;
mod entry;
mod events;

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::{IssueId, PolicyName};
use turno_core::issue::IssueDraft;
use turno_core::report::Report;
use turno_engine::config::{Loaded, Setting};
use turno_engine::run::Desk;
use turno_engine::store::Store;
use turno_engine::workspace::StateDir;

use crate::Problem;
use crate::auth::{Gate, Token, mint};
use crate::fence::Names;
use crate::routes::{App, router};
use crate::workspace::{Diff, Doing, Planned, PullPlanned, Salvaged, Subject, Wish, Workspace};

const PORT: u16 = 4711;
/// By which browsers come, for tests.
const OWN: &str = "turno-of-the-test.localhost";
const HOST: &str = "turno-of-the-test.localhost:4711";
const ORIGIN: &str = "http://turno-of-the-test.localhost:4711";

/// A workspace that has a journal.
#[derive(Debug)]
struct Fake {
    dirs: StateDir,
    desk: Mutex<Desk>,
    _dir: TempDir,
}

impl Fake {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let dirs = StateDir::at(dir.path().join("state"), Path::new("/a/app"));
        let (store, state) = Store::open(&dirs.store()).unwrap();
        Arc::new(Self {
            dirs,
            desk: Mutex::new(Desk::new(store, state)),
            _dir: dir,
        })
    }

    fn file(&self, title: &str) {
        let draft = IssueDraft {
            title: title.to_owned(),
            ..IssueDraft::default()
        };
        self.desk
            .lock()
            .unwrap()
            .take(Event::IssueAdded { draft })
            .unwrap();
    }
}

impl Workspace for Fake {
    fn name(&self) -> String {
        "app".to_owned()
    }

    fn dirs(&self) -> &StateDir {
        &self.dirs
    }

    fn take(&self, wish: Wish) -> Doing<'_, State> {
        Box::pin(async move {
            let event = match wish {
                Wish::File(draft) => Event::IssueAdded { draft: *draft },
                Wish::Join { issue } => Event::IssueJoined { issue },
                Wish::Close { issue, why } => Event::IssueClosed { issue, why },
                Wish::Comment { on, finding, commit } => Event::Commented { on, finding, commit },
                Wish::Tell { attempt, words } => Event::Told { attempt, words },
                Wish::Stop(how) => Event::StopAsked { how },
                Wish::Discard(what) => Event::Discarded { what },
                Wish::Budget { level, allowance } => Event::BudgetSet {
                    level,
                    allowance: allowance.into(),
                },
                Wish::Plan {
                    issue,
                    version,
                    edits,
                } => Event::PlanEdited {
                    issue,
                    version,
                    edits,
                },
                Wish::Answer { decision, answer } => Event::DecisionAnswered { decision, answer },
                Wish::Edit { issue, .. } | Wish::Promote { issue, .. } | Wish::PullRequest { issue, .. } => {
                    return Err(Problem::no_such("issue", issue));
                }
            };
            let mut desk = self.desk.lock().unwrap();
            desk.request(event).map_err(|e| Problem::Refused(e.to_string()))?;
            Ok(desk.state.clone())
        })
    }

    fn config(&self) -> Result<Loaded, Problem> {
        Err(Problem::Unavailable("there is none".to_owned()))
    }

    fn settings(&self) -> Result<Vec<Setting>, Problem> {
        Ok(Vec::new())
    }

    fn policies(&self) -> Result<std::collections::BTreeMap<PolicyName, Vec<Setting>>, Problem> {
        Ok(std::collections::BTreeMap::new())
    }

    fn diff(&self, _state: &State, _of: Subject, _most: usize) -> Result<Diff, Problem> {
        Ok(Diff {
            text: "<b>diff</b>".to_owned(),
            bytes: 11,
        })
    }

    fn promotion(&self, issue: IssueId, _onto: Option<String>) -> Doing<'_, Planned> {
        Box::pin(async move { Err(Problem::no_such("issue", issue)) })
    }

    fn pull_request(&self, issue: IssueId) -> Doing<'_, PullPlanned> {
        Box::pin(async move { Err(Problem::no_such("issue", issue)) })
    }

    fn report(&self, report: &Report) -> Result<String, Problem> {
        Ok(format!(
            "<style>p {{ color: red }}</style>the report of {}",
            report.shift.id
        ))
    }

    fn salvage(&self) -> Result<Vec<Salvaged>, Problem> {
        Ok(Vec::new())
    }
}

/// A board that is asked without a network.
struct Asked {
    fake: Arc<Fake>,
    router: Router,
    token: String,
    stop: CancellationToken,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

impl Asked {
    /// Its picture is followed for as long as it is there.
    async fn new(fake: Arc<Fake>) -> Self {
        let stop = CancellationToken::new();
        let token = Token::keep(&fake.dirs).unwrap();
        let text = token.text().to_owned();
        let gate = Arc::new(Gate::new(token, fake.dirs.clone()));
        let shown: Arc<dyn Workspace> = Arc::clone(&fake) as Arc<dyn Workspace>;
        let app = App::new(gate, Names::of_port(PORT, OWN), shown, stop.clone());
        app.mirror.begin().await;
        tokio::spawn(app.mirror.clone().run(stop.clone()));
        Self {
            fake,
            router: router(Arc::new(app)),
            token: text,
            stop,
        }
    }

    async fn send(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let answer = self
            .send(request.body(Body::from(body.to_owned())).unwrap())
            .await;
        let (parts, body) = answer.into_parts();
        // A stream has no end; that it began is enough.
        let streams = parts
            .headers
            .get("content-type")
            .is_some_and(|v| v == "text/event-stream");
        let body = if streams {
            String::new()
        } else {
            String::from_utf8(to_bytes(body, 8 << 20).await.unwrap().to_vec()).unwrap()
        };
        Answered {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Asks as a program does.
    async fn get(&self, path: &str) -> Answered {
        let bearer = self.bearer();
        self.ask("GET", path, &[("host", HOST), ("authorization", &bearer)], "")
            .await
    }

    async fn post(&self, path: &str, body: &Value) -> Answered {
        let bearer = self.bearer();
        let headers = [("host", HOST), ("authorization", bearer.as_str())];
        self.ask("POST", path, &headers, &body.to_string()).await
    }

    /// Lets a browser in; gives its cookie.
    async fn browser(&self) -> String {
        let link = mint(&self.fake.dirs).unwrap();
        let path = format!("/enter?code={}", link.code);
        let answer = self.ask("GET", &path, &[("host", HOST)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// A path of the table with something in place of what is open in it.
fn filled(path: &str) -> String {
    path.replace("{name}", "board.css")
        .replace("{identifier}", "1")
        .replace("tasks/{id}", "tasks/1.1")
        .replace("{id}", "1")
}
