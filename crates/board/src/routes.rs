//! Owns the table of all routes: the router is built from it and from nothing else, so that a test which goes through
//! the table goes through the board. No route runs a command.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::HeaderMap;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, patch, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use turno_core::State;
use turno_core::ids::{AttemptId, Seq, ShiftId};
use turno_core::report::{Fold, Report};

use crate::api::{
    attempts, board, changes, issues, plans, promotions, pulls, remarks, service, shifts, things,
};
use crate::auth::Gate;
use crate::error::Problem;
use crate::fence::{self, Names};
use crate::heard::Heard;
use crate::mirror::{Mirror, Seen};
use crate::view::attempt::{AttemptView, Attempts};
use crate::workspace::{Wish, Workspace};
use crate::{metrics, openapi, pages};

/// No request's body is longer.
const BODY: usize = 1 << 20;
/// So many requests may read much of the journal or of git at once.
const HEAVY: usize = 2;
/// So many clients may follow the events at once.
pub(crate) const STREAMS: usize = 256;

/// How somebody gets in at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By the code of a link.
    Link,
    /// By the token, or a session that a link has opened.
    Token,
}

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Get,
    Post,
    Patch,
}

pub(crate) struct Route {
    pub(crate) ask: Ask,
    pub(crate) path: &'static str,
    pub(crate) entry: Entry,
    handler: MethodRouter<Shared>,
}

/// What all handlers share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) gate: Arc<Gate>,
    pub(crate) names: Names,
    pub(crate) mirror: Mirror,
    pub(crate) workspace: Arc<dyn Workspace>,
    pub(crate) stop: CancellationToken,
    pub(crate) streams: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    told: Arc<Mutex<Option<Arc<Told>>>>,
    attempts: Arc<Mutex<(Seq, Attempts)>>,
    pub(crate) heard: Arc<Heard>,
}

/// The last report that was folded.
#[derive(Debug)]
struct Told {
    head: Seq,
    shift: ShiftId,
    report: Report,
}

/// A handle on it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(
        gate: Arc<Gate>,
        names: Names,
        workspace: Arc<dyn Workspace>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            gate,
            names,
            mirror: Mirror::new(workspace.dirs()),
            workspace,
            stop,
            streams: Arc::new(Semaphore::new(STREAMS)),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            told: Arc::default(),
            attempts: Arc::new(Mutex::new((Seq(0), Attempts::default()))),
            heard: Arc::default(),
        }
    }

    /// The same, reached by other names.
    pub(crate) fn named(&self, names: Names) -> Self {
        Self {
            names,
            ..self.clone()
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.mirror.seen()
    }

    /// Does something that reads much, beside everything else.
    pub(crate) async fn heavy<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let gone = |why: String| Problem::Bug(why);
        let place = Arc::clone(&self.heavy).acquire_owned().await;
        let place = place.map_err(|e| gone(e.to_string()))?;
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&app);
            drop(place);
            done
        });
        done.await.map_err(|e| gone(e.to_string()))?
    }

    /// Does what a person asks for. What is shown follows at once.
    pub(crate) async fn take(&self, wish: Wish) -> Result<State, Problem> {
        let state = self.workspace.take(wish).await?;
        self.mirror.look();
        Ok(state)
    }

    /// Every attempt until what is seen. Only records that are news are read; it may block for as long as that takes.
    pub(crate) fn attempts(&self, seen: &Seen) -> Result<Vec<AttemptView>, Problem> {
        self.of_attempts(seen, |attempts| attempts.clone().finish(&seen.state))
    }

    /// One attempt until what is seen, in the same way.
    pub(crate) fn attempt(&self, seen: &Seen, id: AttemptId) -> Result<Option<AttemptView>, Problem> {
        self.of_attempts(seen, |attempts| attempts.one(&seen.state, id))
    }

    fn of_attempts<T>(&self, seen: &Seen, of: impl FnOnce(&Attempts) -> T) -> Result<T, Problem> {
        let mut known = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, attempts) = &mut *known;
        self.mirror
            .each_between(*at, seen.head, |record| attempts.take(record))?;
        *at = seen.head.max(*at);
        Ok(of(attempts))
    }

    /// Folds the report of a shift, unless it is the last one that was folded. It may block.
    pub(crate) fn report<T>(&self, shift: ShiftId, tell: impl FnOnce(&Report) -> T) -> Result<T, Problem> {
        let head = self.seen().head;
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(told) = known.filter(|t| t.head == head && t.shift == shift) {
            return Ok(tell(&told.report));
        }
        let mut fold = Fold::new(shift);
        self.mirror.each_record(|record| fold.take(record))?;
        let report = fold.finish().ok_or_else(|| Problem::no_such("shift", shift))?;
        let told = Arc::new(Told { head, shift, report });
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&told));
        Ok(tell(&told.report))
    }
}

fn route<H, T>(ask: Ask, path: &'static str, handler: H) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    Route {
        ask,
        path,
        entry: Entry::Token,
        handler: match ask {
            Ask::Get => get(handler),
            Ask::Post => post(handler),
            Ask::Patch => patch(handler),
        },
    }
}

