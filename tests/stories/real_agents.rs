//! Shifts with the real agent CLIs, `claude` and `codex`, against the scripted model server on loopback. What is
//! proven here is what scripted agents cannot prove: sessions that are resumed, tools that run in a slot, money
//! that is counted, and processes that are ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::model_server::{Api, Matcher, ModelServer, RecordedRequest, Script, Turn};
use crate::harness::project::{Done, Project};
use crate::harness::real_cli::{Cli, Located, LoopbackHome};

/// Set where a missing CLI is no excuse.
const REQUIRED: &str = "TURNO_TEST_REQUIRE_CLIS";

const ENGINEER: &str = "You are an engineer";
const REVIEWER: &str = "You are a reviewer";

/// A project, the model server, and CLIs that know no other.
struct Stage {
    project: Project,
    server: ModelServer,
}

impl Stage {
    /// `None`, with a word on the output, where one of the CLIs is not installed.
    fn new(story: &str, clis: &[Cli], scripts: Vec<Script>) -> Option<Self> {
        let mut programs = Vec::new();
        for cli in clis {
            match cli.locate() {
                Located::Found { path, .. } => programs.push((*cli, path)),
                Located::Missing { why } => {
                    assert!(std::env::var_os(REQUIRED).is_none(), "{why}");
                    println!("skipped: {story}: {why}");
                    return None;
                }
            }
        }
        let project = Project::new(&[
            ("greet.txt", "hello\n"),
            ("turno.toml", "[checks.test]\ncommand = \"grep -q world greet.txt\"\n"),
        ]);
        let server = ModelServer::start_blocking(scripts);
        let home = LoopbackHome::new(&project.home(), &server.base_url());
        let mut config = String::new();
        for (cli, program) in programs {
            let env = match cli {
                Cli::Claude => home.claude_env(),
                Cli::Codex => home.codex_env().unwrap(),
            };
            config.push_str(&agent(cli, &program, &env));
        }
        let dir = project.home().join(".config/turno");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("turno.toml"), config).unwrap();
        Some(Self { project, server })
    }

    /// Names who plays what, in the user's own configuration.
    fn cast(&self, persona: &str, agent: Cli) -> &Self {
        let path = self.project.home().join(".config/turno/turno.toml");
        let mut config = std::fs::read_to_string(&path).unwrap();
        writeln!(config, "[personas.{persona}]\nagents = [\"{}\"]", agent.name()).unwrap();
        std::fs::write(path, config).unwrap();
        self
    }

    /// Runs the one issue of a story.
    fn run(&self, more: &[&str]) -> Done {
        self.project.issue("Greet the world");
        let args: Vec<&str> = ["run", "1"].iter().chain(more).copied().collect();
        let done = self.project.turno(&args);
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

    fn explain(&self) -> String {
        self.project.turno(&["explain", "1.1"]).exits(0).out
    }

    /// The model requests that name a role, oldest first.
    fn requests(&self, role: &str) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|r| r.script.as_ref().is_some_and(|s| s.contains(role)));
        requests
    }

    /// The sessions of a role, in the order in which they began.
    fn sessions(&self, role: &str) -> Vec<String> {
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
    let mut text = format!("[agents.{name}]\nprogram = {}\n[agents.{name}.env]\n", json!(program));
    for (name, value) in env {
        writeln!(text, "{name} = {}", json!(value)).unwrap();
    }
    text
}

fn change(summary: &str) -> Turn {
    Turn::structured(json!({"summary": summary, "evidence": ["looked at it"], "open_questions": []}))
}

fn approval() -> Turn {
    Turn::structured(json!({"verdict": "approve", "findings": [], "read": ["greet.txt"]}))
}

fn finding(what: &str) -> Turn {
    Turn::structured(json!({
        "verdict": "findings",
        "findings": [{"file": "greet.txt", "line": 1, "severity": "major", "what": what, "how_to_see": "cat greet.txt"}],
        "read": ["greet.txt"],
    }))
}

fn engineer(api: Api, words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    Script::new(Matcher::conversation(ENGINEER).and_message(words).only(api), turns)
}

fn reviewer(api: Api, words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    Script::new(Matcher::conversation(REVIEWER).and_message(words).only(api), turns)
}

