//! `turno attach` with the real CLIs on a real terminal: the autopilot's attempt is stopped, the CLI's own screen goes on
//! with its conversation, the person says a word, the model acts on it, and what is left lands.

use super::stage::{PATIENCE, Stage, script};
use crate::harness::model_server::{Action, Api, Matcher, Script, Turn};
use crate::harness::processes::{alive, until, until_within};
use crate::harness::real_cli::Cli;
use crate::harness::tmux::{Tmux, is_there};

const SIZE: (u16, u16) = (120, 40);

const CONFIG: &str = "policy = \"single\"\n[checks.test]\ncommand = \"grep -q world greet.txt\"\n";

/// What the agent said before the person came.
const BEFORE: &str = "I look around first.";

/// What one is told that knows nothing of it.
const TOLD: &str = "who sits at this terminal";

/// A CLI's own screen, as a person uses it.
struct Screen {
    cli: Cli,
    api: Api,
    /// What it shows of the conversation when it is opened.
    remembers: &'static str,
    /// What it shows when words can be typed.
    ready: &'static str,
    /// What it asks before it edits a file, if it asks.
    asks: Option<&'static str>,
    leave: Leave,
}

/// How it is left.
enum Leave {
    /// By these words.
    Words(&'static str),
    /// By this key.
    Key(&'static str),
}

fn scripts(api: Api) -> Vec<Script> {
    let looks = Turn::say(BEFORE).then(Action::Bash("echo begun > begun.txt".to_owned()));
    let hand = [
        Turn::edit("greet.txt", "hello", "hello world"),
        Turn::say("It greets now."),
    ];
    vec![
        // Codex has its sessions named by the model, beside the conversation.
        Script::new(
            Matcher::message("Generate a concise, single-line task title").only(api),
            [Turn::say("Greet by hand")],
        )
        .every_message(),
        script(api, "The task is new", [looks, Turn::hang()]),
        Script::new(
            Matcher::message(TOLD).only(api),
            [Turn::say("I have looked at it.")],
        ),
        Script::new(Matcher::message("by hand please").only(api), hand),
    ]
}

/// Types words and sends them once they stand there: what comes at one go is taken for something pasted.
fn says(person: &Tmux, words: &str) {
    person.keys(&["-l", words]);
    person.shows_within(PATIENCE, &[words]);
    person.keys(&["Enter"]);
}

fn goes_on(story: &str, screen: &Screen) {
    if !is_there() {
        return;
    }
    let files = [
        ("greet.txt", "hello\n"),
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", "review = \"off\"\n"),
    ];
    let (cli, api) = (screen.cli, screen.api);
    let Some(stage) = Stage::new(story, &[cli], &files, scripts(api)) else {
        return;
    };
    stage.cast("engineer", cli);
    let project = &stage.project;
    project.issue("Greet the world");
    let run = Tmux::turno(project, "run", SIZE, "run 1");
    until_within(PATIENCE, "the agent is at work", || {
        stage.requests(api, "The task is new").len() > 1
    });

    let person = Tmux::turno(project, "person", SIZE, "attach 1.1 --now");
    person.shows_within(PATIENCE, &[screen.remembers, screen.ready]);
    says(&person, "by hand please");
    if let Some(question) = screen.asks {
        person.shows_within(PATIENCE, &[question]);
        person.keys(&["Enter"]);
    }
    person.shows_within(PATIENCE, &["It greets now.", screen.ready]);
    match screen.leave {
        Leave::Words(words) => says(&person, words),
        Leave::Key(key) => person.keys(&[key]),
    }
    person.shows_within(PATIENCE, &["task 1.1: its candidate is", "LEFT 0"]);
    run.shows(&["LEFT 0"]);
    stage.no_surprise();
    assert_eq!(project.at("turno/1/base", "greet.txt"), "hello world");
    assert_eq!(project.at("turno/1/base", "begun.txt"), "begun");

    // What the model was asked is one conversation with what came before, or begins with what there is to know.
    let asked = stage.requests(api, "by hand please");
    let asked = asked.first().unwrap().body.to_string();
    let known = match screen.remembers {
        BEFORE => ["The task is new", BEFORE],
        _ => [TOLD, "Task 1.1: Greet the world"],
    };
    for part in known {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
    let report = project.turno(&["report"]).exits(0).out;
    let words: Vec<&str> = report.split_whitespace().collect();
    let told = format!("at {}'s terminal; left", cli.name());
    assert!(words.join(" ").contains(&told), "{report}");
    drop((run, person));
    until("nothing runs", || alive(project).is_empty());
}

#[test]
fn claude_goes_on_with_the_conversation_of_its_task() {
    let screen = Screen {
        cli: Cli::Claude,
        api: Api::Messages,
        remembers: BEFORE,
        ready: "? for shortcuts",
        asks: Some("Do you want to"),
        leave: Leave::Words("/exit"),
    };
    goes_on("claude at a terminal", &screen);
}

/// The conversation was held in another slot. It asks nobody in which it is to go on.
#[test]
fn codex_goes_on_with_the_conversation_of_its_task() {
    let screen = Screen {
        cli: Cli::Codex,
        api: Api::Responses,
        remembers: BEFORE,
        ready: "Ask Codex to do anything",
        asks: None,
        leave: Leave::Words("/quit"),
    };
    goes_on("codex at a terminal", &screen);
}

/// Its session belongs to the directory where it was held, and is moved first.
#[test]
fn opencode_goes_on_with_the_conversation_of_its_task() {
    let screen = Screen {
        cli: Cli::Opencode,
        api: Api::Chat,
        remembers: BEFORE,
        ready: "ctrl+p commands",
        asks: None,
        leave: Leave::Key("C-c"),
    };
    goes_on("opencode at a terminal", &screen);
}

#[test]
fn gemini_begins_anew_and_is_told_what_there_is() {
    let screen = Screen {
        cli: Cli::Gemini,
        api: Api::Gemini,
        remembers: "I have looked at it.",
        ready: "Type your message",
        asks: Some("Apply this change?"),
        leave: Leave::Words("/quit"),
    };
    goes_on("gemini at a terminal", &screen);
}
