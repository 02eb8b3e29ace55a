//! Owns the bridge to an agent that is a local server: the program of the hidden verb `turno bridge`. To Turno an
//! attempt is one process that speaks lines; such an agent speaks HTTP and server-sent events. The bridge starts
//! it, relays, and ends with it. It decides nothing and knows no agent.
//!
//! In: `{"id": 1, "method": "POST", "path": "/session", "body": {..}}`, one line a request.
//! Out: `{"response": {"id": 1, "status": 200, "body": ..}}`, or with `error` instead of both; `{"event": {..}}`;
//! `{"log": ".."}` for what the server prints; `{"over": ".."}` last, when it ends otherwise than by our own will,
//! or `{"unstarted": ".."}`. It ends well when its input ends; one that is to see every answer waits for them first,
//! and ends well when none of them was a refusal.
//!
//! The server listens on loopback, where every user of the machine could speak to it; so it is given a password
//! that nobody else knows.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::{Value, json};
use sse_stream::SseStream;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::process;

/// How long a server may take until it listens.
const LISTENS: Duration = Duration::from_secs(60);
/// How long an answer may take. The bridge asks for nothing that waits for a model.
const ANSWERS: Duration = Duration::from_secs(60);
/// How long a server has to leave once it was asked to.
const LEAVES: Duration = Duration::from_secs(2);
/// How long the end of a server whose streams broke is waited for.
const SEEN: Duration = Duration::from_millis(500);
/// The longest answer that is read.
const ANSWER_CAP: usize = 64 << 20;
/// The longest line of a server's own output that is passed on.
const LOG_CAP: usize = 8 << 10;
/// What a server prints before its address.
const LISTENING: &str = "listening on ";

/// A server to be spoken to.
#[derive(Debug, Clone)]
pub struct Served {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The path of its stream of events.
    pub events: String,
    /// Types of events that are not passed on: a sign of life of the server is none of the agent.
    pub skip: Vec<String>,
    /// The name under which it is spoken to.
    pub user: String,
    /// The variable in which it is given its password.
    pub secret_in: String,
    /// When it is spoken to no longer.
    pub until: Until,
}

/// When the bridge ends by its own will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// With its input: whatever was not answered by then is of no use to anybody.
    InputEnds,
    /// When everything that was asked is answered.
    Answered,
}

/// A request, as a line of input.
#[derive(Debug, Deserialize)]
struct Asked {
    id: u64,
    method: String,
    path: String,
    #[serde(default)]
    body: Value,
}

/// Why the bridge ends.
#[derive(Debug)]
enum End {
    /// Nothing more will be asked.
    NothingMore,
    /// Nothing more will be asked, and something that was asked for was not done.
    Refused,
    /// It cannot go on; in words.
    Broken(String),
    /// The server could not be started; in words.
    NotStarted(String),
}

/// Runs the server until nothing more is asked of it or it is gone.
///
/// # Errors
/// When nobody listens any more, or there is no runtime.
pub fn bridge(served: &Served) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(serve(served));
    // A read of standard input that never comes back is not waited for.
    runtime.shutdown_background();
    match end? {
        End::NothingMore => Ok(ExitCode::SUCCESS),
        End::Refused => Ok(ExitCode::FAILURE),
        End::Broken(why) => {
            print(&json!({ "over": why }))?;
            Ok(ExitCode::FAILURE)
        }
        End::NotStarted(why) => {
            print(&json!({ "unstarted": why }))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// One line of output. Whatever is in the value, it has no line end.
fn print(line: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

async fn serve(served: &Served) -> std::io::Result<End> {
    let secret = uuid::Uuid::new_v4().simple().to_string();
    let mut child = match process::spawn_served(&served.argv, (&served.secret_in, &secret)) {
        Ok(child) => child,
        Err(error) => return Ok(End::NotStarted(error.to_string())),
    };
    let (tell, told) = oneshot::channel();
    let mut logs = JoinSet::new();
    if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
        logs.spawn(pass_on(out, Some(tell)));
        logs.spawn(pass_on(err, None));
    }
    let mut end = tokio::select! {
        status = child.wait() => Ok(End::Broken(gone(status))),
        end = relay(served, &secret, told) => end,
    };
    // A server that dies breaks its streams before its end is seen, and its end says more.
    if let Ok(End::Broken(_)) = end
        && let Ok(status) = timeout(SEEN, child.wait()).await
    {
        end = Ok(End::Broken(gone(status)));
    }
    process::end_served(child, LEAVES).await;
    // Its last words explain its end. What it has left behind may hold its output open for ever.
    if timeout(LEAVES, async { while logs.join_next().await.is_some() {} })
        .await
        .is_err()
    {
        tracing::debug!("somebody holds the output of the server open");
    }
    end
}

fn gone(status: std::io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) => format!("the server ended with {status}"),
        Err(error) => format!("the server's end is not known: {error}"),
    }
}

