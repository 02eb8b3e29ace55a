//! Owns the `opencode` dialect: its local server, spoken to in lines through `turno bridge`. This file starts it and
//! names its requests; listening is in `conversation`, its questions and permissions in `permission`, money in
//! `usage`, errors in `failure`.
//!
//! `opencode run` is not used: it is silent while it tries again, ends well when a permission was refused, and hangs
//! when a conversation of another directory is gone on with.

mod conversation;
mod failure;
mod permission;
mod usage;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use turno_core::command::Session;
use turno_core::persona::{Effort, Model};

use crate::dialect::{
    AfterInput, AtTerminal, Before, Begins, Capabilities, Conversation, Dialect, Errand, Job, Launch,
    LaunchError, Support,
};
use crate::needs::{self, Needs};
use crate::schema;

/// opencode, through its server.
#[derive(Debug)]
pub struct Opencode;

/// Who may speak to the server, and where it is given the password; the bridge makes one up.
const USER: &str = "opencode";
const PASSWORD: &str = "OPENCODE_SERVER_PASSWORD";

/// A configuration of one run. It is merged over what the user has configured, which stays in force.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";

impl Dialect for Opencode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resume: Support::Yes,
            // It names a cost where its own configuration has a price, and none otherwise.
            cost: Support::No,
            schema: Support::No,
            interrupt: Support::Yes,
            tools: Support::Yes,
            questions: Support::Yes,
            nudge: Support::No,
        }
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    fn needs(&self, _program: &str) -> Needs {
        needs::OPENCODE
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[
            "ANTHROPIC_API_KEY",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_PROFILE",
            "AWS_REGION",
            "GEMINI_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NODE_EXTRA_CA_CERTS",
            "NO_PROXY",
            "OPENAI_API_KEY",
            "OPENCODE_API_KEY",
            "OPENCODE_CONFIG",
            "OPENCODE_CONFIG_DIR",
            "OPENROUTER_API_KEY",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
        ]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        // The server's own sign of life says nothing of the agent, and would hide its silence.
        let argv = bridge(job, &["--skip", "server.heartbeat"]);
        let env = [
            (CONFIG, config(job).to_string()),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
        ];
        Ok(Launch {
            argv,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            files: Vec::new(),
            input: vec![first_request(job).line(FIRST)],
            after_input: AfterInput::KeepOpen,
        })
    }

    fn at_terminal(&self, job: &Job, _env: &BTreeMap<String, String>) -> Option<AtTerminal> {
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        if let Model::Named(model) = &job.model {
            argv.push(format!("--model={model}"));
        }
        let with = |more: String| argv.iter().cloned().chain([more]).collect::<Vec<_>>();
        let anew = with(format!("--prompt={}", job.prompt));
        let (argv, begins, before) = match &job.session {
            Session::Resume(id) => {
                // It would work where the session began, and that slot is not to be seen from here.
                let errand = Errand {
                    argv: bridge(job, &["--until-answered"]),
                    input: vec![move_request(id.as_str(), &job.cwd).line(FIRST)],
                    otherwise: anew,
                };
                (
                    with(format!("--session={id}")),
                    Begins::GoingOn,
                    Before::Errand(errand),
                )
            }
            Session::Fresh => (anew, Begins::Anew, Before::Nothing),
        };
        let env = [
            (
                CONFIG,
                json!({ "autoupdate": false, "share": "disabled" }).to_string(),
            ),
            ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
        ];
        Some(AtTerminal {
            argv,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            settings: Vec::new(),
            begins,
            before,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(conversation::Talk::new(job))
    }
}

/// The id of our first request; it is written before anything is heard.
const FIRST: u64 = 1;

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    method: &'static str,
    path: String,
    body: Value,
}

impl Request {
    fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            body: Value::Null,
        }
    }

    fn post(path: String, body: Value) -> Self {
        Self {
            method: "POST",
            path,
            body,
        }
    }

    /// As a line for the bridge.
    fn line(&self, id: u64) -> String {
        json!({ "id": id, "method": self.method, "path": self.path, "body": self.body }).to_string()
    }
}

/// Its server, spoken to through a verb of ours.
fn bridge(job: &Job, how: &[&str]) -> Vec<String> {
    let mut argv: Vec<String> = [&job.turno, "bridge", "--events", "/event"]
        .map(str::to_owned)
        .into();
    argv.extend(how.iter().map(|word| (*word).to_owned()));
    argv.extend(["--user", USER, "--secret-in", PASSWORD, "--", &job.program].map(str::to_owned));
    argv.extend(job.extra_args.iter().cloned());
    argv.extend(["serve", "--hostname", "127.0.0.1", "--port", "0"].map(str::to_owned));
    argv
}

/// What is configured for this run alone.
fn config(job: &Job) -> Value {
    let mut config = json!({
        "autoupdate": false,
        "share": "disabled",
        "permission": permission::config(job),
    });
    if let Model::Named(model) = &job.model {
        config["model"] = json!(model);
    }
    if !job.tool_servers.is_empty() {
        let servers: Map<String, Value> = job
            .tool_servers
            .iter()
            .map(|server| {
                let command: Vec<&String> = std::iter::once(&server.program).chain(&server.args).collect();
                let entry = json!({
                    "type": "local",
                    "command": command,
                    "environment": server.env,
                    "enabled": true,
                });
                (server.name.clone(), entry)
            })
            .collect();
        config["mcp"] = servers.into();
    }
    config
}

/// What is asked first: a session, or where the one that is to be gone on with would have to work.
fn first_request(job: &Job) -> Request {
    match &job.session {
        Session::Fresh => new_session_request(job),
        Session::Resume(_) => Request::get("/path"),
    }
}

/// A new session. Its own rules outweigh those of every configuration, and a tool that they deny is not even
/// offered.
fn new_session_request(job: &Job) -> Request {
    // A title, or it would have a model think of one.
    let body = json!({ "title": job.cue.title, "permission": permission::rules(job) });
    Request::post("/session".to_owned(), body)
}

/// Goes on with a session, under the rules of now.
fn old_session_request(job: &Job, id: &str) -> Request {
    Request {
        method: "PATCH",
        path: format!("/session/{}", segment(id)),
        body: json!({ "permission": permission::rules(job) }),
    }
}

/// A session works in the directory where it began, wherever the server runs. It is moved here, without its files.
fn move_request(session: &str, here: &str) -> Request {
    Request::post(
        "/experimental/control-plane/move-session".to_owned(),
        json!({ "sessionID": session, "moveChanges": false, "destination": { "directory": here } }),
    )
}

/// A turn of a session.
fn prompt_request(job: &Job, session: &str, words: &str) -> Request {
    let mut body = json!({
        "system": format!("{}\n\n{}", job.system, schema::instructions(job.outcome)),
        "parts": [{ "type": "text", "text": words }],
    });
    // A resumed session would go on with the model it had.
    if let Model::Named(model) = &job.model
        && let Some((provider, model)) = model.split_once('/')
    {
        body["model"] = json!({ "providerID": provider, "modelID": model });
    }
    match job.effort {
        Effort::AgentDefault => {}
        Effort::Low => body["variant"] = json!("low"),
        Effort::Medium => body["variant"] = json!("medium"),
        Effort::High => body["variant"] = json!("high"),
    }
    Request::post(format!("/session/{}/prompt_async", segment(session)), body)
}

/// Asks it to end its turn.
fn abort_request(session: &str) -> Request {
    Request::post(format!("/session/{}/abort", segment(session)), Value::Null)
}

/// An id as one segment of a path, whatever is in it.
fn segment(id: &str) -> String {
    let mut out = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