#[test]
fn claude_writes_mends_in_its_own_session_and_another_claude_reviews() {
    let scripts = vec![
        engineer(
            Api::Messages,
            "The task is new",
            [
                Turn::edit("greet.txt", "hello", "hello there"),
                Turn::bash("cp greet.txt seen.txt && echo $TURNO_TASK"),
                change("greets"),
            ],
        ),
        engineer(
            Api::Messages,
            "did not pass the project's checks",
            [
                Turn::edit("greet.txt", "there", "world"),
                Turn::bash("grep world greet.txt"),
                change("greets the world"),
            ],
        ),
        reviewer(
            Api::Messages,
            "# Review of task 1.1",
            [Turn::bash("git diff HEAD~1 --stat"), approval()],
        ),
    ];
    let Some(stage) = Stage::new("claude alone", &[Cli::Claude], scripts) else {
        return;
    };
    stage.run(&["--agent", "claude"]).exits(0);
    let project = &stage.project;
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "seen.txt"), "hello there");

    let engineers = stage.sessions(ENGINEER);
    assert_eq!(engineers.len(), 1, "the second attempt goes on with the session: {engineers:?}");
    assert_ne!(stage.sessions(REVIEWER), engineers);
    let said = stage.requests(ENGINEER).pop().unwrap().body["messages"].to_string();
    for part in ["The task is new", "seen.txt", "did not pass the project's checks"] {
        assert!(said.contains(part), "{part} is not in the resumed conversation");
    }
    let told = stage.explain();
    for part in ["test failed", "approved", "landed as"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
}

#[test]
fn claude_answers_codex_which_reviews_with_fresh_eyes() {
    let scripts = vec![
        engineer(
            Api::Messages,
            "The task is new",
            [Turn::edit("greet.txt", "hello", "hello world"), change("greets")],
        ),
        engineer(
            Api::Messages,
            "sent the change in your worktree back",
            [Turn::edit("greet.txt", "world", "world!"), change("adds the mark")],
        ),
        reviewer(
            Api::Responses,
            "Findings of earlier rounds",
            [Turn::bash("cat greet.txt"), approval()],
        ),
        reviewer(
            Api::Responses,
            "# Review of task 1.1",
            [
                Turn::bash("cat greet.txt"),
                finding("the exclamation mark is missing"),
            ],
        ),
    ];
    let clis = [Cli::Claude, Cli::Codex];
    let Some(stage) = Stage::new("claude and codex", &clis, scripts) else {
        return;
    };
    // Nobody is cast: by default the engineer is claude and the reviewer codex.
    stage.run(&[]).exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world!");
    assert_eq!(stage.sessions(ENGINEER).len(), 1, "claude went on with its session");
    assert_eq!(stage.sessions(REVIEWER).len(), 2, "codex looked with fresh eyes");
    let answered = stage.requests(ENGINEER).pop().unwrap();
    assert!(answered.message.contains("the exclamation mark is missing"), "{}", answered.message);
    let told = stage.explain();
    for part in ["1 finding(s)", "the exclamation mark is missing", "approved", "landed as"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
}

#[test]
fn codex_writes_and_turno_commits_what_it_could_not() {
    let commit = "git add -A; git -c user.name=x -c user.email=x@x commit -qm mine; echo \"commit: $?\"";
    let scripts = vec![
        engineer(
            Api::Responses,
            "The task is new",
            [
                Turn::edit("greet.txt", "hello", "hello world"),
                Turn::write("note.txt", "noted\n"),
                Turn::bash("grep world greet.txt"),
                Turn::bash(commit),
                change("greets the world"),
            ],
        ),
        reviewer(Api::Messages, "# Review of task 1.1", [approval()]),
    ];
    let clis = [Cli::Claude, Cli::Codex];
    let Some(stage) = Stage::new("codex and claude", &clis, scripts) else {
        return;
    };
    stage.cast("engineer", Cli::Codex).cast("reviewer", Cli::Claude);
    stage.run(&[]).exits(0);
    let project = &stage.project;
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "note.txt"), "noted");
    let last = stage.requests(ENGINEER).pop().unwrap();
    let said = last.body["input"].to_string();
    println!("{said}");
    let message = project.git(&["log", "-1", "--format=%B", "turno/1/base"]);
    assert!(message.contains("Turno-Persona: engineer"), "{message}");
    assert!(message.contains("Greet the world"), "{message}");
}