/// Relays in both directions until one of them is over.
async fn relay(
    served: &Served,
    secret: &str,
    address: oneshot::Receiver<SocketAddr>,
) -> std::io::Result<End> {
    let broken = |why: String| Ok(End::Broken(why));
    let address = match timeout(LISTENS, address).await {
        Ok(Ok(address)) => address,
        Ok(Err(_)) => return broken("the server named no address on loopback".to_owned()),
        Err(_) => {
            return broken(format!(
                "the server did not listen within {} s",
                LISTENS.as_secs()
            ));
        }
    };
    let wire = match Wire::new(address, &served.user, secret) {
        Ok(wire) => wire,
        Err(why) => return broken(why),
    };
    // From the start, and before anything is asked: no event of what is asked can be missed.
    let events = match wire.events(&served.events).await {
        Ok(events) => events,
        Err(why) => return broken(format!("its events cannot be heard: {why}")),
    };
    let mut events = pin!(events);
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let mut asking = JoinSet::new();
    let mut end = End::NothingMore;
    let mut more = true;
    loop {
        if !more && asking.is_empty() {
            return Ok(end);
        }
        tokio::select! {
            asked = input.next_line(), if more => match asked? {
                None => match served.until {
                    Until::InputEnds => return Ok(end),
                    Until::Answered => more = false,
                },
                Some(text) => match serde_json::from_str::<Asked>(&text) {
                    Ok(asked) => { asking.spawn(wire.clone().answer(asked)); }
                    Err(error) => print(&json!({ "log": format!("a line that is no request: {error}") }))?,
                },
            },
            Some(answered) = asking.join_next() => match answered {
                Ok(answer) => {
                    if served.until == Until::Answered && !is_done(&answer) {
                        end = End::Refused;
                    }
                    print(&json!({ "response": answer }))?;
                }
                Err(error) => return broken(format!("a request came to no end: {error}")),
            },
            event = events.next() => match event {
                None => return broken("the stream of events ended".to_owned()),
                Some(Err(error)) => return broken(format!("the stream of events broke: {error}")),
                Some(Ok(event)) => {
                    let Some(data) = event.data else { continue };
                    match serde_json::from_str::<Value>(&data) {
                        Ok(event) if is_skipped(&event, &served.skip) => {}
                        Ok(event) => print(&json!({ "event": event }))?,
                        Err(_) => print(&json!({ "log": data }))?,
                    }
                }
            },
        }
    }
}

/// Whether an answer says that what was asked for is done.
fn is_done(answer: &Value) -> bool {
    answer["status"].as_u64().is_some_and(|s| (200..300).contains(&s))
}

fn is_skipped(event: &Value, skip: &[String]) -> bool {
    event["type"]
        .as_str()
        .is_some_and(|kind| skip.iter().any(|s| s == kind))
}

/// The way to the server.
#[derive(Debug, Clone)]
struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    authorization: HeaderValue,
}

