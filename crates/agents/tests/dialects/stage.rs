//! Owns what the tests share: jobs, recorded transcripts, and listening to one.

use serde_json::{Value, json};
use turno_agents::dialect::{Conversation, Cue, Exit, Job, Line, Protected, Signal, ToolServer};
use turno_agents::limits::QuotaSaid;
use turno_agents::{DialectKind, dialect};
use turno_core::command::Session;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::outcome::OutcomeKind;
use turno_core::persona::{Access, Effort, Model, Tools};
use turno_core::units::{MicroUsd, Price, Span, Spend};

/// A job with ordinary values.
pub(crate) fn job(access: Access) -> Job {
    let price = |input, output, cache_read, cache_write| Price {
        input: MicroUsd(input),
        output: MicroUsd(output),
        cache_read: MicroUsd(cache_read),
        cache_write: MicroUsd(cache_write),
    };
    Job {
        program: "agent".to_owned(),
        turno: "/opt/turno".to_owned(),
        extra_args: Vec::new(),
        cwd: "/workspace/codex-app-server".to_owned(),
        attempt_dir: "/attempts/1".to_owned(),
        system: "You are the engineer.".to_owned(),
        prompt: "Mend the parser.".to_owned(),
        session: Session::Fresh,
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access,
        tools: Tools::ByAccess,
        outcome: OutcomeKind::Change,
        cap: MicroUsd(2_500_000),
        prices: [
            (
                "claude-sonnet-4",
                price(3_000_000, 15_000_000, 300_000, 3_750_000),
            ),
            ("big", price(1_000_000, 10_000_000, 100_000, 1_000_000)),
            ("fake-model", price(1_000_000, 10_000_000, 100_000, 1_000_000)),
            ("gemini", price(1_000_000, 10_000_000, 100_000, 1_000_000)),
            ("gpt-5", price(1_000_000, 10_000_000, 100_000, 1_000_000)),
            ("default", price(1_000_000, 10_000_000, 100_000, 1_000_000)),
        ]
        .map(|(model, price)| (model.to_owned(), price))
        .into(),
        tool_servers: Vec::new(),
        protected: Protected::default(),
        cue: Cue {
            persona: "engineer".parse().unwrap(),
            task: "7.2".parse().unwrap(),
            title: "Mend the parser".to_owned(),
            round: 1,
        },
    }
}

/// A server of tools with all that one can have.
pub(crate) fn tool_server() -> ToolServer {
    ToolServer {
        name: "turno".to_owned(),
        program: "/opt/turno".to_owned(),
        args: vec!["mcp".to_owned(), "a \"b\" c".to_owned()],
        env: [("TURNO_TOKEN".to_owned(), "s3cret".to_owned())].into(),
    }
}

/// The folder of the transcripts of one CLI.
fn folder(agent: &str) -> String {
    format!(
        "{}/../../tests/fixtures/transcripts/{agent}",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// The names of all transcripts of one CLI.
#[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
pub(crate) fn transcripts(agent: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder(agent))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".jsonl").to_owned())
        .collect();
    names.sort();
    names
}

/// What the agent said in a transcript, line by line.
pub(crate) fn said(agent: &str, name: &str) -> Vec<String> {
    recorded(agent, name)
        .into_iter()
        .filter_map(|(direction, line)| (direction != "in").then_some(line))
        .collect()
}

/// Everything in a transcript: who spoke, and the line.
#[expect(clippy::disallowed_methods, reason = "a test reads its fixtures")]
pub(crate) fn recorded(agent: &str, name: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(format!("{}/{name}.jsonl", folder(agent))).unwrap();
    text.lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(entry) if entry.get("dir").is_some() => {
                let message = match &entry["msg"] {
                    Value::String(raw) => raw.clone(),
                    message => message.to_string(),
                };
                match entry["dir"].as_str().unwrap() {
                    "event" | "call" => ("out".to_owned(), bridged(&entry)),
                    direction => (direction.to_owned(), message),
                }
            }
            _ => ("out".to_owned(), line.to_owned()),
        })
        .collect()
}

/// What the bridge makes of an event of a server, or of its answer to a call. A call has no number in a recording.
fn bridged(entry: &Value) -> String {
    let message = &entry["msg"];
    match entry["dir"].as_str() {
        Some("event") => json!({ "event": message }).to_string(),
        _ => {
            let id = u64::from(message["POST"] == "/session");
            let [status, body] = [0, 1].map(|at| message["response"][at].clone());
            json!({ "response": { "id": id, "status": status, "body": body } }).to_string()
        }
    }
}

/// A conversation and everything heard in it.
pub(crate) struct Hearing {
    pub(crate) talk: Box<dyn Conversation>,
    pub(crate) signals: Vec<Signal>,
}

impl Hearing {
    pub(crate) fn new(kind: DialectKind, job: &Job) -> Self {
        Self {
            talk: dialect(kind).converse(job),
            signals: Vec::new(),
        }
    }

    /// Listens to lines until the input is closed, as the agent would end then.
    pub(crate) fn hear<S: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = S>) -> &mut Self {
        for line in lines {
            self.signals.extend(self.talk.line(Line::Whole(line.as_ref())));
        }
        self
    }

    pub(crate) fn hear_cut(&mut self, line: &str) -> &mut Self {
        self.signals.extend(self.talk.line(Line::Cut(line)));
        self
    }

    pub(crate) fn sent(&self) -> Vec<Value> {
        self.signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::Send(line) => Some(serde_json::from_str(line).unwrap()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn spends(&self) -> Vec<Spend> {
        self.signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::Spent(spend) => Some(*spend),
                _ => None,
            })
            .collect()
    }

    /// What it told of its account.
    pub(crate) fn quotas(&self) -> Vec<QuotaSaid> {
        self.signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::Quota(said) => Some(said.clone()),
                _ => None,
            })
            .collect()
    }

    /// The waits that its provider asked for.
    pub(crate) fn waits(&self) -> Vec<Span> {
        self.signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::HeldOff(span) => Some(*span),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn notices(&self) -> Vec<&str> {
        self.signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::Notice(notice) => Some(notice.as_str()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn closed(&self) -> usize {
        self.signals
            .iter()
            .filter(|signal| **signal == Signal::CloseInput)
            .count()
    }

    pub(crate) fn end(self, code: i32) -> AgentEnd {
        self.talk.end(Exit::Code(code), "")
    }

    /// The failure it ends in.
    pub(crate) fn failure(self) -> Failure {
        match self.end(1) {
            AgentEnd::Failed(failure) => failure,
            AgentEnd::Asked(question) => panic!("it asks {question:?}"),
            AgentEnd::Finished(outcome) => panic!("it finished with {outcome:?}"),
        }
    }

    /// The cause of the failure it ends in.
    pub(crate) fn cause(self) -> Cause {
        self.failure().cause
    }
}
