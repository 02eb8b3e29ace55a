//! Owns the stage of the real agent CLIs: a project, the scripted model server that they talk to, and what engineers
//! and reviewers say there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::harness::model_server::{Api, Matcher, ModelServer, RecordedRequest, Script, Turn};
use crate::harness::project::{Done, Project};
use crate::harness::real_cli::{Cli, Located, LoopbackHome};

/// Set where a missing CLI is no excuse.
const REQUIRED: &str = "TURNO_TEST_REQUIRE_CLIS";

pub(in crate::stories) const ENGINEER: &str = "You are an engineer";
pub(super) const REVIEWER: &str = "You are a reviewer";

/// A project, the model server, and CLIs that know no other.
pub(in crate::stories) struct Stage {
    pub(in crate::stories) project: Project,
    server: ModelServer,
}

impl Stage {
    /// `None`, with a word on the output, where one of the CLIs is not installed.
    pub(in crate::stories) fn new(story: &str, clis: &[Cli], scripts: Vec<Script>) -> Option<Self> {
        let mut programs = Vec::new();
        for cli in clis {
            match cli.locate() {
                Located::Found { path, .. } => programs.push((*cli, path)),
                Located::Missing { why } => {
                    let required = std::env::var_os(REQUIRED).is_some_and(|v| !v.is_empty());
                    assert!(!required, "{why}");
                    println!("skipped: {story}: {why}");
                    return None;
                }
            }
        }
        let project = Project::new(&[
            ("greet.txt", "hello\n"),
            (
                "turno.toml",
                "policy = \"single\"\n[checks.test]\ncommand = \"grep -q world greet.txt\"\n",
            ),
        ]);
        let server = ModelServer::start_blocking(scripts);
        let home = LoopbackHome::new(&project.home(), &server.base_url());
        let mut config = String::new();
        for (cli, program) in programs {
            let env = home.env(cli).unwrap();
            config.push_str(&agent(cli, &program, &env));
        }
        project.configure(&config);
        Some(Self { project, server })
    }

    /// Names who plays what, in the user's own configuration.
    pub(in crate::stories) fn cast(&self, persona: &str, agent: Cli) -> &Self {
        let path = self.project.home().join(".config/turno/turno.toml");
        let mut config = std::fs::read_to_string(&path).unwrap();
        writeln!(config, "[personas.{persona}]\nagents = [\"{}\"]", agent.name()).unwrap();
        std::fs::write(path, config).unwrap();
        self
    }

    /// Runs the one issue of a story.
    pub(super) fn run(&self, more: &[&str]) -> Done {
        self.project.issue("Greet the world");
        let args: Vec<&str> = ["run", "1"].iter().chain(more).copied().collect();
        self.ends_as_scripted(self.project.turno(&args))
    }

    /// Shows a shift, and holds it against the server: no request was a surprise.
    pub(in crate::stories) fn ends_as_scripted(&self, done: Done) -> Done {
        println!("{}\n{}", done.out, done.err);
        println!("{}", self.project.turno(&["explain", "1.1"]).out);
        let unmatched: Vec<_> = self
            .server
            .unmatched()
            .into_iter()
            .map(|r| (r.path, r.message, r.body))
            .collect();
        assert!(unmatched.is_empty(), "{unmatched:#?}");
        done
    }

    pub(in crate::stories) fn explain(&self) -> String {
        self.project.turno(&["explain", "1.1"]).exits(0).out
    }

    /// The model requests that name a role, oldest first.
    pub(in crate::stories) fn requests(&self, role: &str) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|r| r.script.as_ref().is_some_and(|s| s.contains(role)));
        requests
    }

    /// The sessions of a role, in the order in which they began.
    pub(in crate::stories) fn sessions(&self, role: &str) -> Vec<String> {
        let mut sessions: Vec<String> = Vec::new();
        for request in self.requests(role) {
            if !sessions.contains(&request.session) {
                sessions.push(request.session);
            }
        }
        sessions
    }
}

/// An agent of the configuration. JSON's strings are TOML's.
fn agent(cli: Cli, program: &Path, env: &BTreeMap<String, String>) -> String {
    let name = cli.name();
    let mut text = format!(
        "[agents.{name}]\nprogram = {}\n[agents.{name}.env]\n",
        json!(program)
    );
    for (name, value) in env {
        writeln!(text, "{name} = {}", json!(value)).unwrap();
    }
    text
}

pub(in crate::stories) fn change(summary: &str) -> Turn {
    Turn::structured(
        json!({"summary": summary, "evidence": ["looked at it"], "open_questions": [], "proposals": [], "lessons": []}),
    )
}

pub(in crate::stories) fn approval() -> Turn {
    Turn::structured(json!({
        "verdict": "approve", "findings": [], "read": ["greet.txt"],
        "protected": [], "proposals": [], "lessons": [],
    }))
}

pub(super) fn finding(what: &str) -> Turn {
    Turn::structured(json!({
        "verdict": "findings",
        "findings": [{"file": "greet.txt", "line": 1, "severity": "major", "what": what, "how_to_see": "cat greet.txt"}],
        "read": ["greet.txt"],
        "protected": [], "proposals": [], "lessons": [],
    }))
}

/// What an engineer does. Who speaks `Messages` has its last turn twice: one that leaves something uncommitted is sent
/// back from it once.
pub(in crate::stories) fn engineer(api: Api, words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    let mut turns: Vec<Turn> = turns.into_iter().collect();
    if api == Api::Messages {
        turns.extend(turns.last().cloned());
    }
    Script::new(
        Matcher::conversation(ENGINEER).and_message(words).only(api),
        turns,
    )
}

pub(in crate::stories) fn reviewer(api: Api, words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    Script::new(
        Matcher::conversation(REVIEWER).and_message(words).only(api),
        turns,
    )
}
