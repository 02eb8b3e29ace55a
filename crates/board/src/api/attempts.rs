//! Owns attempts: what they were told, what they said, in words and raw. It reads files of the state directory that
//! are named by an attempt's id and by what a listing of its directory gives, and by nothing that is asked.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use turno_core::command::AgentStart;
use turno_core::ids::AttemptId;
use turno_engine::gc;
use turno_engine::process::supervisor::files;
use turno_engine::regular;
use turno_engine::replay::Replay;
use turno_engine::workspace::StateDir;

use super::{Asked, Id};
use crate::error::{Problem, ProblemBody};
use crate::heard::{Life, Which};
use crate::routes::{App, Shared};
use crate::view::attempt::{AttemptPage, ConversationPage, KeptView, PartView};

/// So many bytes of a transcript are given where nothing else is asked, and at most.
const PIECE: u64 = 64 << 10;
const LONGEST: u64 = 1 << 20;
/// So many things that were said are given where nothing else is asked, and at most.
pub(crate) const SAID: usize = 200;
const MOST_SAID: usize = 2000;
/// No prompt is longer than what is given of it.
const PROMPT: u64 = 4 << 20;

fn known(app: &App, id: AttemptId) -> Result<(), Problem> {
    // Attempts are numbered in order, so one that was is lower than the next one.
    if id.0 > 0 && id < app.seen().state.desk.next_attempt {
        Ok(())
    } else {
        Err(Problem::no_such("attempt", id))
    }
}

/// An attempt: who, where, how it ended, what it cost, what is kept of it.
#[utoipa::path(get, path = "/api/attempts/{id}", tag = "views", params(("id" = String, Path, description = "like a3 or 3")),
    responses((status = 200, body = AttemptPage), (status = 404, body = ProblemBody)))]
pub(crate) async fn attempt(
    State(app): State<Shared>,
    Id(id): Id<AttemptId>,
) -> Result<Json<AttemptPage>, Problem> {
    known(&app, id)?;
    let page = app.heavy(move |app| {
        let seen = app.seen();
        let attempt = app.attempt(&seen, id)?;
        Ok(AttemptPage {
            attempt: attempt.ok_or_else(|| Problem::no_such("attempt", id))?,
            doing: app.mirror.doing().remove(&id),
            kept: kept(app.workspace.dirs(), id),
        })
    });
    page.await.map(Json)
}

/// The files of an attempt that hold what was said: name, path below its directory, bytes.
fn parts(dir: &Path) -> Vec<(String, PathBuf, u64)> {
    let mut found = vec![("out".to_owned(), PathBuf::from(files::OUT))];
    if let Ok(checks) = std::fs::read_dir(dir.join("checks")) {
        for entry in checks.flatten() {
            if let Ok(name) = entry.file_name().into_string() {
                let path = Path::new("checks").join(&name).join(files::OUT);
                found.push((name, path));
            }
        }
    }
    let held = found.into_iter().filter_map(|(name, path)| {
        let file = regular::open_below(dir, &path).ok()?;
        Some((name, path, file.metadata().ok()?.len()))
    });
    let mut held: Vec<_> = held.collect();
    held.sort();
    held
}

fn kept(dirs: &StateDir, id: AttemptId) -> KeptView {
    if let Some(gone) = gc::removed(dirs, id) {
        return KeptView::Removed { at: gone.at };
    }
    let parts = parts(&dirs.attempt(id));
    if parts.is_empty() {
        return KeptView::Nothing;
    }
    let parts = parts.into_iter().map(|(name, _, bytes)| PartView { name, bytes });
    KeptView::Parts(parts.collect())
}

fn is_there(dirs: &StateDir, id: AttemptId) -> Result<PathBuf, Problem> {
    if gc::removed(dirs, id).is_some() {
        let why = format!("what {id} was told and said was removed to free space");
        return Err(Problem::NotFound(why));
    }
    Ok(dirs.attempt(id))
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct After {
    /// The number of the last thing that the client has.
    #[serde(default)]
    after: usize,
    /// How many to give at most.
    limit: Option<usize>,
    /// So many of the last ones there are, whatever the client has.
    last: Option<usize>,
}

impl After {
    /// What a page shows: a piece from where it is asked for, else the end.
    pub(crate) fn of_page(after: Option<usize>) -> Self {
        Self {
            after: after.unwrap_or_default(),
            limit: Some(SAID),
            last: after.is_none().then_some(SAID),
        }
    }
}

/// What an agent said and did, in words, a page at a time.
#[utoipa::path(get, path = "/api/attempts/{id}/conversation", tag = "views",
    params(("id" = String, Path, description = "like a3 or 3"),
        ("after" = Option<usize>, Query, description = "the number of the last thing that the client has"),
        ("limit" = Option<usize>, Query, description = "how many to give at most"),
        ("last" = Option<usize>, Query, description = "so many of the last ones there are, in place of `after`")),
    responses((status = 200, body = ConversationPage), (status = 404, body = ProblemBody)))]
