//! Owns what the stories of the real team share: a project whose agents are real CLIs that know only the model
//! server, what was asked of it, and what the journal says of who played.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::model_server::{Action, Api, Matcher, ModelServer, RecordedRequest, Script, Turn};
use crate::harness::processes::{ended_within, recorded, until_within};
use crate::harness::project::{Done, Project};
use crate::harness::real_cli::{Cli, GEMINI_MODEL, Located, LoopbackHome};

/// Set where a missing CLI is no excuse.
const REQUIRED: &str = "TURNO_TEST_REQUIRE_CLIS";

/// No shift of these stories takes longer, on a busy machine either.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// A project, the model server, and CLIs that know no other.
pub(super) struct Stage {
    pub(super) project: Project,
    server: ModelServer,
}

impl Stage {
    /// A project with these files. `None`, with a word on the output, where one of the CLIs is not installed.
    pub(super) fn new(
        story: &str,
        clis: &[Cli],
        files: &[(&str, &str)],
        scripts: Vec<Script>,
    ) -> Option<Self> {
        let mut programs = Vec::new();
        for cli in clis {
            programs.push((*cli, installed(story, *cli)?));
        }
        let project = Project::new(files);
        let server = ModelServer::start_blocking(scripts);
        let home = LoopbackHome::new(&project.home(), &server.base_url());
        let mut config = String::new();
        for (cli, program) in programs {
            config.push_str(&agent(cli, &program, &home.env(cli).unwrap()));
        }
        project.configure(&config);
        Some(Self { project, server })
    }

    /// Names who plays what, in the user's own configuration.
    pub(super) fn cast(&self, persona: &str, cli: Cli) -> &Self {
        let path = self.project.home().join(".config/turno/turno.toml");
        let mut config = std::fs::read_to_string(&path).unwrap();
        writeln!(config, "[personas.{persona}]\nagents = [\"{}\"]", cli.name()).unwrap();
        if cli == Cli::Gemini {
            writeln!(config, "model = \"{GEMINI_MODEL}\"").unwrap();
        }
        std::fs::write(path, config).unwrap();
        self
    }

    /// Begins a shift.
    pub(super) fn start(&self, args: &[&str]) -> Child {
        self.project.start(args)
    }

    /// Waits for the end of a shift and shows it. No request was a surprise to the model server.
    #[track_caller]
    pub(super) fn ends(&self, shift: Child) -> Done {
        let done = ended_within(PATIENCE, &self.project, shift);
        println!("{}\n{}", done.out, done.err);
        println!("{}", self.project.turno(&["log"]).out);
        self.no_surprise();
        done
    }

    /// No request was a surprise to the model server.
    #[track_caller]
    pub(super) fn no_surprise(&self) {
        let unmatched = self.server.unmatched();
        let unmatched: Vec<_> = unmatched.iter().map(|r| (&r.path, &r.message, &r.body)).collect();
        assert!(unmatched.is_empty(), "{unmatched:#?}");
    }

    /// A whole shift.
    #[track_caller]
    pub(super) fn run(&self, args: &[&str]) -> Done {
        self.ends(self.start(args))
    }

