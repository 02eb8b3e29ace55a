//! `turno top` and the display of `turno run` as people see them: in a real terminal, at two sizes, while a shift runs
//! beside it; with the keyboard a question is answered there and the shift goes on.

use nix::sys::signal::Signal;

use crate::harness::processes::{alive, ended, until};
use crate::harness::project::Project;
use crate::harness::scripted::scripted;
use crate::harness::tmux::{Tmux, is_there, matches};

/// One asks and is answered; the other says something when the story is ready to hear it, and waits for its word.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "Ask*"
    resumed: true
    steps:
      - run: 'printf "%s\n" "$TURNO_ANSWER" > answer.txt'
      - outcome: {summary: it is as you said}
  - task: "Ask*"
    steps:
      - write: {path: begun.txt, text: "begun\n"}
      - ask:
          question: "Tabs or \e[31mspaces\u202e?"
          options: [tabs, {label: spaces, detail: four of them}]
          recommended: spaces
      - outcome: {summary: answered}
  - steps:
      - run: 'until [ -e "$HOME/shared/listening" ]; do sleep 0.05; done'
      - run: "true '\e[2J漢字'; until [ -e ~/shared/go ]; do sleep 0.05; done"
      - write: {path: other.txt, text: "other\n"}
      - outcome: {summary: it is done}
"#;

fn project() -> Project {
    let project = scripted(1, SCRIPT);
    project.issue("Ask how to indent");
    project.issue("Count the words of the novel");
    project
}

fn watched(columns: u16, lines: u16, leave: &str) {
    if !is_there() {
        return;
    }
    let size = (columns, lines);
    let name = |what: &str| format!("{what}-{columns}x{lines}.txt");
    let project = project();
    let top = Tmux::turno(&project, "top", size, "top");
    top.shows(&["no shift has run here yet", "Count the words"]);
    let run = Tmux::turno(&project, "run", size, "run 1 2");
    top.shows(&["questions for you: 1", "writing"]);
    run.shows(&["turno answer d1", "writing"]);
    project.raise("listening");
    top.shows(&["run `true", "[2J漢字"]);
    matches(&name("top"), || top.screen());
    // What the machine is warned of comes before, and differs.
    run.shows(&["run `true"]);
    matches(&name("run"), || {
        let told = run.screen();
        told.split_at(told.find("shift started").unwrap())
            .1
            .trim_end()
            .to_owned()
    });

    top.keys(&["a"]);
    top.keys(&["2"]);
    top.shows(&["Enter answers: spaces"]);
    matches(&name("top-answer"), || top.screen());
    top.keys(&["Enter"]);
    top.shows(&["d1 is answered: spaces"]);
    project.raise("go");
    run.shows(&["LEFT 0"]);
    top.shows(&["is over: all landed"]);
    assert_eq!(project.at("turno/1/base", "answer.txt"), "spaces");

    // The task's own story, to its end and back.
    top.keys(&["g", "j", "Enter"]);
    top.shows(&["why", "Ask how to indent", "changed: "]);
    top.keys(&["Escape"]);
    top.shows(&["what happened"]);
    top.keys(&["o"]);
    top.shows(&["+spaces"]);
    top.keys(&["Escape"]);
    top.shows(&["what happened"]);
    top.keys(&[leave]);
    let left = top.shows(&["LEFT 0", "icanon"]);
    assert!(
        left.lines().any(|l| l == "icanon"),
        "the terminal is as it was: {left}"
    );
    assert!(!left.contains("what happened"), "its screen is gone: {left}");
    drop((top, run));
    until("nothing runs", || alive(&project).is_empty());
}

#[test]
fn a_shift_is_watched_and_a_question_answered_at_80_by_24() {
    watched(80, 24, "q");
}

#[test]
fn a_shift_is_watched_and_a_question_answered_at_200_by_50() {
    watched(200, 50, "C-c");
}

#[test]
fn it_is_stopped_from_the_screen_and_a_signal_gives_the_terminal_back() {
    if !is_there() {
        return;
    }
    let project = project();
    let child = project.start(&["run", "2"]);
    let top = Tmux::turno(&project, "top", (80, 24), "top");
    top.shows(&["running", "writing"]);
    top.resize(140, 30);
    top.shows(&["issues and tasks", "── ─ what happened"]);
    top.keys(&["S"]);
    top.shows(&["Stop the shift now?"]);
    top.keys(&["n"]);
    top.keys(&["S"]);
    top.keys(&["y"]);
    ended(&project, child).exits(130);
    top.shows(&["is over: interrupted"]);
    top.signal(Signal::SIGTERM);
    let left = top.shows(&["LEFT 130", "icanon"]);
    assert!(
        left.lines().any(|l| l == "icanon"),
        "the terminal is as it was: {left}"
    );
    drop(top);
    until("nothing runs", || alive(&project).is_empty());
}

#[test]
fn without_a_terminal_it_says_what_to_do_and_prints_a_frame_when_asked() {
    let project = project();
    let refused = project.turno(&["top"]).exits(2);
    assert!(refused.err.contains("needs a terminal"), "{}", refused.err);
    for wrong in ["80", "80x", "0x0", "9999x9999", "x"] {
        project.turno(&["top", "--once", "--size", wrong]).exits(2);
    }
    let once = project.turno(&["top", "--once", "--size", "100x30"]).exits(0).out;
    assert_eq!(once.lines().count(), 30, "{once}");
    assert!(once.contains("Count the words of the novel"), "{once}");
    let empty = scripted(1, SCRIPT);
    let once = empty.turno(&["top", "--once"]).exits(0).out;
    assert!(once.contains("no shift has run here yet"), "{once}");
    assert!(once.contains("file one with"), "{once}");
}
