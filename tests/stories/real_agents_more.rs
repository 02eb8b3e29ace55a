//! Shifts with the real `opencode`, against the scripted model server on loopback: through its own server and
//! `turno bridge`. What the dialect makes of single events is proven by recordings; here it is proven that the whole
//! chain works, from the model's words to what is landed, and that nothing of it stays.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::model_server::{ASIDE, Action, Api, Matcher, ModelServer, RecordedRequest, Script, Turn};
use crate::harness::processes::{ended, kept, nothing_runs, recorded, until_recorded};
use crate::harness::project::{Done, Project};
use crate::harness::real_cli::{Cli, GEMINI_MODEL, Located, LoopbackHome};

/// Set where a missing CLI is no excuse.
const REQUIRED: &str = "TURNO_TEST_REQUIRE_CLIS";

/// The model server drives the real gemini too, with the same words; no dialect is needed to see that.
#[test]
fn the_model_server_drives_gemini() {
    let program = match Cli::Gemini.locate() {
        Located::Found { path, .. } => path,
        Located::Missing { why } => {
            let required = std::env::var_os(REQUIRED).is_some_and(|v| !v.is_empty());
            assert!(!required, "{why}");
            println!("skipped: the model server and gemini: {why}");
            return;
        }
    };
    let turns = [
        Turn::write("note.txt", "hello\n"),
        Turn::edit("note.txt", "hello", "hello world"),
        Turn::bash("cp note.txt seen.txt"),
        Turn::say("All done."),
    ];
    let script = Script::new(Matcher::message("Greet the world").only(Api::Gemini), turns);
    let server = ModelServer::start_blocking(vec![script]);
    let project = Project::new(&[("greet.txt", "hello\n")]);
    let home = LoopbackHome::new(&project.home(), &server.base_url());
    let output = Command::new(program)
        .args(["-o", "stream-json", "--approval-mode", "yolo", "-m", GEMINI_MODEL])
        .args(["-p", "Greet the world"])
        .current_dir(project.repo())
        .env_clear()
        .envs(home.env(Cli::Gemini).unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("All done."), "{said}");
    let seen = std::fs::read_to_string(project.repo().join("seen.txt")).unwrap();
    assert_eq!(seen, "hello world\n");
    assert!(server.unmatched().is_empty(), "{:?}", server.unmatched());
}

/// A project, the model server, and an opencode that knows no other.
struct Stage {
    project: Project,
    server: ModelServer,
}

impl Stage {
    /// `None`, with a word on the output, where opencode is not installed.
    fn new(story: &str, scripts: Vec<Script>) -> Option<Self> {
        Self::with_review(story, "off", scripts)
    }

    fn with_review(story: &str, review: &str, scripts: Vec<Script>) -> Option<Self> {
        let program = match Cli::Opencode.locate() {
            Located::Found { path, .. } => path,
            Located::Missing { why } => {
                let required = std::env::var_os(REQUIRED).is_some_and(|v| !v.is_empty());
                assert!(!required, "{why}");
                println!("skipped: {story}: {why}");
                return None;
            }
        };
        let project = Project::new(&[
            ("greet.txt", "hello\n"),
            (
                "turno.toml",
                "policy = \"single\"\n[checks.test]\ncommand = \"grep -q world greet.txt\"\n",
            ),
            (
                ".turno/policies/single.toml",
                &format!("review = \"{review}\"\n[rows.agent]\ntries = 1\nwait = \"200ms\"\n"),
            ),
        ]);
        let server = ModelServer::start_blocking(scripts);
        let env = LoopbackHome::new(&project.home(), &server.base_url())
            .env(Cli::Opencode)
            .unwrap();
        // JSON's strings are TOML's.
        let mut config = format!(
            "[agents.opencode]\ndialect = \"opencode\"\nprogram = {}\n[agents.opencode.env]\n",
            json!(program)
        );
        for (name, value) in &env {
            writeln!(config, "{name} = {}", json!(value)).unwrap();
        }
        project.configure(&config);
        Some(Self { project, server })
    }