pub(crate) async fn conversation(
    State(app): State<Shared>,
    Id(id): Id<AttemptId>,
    Asked(page): Asked<After>,
) -> Result<Json<ConversationPage>, Problem> {
    known(&app, id)?;
    let limit = page.limit.unwrap_or(SAID).clamp(1, MOST_SAID);
    let page = app.heavy(move |app| {
        let dir = is_there(app.workspace.dirs(), id)?;
        let nothing = || Problem::NotFound(format!("{id} has no conversation: Turno itself did it"));
        let start = regular::open_below(&dir, Path::new("start.json")).map_err(|_| nothing())?;
        let start: AgentStart = serde_json::from_reader(start.take(PROMPT)).map_err(|_| nothing())?;
        let begin = || {
            let config = app.workspace.config()?;
            Replay::of(&config, &start, &dir).ok_or_else(|| {
                Problem::NotFound(format!(
                    "the agent {} is not configured any more, so only the transcript can be shown",
                    start.agent
                ))
            })
        };
        let which = match page.last {
            Some(last) => Which::Last(last.clamp(1, MOST_SAID)),
            None => Which::After {
                after: page.after,
                limit,
            },
        };
        let life = if app.seen().state.attempts().contains(&id) {
            Life::Running
        } else {
            Life::Over
        };
        app.heard.piece(id, &dir, life, which, begin)
    });
    page.await.map(Json)
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Piece {
    /// From which byte on.
    #[serde(default)]
    offset: u64,
    /// How many bytes at most.
    limit: Option<u64>,
    /// Which part; absent: what the attempt said itself.
    part: Option<String>,
}

fn bytes(bytes: Vec<u8>, offset: u64, all: u64) -> Response {
    let mut answer = bytes.into_response();
    let headers = answer.headers_mut();
    // Never shown by a browser as anything: it is what an agent said.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(HeaderName::from_static("x-turno-offset"), offset.into());
    headers.insert(HeaderName::from_static("x-turno-bytes"), all.into());
    answer
}

fn read(dir: &Path, below: &Path, offset: u64, limit: u64) -> Result<Response, Problem> {
    let cannot = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Problem::NotFound("there is no such part of this attempt".to_owned()),
        _ => Problem::Unavailable(format!("it cannot be read: {e}")),
    };
    let mut file = regular::open_below(dir, below).map_err(cannot)?;
    let all = file.metadata().map_err(cannot)?.len();
    file.seek(SeekFrom::Start(offset)).map_err(cannot)?;
    let mut read = Vec::new();
    file.take(limit).read_to_end(&mut read).map_err(cannot)?;
    Ok(bytes(read, offset, all))
}

/// What an attempt said, byte by byte as it said it. `x-turno-bytes` is how long it is in all now.
#[utoipa::path(get, path = "/api/attempts/{id}/transcript", tag = "views",
    params(("id" = String, Path, description = "like a3 or 3"),
        ("offset" = Option<u64>, Query, description = "from which byte on"),
        ("limit" = Option<u64>, Query, description = "how many bytes at most"),
        ("part" = Option<String>, Query, description = "which part; absent: what the attempt said itself")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = ProblemBody)))]
pub(crate) async fn transcript(
    State(app): State<Shared>,
    Id(id): Id<AttemptId>,
    Asked(piece): Asked<Piece>,
) -> Result<Response, Problem> {
    known(&app, id)?;
    app.heavy(move |app| {
        let dir = is_there(app.workspace.dirs(), id)?;
        let name = piece.part.as_deref().unwrap_or("out");
        let parts = parts(&dir);
        let part = parts.iter().find(|(n, ..)| n == name);
        let (_, path, _) = part.ok_or_else(|| Problem::NotFound(format!("{id} has no part of that name")))?;
        read(
            &dir,
            path,
            piece.offset,
            piece.limit.unwrap_or(PIECE).min(LONGEST),
        )
    })
    .await
}

/// What an agent was told, as Markdown.
#[utoipa::path(get, path = "/api/attempts/{id}/prompt", tag = "views", params(("id" = String, Path, description = "like a3 or 3")),
    responses((status = 200, body = String, content_type = "application/octet-stream"), (status = 404, body = ProblemBody)))]
pub(crate) async fn prompt(State(app): State<Shared>, Id(id): Id<AttemptId>) -> Result<Response, Problem> {
    known(&app, id)?;
    app.heavy(move |app| {
        let dir = is_there(app.workspace.dirs(), id)?;
        read(&dir, Path::new("prompt.md"), 0, PROMPT)
    })
    .await
}
