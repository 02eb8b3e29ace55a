//! A model server on loopback that plays scripts to the real coding-agent CLIs.
//!
//! It speaks as much of the Anthropic Messages, OpenAI Responses, OpenAI Chat Completions and Gemini protocols as the
//! CLIs use. Which script
//! answers, and with which of its turns, is read off each request, so any number of sessions can run at
//! once. Only turns that leave no trace in a conversation (errors and silence) are counted here.

mod chat;
mod conversation;
mod gemini;
mod messages;
mod patch;
mod responses;
mod script;
mod selection;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) use conversation::Api;
pub(crate) use script::{Action, Matcher, Script, Turn, Usage};

use conversation::Conversation;
use selection::Selection;

/// What a request is recorded under that no script needs to answer, such as one for a session's title.
pub(crate) const ASIDE: &str = "(aside)";

/// A running model server; dropping it ends it and every open connection.
pub(crate) struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request the server received.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRequest {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path without its query.
    pub(crate) path: String,
    /// The headers, names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The JSON body, or null when there was none.
    pub(crate) body: Value,
    /// The session the CLI named; empty for requests that belong to none.
    pub(crate) session: String,
    /// The latest plain user message.
    pub(crate) message: String,
    /// The matcher of the script that answered; `None` when none matched.
    pub(crate) script: Option<String>,
    /// Which turn of that script answered.
    pub(crate) turn: Option<usize>,
    /// The HTTP status answered; `None` for a turn that hangs.
    pub(crate) status: Option<u16>,
}

impl ModelServer {
    /// Starts a server on a free loopback port.
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        tokio::task::spawn_blocking(move || Self::start_blocking(scripts))
            .await
            .expect("starting the model server does not panic")
    }

    /// Starts a server on a free loopback port, from code that is not async.
    pub(crate) fn start_blocking(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            scripts,
            log: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(listener, served, stopped));
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The server's root, as `ANTHROPIC_BASE_URL` and `GOOGLE_GEMINI_BASE_URL` want it; codex and opencode want
    /// it with `/v1` added.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.log().requests.clone()
    }

    /// The model requests no script matched. A test that is right has none.
    pub(crate) fn unmatched(&self) -> Vec<RecordedRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.script.is_none() && is_model_path(&request.path));
        requests
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the model server panicked");
        }
    }
}

