//! Owns sending traces to a collector, by OTLP over HTTP as JSON: beside the coordinator, which never waits for it. It
//! reads the journal at its own pace, so a collector that is away, or a death in the middle, leaves no hole: what was
//! not taken is sent the next time. What a span is says the core.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use turno_core::ids::Seq;
use turno_core::trace::{Came, Key, Span, Tracer, Value};

use crate::config::Traces;
use crate::process::supervisor::write_whole;
use crate::run::Handle;
use crate::store::Reader;
use crate::workspace::StateDir;

/// So many records are read at once.
const RECORDS: usize = 256;
/// So many spans are sent at once, and no more are held than four times as many: the rest stays in the journal.
const SPANS: usize = 256;
/// A collector has so long to take them.
const TAKES: Duration = Duration::from_secs(5);
/// At the end it has so long for what is on its way and all that is left.
const LEAVE: Duration = Duration::from_secs(5);
/// No more bytes of its answer are read.
const ANSWER: usize = 1 << 16;
/// After a failure it is tried again after so long at first, and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// What came of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// All of it was taken.
    All,
    /// Some was not. It is sent the next time.
    Not {
        /// How many spans wait.
        spans: usize,
        /// To where.
        to: String,
        /// Why, in words.
        why: String,
    },
}

/// Traces that are being sent.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<Sent>,
}

impl Exporter {
    /// Begins to send what ends from now on, and what an earlier one could not. None where traces go nowhere.
    pub fn begin(traces: &Traces, dirs: &StateDir, project: &str, handle: &Handle) -> Option<Self> {
        let Traces::To(to) = traces else {
            return None;
        };
        let stop = CancellationToken::new();
        let sender = Sender {
            to: to.clone(),
            workspace: dirs.root().display().to_string(),
            project: project.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            reader: handle.reader().clone(),
            mark: dirs.root().join("traces-sent"),
            tracer: Tracer::default(),
            read: Seq(0),
            sent: Seq(0),
            waiting: Vec::new(),
        };
        let task = tokio::spawn(sender.run(handle.head(), stop.clone()));
        Some(Self { stop, task })
    }

    /// Sends what is left, for as long as that may take, and ends.
    pub async fn end(self) -> Sent {
        self.stop.cancel();
        self.task.await.unwrap_or_else(|error| Sent::Not {
            spans: 0,
            to: "the collector".to_owned(),
            why: error.to_string(),
        })
    }
}

struct Sender {
    to: String,
    workspace: String,
    project: String,
    client: Client<HttpConnector, Full<Bytes>>,
    reader: Reader,
    /// The file that says up to which record all has been taken.
    mark: PathBuf,
    tracer: Tracer,
    read: Seq,
    sent: Seq,
    waiting: Vec<Span>,
}

impl Sender {
    async fn run(mut self, mut head: watch::Receiver<Seq>, stop: CancellationToken) -> Sent {
        // Without a mark, what ended before this began is nobody's wish.
        self.sent = marked(&self.mark).unwrap_or(*head.borrow());
        let (mut why, mut wait, mut not_before) = (None, AGAIN, Instant::now());
        let mut leave_by = None;
        loop {
            let stopping = stop.is_cancelled();
            let until = *head.borrow_and_update();
            why = match self.read_on(until).await {
                Ok(()) => why,
                Err(error) => Some(error),
            };
            if stopping {
                break;
            }
            if !self.waiting.is_empty() && Instant::now() >= not_before {
                // What is on its way at the end is waited for: a collector that takes its time is not told twice.
                let over = async {
                    stop.cancelled().await;
                    sleep_until(*leave_by.insert(Instant::now() + LEAVE)).await;
                };
                let sent = tokio::select! {
                    sent = self.send() => sent,
                    () = over => Err("it took too long".to_owned()),
                };
                match sent {
                    Ok(()) => (why, wait) = (None, AGAIN),
                    Err(error) => {
                        tracing::warn!(to = self.to, error, "traces are not taken");
                        not_before = Instant::now() + wait;
                        (why, wait) = (Some(error), (wait * 2).min(AGAIN_AT_MOST));
                    }
                }
            } else if self.waiting.is_empty() && self.read >= until {
                self.remember();
            }
            let more = !self.waiting.is_empty() || self.read < until;
            tokio::select! {
                () = stop.cancelled() => {}
                changed = head.changed() => if changed.is_err() { stop.cancel(); },
                () = sleep_until(not_before.max(Instant::now() + AGAIN / 10)), if more => {}
            }
        }
        let rest = async {
            loop {
                self.send().await?;
                let until = *head.borrow();
                self.read_on(until).await?;
                if self.waiting.is_empty() && self.read >= until {
                    return Ok::<(), String>(());
                }
            }
        };
        let leave_by = leave_by.unwrap_or_else(|| Instant::now() + LEAVE);
        match timeout_at(leave_by, rest).await {
            Ok(Ok(())) => {
                self.remember();
                return Sent::All;
            }
            Ok(Err(error)) => why = Some(error),
            Err(_) => why = why.or_else(|| Some("it took too long".to_owned())),
        }
        Sent::Not {
            spans: self.waiting.len(),
            to: self.to,
            why: why.unwrap_or_default(),
        }
    }

