//! Owns the `gemini` dialect: how the Gemini CLI is started. It is spoken to through the Agent Client Protocol,
//! which `acp` owns: of its two surfaces only that one takes a second message, servers of tools for one run, and
//! a request to stop. What is lost against its stream of JSON is nothing that Turno reads.

use std::collections::BTreeMap;

use serde_json::json;
use turno_core::persona::{Access, Model};

use crate::acp::{self, Acp};
use crate::dialect::{
    AfterInput, AtTerminal, Before, Begins, Capabilities, Conversation, Dialect, Job, Launch, LaunchError,
    LaunchFile,
};
use crate::needs::{self, Needs};

/// The Gemini CLI.
#[derive(Debug)]
pub struct Gemini;

/// Its default of 10 tries takes four minutes to give up on a provider that is down.
const TRIES: u32 = 4;

/// Its tools that change files.
const WRITERS: [&str; 2] = ["replace", "write_file"];

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn capabilities(&self) -> Capabilities {
        acp::CAPABILITIES
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    fn needs(&self, _program: &str) -> Needs {
        needs::GEMINI
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[
            "GEMINI_API_KEY",
            "GEMINI_CLI_HOME",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_LOCATION",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_GENAI_USE_GCA",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NODE_EXTRA_CA_CERTS",
            "NO_PROXY",
        ]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let defaults = defaults(job);
        let variables = [
            // A slot is a directory that it has never seen, and it refuses to work in one that is not trusted.
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            // It would start itself again, and signals would reach the wrong process.
            ("GEMINI_CLI_NO_RELAUNCH", "true"),
            ("GEMINI_CLI_SYSTEM_DEFAULTS_PATH", defaults.path.as_str()),
        ];
        Ok(Launch {
            argv: argv(job),
            env: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            files: vec![defaults],
            input: vec![acp::initialize()],
            after_input: AfterInput::KeepOpen,
        })
    }

    /// What was said over its protocol is no session that its screen could go on with, so it always begins anew.
    fn at_terminal(&self, job: &Job, _env: &BTreeMap<String, String>) -> Option<AtTerminal> {
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        if let Model::Named(model) = &job.model {
            argv.push(format!("--model={model}"));
        }
        argv.push(format!("--prompt-interactive={}", job.prompt));
        let env = [
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
            ("GEMINI_CLI_NO_RELAUNCH", "true"),
        ];
        Some(AtTerminal {
            argv,
            env: env
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            settings: Vec::new(),
            begins: Begins::Anew,
            before: Before::Nothing,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Acp.converse(job)
    }
}

fn argv(job: &Job) -> Vec<String> {
    let mut argv = vec![job.program.clone()];
    argv.extend(job.extra_args.iter().cloned());
    let mode = match job.access {
        // Each tool that is not mere reading is asked for. Its mode `plan` has no shell and none of our tools.
        Access::Read => "default",
        Access::Tests | Access::Write => "yolo",
    };
    argv.extend(["--acp", "--approval-mode", mode].map(str::to_owned));
    if let Model::Named(model) = &job.model {
        // Without it each turn begins with a request that chooses a model.
        argv.push(format!("--model={model}"));
    }
    argv
}

/// Its lowest layer of settings, so that the user's own are kept and win. It ignores a file that lies in a
/// directory which others may write to; then only its requests for permission hold a reader.
fn defaults(job: &Job) -> LaunchFile {
    let mut settings = json!({
        "general": { "maxAttempts": TRIES, "enableAutoUpdate": false },
        "privacy": { "usageStatisticsEnabled": false },
    });
    if job.access == Access::Read {
        settings["tools"] = json!({ "exclude": WRITERS });
    }
    LaunchFile {
        path: format!("{}/gemini-defaults.json", job.attempt_dir),
        text: settings.to_string(),
    }
}