struct Shared {
    scripts: Vec<Script>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    requests: Vec<RecordedRequest>,
    selection: Selection,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Answer {
    Json(Value),
    Stream(String),
}

/// Runs on a thread with a runtime of its own, so that shutting down also ends connections that hang.
fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the model server");
    runtime.block_on(async {
        listener
            .set_nonblocking(true)
            .expect("a listener tokio can drive");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener tokio can drive");
        let router = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        tokio::select! {
            served = axum::serve(listener, router) => served.expect("the model server keeps serving"),
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

/// The protocol that is spoken at a path.
fn api_of(path: &str) -> Option<Api> {
    match path {
        "/v1/messages" => Some(Api::Messages),
        "/v1/responses" => Some(Api::Responses),
        "/v1/chat/completions" => Some(Api::Chat),
        path => gemini::Sent::of(path).map(|_| Api::Gemini),
    }
}

fn is_model_path(path: &str) -> bool {
    api_of(path).is_some()
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let mut record = RecordedRequest {
        method: method.to_string(),
        path: uri.path().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        session: String::new(),
        message: String::new(),
        script: None,
        turn: None,
        status: None,
    };
    if let ("POST", Some(api)) = (record.method.as_str(), api_of(&record.path)) {
        return play(&shared, api, record).await;
    }
    let plain = match (record.method.as_str(), record.path.as_str()) {
        ("POST", path) if gemini::counts_tokens(path) => {
            (200, json!({"totalTokens": Usage::default().input}))
        }
        ("POST", "/v1/messages/count_tokens") => (200, json!({"input_tokens": Usage::default().input})),
        ("GET", "/v1/models") => (200, json!({"object": "list", "data": [], "models": []})),
        ("HEAD", "/") => (200, Value::Null),
        _ => (
            404,
            error_body("not_found_error", "the model server has no such endpoint"),
        ),
    };
    let (status, body) = plain;
    record.status = Some(status);
    shared.log().requests.push(record);
    respond(status, &[], "application/json", body.to_string())
}

async fn play(shared: &Shared, api: Api, mut record: RecordedRequest) -> Response {
    let conversation = match api {
        Api::Messages => Conversation::from_messages(&record.headers, &record.body),
        Api::Responses => Conversation::from_responses(&record.headers, &record.body),
        Api::Chat => Conversation::from_chat(&record.headers, &record.body),
        Api::Gemini => Conversation::from_gemini(&record.body),
    };
    record.session.clone_from(&conversation.session);
    record.message.clone_from(&conversation.latest().text);
    let request = record.body.clone();
    let sent = gemini::Sent::of(&record.path).unwrap_or(gemini::Sent::Whole);
    if api == Api::Chat
        && let Some(answer) = chat::aside(&conversation, &request)
    {
        record.script = Some(ASIDE.to_owned());
        record.status = Some(200);
        shared.log().requests.push(record);
        return well(answer);
    }
    let (turn, unique) = {
        let mut log = shared.log();
        let chosen = log.selection.choose(&shared.scripts, &conversation);
        let turn = chosen.map(|(script, turn)| {
            record.script = Some(shared.scripts[script].when.to_string());
            record.turn = Some(turn);
            shared.scripts[script].turns[turn].clone()
        });
        record.status = match &turn {
            Some(turn) => answer_status(turn),
            None => Some(400),
        };
        log.requests.push(record);
        (turn, format!("{:06x}", log.requests.len()))
    };
    let Some(turn) = turn else {
        let message = format!("no script matches: {}", conversation.latest().text);
        let body = error_body("invalid_request_error", &message);
        return respond(400, &[], "application/json", body.to_string());
    };
    for action in &turn.actions {
        match action {
            Action::Wait(time) => tokio::time::sleep(*time).await,
            Action::Hang => std::future::pending::<()>().await,
            Action::Status { code, headers, body } => {
                return respond(*code, headers, "application/json", body.to_string());
            }
            _ => {}
        }
    }
    let answer = match conversation.api {
        Api::Messages => messages::answer(&turn, &conversation, &request, &unique),
        Api::Responses => responses::answer(&turn, &conversation, &request, &unique),
        Api::Chat => chat::answer(&turn, &conversation, &request, &unique),
        Api::Gemini => gemini::answer(&turn, &conversation, sent, &unique),
    };
    well(answer)
}

fn well(answer: Answer) -> Response {
    match answer {
        Answer::Json(body) => respond(200, &[], "application/json", body.to_string()),
        Answer::Stream(body) => respond(200, &[], "text/event-stream", body),
    }
}

/// An object as it ends the words of a model that was given no schema.
fn fenced(value: &Value) -> String {
    format!("```json\n{value}\n```")
}

fn answer_status(turn: &Turn) -> Option<u16> {
    for action in &turn.actions {
        match action {
            Action::Hang => return None,
            Action::Status { code, .. } => return Some(*code),
            _ => {}
        }
    }
    Some(200)
}

fn error_body(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

fn sse_event(data: &Value) -> String {
    format!(
        "event: {}\ndata: {data}\n\n",
        data["type"].as_str().unwrap_or("message")
    )
}

fn respond(status: u16, headers: &[(String, String)], content_type: &str, body: String) -> Response {
    let status = StatusCode::from_u16(status).expect("a script names a valid HTTP status");
    let mut response = Response::builder()
        .status(status)
        .header("content-type", content_type);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response
        .body(Body::from(body))
        .expect("a script names valid headers")
}
