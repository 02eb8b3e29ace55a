//! Owns the `acp` dialect: any agent that speaks the Agent Client Protocol (version 1, JSON-RPC over lines). This
//! file starts it and words our requests; listening is in `conversation`, its requests for permission in
//! `permission`, money in `usage`, errors in `failure`.
//!
//! What is said is tested against the protocol's own types; what is heard is read tolerantly, because an agent
//! that adds a field or a kind of update must still be understood.

mod conversation;
mod failure;
mod permission;
mod update;
mod usage;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use turno_core::command::Session;

use crate::dialect::{
    AfterInput, Capabilities, Conversation, Dialect, Job, Launch, LaunchError, Support, ToolServer,
};
use crate::needs::{self, Needs};
use crate::schema;

/// Any agent that speaks the protocol.
#[derive(Debug)]
pub struct Acp;

/// The version of the protocol that is spoken here.
const VERSION: u64 = 1;

/// What can be done through the protocol, whichever agent speaks it.
pub(crate) const CAPABILITIES: Capabilities = Capabilities {
    resume: Support::Yes,
    // Some name it; one that does not and is done must not count as free.
    cost: Support::No,
    schema: Support::No,
    interrupt: Support::Yes,
    tools: Support::Yes,
    questions: Support::No,
    nudge: Support::No,
};

impl Dialect for Acp {
    fn name(&self) -> &'static str {
        "acp"
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    /// A program that is not known must not be run to see what it does with a flag.
    fn version_args(&self) -> &'static [&'static str] {
        &[]
    }

    fn needs(&self, program: &str) -> Needs {
        needs::by_name(program)
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        Ok(Launch {
            argv,
            env: BTreeMap::new(),
            files: Vec::new(),
            input: vec![initialize()],
            after_input: AfterInput::KeepOpen,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(conversation::Talk::new(job))
    }
}

/// The id of our first request; it is written before anything is heard.
const INITIALIZE: u64 = 1;

/// The first line. No file system is offered: agents then use their own, which is the slot's.
pub(crate) fn initialize() -> String {
    request(
        INITIALIZE,
        "initialize",
        &json!({
            "protocolVersion": VERSION,
            "clientCapabilities": {
                "fs": { "readTextFile": false, "writeTextFile": false },
                "terminal": false,
            },
            "clientInfo": { "name": "turno", "title": "Turno", "version": env!("CARGO_PKG_VERSION") },
        }),
    )
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn cancel(session: &str) -> String {
    json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": session } }).to_string()
}

fn answer(id: &Value, result: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

fn refusal(id: &Value, why: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": why } }).to_string()
}

/// How a conversation is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// It is a new one.
    New,
    /// It is gone on with, and nothing of it is told again.
    Resume,
    /// It is gone on with, and all of it is told again first. Gemini tells it even after it has answered, mixed
    /// with what is new.
    Load,
}

/// Which conversation to begin or go on with, by what the agent can; `None` if it cannot go on with one.
fn opening(session: &Session, initialized: &Value) -> Option<Opening> {
    let can = &initialized["agentCapabilities"];
    match session {
        Session::Fresh => Some(Opening::New),
        // Absent and null mean no, anything else yes.
        Session::Resume(_) if !can["sessionCapabilities"]["resume"].is_null() => Some(Opening::Resume),
        Session::Resume(_) if can["loadSession"] == json!(true) => Some(Opening::Load),
        Session::Resume(_) => None,
    }
}

/// The request that opens the conversation, as method and parameters.
fn session_request(job: &Job, opening: Opening) -> (&'static str, Value) {
    let mut params = json!({
        "cwd": job.cwd,
        "mcpServers": job.tool_servers.iter().map(tool_server).collect::<Vec<_>>(),
    });
    if let (Session::Resume(id), Opening::Resume | Opening::Load) = (&job.session, opening) {
        params["sessionId"] = json!(id);
    }
    let method = match opening {
        Opening::New => "session/new",
        Opening::Resume => "session/resume",
        Opening::Load => "session/load",
    };
    (method, params)
}

fn tool_server(server: &ToolServer) -> Value {
    let env = server.env.iter();
    let env: Vec<Value> = env
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    json!({ "name": server.name, "command": server.program, "args": server.args, "env": env })
}

fn prompt_params(session: &str, words: &str) -> Value {
    json!({ "sessionId": session, "prompt": [{ "type": "text", "text": words }] })
}

/// The line that parts what is told again from what is new. Only this run's prompt asks for it.
fn marker(job: &Job) -> String {
    format!("=== answer of round {} ===", job.cue.round)
}

/// The first prompt. There is no system text and no schema in the protocol.
fn first_prompt(job: &Job, opening: Opening) -> String {
    let prompt = schema::prompt_with_instructions(&job.system, &job.prompt, job.outcome);
    match opening {
        Opening::New | Opening::Resume => prompt,
        Opening::Load => format!(
            "{prompt}\nRight before that block write this line, alone and exactly:\n{}\n",
            marker(job)
        ),
    }
}
