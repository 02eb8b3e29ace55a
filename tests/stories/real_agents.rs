//! Shifts with the real agent CLIs, `claude` and `codex`, against the scripted model server on loopback. What is
//! proven here is what scripted agents cannot prove: sessions that are resumed, tools that run in a slot, money
//! that is counted, and processes that are ended.

mod stage;

pub(super) use self::stage::{ENGINEER, Stage, approval, change, engineer, reviewer};
use self::stage::{REVIEWER, finding};
use crate::harness::model_server::{Api, Turn, Usage};
use crate::harness::processes::{ended, kept, nothing_runs, until_recorded};
use crate::harness::real_cli::Cli;

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
    assert_eq!(
        engineers.len(),
        1,
        "the second attempt goes on with the session: {engineers:?}"
    );
    assert_ne!(stage.sessions(REVIEWER), engineers);
    let said = stage.requests(ENGINEER).pop().unwrap().body["messages"].to_string();
    for part in ["The task is new", "seen.txt", "did not pass the project's checks"] {
        assert!(said.contains(part), "{part} is not in the resumed conversation");
    }
    let told = stage.explain();
    for part in ["test failed", "approved", "landed as"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    let log = project.turno(&["log", "a1"]).exits(0).out;
    for part in ["# Task 1.1", "Bash: cp greet.txt seen.txt", "Bash done"] {
        assert!(log.contains(part), "{part} is missing in {log}");
    }
    assert!(!log.contains("stream_event"), "words, not the wire: {log}");
}

/// With these words an agent is asked to commit what it left.
const UNCOMMITTED: &str = "Something in your worktree is not committed";

/// One task of claude's, with a reviewer who approves.
fn alone(story: &str, turns: impl IntoIterator<Item = Turn>) -> Option<Stage> {
    let scripts = vec![
        engineer(Api::Messages, "The task is new", turns),
        reviewer(Api::Messages, "# Review of task 1.1", [approval()]),
    ];
    let stage = Stage::new(story, &[Cli::Claude], scripts)?;
    stage.run(&["--agent", "claude"]).exits(0);
    Some(stage)
}

/// It leaves with an outcome, or with words; both ways it is told, and the second time it goes.
#[rstest::rstest]
#[case("the dirty outcome", change("a first word"))]
#[case("the dirty words", Turn::say("All done."))]
fn claude_is_told_once_what_it_did_not_commit(#[case] story: &str, #[case] leaves: Turn) {
    let turns = [
        Turn::edit("greet.txt", "hello", "hello world"),
        Turn::write("note.txt", "noted\n"),
        leaves,
        change("greets, and leaves the rest"),
    ];
    let Some(stage) = alone(story, turns) else {
        return;
    };
    let asked: Vec<usize> = stage
        .requests(ENGINEER)
        .iter()
        .map(|r| r.body["messages"].to_string().matches(UNCOMMITTED).count())
        .collect();
    assert_eq!(asked, [0, 0, 0, 1], "how often it was told, by request");
    let told = stage.requests(ENGINEER).pop().unwrap().body["messages"].to_string();
    assert!(
        told.contains(r"- greet.txt\n- note.txt\nCommit what belongs"),
        "{told}"
    );
    let project = &stage.project;
    assert_eq!(project.at("turno/1/base", "note.txt"), "noted");
    let log = project.git(&["log", "--format=%an: %s", "main..turno/1/base"]);
    assert_eq!(
        log, "Turno: greets, and leaves the rest",
        "what was left is committed by Turno"
    );
}