/// Every route there is.
pub(crate) fn routes() -> Vec<Route> {
    use Ask::{Get, Patch, Post};
    vec![
        Route {
            entry: Entry::Link,
            ..route(Get, "/enter", pages::enter)
        },
        route(Get, "/", pages::home::home),
        route(Get, "/issues/{id}", pages::work::issue),
        route(Get, "/issues/{id}/diff", pages::work::issue_diff),
        route(Get, "/issues/{id}/promote", pages::work::promote),
        route(Get, "/issues/{id}/pull-request", pages::work::pull_request),
        route(Get, "/issues/{id}/plan", pages::forms::plan),
        route(Post, "/issues/{id}/plan", pages::forms::change_plan),
        route(Get, "/issues/{id}/comment", pages::forms::about_issue),
        route(Post, "/issues/{id}/comment", pages::forms::comment_issue),
        route(Post, "/issues/{id}/promote", pages::forms::promote),
        route(Post, "/issues/{id}/start", pages::forms::start),
        route(Get, "/tasks/{id}/comment", pages::forms::about_task),
        route(Post, "/tasks/{id}/comment", pages::forms::comment_task),
        route(Post, "/decisions/{id}/answer", pages::forms::answer),
        route(Post, "/attempts/{id}/messages", pages::forms::tell),
        route(Get, "/tasks/{id}", pages::work::task),
        route(Get, "/tasks/{id}/diff", pages::work::task_diff),
        route(Get, "/attempts/{id}", pages::work::attempt),
        route(Get, "/decisions", pages::lists::decisions),
        route(Get, "/shifts", pages::shifts::shifts),
        route(Get, "/shifts/{id}", pages::shifts::shift),
        route(Get, "/shifts/{id}/report", pages::shifts::report),
        route(Get, "/report", pages::shifts::latest),
        route(Get, "/salvage", pages::lists::salvage),
        route(Get, "/config", pages::lists::config),
        route(Get, "/personas", pages::lists::personas),
        route(Get, "/assets/{name}", pages::asset),
        route(Get, "/api/openapi.json", openapi::serve),
        route(Get, "/api/board", board::board),
        route(Get, "/api/events", board::events),
        route(Get, "/api/issues/{id}", issues::issue),
        route(Get, "/api/issues/{id}/diff", issues::issue_diff),
        route(Get, "/api/issues/{id}/promotion", promotions::plan),
        route(Get, "/api/issues/{id}/pull-request", pulls::plan),
        route(Get, "/api/tasks/{id}", issues::task),
        route(Get, "/api/tasks/{id}/diff", issues::task_diff),
        route(Get, "/api/attempts/{id}", attempts::attempt),
        route(Get, "/api/attempts/{id}/conversation", attempts::conversation),
        route(Get, "/api/attempts/{id}/transcript", attempts::transcript),
        route(Get, "/api/attempts/{id}/prompt", attempts::prompt),
        route(Get, "/api/decisions", things::decisions),
        route(Get, "/api/budget", things::budget),
        route(Get, "/api/salvage", things::salvage),
        route(Get, "/api/previews", things::previews),
        route(Get, "/api/config", things::config),
        route(Get, "/api/shifts", shifts::shifts),
        route(Get, "/api/shifts/{id}", shifts::shift),
        route(Get, "/api/shifts/{id}/report", shifts::report),
        route(Get, "/api/v1/state", service::state),
        route(Get, "/api/v1/{identifier}", service::tracked),
        route(Post, "/api/v1/refresh", service::refresh),
        route(Get, "/metrics", metrics::metrics),
        route(Post, "/api/issues", changes::file),
        route(Patch, "/api/issues/{id}", changes::edit),
        route(Post, "/api/issues/{id}/promote", promotions::promote),
        route(Post, "/api/issues/{id}/pull-request", pulls::open),
        route(Post, "/api/issues/{id}/close", changes::close),
        route(Post, "/api/issues/{id}/start", changes::start),
        route(Post, "/api/issues/{id}/discard", changes::discard_issue),
        route(Post, "/api/tasks/{id}/discard", changes::discard_task),
        route(Post, "/api/decisions/{id}/answer", changes::answer),
        route(Post, "/api/shifts/current/stop", changes::stop),
        route(Post, "/api/budget", changes::budget),
        route(Get, "/api/issues/{id}/plan", plans::plan),
        route(Patch, "/api/issues/{id}/plan", plans::edit),
        route(Post, "/api/tasks/{id}/comments", remarks::on_task),
        route(Post, "/api/issues/{id}/comments", remarks::on_issue),
        route(Post, "/api/attempts/{id}/messages", remarks::to_attempt),
    ]
}

/// Every route there is, as method and path, and how somebody gets in.
pub fn served() -> Vec<(&'static str, &'static str, Entry)> {
    let method = |ask| match ask {
        Ask::Get => "GET",
        Ask::Post => "POST",
        Ask::Patch => "PATCH",
    };
    routes()
        .iter()
        .map(|r| (method(r.ask), r.path, r.entry))
        .collect()
}

async fn nothing_here(headers: HeaderMap) -> Response {
    let why = "there is nothing here; /api/openapi.json names what there is";
    pages::trouble(Problem::NotFound(why.to_owned()), &headers)
}

/// An answer of the framework itself has no body: it gets that of every other error.
async fn in_words(answer: Response) -> Response {
    match answer.status() {
        axum::http::StatusCode::METHOD_NOT_ALLOWED => {
            let allow = answer.headers().get(axum::http::header::ALLOW).cloned();
            let mut answer = Problem::WrongMethod.into_response();
            if let Some(allow) = allow {
                answer.headers_mut().insert(axum::http::header::ALLOW, allow);
            }
            answer
        }
        _ => answer,
    }
}

/// The router of one listener.
pub(crate) fn router(app: Shared) -> Router {
    let (mut closed, mut open) = (Router::new(), Router::new());
    for Route {
        path, entry, handler, ..
    } in routes()
    {
        match entry {
            Entry::Token => closed = closed.route(path, handler),
            Entry::Link => open = open.route(path, handler),
        }
    }
    let closed = closed
        .fallback(nothing_here)
        .layer(from_fn_with_state(Arc::clone(&app), fence::inner));
    open.merge(closed)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(map_response(in_words))
        .layer(from_fn_with_state(app.names.clone(), fence::outer))
        .with_state(app)
}
