//! The coordinator dies while a real agent CLI is in the middle of its turn. The CLI works on, and the next coordinator
//! takes up what it did: nothing is asked of the model twice.

use nix::sys::signal::Signal;
use rstest::rstest;

use super::real_agents::{ENGINEER, Stage, approval, change, engineer, reviewer};
use crate::harness::model_server::{Api, Turn};
use crate::harness::processes::{ended, nothing_runs, signal, until, until_recorded};
use crate::harness::real_cli::Cli;

/// When the next coordinator comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// While the agent is still in its turn.
    Soon,
    /// When the agent has said all it has to say.
    Late,
}

/// What shows in a transcript that a turn is over.
fn over(cli: Cli) -> &'static str {
    match cli {
        Cli::Codex => "turn/completed",
        _ => "\"type\":\"result\"",
    }
}

#[rstest]
#[case::claude_soon(Cli::Claude, Api::Messages, Comes::Soon)]
#[case::claude_late(Cli::Claude, Api::Messages, Comes::Late)]
#[case::codex_soon(Cli::Codex, Api::Responses, Comes::Soon)]
#[case::codex_late(Cli::Codex, Api::Responses, Comes::Late)]
fn a_real_agent_works_on_when_its_coordinator_is_killed(
    #[case] cli: Cli,
    #[case] api: Api,
    #[case] comes: Comes,
) {
    let scripts = vec![
        engineer(
            api,
            "The task is new",
            [
                Turn::bash("echo $$ >> \"$HOME/shared/pids\"; sleep 2; cp greet.txt seen.txt"),
                Turn::edit("greet.txt", "hello", "hello world"),
                change("greets the world"),
            ],
        ),
        reviewer(api, "# Review of task 1.1", [approval()]),
    ];
    let Some(stage) = Stage::new("a killed coordinator", &[cli], scripts) else {
        return;
    };
    let project = &stage.project;
    project.issue("Greet the world");
    let verb = ["run", "1", "--agent", cli.name()];
    let run = project.start(&verb);
    until_recorded(project, 1);
    signal(&run, Signal::SIGKILL);
    project.wait(run);
    if comes == Comes::Late {
        until("its turn is over", || {
            std::fs::read_to_string(project.state().join("attempts/a1/out"))
                .is_ok_and(|said| said.contains(over(cli)))
        });
    }
    let run = project.start(&verb);
    let done = stage.ends_as_scripted(ended(project, run)).exits(0);
    assert!(done.err.contains("1 agent(s) have worked on"), "{}", done.err);
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "seen.txt"), "hello");
    assert_eq!(stage.sessions(ENGINEER).len(), 1);
    assert_eq!(
        stage.requests(ENGINEER).len(),
        3,
        "nothing was asked of the model twice"
    );
    nothing_runs(project);
    let spent: Vec<u64> = project
        .journal()
        .iter()
        .filter_map(|r| r["event"]["agent-ended"]["spend"]["cost"].as_u64())
        .collect();
    assert!(
        spent.iter().all(|cost| *cost > 0),
        "what it spent is booked: {spent:?}"
    );
}
