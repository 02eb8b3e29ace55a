//! Owns attempts: what they were told, what they said, in words and raw. It reads files of the state directory that
//! are named by an attempt's id and by what a listing of its directory gives, and by nothing that is asked.

use std::collections::VecDeque;
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
use turno_engine::live::Doing;
use turno_engine::process::supervisor::files;
use turno_engine::regular;
use turno_engine::replay::Replay;
use turno_engine::workspace::StateDir;

use super::{Asked, Id};
use crate::error::{Problem, ProblemBody};
use crate::routes::{App, Shared};
use crate::view::attempt::{AttemptPage, ConversationPage, KeptView, PartView, SaidView};
use crate::view::word;

/// So many bytes of a transcript are given where nothing else is asked, and at most.
const PIECE: u64 = 64 << 10;
const LONGEST: u64 = 1 << 20;
/// So many things that were said are given where nothing else is asked, and at most.
const SAID: usize = 200;
const MOST_SAID: usize = 2000;
/// All of them together are not longer, in bytes; what comes after is asked for next.
const WORDS: usize = 2 << 20;
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
        let attempt = app.attempts(&seen)?.into_iter().find(|a| a.id == id);
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
    /// The end of what was said, as a page begins with.
    pub(crate) fn end() -> Self {
        Self {
            last: Some(SAID),
            ..Self::default()
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
        let config = app.workspace.config()?;
        let mut words = Replay::of(&config, &start, &dir).ok_or_else(|| {
            Problem::NotFound(format!(
                "the agent {} is not configured any more, so only the transcript can be shown",
                start.agent
            ))
        })?;
        let mut piece = match page.last {
            Some(last) => Said::last(last.clamp(1, MOST_SAID)),
            None => Said::after(page.after, limit),
        };
        words.read(|doing| piece.take(&doing));
        Ok(piece.page(id))
    });
    page.await.map(Json)
}

/// A piece of what was said, as all of it goes by: no more of it is held than is given.
struct Said {
    which: Which,
    seen: usize,
    bytes: usize,
    items: VecDeque<SaidView>,
}

/// Which piece.
enum Which {
    /// So many after that one.
    After(usize, usize),
    /// The last so many.
    Last(usize),
}

impl Said {
    fn after(after: usize, limit: usize) -> Self {
        Self::of(Which::After(after, limit))
    }

    fn last(most: usize) -> Self {
        Self::of(Which::Last(most))
    }

    fn of(which: Which) -> Self {
        Self {
            which,
            seen: 0,
            bytes: 0,
            items: VecDeque::new(),
        }
    }

    fn take(&mut self, doing: &Doing) {
        self.seen += 1;
        let has_room = match self.which {
            // What is given has no gaps, so it ends for good where there is no room.
            Which::After(after, limit) => {
                self.seen == after + self.items.len() + 1 && self.items.len() < limit && self.bytes < WORDS
            }
            Which::Last(_) => true,
        };
        if !has_room {
            return;
        }
        self.bytes += doing.text().len();
        self.items.push_back(SaidView {
            n: self.seen,
            kind: word(doing),
            text: doing.text().to_owned(),
        });
        if let Which::Last(most) = self.which {
            while self.items.len() > most || self.items.len() > 1 && self.bytes > WORDS {
                self.bytes -= self.items.pop_front().map_or(0, |gone| gone.text.len());
            }
        }
    }

    fn page(self, attempt: AttemptId) -> ConversationPage {
        let next = match self.which {
            Which::After(after, _) => after + self.items.len(),
            Which::Last(_) => self.seen,
        };
        ConversationPage {
            attempt,
            items: self.items.into(),
            next,
            more: self.seen > next,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn given(mut said: Said, all: usize, long: usize) -> (Vec<usize>, bool) {
        for _ in 0..all {
            said.take(&Doing::Says("x".repeat(long)));
        }
        let page = said.page(AttemptId(1));
        (page.items.iter().map(|i| i.n).collect(), page.more)
    }

    #[test]
    fn a_piece_holds_no_more_than_is_given() {
        assert_eq!(given(Said::after(2, 3), 9, 1), (vec![3, 4, 5], true));
        assert_eq!(given(Said::after(7, 3), 9, 1), (vec![8, 9], false));
        assert_eq!(given(Said::last(2), 9, 1), (vec![8, 9], false));
        assert_eq!(given(Said::last(5), 2, 1), (vec![1, 2], false));
        // Long ones: less is given at once, and always something.
        assert_eq!(given(Said::after(0, 9), 9, WORDS / 2), (vec![1, 2], true));
        assert_eq!(given(Said::last(9), 9, WORDS / 2), (vec![8, 9], false));
        assert_eq!(given(Said::last(9), 3, WORDS * 2), (vec![3], false));
    }
}