impl Wire {
    fn new(address: SocketAddr, user: &str, secret: &str) -> Result<Self, String> {
        let token = BASE64_STANDARD.encode(format!("{user}:{secret}"));
        let mut authorization = HeaderValue::try_from(format!("Basic {token}")).map_err(|e| e.to_string())?;
        authorization.set_sensitive(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            address,
            authorization,
        })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        accept: &'static str,
    ) -> Result<Response<Incoming>, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|e| e.to_string())?;
        let bytes = match body {
            Value::Null => Bytes::new(),
            body => Bytes::from(body.to_string()),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(bytes))
            .map_err(|e| e.to_string())?;
        self.client.request(request).await.map_err(|e| chain(&e))
    }

    /// The server's events from now on.
    async fn events(&self, path: &str) -> Result<SseStream<Incoming>, String> {
        let sent = self.send("GET", path, &Value::Null, "text/event-stream");
        let response = timeout(ANSWERS, sent)
            .await
            .map_err(|_| "no answer came".to_owned())??;
        if !response.status().is_success() {
            return Err(format!("the answer was {}", response.status()));
        }
        Ok(SseStream::new(response.into_body()))
    }

    /// The answer to a request, as it is printed.
    async fn answer(self, asked: Asked) -> Value {
        let id = asked.id;
        let whole = async {
            let response = self
                .send(&asked.method, &asked.path, &asked.body, "application/json")
                .await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_CAP)
                .collect()
                .await
                .map_err(|e| e.to_string())?
                .to_bytes();
            Ok::<_, String>((status, body))
        };
        match timeout(ANSWERS, whole).await {
            Ok(Ok((status, body))) => json!({ "id": id, "status": status, "body": readable(&body) }),
            Ok(Err(why)) => json!({ "id": id, "error": why }),
            Err(_) => json!({ "id": id, "error": format!("no answer within {} s", ANSWERS.as_secs()) }),
        }
    }
}

/// A body as JSON if it is JSON, else as text.
fn readable(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body).into_owned()))
}

/// An error with what it stems from: the outermost alone only says that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}

/// Prints what the server prints, and tells its address when it names one.
async fn pass_on(pipe: impl AsyncRead + Unpin, mut tell: Option<oneshot::Sender<SocketAddr>>) {
    let mut pipe = BufReader::new(pipe);
    while let Some(line) = next_line(&mut pipe).await {
        if let Some(address) = address_in(&line)
            && let Some(tell) = tell.take()
            && tell.send(address).is_err()
        {
            return;
        }
        if print(&json!({ "log": line })).is_err() {
            return;
        }
    }
}

/// The next line of at most [`LOG_CAP`] bytes; the rest of a longer one is dropped.
async fn next_line(pipe: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let chunk = pipe.fill_buf().await.ok()?;
        if chunk.is_empty() {
            return (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LOG_CAP.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(&part[..room]);
        let used = end.map_or(chunk.len(), |at| at + 1);
        pipe.consume(used);
        if end.is_some() {
            return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }
}

/// The address in "... listening on http://127.0.0.1:4096". Only loopback is spoken to.
fn address_in(line: &str) -> Option<SocketAddr> {
    let url = line.split_once(LISTENING)?.1.split_whitespace().next()?;
    let address: SocketAddr = url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()?;
    (address.ip() == Ipv4Addr::LOCALHOST).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("opencode server listening on http://127.0.0.1:4096", Some(4096))]
    #[case("listening on http://127.0.0.1:80/ now", Some(80))]
    #[case("listening on http://0.0.0.0:4096", None)]
    #[case("listening on http://192.0.2.1:4096", None)]
    #[case("listening on a branch", None)]
    #[case("http://127.0.0.1:4096", None)]
    fn only_an_address_on_loopback_is_taken(#[case] line: &str, #[case] port: Option<u16>) {
        assert_eq!(address_in(line).map(|a| a.port()), port);
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_is_whole() {
        let text = format!("{}\nshort\r\nno end", "x".repeat(3 * LOG_CAP));
        let mut pipe = BufReader::new(text.as_bytes());
        let mut lengths = Vec::new();
        while let Some(line) = next_line(&mut pipe).await {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [LOG_CAP, 5, 6]);
    }

    #[test]
    fn a_body_is_json_or_text() {
        assert_eq!(readable(b""), Value::Null);
        assert_eq!(readable(b"{\"a\": 1}"), json!({ "a": 1 }));
        assert_eq!(readable(b"\xff no"), json!("\u{fffd} no"));
    }
}
