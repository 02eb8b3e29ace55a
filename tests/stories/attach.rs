//! `turno attach` as people use it: at a real terminal, beside a shift that holds off, alone, and after those who were
//! killed. What they leave is checked, reviewed and landed like any other candidate.

use nix::sys::signal::Signal;

use crate::harness::processes::{alive, until};
use crate::harness::project::Project;
use crate::harness::tmux::{Tmux, is_there};

const CONFIG: &str = r#"
policy = "single"
slots = 2
[checks.test]
command = "test -e agent.txt || test -e hand.txt"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The writer of the first task stays at work until it is stopped; whoever reviews approves of a person's work alone.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Stuck*"
    steps:
      - write: {path: begun.txt, text: "begun by the agent\n"}
      - run: 'touch "$HOME/shared/at-work"; until [ -e "$HOME/shared/never" ]; do sleep 0.05; done'
      - outcome: {summary: it is never done}
  - task: "Easy*"
    steps:
      - run: 'until [ -e "$HOME/shared/go" ]; do sleep 0.05; done'
      - write: {path: agent.txt, text: "by the agent\n"}
      - outcome: {summary: it is done}
  - steps:
      - write: {path: agent.txt, text: "by the agent\n"}
      - outcome: {summary: it is done}
"#;

const SIZE: (u16, u16) = (120, 40);

fn project() -> Project {
    let files = [("turno.toml", CONFIG), ("script.yaml", SCRIPT)];
    Project::new(&files)
        .env("TURNO_AGENT", "actor")
        .env("SHELL", "/bin/sh")
}

/// Types a line into a terminal.
fn types(terminal: &Tmux, line: &str) {
    terminal.keys(&["-l", line]);
    terminal.keys(&["Enter"]);
}

fn events(project: &Project, kind: &str) -> usize {
    let records = project.journal();
    records.iter().filter(|r| r["event"].get(kind).is_some()).count()
}

#[test]
fn a_person_takes_a_task_from_its_agent_and_what_they_leave_lands() {
    if !is_there() {
        return;
    }
    let project = project();
    project.issue("Stuck on something");
    project.issue("Easy");
    let run = Tmux::turno(&project, "run", SIZE, "run 1 2");
    until("the agent is at work", || {
        project.shared().join("at-work").exists()
    });

    // A question first: whoever says no has stopped nothing.
    let no = Tmux::turno(&project, "no", SIZE, "attach 1.1");
    no.shows(&["runs for task 1.1", "[y/N]"]);
    types(&no, "n");
    no.shows(&["nothing was done", "LEFT 2"]);
    assert_eq!(events(&project, "task-taken"), 0);

    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1 --now");
    person.shows(&["is opened in slot s500", "not metered by turno"]);
    types(&person, "cat begun.txt; pwd; echo ready-$((40 + 2))");
    person.shows(&["begun by the agent", "ready-42"]);
    assert!(person.screen().contains("slots/500"), "{}", person.screen());

    // Others go on, nothing is started for this one, and everybody is told why.
    let status = project.turno(&["status"]).exits(0).out;
    assert!(status.contains("you are attached"), "{status}");
    let second = Tmux::turno(&project, "second", SIZE, "attach 1.1 --now");
    second.shows(&["somebody is attached to task 1.1 already", "LEFT 2"]);
    // Ctrl-C is the program's, not turno's.
    types(&person, "sh -c 'echo asleep-$((40 + 3)); exec sleep 600'");
    person.shows(&["asleep-43"]);
    person.keys(&["C-c"]);
    person.shows(&["^C"]);
    types(&person, "echo by hand > hand.txt; exit");
    person.shows(&["task 1.1: its candidate is", "LEFT 0"]);
    until("it lands while the other is at work", || {
        project.turno(&["status"]).out.contains("landed as")
    });
    std::fs::write(project.shared().join("go"), "").unwrap();

    run.shows(&["LEFT 0"]);
    assert_eq!(project.at("turno/1/base", "hand.txt"), "by hand");
    assert_eq!(project.at("turno/2/base", "agent.txt"), "by the agent");
    assert_eq!(project.at("turno/1/base", "begun.txt"), "begun by the agent");
    let why = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(why.contains("a person attached to task 1.1"), "{why}");
    assert!(why.contains("was not metered"), "{why}");
    let log = project.turno(&["log"]).exits(0).out;
    assert!(
        !log.contains("the repository changed"),
        "nobody is blamed for it: {log}"
    );
    project.ledger_adds_up();
    drop((run, person, no, second));
    until("nothing runs", || alive(&project).is_empty());
}

