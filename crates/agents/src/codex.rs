//! Owns the `codex` dialect: `codex app-server`, JSON-RPC over lines. This file starts it; listening is in
//! `conversation`, its requests for approval in `approval`, money in `usage`, errors in `failure`.
//!
//! Its own retries are bounded, except one: without a network it waits for ever, and it sleeps through any
//! `retry-after`. How a provider is named in its configuration is not known here, so that cannot be bounded by an
//! argument; the limits on silence and time of an attempt end it.

mod approval;
mod conversation;
mod failure;
mod item;
mod usage;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use turno_core::command::Session;
use turno_core::persona::{Access, Effort, Model};

use crate::dialect::{
    AfterInput, AtTerminal, Before, Begins, Capabilities, Conversation, Dialect, Job, Launch, LaunchError,
    Support, ToolServer,
};
use crate::needs::{self, Needs};
use crate::schema;

/// The Codex CLI.
#[derive(Debug)]
pub struct Codex;

/// It refuses a longer input of a turn.
const LONGEST_INPUT: usize = 1_048_576;

impl Dialect for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resume: Support::Yes,
            cost: Support::No,
            schema: Support::Yes,
            interrupt: Support::Yes,
            tools: Support::Yes,
            questions: Support::No,
            nudge: Support::No,
        }
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    fn needs(&self, _program: &str) -> Needs {
        needs::CODEX
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[
            "CODEX_API_KEY",
            "CODEX_HOME",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "SSL_CERT_FILE",
        ]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        for text in [&job.prompt, &job.system] {
            let length = text.chars().count();
            if length > LONGEST_INPUT {
                return Err(LaunchError::PromptTooLong {
                    agent: "codex",
                    length,
                    limit: LONGEST_INPUT,
                });
            }
        }
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        for server in &job.tool_servers {
            argv.extend(server_args(server));
        }
        argv.push("app-server".to_owned());
        Ok(Launch {
            argv,
            env: job
                .tool_servers
                .iter()
                .flat_map(|server| server.env.clone())
                .collect(),
            files: Vec::new(),
            input: vec![request(
                INITIALIZE,
                "initialize",
                &json!({
                    "clientInfo": {
                        "name": "turno",
                        "title": "Turno",
                        "version": env!("CARGO_PKG_VERSION"),
                    },
                    "capabilities": null,
                }),
            )],
            after_input: AfterInput::KeepOpen,
        })
    }

    fn at_terminal(&self, job: &Job, _env: &BTreeMap<String, String>) -> Option<AtTerminal> {
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        // A slot is a directory that it has never seen, and it would ask whether to trust it.
        let trusted = format!("projects={{{}={{trust_level=\"trusted\"}}}}", json!(job.cwd));
        argv.extend(["-c".to_owned(), trusted]);
        // The conversation was held in another slot: unless told, it asks in which of the two it is to go on.
        argv.push(format!("--cd={}", job.cwd));
        if let Model::Named(model) = &job.model {
            argv.push(format!("--model={model}"));
        }
        let begins = match &job.session {
            Session::Resume(id) => {
                // What comes from an agent is never read as a flag.
                argv.extend(["resume".to_owned(), "--".to_owned(), id.to_string()]);
                Begins::GoingOn
            }
            Session::Fresh => {
                argv.extend(["--".to_owned(), job.prompt.clone()]);
                Begins::Anew
            }
        };
        Some(AtTerminal {
            argv,
            env: BTreeMap::new(),
            settings: Vec::new(),
            begins,
            before: Before::Nothing,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(conversation::Talk::new(job))
    }
}

/// The settings of one server of tools, as arguments. `-c` reads its values as TOML, and a JSON string or list
/// of strings is TOML too. Its variables are named here and set on codex itself, because what stands in an
/// argument is seen by every user. Under the policy `never` a call would be refused without a default approval;
/// and a tool may wait for a person, so how long it takes is bounded by the attempt alone.
fn server_args(server: &ToolServer) -> Vec<String> {
    let names: Vec<&String> = server.env.keys().collect();
    [
        ("command", json!(server.program)),
        ("args", json!(server.args)),
        ("env_vars", json!(names)),
        ("default_tools_approval_mode", json!("approve")),
        ("tool_timeout_sec", json!(LONGEST_TOOL_CALL)),
    ]
    .into_iter()
    .flat_map(|(key, value)| {
        [
            "-c".to_owned(),
            format!("mcp_servers.{}.{key}={value}", server.name),
        ]
    })
    .collect()
}

/// A day, in seconds.
const LONGEST_TOOL_CALL: u32 = 86_400;

/// The id of our first request; it is written before anything is heard.
const INITIALIZE: u64 = 1;

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn notification(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": {} }).to_string()
}

fn answer(id: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

fn refusal(id: &Value, why: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": why } }).to_string()
}

/// Which thread to begin or go on with, as method and parameters.
fn thread_request(job: &Job) -> (&'static str, Value) {
    let mut params = json!({
        "cwd": job.cwd,
        "approvalPolicy": "never",
        // The network stays off in both, as is codex's own default; `.git` is read-only, Turno commits.
        "sandbox": match job.access {
            Access::Read => "read-only",
            Access::Tests | Access::Write => "workspace-write",
        },
        // These are added to its own instructions; `baseInstructions` would replace them.
        "developerInstructions": job.system,
    });
    if let Model::Named(model) = &job.model {
        params["model"] = json!(model);
    }
    match &job.session {
        Session::Fresh => ("thread/start", params),
        Session::Resume(id) => {
            // A resumed thread does not inherit its sandbox, so everything is said again.
            params["threadId"] = json!(id);
            params["excludeTurns"] = json!(true);
            ("thread/resume", params)
        }
    }
}

/// The parameters of a turn.
fn turn_params(job: &Job, thread: &str, words: &str) -> Value {
    let mut params = json!({
        "threadId": thread,
        "input": [{ "type": "text", "text": words, "text_elements": [] }],
        "outputSchema": schema::schema(job.outcome),
    });
    match job.effort {
        Effort::AgentDefault => {}
        Effort::Low => params["effort"] = json!("low"),
        Effort::Medium => params["effort"] = json!("medium"),
        Effort::High => params["effort"] = json!("high"),
    }
    params
}
