//! Owns the `claude` dialect: Claude Code driven through its two-way stream of JSON lines. This file starts it;
//! listening is in `conversation`, answers about tools in `permission`, what it calls back for in `hooks`, questions in `question`, money in `usage`, errors in `failure`.

mod conversation;
mod failure;
mod hooks;
mod permission;
mod question;
mod telling;
mod terminal;
mod usage;
mod words;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use turno_core::command::Session;
use turno_core::persona::{Effort, Model};
use turno_core::units::MicroUsd;

use crate::dialect::{
    AfterInput, AtTerminal, Capabilities, Conversation, Dialect, Job, Launch, LaunchError, LaunchFile,
    Support,
};
use crate::needs::{self, Needs};
use crate::schema;

/// Claude Code.
#[derive(Debug)]
pub struct Claude;

/// The kernel takes at most 128 KiB for one argument, its end included.
const LONGEST_ARGUMENT: usize = 128 * 1024 - 1;

/// It exits when a line of its input is longer than 10 MB.
const LONGEST_LINE: usize = 10_000_000;

/// Variables that keep it quiet and bound its own patience. With its default of 10 retries a refused key
/// takes three minutes to be seen.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("API_TIMEOUT_MS", "300000"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "4"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_TELEMETRY", "1"),
];

impl Dialect for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resume: Support::Yes,
            cost: Support::Yes,
            schema: Support::Yes,
            interrupt: Support::Yes,
            tools: Support::Yes,
            questions: Support::Yes,
            nudge: Support::Yes,
        }
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    fn needs(&self, _program: &str) -> Needs {
        needs::CLAUDE
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_CUSTOM_HEADERS",
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_PROFILE",
            "AWS_REGION",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
            "CLAUDE_CONFIG_DIR",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NODE_EXTRA_CA_CERTS",
            "NO_PROXY",
        ]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        check_length(job.system.len(), LONGEST_ARGUMENT)?;
        let prompt = user_line(&job.prompt);
        check_length(prompt.len(), LONGEST_LINE)?;
        Ok(Launch {
            argv: argv(job),
            env: ENVIRONMENT
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            files: tool_servers(job).into_iter().collect(),
            input: vec![
                control_line("turno-initialize", "initialize", &hooks::asked_for(job)),
                prompt,
            ],
            after_input: AfterInput::KeepOpen,
        })
    }

    fn at_terminal(&self, job: &Job, env: &BTreeMap<String, String>) -> Option<AtTerminal> {
        Some(terminal::at_terminal(job, env))
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(conversation::Talk::new(job))
    }
}

fn check_length(length: usize, limit: usize) -> Result<(), LaunchError> {
    if length > limit {
        return Err(LaunchError::PromptTooLong {
            agent: "claude",
            length,
            limit,
        });
    }
    Ok(())
}

fn argv(job: &Job) -> Vec<String> {
    let mut argv = vec![job.program.clone()];
    argv.extend(job.extra_args.iter().cloned());
    let mut add = |args: &[&str]| argv.extend(args.iter().map(|arg| (*arg).to_owned()));
    add(&["-p", "--input-format", "stream-json"]);
    add(&["--output-format", "stream-json"]);
    add(&[
        "--verbose",
        "--include-partial-messages",
        "--replay-user-messages",
    ]);
    add(&["--permission-prompt-tool", "stdio"]);
    add(&["--permission-mode", "default"]);
    add(&["--json-schema", &schema::schema(job.outcome).to_string()]);
    add(&["--append-system-prompt", &job.system]);
    if let Model::Named(model) = &job.model {
        add(&["--model", model]);
    }
    match job.effort {
        Effort::AgentDefault => {}
        Effort::Low => add(&["--effort", "low"]),
        Effort::Medium => add(&["--effort", "medium"]),
        Effort::High => add(&["--effort", "high"]),
    }
    // The lists swallow what follows them, so they are one argument each and never the last before a bare word.
    let offered = permission::offered(&job.tools);
    if !offered.is_empty() {
        add(&["--tools", &offered.join(",")]);
    }
    add(&["--disallowedTools", &permission::withheld(job.access).join(",")]);
    if let Some(file) = tool_servers(job) {
        // With `=`, because the flag takes a list. The user's own servers stay: it is not the strict form.
        add(&[&format!("--mcp-config={}", file.path)]);
    }
    if let Session::Resume(id) = &job.session {
        // With `=`, because the flag's value is optional: an id can never be read as a flag.
        add(&[&format!("--resume={id}")]);
    }
    if job.cap > MicroUsd::ZERO {
        let (dollars, micros) = (job.cap.0 / 1_000_000, job.cap.0 % 1_000_000);
        add(&["--max-budget-usd", &format!("{dollars}.{micros:06}")]);
    }
    argv
}

/// The file that names the servers of tools; in a file, because what stands in an argument is seen by every user.
fn tool_servers(job: &Job) -> Option<LaunchFile> {
    let servers: serde_json::Map<String, Value> = job
        .tool_servers
        .iter()
        .map(|server| {
            let entry = json!({
                "type": "stdio",
                "command": server.program,
                "args": server.args,
                "env": server.env,
            });
            (server.name.clone(), entry)
        })
        .collect();
    (!servers.is_empty()).then(|| LaunchFile {
        path: format!("{}/tool-servers.json", job.attempt_dir),
        text: json!({ "mcpServers": servers }).to_string(),
    })
}

/// A message of the user, as one line of input.
fn user_line(text: &str) -> String {
    json!({
        "type": "user",
        "message": { "role": "user", "content": text },
        "parent_tool_use_id": null,
        "session_id": "",
    })
    .to_string()
}

/// A request of ours, as one line of input.
fn control_line(id: &str, subtype: &str, more: &Value) -> String {
    let mut request = json!({ "subtype": subtype });
    if let (Some(request), Some(more)) = (request.as_object_mut(), more.as_object()) {
        request.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    json!({ "type": "control_request", "request_id": id, "request": request }).to_string()
}

/// The answer to a request of its.
fn success_line(id: &str, response: &Value) -> String {
    json!({
        "type": "control_response",
        "response": { "subtype": "success", "request_id": id, "response": response },
    })
    .to_string()
}

/// The refusal of a request of its: without any answer it would wait for ever.
fn refusal_line(id: &str, why: &str) -> String {
    json!({
        "type": "control_response",
        "response": { "subtype": "error", "request_id": id, "error": why },
    })
    .to_string()
}