    /// Waits until a fact of this name is in the journal, and gives it.
    #[track_caller]
    pub(super) fn fact(&self, name: &str) -> Value {
        let mut found = None;
        until_within(PATIENCE, &format!("{name} is in the journal"), || {
            found = self.facts(name).into_iter().next();
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// The facts of this name that are in the journal, oldest first.
    pub(super) fn facts(&self, name: &str) -> Vec<Value> {
        let journal = self.project.journal();
        let facts = journal.iter().filter_map(|r| r["event"].get(name).cloned());
        facts.collect()
    }

    /// The requests that scripts with these words in their matcher answered, oldest first.
    pub(super) fn requests(&self, api: Api, words: &str) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        let api = format!("{api:?}");
        requests.retain(|r| {
            r.script
                .as_ref()
                .is_some_and(|s| s.contains(words) && s.ends_with(&api))
        });
        requests
    }

    /// What an attempt's agent was started with, as its supervisor was told.
    pub(super) fn arguments(&self, attempt: &Played) -> Vec<String> {
        let dir = self.project.state().join("attempts");
        let orders = std::fs::read(dir.join(format!("a{}/orders.json", attempt.attempt))).unwrap();
        let orders: Value = serde_json::from_slice(&orders).unwrap();
        serde_json::from_value(orders["argv"].clone()).unwrap()
    }

    /// Waits until a process of the story has written its number down.
    #[track_caller]
    pub(super) fn until_recorded(&self) {
        until_within(PATIENCE, "a process runs", || !recorded(&self.project).is_empty());
    }

    /// Every agent's attempt, in the order in which they began.
    pub(super) fn played(&self) -> Vec<Played> {
        let journal = self.project.journal();
        let commands = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
        commands
            .filter_map(|c| c.get("start-agent"))
            .map(|start| {
                let text = |v: &Value| v.as_str().unwrap().to_owned();
                Played {
                    attempt: start["attempt"].as_u64().unwrap(),
                    persona: text(&start["persona"]),
                    agent: text(&start["agent"]),
                    task: text(&start["task"]),
                    resumed: start["session"]["resume"].as_str().map(str::to_owned),
                }
            })
            .collect()
    }
}

/// An agent's attempt, as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Played {
    pub(super) attempt: u64,
    pub(super) persona: String,
    pub(super) agent: String,
    pub(super) task: String,
    /// The session it went on with.
    pub(super) resumed: Option<String>,
}

/// The program; `None`, with a word on the output, where there is none and none is required.
fn installed(story: &str, cli: Cli) -> Option<std::path::PathBuf> {
    match cli.locate() {
        Located::Found { path, .. } => Some(path),
        Located::Missing { why } => {
            let required = std::env::var_os(REQUIRED).is_some_and(|v| !v.is_empty());
            assert!(!required, "{why}");
            println!("skipped: {story}: {why}");
            None
        }
    }
}

/// An agent of the configuration. JSON's strings are TOML's.
fn agent(cli: Cli, program: &Path, env: &BTreeMap<String, String>) -> String {
    let name = cli.name();
    let dialect = match cli {
        Cli::ClaudeAcp => "acp",
        Cli::Claude | Cli::Codex | Cli::Opencode | Cli::Gemini => name,
    };
    let mut text = format!(
        "[agents.{name}]\ndialect = \"{dialect}\"\nprogram = {}\n[agents.{name}.env]\n",
        json!(program)
    );
    for (name, value) in env {
        writeln!(text, "{name} = {}", json!(value)).unwrap();
    }
    text
}

/// What one CLI's model does when the latest message has these words. Who speaks `Messages` has its last turn twice: one
/// that leaves something uncommitted is sent back from it once.
pub(super) fn script(api: Api, words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    let mut turns: Vec<Turn> = turns.into_iter().collect();
    if api == Api::Messages {
        turns.extend(turns.last().cloned());
    }
    Script::new(Matcher::message(words).only(api), turns)
}

pub(super) fn change(summary: &str) -> Turn {
    Turn::structured(json!({
        "summary": summary,
        "evidence": ["looked at it"],
        "open_questions": [],
        "proposals": [],
        "lessons": [],
    }))
}

pub(super) fn approval(read: &str) -> Turn {
    Turn::structured(json!({
        "verdict": "approve",
        "findings": [],
        "read": [read],
        "protected": [],
        "proposals": [],
        "lessons": [],
    }))
}

/// The answer of an agent that is told its whole conversation again: a line parts what is new.
pub(super) fn marked(round: u32, answer: Turn) -> Turn {
    let mut turn = Turn::say(format!("=== answer of round {round} ===\n"));
    turn.actions.extend(
        answer
            .actions
            .into_iter()
            .filter(|a| matches!(a, Action::Structured(_))),
    );
    turn
}