#[test]
fn alone_a_person_works_on_and_keeps_it_aside_until_they_give_it_back() {
    if !is_there() {
        return;
    }
    let project = project();
    project.issue("Stuck on something");
    let run = Tmux::turno(&project, "run", SIZE, "run 1");
    until("the agent is at work", || {
        project.shared().join("at-work").exists()
    });
    project.turno(&["stop"]).exits(0);
    run.shows(&["LEFT 130"]);

    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1 --park");
    person.shows(&["is opened in slot"]);
    types(&person, "echo by hand > hand.txt; exit");
    person.shows(&["it is kept aside", "LEFT 0"]);
    // A shift that finds it so does nothing for it, and says why.
    let done = project.turno(&["run", "1"]).exits(1);
    assert!(
        format!("{}{}", done.out, done.err).contains("you keep it aside"),
        "{done:?}"
    );
    project.turno(&["attach", "1.1", "--release"]).exits(0);
    project.turno(&["attach", "1.1", "--release"]).exits(2);
    project.turno(&["run", "1"]).exits(0);
    assert_eq!(project.at("turno/1/base", "hand.txt"), "by hand");
}

#[test]
fn whoever_is_killed_leaves_their_work_to_the_next() {
    if !is_there() {
        return;
    }
    let project = project();
    project.issue("Stuck on something");
    let run = Tmux::turno(&project, "run", SIZE, "run 1");
    until("the agent is at work", || {
        project.shared().join("at-work").exists()
    });
    project.turno(&["stop"]).exits(0);
    run.shows(&["LEFT 130"]);
    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1");
    person.shows(&["is opened in slot"]);
    types(&person, "echo by hand > hand.txt; echo written-$((40 + 2))");
    person.shows(&["written-42"]);
    person.signal(Signal::SIGKILL);
    person.shows(&["LEFT 137"]);

    let again = Tmux::turno(&project, "again", SIZE, "attach 1.1");
    again.shows(&["what they left is kept first", "is opened in slot"]);
    types(&again, "cat hand.txt; exit");
    again.shows(&["by hand", "nothing is changed", "LEFT 0"]);
    assert!(project.turno(&["log"]).exits(0).out.contains("was gone"));
}

#[test]
fn a_coordinator_may_die_and_another_come_while_a_person_works() {
    if !is_there() {
        return;
    }
    let project = project();
    project.issue("Stuck on something");
    let run = Tmux::turno(&project, "run", SIZE, "run 1");
    until("the agent is at work", || {
        project.shared().join("at-work").exists()
    });
    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1 --now");
    person.shows(&["is opened in slot"]);
    run.signal(Signal::SIGKILL);
    run.shows(&["LEFT 137"]);
    types(&person, "echo by hand > hand.txt; echo written-$((40 + 2))");
    person.shows(&["written-42"]);
    let next = Tmux::turno(&project, "next", SIZE, "resume");
    next.shows(&["the coordinator began again"]);
    assert!(
        project
            .turno(&["status"])
            .exits(0)
            .out
            .contains("you are attached")
    );
    types(&person, "exit");
    person.shows(&["its candidate is", "LEFT 0"]);
    next.shows(&["LEFT 0"]);
    assert_eq!(project.at("turno/1/base", "hand.txt"), "by hand");
}

#[test]
fn what_cannot_be_attached_to_is_said() {
    let project = project();
    project.issue("Easy");
    std::fs::write(project.shared().join("go"), "").unwrap();
    let unknown = project.turno(&["attach", "1.1"]).exits(2);
    assert!(unknown.err.contains("there is no task 1.1"), "{unknown:?}");
    project.turno(&["run", "1"]).exits(0);
    let none = project.turno(&["attach", "1.1"]).exits(2);
    assert!(none.err.contains("your terminal"), "{none:?}");
    if is_there() {
        let landed = Tmux::turno(&project, "landed", SIZE, "attach 1.1");
        landed.shows(&["it has landed", "LEFT 2"]);
    }
}

/// What a person's agent may use of the machine is what the task's attempts may.
#[test]
fn an_agent_that_a_person_has_open_is_held_to_the_limits_of_an_attempt() {
    if !is_there() {
        return;
    }
    let limits = format!("{CONFIG}[limits]\nfiles = 2000\n");
    let project = Project::new(&[("turno.toml", &limits), ("script.yaml", SCRIPT)])
        .env("TURNO_AGENT", "actor")
        .env("SHELL", "/bin/sh");
    project.issue("Stuck on something");
    let run = Tmux::turno(&project, "run", SIZE, "run 1");
    until("the agent is at work", || {
        project.shared().join("at-work").exists()
    });
    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1 --now");
    person.shows(&["is opened in slot"]);
    run.shows(&["1.1  you are attached"]);
    types(&person, "echo by hand > hand.txt; mkdir many; cd many");
    types(
        &person,
        "n=0; while [ $n -lt 3000 ]; do : > $n; n=$((n+1)); done; sleep 600",
    );
    person.shows(&["the agent was ended", "more than its 2000 files"]);
    // Nobody has said that it is what they wanted to leave.
    person.shows(&["its candidate is", "it is kept aside", "LEFT 0"]);
    run.shows(&["LEFT 1"]);
    drop((run, person));
    until("nothing runs", || alive(&project).is_empty());
}