#[test]
fn claude_that_has_committed_everything_is_not_disturbed() {
    let turns = [
        Turn::edit("greet.txt", "hello", "hello world"),
        Turn::bash("git commit -qam 'Greet the world'; git status --short"),
        change("greets"),
    ];
    let Some(stage) = alone("the clean stop", turns) else {
        return;
    };
    let requests = stage.requests(ENGINEER);
    assert_eq!(requests.len(), 3, "nothing was asked again");
    let said = requests[2].body["messages"].to_string();
    assert!(!said.contains(UNCOMMITTED), "{said}");
    let log = stage.project.git(&["log", "--format=%s", "main..turno/1/base"]);
    assert_eq!(log, "Greet the world");
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
            [
                Turn::edit("greet.txt", "world", "world!"),
                change("adds the mark"),
            ],
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
    assert_eq!(
        stage.sessions(ENGINEER).len(),
        1,
        "claude went on with its session"
    );
    assert_eq!(stage.sessions(REVIEWER).len(), 2, "codex looked with fresh eyes");
    let answered = stage.requests(ENGINEER).pop().unwrap();
    assert!(
        answered.message.contains("the exclamation mark is missing"),
        "{}",
        answered.message
    );
    let told = stage.explain();
    for part in [
        "1 finding(s)",
        "the exclamation mark is missing",
        "approved",
        "landed as",
    ] {
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
    let said = stage.requests(ENGINEER).pop().unwrap().body["input"].to_string();
    assert!(
        said.contains("Read-only file system"),
        "git was read-only: {said}"
    );
    assert!(said.contains("commit: 128"), "{said}");
    assert_eq!(project.git(&["rev-list", "--count", "main..turno/1/base"]), "1");
    let message = project.git(&["log", "-1", "--format=%an%n%B", "turno/1/base"]);
    for part in [
        "Turno",
        "greets the world",
        "Turno-Task: 1.1",
        "Turno-Persona: engineer",
    ] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
}

/// Both end with words where an outcome is due: claude sees to it itself, codex is asked again by Turno.
#[test]
fn claude_and_codex_work_side_by_side() {
    let writes = |api, file: &str, more: Option<Turn>| {
        let mut turns = vec![
            Turn::write(file, "hello world\n"),
            Turn::bash("sleep 1; ls *.txt"),
            Turn::say("All done."),
        ];
        turns.extend(more);
        engineer(api, &format!("Greet in {file}"), turns)
    };
    let scripts = vec![
        engineer(
            Api::Responses,
            "your final answer cannot be used",
            [change("greets")],
        ),
        writes(Api::Responses, "one.txt", None),
        writes(Api::Messages, "one.txt", Some(change("greets"))),
        writes(Api::Responses, "two.txt", None),
        writes(Api::Messages, "two.txt", Some(change("greets"))),
        reviewer(Api::Responses, "# Review of task", [approval()]),
        reviewer(Api::Messages, "# Review of task", [approval()]),
    ];
    let clis = [Cli::Claude, Cli::Codex];
    let Some(stage) = Stage::new("side by side", &clis, scripts) else {
        return;
    };
    let project = &stage.project;
    let config = "policy = \"single\"\n[checks.test]\ncommand = \"cat *.txt\"\n\
                  [agents.claude]\nat_once = 1\n[agents.codex]\nat_once = 1\n";
    project.write(&[("turno.toml", config)]);
    project.issue("Greet in one.txt");
    project.issue("Greet in two.txt");
    stage.ends_as_scripted(project.turno(&["run", "1", "2"])).exits(0);
    assert_eq!(project.at("turno/1/base", "one.txt"), "hello world");
    assert_eq!(project.at("turno/2/base", "two.txt"), "hello world");
    let writers = stage.requests(ENGINEER);
    for path in ["/v1/messages", "/v1/responses"] {
        assert!(writers.iter().any(|r| r.path == path), "{path} was not asked");
    }
    assert_eq!(stage.sessions("You are").len(), 4, "nobody shares a session");
}

#[test]
fn the_budget_ends_claude_with_everything_it_started() {
    let dear = Usage {
        output: 5_000,
        ..Usage::default()
    };
    let mut turns = vec![
        Turn::write("work.txt", "half done\n"),
        Turn::bash("setsid sleep 300 >/dev/null 2>&1 & echo $! >> \"$HOME/shared/pids\""),
    ];
    // At 25 dollars for a million tokens each of these costs an eighth of a dollar.
    turns.extend((0..8).map(|_| Turn::bash("sleep 1; echo").usage(dear)));
    turns.push(change("too late"));
    let scripts = vec![
        engineer(Api::Messages, "The task is new", turns),
        engineer(
            Api::Messages,
            "ended early",
            [
                Turn::bash("cat work.txt"),
                Turn::edit("greet.txt", "hello", "hello world"),
                change("greets"),
            ],
        ),
        reviewer(Api::Messages, "# Review of task 1.1", [approval()]),
    ];
    let Some(stage) = Stage::new("the budget", &[Cli::Claude], scripts) else {
        return;
    };
    let project = &stage.project;
    let done = stage.run(&["--agent", "claude", "--budget", "0.50"]).exits(3);
    assert!(done.out.contains("stopped by the budget"), "{}", done.out);
    nothing_runs(project);
    let status = project.turno(&["status", "--json"]).exits(0).json();
    let spent = status["shift"]["spent"].as_u64().unwrap();
    assert!(
        (500_000..=625_500).contains(&spent),
        "the budget and one message: {spent}"
    );
    let kept = project.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/turno"]);
    assert!(
        kept.lines().any(|b| project.at(b, "work.txt") == "half done"),
        "{kept}"
    );

    // With more money the next shift goes on where this one was cut off, in the same session.
    let more = project.turno(&["run", "1", "--agent", "claude"]);
    stage.ends_as_scripted(more).exits(0);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "work.txt"), "half done");
    assert_eq!(stage.sessions(ENGINEER).len(), 1);
}