    fn run(&self) -> Done {
        self.project.issue("Greet the world");
        self.ends_as_scripted(self.project.turno(&["run", "1", "--agent", "opencode"]))
    }

    /// Shows a shift, and holds it against the server: no request was a surprise.
    fn ends_as_scripted(&self, done: Done) -> Done {
        println!("{}\n{}\n{}", done.out, done.err, self.explain());
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
        self.project.turno(&["explain", "1.1"]).out
    }

    /// The model requests that a script answered, oldest first.
    fn requests(&self) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|r| r.script.as_deref().is_some_and(|s| s != ASIDE));
        requests
    }
}

fn change(summary: &str) -> Value {
    json!({"summary": summary, "evidence": ["looked at it"], "open_questions": []})
}

fn engineer(words: &str, turns: impl IntoIterator<Item = Turn>) -> Script {
    Script::new(Matcher::message(words).only(Api::Chat), turns)
}

#[test]
fn opencode_does_a_task_from_the_first_word_to_the_landing() {
    let scripts = vec![engineer(
        "The task is new",
        [
            Turn::say("I look around.").then(Action::Read("greet.txt".to_owned())),
            Turn::edit("greet.txt", "hello", "hello world"),
            Turn::write("note.txt", "noted\n"),
            Turn::bash("cp greet.txt seen.txt && echo $TURNO_TASK"),
            Turn::structured(change("greets the world")),
        ],
    )];
    let Some(stage) = Stage::new("opencode", scripts) else {
        return;
    };
    stage.run().exits(0);
    let project = &stage.project;
    for (file, text) in [
        ("greet.txt", "hello world"),
        ("note.txt", "noted"),
        ("seen.txt", "hello world"),
    ] {
        assert_eq!(project.at("turno/1/base", file), text);
    }
    let requests = stage.requests();
    let opening = requests[0].body["messages"][0].to_string();
    for part in ["You are an engineer", "```json"] {
        assert!(opening.contains(part), "{part} is missing in {opening}");
    }
    assert!(
        requests.iter().all(|r| r.session == requests[0].session),
        "one session"
    );
    let status = project.turno(&["status", "--json"]).exits(0).json();
    // Five answers of 100 and 20 tokens, at the price of opencode's own configuration.
    assert_eq!(status["shift"]["spent"], 5 * (100 + 200));
    let log = project.turno(&["log", "a1"]).exits(0).out;
    for part in ["I look around.", "bash: cp greet.txt seen.txt", "completed: edit"] {
        assert!(log.contains(part), "{part} is missing in {log}");
    }
    nothing_runs(project);
}

/// A reviewer is not even offered what writes.
#[test]
fn opencode_reviews_without_a_tool_that_writes() {
    let approval = json!({"verdict": "approve", "findings": [], "read": ["greet.txt"]});
    let scripts = vec![
        engineer(
            "The task is new",
            [
                Turn::edit("greet.txt", "hello", "hello world"),
                Turn::structured(change("greets the world")),
            ],
        ),
        engineer(
            "# Review of task 1.1",
            [Turn::bash("git diff HEAD~1 --stat"), Turn::structured(approval)],
        ),
    ];
    let Some(stage) = Stage::with_review("opencode reviews", "required", scripts) else {
        return;
    };
    stage.run().exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    for request in stage.requests() {
        let reviews = request.message.contains("# Review of task");
        let offered = request.body["tools"].to_string();
        for tool in ["\"edit\"", "\"write\""] {
            assert_eq!(offered.contains(tool), !reviews, "{tool} in {offered}");
        }
        assert!(offered.contains("\"bash\""), "{offered}");
    }
}