    /// Reads what is in the journal by now, until enough waits.
    async fn read_on(&mut self, until: Seq) -> Result<(), String> {
        while self.read < until && self.waiting.len() < SPANS * 4 {
            let (reader, at) = (self.reader.clone(), self.read);
            let read = tokio::task::spawn_blocking(move || reader.after(at, RECORDS)).await;
            let records = read.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
            if records.is_empty() {
                break;
            }
            for record in records.iter().filter(|r| r.seq <= until) {
                let ended = self.tracer.take(record);
                if record.seq > self.sent {
                    self.waiting.extend(ended);
                }
                self.read = record.seq;
            }
        }
        Ok(())
    }

    /// Sends all that waits, some at a time.
    async fn send(&mut self) -> Result<(), String> {
        while !self.waiting.is_empty() {
            let some = self.waiting.len().min(SPANS);
            let body = self.body(&self.waiting[..some]);
            self.post(body).await?;
            self.waiting.drain(..some);
        }
        self.remember();
        Ok(())
    }

    /// All that ended up to here has been taken. A file that cannot be written means that some is sent twice.
    fn remember(&mut self) {
        if self.read <= self.sent {
            return;
        }
        self.sent = self.read;
        if let Err(error) = write_whole(&self.mark, self.sent.0.to_string().as_bytes()) {
            tracing::warn!(%error, "it cannot be written down which traces were sent");
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), String> {
        let uri: Uri = self.to.parse().map_err(|_| "that is no address".to_owned())?;
        if uri.scheme_str() != Some("http") {
            return Err("only http:// is spoken here; let a collector on this machine pass it on".to_owned());
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| e.to_string())?;
        let asked = async {
            let answer = self.client.request(request).await.map_err(|e| told(&e))?;
            let status = answer.status();
            let said = Limited::new(answer.into_body(), ANSWER).collect().await;
            if status.is_success() {
                return Ok(());
            }
            let said = said.map_err(|e| format!("it answers {status}: {e}"))?.to_bytes();
            let said: String = String::from_utf8_lossy(&said).chars().take(200).collect();
            Err(format!("it answers {status}: {said}"))
        };
        timeout(TAKES, asked)
            .await
            .map_err(|_| "it does not answer".to_owned())?
    }

    fn body(&self, spans: &[Span]) -> Vec<u8> {
        let spans: Vec<_> = spans.iter().map(|span| self.span(span)).collect();
        let said = json!({"resourceSpans": [{
            "resource": {"attributes": [
                text("service.name", "turno"),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("turno.project", &self.project),
            ]},
            "scopeSpans": [{"scope": {"name": "turno"}, "spans": spans}],
        }]});
        said.to_string().into_bytes()
    }

    fn span(&self, span: &Span) -> serde_json::Value {
        let nanos = |ms: i64| format!("{ms}000000");
        let attributes: Vec<_> = span
            .attributes
            .iter()
            .map(|(name, value)| attribute(name, value))
            .collect();
        let status = match &span.came {
            Came::Well => json!({"code": 1}),
            Came::Failed(why) => json!({"code": 2, "message": why}),
        };
        let mut told = json!({
            "traceId": self.id(&format!("trace of {}", Key::Shift(span.key.shift()).word()), 16),
            "spanId": self.id(&span.key.word(), 8),
            "name": span.name,
            "kind": 1,
            "startTimeUnixNano": nanos(span.start.0),
            "endTimeUnixNano": nanos(span.end.0),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = span.parent {
            told["parentSpanId"] = json!(self.id(&parent.word(), 8));
        }
        told
    }

    /// The same for the same thing, whoever tells of it and how often.
    fn id(&self, word: &str, bytes: usize) -> String {
        let sum = Sha256::digest(format!("{}\n{word}", self.workspace).as_bytes());
        sum.iter().take(bytes).map(|b| format!("{b:02x}")).collect()
    }
}

fn text(name: &str, value: &str) -> serde_json::Value {
    json!({"key": name, "value": {"stringValue": value}})
}

fn attribute(name: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::Text(value) => text(name, value),
        Value::Whole(n) => json!({"key": name, "value": {"intValue": n.to_string()}}),
        Value::Usd(micro) => {
            let (whole, part) = (micro / 1_000_000, micro % 1_000_000);
            let dollars: f64 = format!("{whole}.{part:06}").parse().unwrap_or_default();
            json!({"key": name, "value": {"doubleValue": dollars}})
        }
    }
}

/// An error with what it came from, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

fn marked(path: &Path) -> Option<Seq> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok().map(Seq)
}