#[test]
fn a_refused_key_parks_the_task_and_says_so() {
    let refused = Turn::status(401, "authentication_error", "invalid x-api-key");
    let scripts = vec![engineer(Api::Messages, "The task is new", [refused])];
    let Some(stage) = Stage::new("a refused key", &[Cli::Claude], scripts) else {
        return;
    };
    let done = stage.run(&["--agent", "claude"]).exits(1);
    assert!(done.out.contains("signed in"), "{}", done.out);
    nothing_runs(&stage.project);
}

/// A provider that is down for the first attempt and well for the second.
fn provider_comes_back(story: &str, cli: Cli, down: Turn) {
    let api = match cli {
        Cli::Claude | Cli::ClaudeAcp => Api::Messages,
        Cli::Codex => Api::Responses,
        Cli::Opencode => Api::Chat,
        Cli::Gemini => Api::Gemini,
    };
    let scripts = vec![
        engineer(
            api,
            "ended early",
            [Turn::edit("greet.txt", "hello", "hello world"), change("greets")],
        ),
        engineer(api, "The task is new", [down]),
        reviewer(api, "# Review of task 1.1", [approval()]),
    ];
    let Some(stage) = Stage::new(story, &[cli], scripts) else {
        return;
    };
    stage.project.write(&[(
        ".turno/policies/single.toml",
        "[rows.provider]\ntries = 2\nwait = \"200ms\"\n",
    )]);
    stage.run(&["--agent", cli.name()]).exits(0);
    assert_eq!(stage.project.at("turno/1/base", "greet.txt"), "hello world");
    let told = stage.explain();
    assert!(told.contains("the provider failed or is overloaded"), "{told}");
}

#[test]
fn claude_goes_on_after_an_overloaded_provider() {
    provider_comes_back(
        "claude and 529",
        Cli::Claude,
        Turn::status(529, "overloaded_error", "Overloaded"),
    );
}

#[test]
fn codex_goes_on_after_a_failing_provider() {
    provider_comes_back(
        "codex and 500",
        Cli::Codex,
        Turn::status(500, "server_error", "the server had an error"),
    );
}

#[test]
fn stop_ends_claude_in_the_middle_of_a_command() {
    let scripts = vec![engineer(
        Api::Messages,
        "The task is new",
        [
            Turn::write("work.txt", "half done\n"),
            Turn::bash("echo $$ >> \"$HOME/shared/pids\"; sleep 300"),
        ],
    )];
    let Some(stage) = Stage::new("stop", &[Cli::Claude], scripts) else {
        return;
    };
    let project = &stage.project;
    project.issue("Greet the world");
    let run = project.start(&["run", "1", "--agent", "claude"]);
    until_recorded(project, 1);
    project.turno(&["stop"]).exits(0);
    stage.ends_as_scripted(ended(project, run)).exits(130);
    nothing_runs(project);
    assert!(kept(project, "work.txt", "half done"));
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert_eq!(status["free_slots"].as_array().unwrap().len(), 2);
}

/// The hook is called although the user's own settings allow the tool, and before anything is written.
#[test]
fn claude_is_refused_a_protected_path_before_it_writes() {
    let scripts = vec![
        engineer(
            Api::Messages,
            "The task is new",
            [
                Turn::write("ci/run", "weakened\n"),
                Turn::bash("ls ci 2>&1; echo listed"),
                Turn::edit("greet.txt", "hello", "hello world"),
                change("greets the world"),
            ],
        ),
        reviewer(Api::Messages, "# Review of task 1.1", [approval()]),
    ];
    let Some(stage) = Stage::new("a protected path", &[Cli::Claude], scripts) else {
        return;
    };
    let project = &stage.project;
    project.write(&[(".turno/policies/single.toml", "protected = [\"ci/**\"]\n")]);
    let settings = project.home().join(".claude/settings.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(
        settings,
        r#"{"permissions": {"allow": ["Write", "Edit", "Bash"]}}"#,
    )
    .unwrap();
    stage.run(&["--agent", "claude"]).exits(0);
    let said = stage.requests(ENGINEER).pop().unwrap().body["messages"].to_string();
    assert!(said.contains("ci/run is protected"), "{said}");
    assert!(
        said.contains("No such file") || said.contains("cannot access"),
        "{said}"
    );
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(
        project.git(&["diff", "--name-only", "main", "turno/1/base"]),
        "greet.txt"
    );
}