#[test]
fn an_answer_without_an_outcome_is_mended_in_the_same_session() {
    let scripts = vec![
        engineer(
            "your final answer cannot be used",
            [Turn::structured(change("greets the world"))],
        ),
        engineer(
            "The task is new",
            [Turn::write("greet.txt", "hello world\n"), Turn::say("All done.")],
        ),
    ];
    let Some(stage) = Stage::new("opencode mends its outcome", scripts) else {
        return;
    };
    stage.run().exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    let requests = stage.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].session, requests[0].session);
    let said = requests[2].body["messages"].to_string();
    for part in ["The task is new", "All done.", "no JSON object"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

#[test]
fn a_refused_key_of_opencode_is_a_sign_in() {
    let refused = Turn::status(401, "authentication_error", "invalid api key");
    let scripts = vec![engineer("The task is new", [refused])];
    let Some(stage) = Stage::new("opencode and a refused key", scripts) else {
        return;
    };
    let done = stage.run().exits(1);
    assert!(done.out.contains("signed in"), "{}", done.out);
    assert_eq!(stage.requests().len(), 1, "it is not tried again");
    nothing_runs(&stage.project);
}

/// An event of more than four megabytes is not read; what it said is asked for again.
#[test]
fn an_event_too_large_to_read_costs_a_repair_turn_and_no_more() {
    let scripts = vec![
        engineer(
            "your final answer cannot be used",
            [Turn::structured(change("greets the world"))],
        ),
        engineer(
            "The task is new",
            [
                Turn::write("greet.txt", "hello world\n"),
                Turn::say("x".repeat(5 << 20)).then(Action::Structured(change("never read"))),
            ],
        ),
    ];
    let Some(stage) = Stage::new("opencode and a huge event", scripts) else {
        return;
    };
    stage.run().exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(stage.requests().len(), 3);
}

/// What the server of opencode answers to another process of this machine.
fn spoken_to_by_another(address: &str, authorization: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        format!("GET /session HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// The server listens where every user of the machine can knock. When it dies, the attempt says so, and the next one
/// goes on with its session.
#[test]
fn only_turno_can_speak_to_the_server_and_its_death_is_not_the_end() {
    let scripts = vec![
        engineer(
            "ended early",
            [
                Turn::edit("greet.txt", "hello", "hello world"),
                Turn::structured(change("greets the world")),
            ],
        ),
        engineer(
            "The task is new",
            [Turn::bash("echo $PPID >> \"$HOME/shared/pids\"; sleep 300")],
        ),
    ];
    let Some(mut stage) = Stage::new("opencode and its server", scripts) else {
        return;
    };
    // From outside of a sandbox the server cannot even be spoken to.
    stage.project = stage.project.unconfined();
    let project = &stage.project;
    project.issue("Greet the world");
    let run = project.start(&["run", "1", "--agent", "opencode"]);
    until_recorded(project, 1);
    let log = project.turno(&["log", "a1"]).exits(0).out;
    let address = log
        .split_once("listening on http://")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no address in {log}"));
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    for authorization in ["", "authorization: Basic b3BlbmNvZGU6\r\n"] {
        let answer = spoken_to_by_another(address, authorization);
        assert!(answer.contains(" 401 "), "{answer}");
    }
    let server = recorded(project)[0];
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    stage.ends_as_scripted(ended(project, run)).exits(0);
    let told = stage.explain();
    assert!(told.contains("the server ended with signal: 9"), "{told}");
    nothing_runs(project);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    let requests = stage.requests();
    assert!(
        requests.iter().all(|r| r.session == requests[0].session),
        "one session"
    );
    let said = requests[1].body["messages"].to_string();
    assert!(
        said.contains("The task is new") && said.contains("ended early"),
        "{said}"
    );
}

#[test]
fn stop_ends_opencode_with_its_server_and_its_shells() {
    let scripts = vec![engineer(
        "The task is new",
        [
            Turn::write("work.txt", "half done\n"),
            Turn::bash(
                "setsid sleep 300 >/dev/null 2>&1 & echo $! >> \"$HOME/shared/pids\"; echo $$ >> \"$HOME/shared/pids\"; sleep 300",
            ),
        ],
    )];
    let Some(stage) = Stage::new("opencode and stop", scripts) else {
        return;
    };
    let project = &stage.project;
    project.issue("Greet the world");
    let run = project.start(&["run", "1", "--agent", "opencode"]);
    until_recorded(project, 2);
    project.turno(&["stop"]).exits(0);
    stage.ends_as_scripted(ended(project, run)).exits(130);
    nothing_runs(project);
    assert!(kept(project, "work.txt", "half done"));
}
