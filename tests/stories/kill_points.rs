//! Commit, then act, everywhere: the coordinator is killed at each point of each command, and whoever comes next goes
//! on to the same end. Nothing is done twice, nothing that was acknowledged is lost, nothing is left behind.
//!
//! A new command needs a deed in the engine's `crash_point`, and so a line in the table below.

mod attached;
mod left;
mod orphans;
mod verbs;

use std::collections::BTreeSet;
use std::fs;

use rstest::rstest;
use serde_json::Value;
use turno_core::task::StopWhy::{Asked, AttemptBudget, Discarded, ShiftBudget, Stalled, WallClock};
use turno_engine::crash_point::Moment::{AfterCommit, AfterEffect, BeforeCommit};
use turno_engine::crash_point::{CrashPoint, Deed, LISTENS, Moment};

use crate::harness::imprint::Imprint;
use crate::harness::processes::{ended, nothing_runs, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 4
policy = "single"
[checks.test]
command = "sh check.sh"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// In a landing it waits until the story says that others wait behind it.
const CHECK: &str = r#"
[ "$TURNO_SLOT" != landing ] || until [ -e "$HOME/shared/go" ]; do sleep 0.05; done
"#;

/// Whoever begins says so outside. Only the first engineer ever does what a story is about; those after it just work.
const SCRIPT: &str = r#"
sessions:
  - persona: reviewer
    steps: [{run: 'echo "reviewer $TURNO_TASK" >> "$HOME/shared/starts"'}, {outcome: {verdict: approve}}]
  - task: "Ask*"
    resumed: true
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"; printf "%s\n" "$TURNO_ANSWER" > a.txt'
      - outcome: {summary: as you said}
  - task: "Ask*"
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"'
      - ask: {question: "Which?", options: [tabs, spaces]}
      - run: 'printf "%s\n" "$TURNO_ANSWER" > a.txt'
      - outcome: {summary: as you said}
  - task: "Wait*"
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"; until [ -e "$HOME/shared/go" ]; do sleep 0.02; done'
      - write: {path: a.txt, text: "tabs\n"}
      - outcome: {summary: it waited}
  - task: "Hang*"
    resumed: true
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"'
      - write: {path: a.txt, text: "tabs\n"}
      - outcome: {summary: it went on}
  - task: "Hang*"
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"'
      - usage: {usd: 0.2}
      - run: 'exec sleep 300'
  - task: "Port*"
    steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"; echo ported > "m${TURNO_TASK#*.}.txt"'
      - outcome: {summary: ported}
  - steps:
      - run: 'echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"'
      - usage: {usd: 0.05}
      - run: 'echo tabs > a.txt; echo mine > "t$TURNO_TASK.txt"'
      - outcome: {summary: it is done}
"#;

/// It speaks as Claude Code does, and does its work when it is reminded.
const SLEEPER: &str = r#"#!/bin/sh
echo "engineer $TURNO_TASK" >> "$HOME/shared/starts"
echo '{"type":"system","subtype":"init","session_id":"s-1"}'
while read -r line; do
  case "$line" in *"Nothing has been seen of you"*)
    echo tabs > a.txt
    echo '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.01,"structured_output":{"summary":"it woke up","evidence":[],"open_questions":[],"proposals":[],"lessons":[]}}';;
  esac
done
"#;

/// What goes on around the command that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// One change is written, checked, reviewed and landed.
    Alone,
    /// Four changes, of which two wait while another one lands.
    Together,
    /// A backlog of two, the second on top of the first.
    Backlog,
    /// An agent asks and waits for the answer.
    Waits,
    /// An agent asks and is sent away.
    SentAway,
    /// A coordinator was killed before, and its agent worked on.
    Orphan,
    /// An agent hangs, and is stopped.
    Hangs,
    /// The person's branch moves while an agent works.
    Moves,
    /// An agent is silent until it is reminded.
    Quiet,
}

impl Story {
    fn project(self, deed: Deed) -> Project {
        let config = match deed {
            Deed::Stop(WallClock) => "[personas.engineer]\nwall_clock = \"1s\"\n",
            Deed::Stop(AttemptBudget) => "[personas.engineer]\nbudget_usd = 0.1\n",
            Deed::Nudge => {
                "[personas.engineer]\nagents = [\"sleeper\"]\n[personas.reviewer]\nagents = [\"actor\"]\n\
                [agents.sleeper]\ndialect = \"claude\"\nprogram = \"sh\"\nargs = [\"sleeper\"]\n"
            }
            _ => "",
        };
        let policy = match (self, deed) {
            (Self::Waits, _) => "[decisions]\nnobody = \"wait\"\n",
            (Self::Quiet, _) => "silence = \"1s\"\nsilence_hard = \"5m\"\n",
            (_, Deed::Stop(Stalled)) => {
                "silence = \"1s\"\nsilence_hard = \"5s\"\nlongest_command = \"6s\"\n\
                [rows.stalled]\ntries = 3\nwait = \"0s\"\n"
            }
            _ => "",
        };
        let project = Project::new(&[
            ("turno.toml", &format!("{CONFIG}{config}")),
            ("script.yaml", SCRIPT),
            ("check.sh", CHECK),
            ("port.md", "Port {{ item }}\n\nPort it.\n"),
            ("items/1", "\n"),
            ("items/2", "\n"),
            ("items/3", "\n"),
            ("items/4", "\n"),
            (".turno/policies/single.toml", policy),
            (".turno/policies/batch.toml", "review = \"off\"\n"),
            (
                ".turno/policies/drain.toml",
                "plan = \"single\"\naccept = \"off\"\nreview = \"off\"\n",
            ),
            ("sleeper", SLEEPER),
        ]);
        let project = match self {
            Self::Quiet => project,
            _ => project.env("TURNO_AGENT", "actor"),
        }
        // The sandbox has stories of its own.
        .unconfined();
        match self {
            Self::Alone => drop(project.issue("Write it")),
            Self::Together => {}
            Self::Backlog => {
                project.issue("Write it");
                project
                    .turno(&["issue", "add", "Write more", "--needs", "1"])
                    .exits(0);
            }
            Self::Waits | Self::SentAway => drop(project.issue("Ask first")),
            Self::Orphan | Self::Moves => drop(project.issue("Wait first")),
            Self::Hangs => drop(project.issue("Hang first")),
            Self::Quiet => drop(project.issue("Sleep first")),
        }
        project
    }

    /// What is typed at first.
    fn verb(self, deed: Deed) -> &'static [&'static str] {
        match (self, deed) {
            (Self::Together, _) => &[
                "batch",
                "--template",
                "port.md",
                "--items",
                "items/*",
                "--group",
                "4",
            ],
            (Self::Backlog, _) => &["drain"],
            (Self::Orphan, _) => &["resume"],
            (Self::Alone, Deed::WarnOfBudget) => &["run", "1", "--budget", "0.1"],
            (Self::Hangs, Deed::Stop(ShiftBudget)) => &["run", "1", "--budget", "0.15"],
            _ => &["run", "1"],
        }
    }

    /// What a person types meanwhile, as soon as it makes sense; whether a coordinator was told.
    fn nudge(self, project: &Project, deed: Deed) -> bool {
        let go = || fs::write(project.shared().join("go"), "").is_ok();
        let checked = |r: &&Value| r["event"].get("checks-ended").is_some();
        if self == Self::Orphan {
            return go();
        }
        if self == Self::Moves {
            let is_written = !starts(project, "engineer").is_empty();
            if is_written && !project.repo().join("moved.txt").exists() {
                fs::write(project.repo().join("moved.txt"), "moved\n").unwrap();
                project.git(&["add", "moved.txt"]);
                project.git(&["commit", "-qm", "moved"]);
            }
            return is_written && go();
        }
        if self == Self::Together {
            // It may die while it is asked.
            let log = project.turno(&["log", "--json"]).out;
            let records = log
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            return records.filter(|r| checked(&r)).count() >= 4 && go();
        }
        let verb: &[&str] = match (self, deed) {
            (Self::Hangs, Deed::Stop(Asked)) => &["stop"],
            (Self::Hangs, Deed::Stop(Discarded)) => &["discard", "1"],
            (Self::Waits, _) => &["answer", "d1", "tabs"],
            _ => return true,
        };
        // Alone, without a coordinator, it would be another story.
        let is_live = || project.turno(&["status"]).err.is_empty();
        // What makes no sense yet is refused as wrong usage.
        !starts(project, "engineer").is_empty() && is_live() && project.turno(verb).code != 2
    }

    /// Whether a shift that ended without it is followed by another one.
    fn needs_another(self, deed: Deed) -> bool {
        match self {
            Self::SentAway => true,
            Self::Hangs => matches!(deed, Deed::Stop(Asked | ShiftBudget)),
            Self::Alone
            | Self::Together
            | Self::Backlog
            | Self::Waits
            | Self::Orphan
            | Self::Moves
            | Self::Quiet => false,
        }
    }

    /// How often an engineer really begins, whatever happens to the coordinator.
    fn engineers(self, deed: Deed) -> usize {
        match (self, deed) {
            (Self::Hangs, Deed::Stop(Discarded))
            | (Self::Alone | Self::Waits | Self::Orphan | Self::Moves | Self::Quiet, _) => 1,
            (Self::Hangs | Self::SentAway | Self::Backlog, _) => 2,
            (Self::Together, _) => 4,
        }
    }
}

/// Those of a persona who have begun, in order.
fn starts(project: &Project, persona: &str) -> Vec<String> {
    let text = fs::read_to_string(project.shared().join("starts")).unwrap_or_default();
    let of = text.lines().filter(|l| l.starts_with(persona));
    of.map(str::to_owned).collect()
}

#[rstest]
#[case::engineer(Story::Alone, Deed::StartAgent, 1)]
#[case::reviewer(Story::Alone, Deed::StartAgent, 2)]
#[case::checks(Story::Alone, Deed::RunChecks, 1)]
#[case::land(Story::Alone, Deed::Land, 1)]
#[case::end(Story::Alone, Deed::EndShift, 1)]
#[case::together(Story::Together, Deed::LandTogether, 1)]
#[case::open(Story::Backlog, Deed::OpenIssue, 1)]
#[case::open_on_heads(Story::Backlog, Deed::OpenIssueOnHeads, 1)]
#[case::foresee(Story::Together, Deed::Foresee, 1)]
#[case::follow(Story::Moves, Deed::Follow, 1)]
#[case::warn(Story::Alone, Deed::WarnOfBudget, 1)]
#[case::answer(Story::Waits, Deed::ReplyAnswer, 1)]
#[case::sent_away(Story::SentAway, Deed::ReplyParked, 1)]
#[case::adopt(Story::Orphan, Deed::Adopt, 1)]
#[case::reminded(Story::Quiet, Deed::Nudge, 1)]
#[case::stalled(Story::Hangs, Deed::Stop(Stalled), 1)]
#[case::wall_clock(Story::Hangs, Deed::Stop(WallClock), 1)]
#[case::attempt_budget(Story::Hangs, Deed::Stop(AttemptBudget), 1)]
#[case::shift_budget(Story::Hangs, Deed::Stop(ShiftBudget), 1)]
#[case::stop(Story::Hangs, Deed::Stop(Asked), 1)]
#[case::discard(Story::Hangs, Deed::Stop(Discarded), 1)]
fn the_end_is_the_same(
    #[case] story: Story,
    #[case] deed: Deed,
    #[case] nth: u32,
    #[values(BeforeCommit, AfterCommit, AfterEffect)] moment: Moment,
) {
    if !LISTENS {
        return;
    }
    let project = story.project(deed);
    let before = Imprint::of(&[&project.repo()], &[]);
    if story == Story::Orphan {
        let mut child = project.start(&["run", "1"]);
        until("the engineer is at work", || {
            !starts(&project, "engineer").is_empty()
        });
        child.kill().unwrap();
        project.wait(child);
    }
    let point = CrashPoint { moment, deed, nth };
    let mut told = false;
    project.dies(story.verb(deed), point, || {
        told = told || story.nudge(&project, deed);
    });
    let promised = acknowledged(&project);

    goes_on(&project, story, deed);
    nothing_runs(&project);
    if story != Story::Moves {
        before.same(&Imprint::of(&[&project.repo()], &[]));
    }
    let journal = project.journal();
    assert!(journal.len() >= promised, "what was committed is there");
    left::is_sound(&project, &journal);
    assert_eq!(
        starts(&project, "engineer").len(),
        story.engineers(deed),
        "{:?}",
        starts(&project, "")
    );
    let reviewers = starts(&project, "reviewer").len();
    let wanted = match (story, deed) {
        (Story::Together | Story::Backlog, _) | (Story::Hangs, Deed::Stop(Discarded)) => 0,
        _ => 1,
    };
    assert_eq!(reviewers, wanted, "{:?}", starts(&project, ""));
    has_landed(&project, story, deed);
}

/// How many records are committed.
fn acknowledged(project: &Project) -> usize {
    project.journal().len()
}

/// Whoever comes next: the same shift, and another one where a person has to begin one.
#[track_caller]
fn goes_on(project: &Project, story: Story, deed: Deed) {
    let over = |project: &Project| {
        let status = project.turno(&["status", "--json"]).exits(0).json();
        let issues = status["issues"].as_array().unwrap().clone();
        !issues.is_empty()
            && issues
                .iter()
                .all(|i| i["stage"]["review"].is_object() || i["stage"]["closed"].is_object())
    };
    let shift = |verb: &[&str]| {
        let mut child = project.start(verb);
        // A person whose verb was heard does not type it again.
        let mut told = is_heard(project, deed);
        while child.try_wait().unwrap().is_none() && !told {
            told = story.nudge(project, deed);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        ended(project, child)
    };
    let done = shift(&["resume"]);
    let ended_before = done.code == 2 && done.err.contains("no shift was broken off");
    if over(project) {
        assert!(done.code == 0 || ended_before, "{}\n{}", done.code, done.err);
        return;
    }
    if matches!(story, Story::Together | Story::Backlog) || !story.needs_another(deed) {
        // The first record of all was lost with its shift: the person types the verb again.
        assert!(ended_before, "{}\n{}\n{}", done.code, done.out, done.err);
        shift(story.verb(deed)).exits(0);
    } else {
        if story == Story::SentAway {
            project.turno(&["answer", "d1", "tabs"]).exits(0);
        }
        shift(&["run", "1"]).exits(0);
    }
    assert!(over(project), "{}", project.turno(&["status"]).out);
}

/// Whether what a person asked for is in the journal.
fn is_heard(project: &Project, deed: Deed) -> bool {
    let kind = match deed {
        Deed::Stop(Asked) => "stop-asked",
        Deed::Stop(Discarded) => "discarded",
        Deed::ReplyAnswer => "decision-answered",
        _ => return false,
    };
    project.journal().iter().any(|r| r["event"].get(kind).is_some())
}

/// The work is on its branch, once.
#[track_caller]
fn has_landed(project: &Project, story: Story, deed: Deed) {
    if let (Story::Hangs, Deed::Stop(Discarded)) = (story, deed) {
        assert_eq!(project.git(&["for-each-ref", "refs/heads/turno/1/base"]), "");
        return;
    }
    let subjects = |issue: u32| {
        let range = format!("main..turno/{issue}/base");
        let log = project.git(&[
            "log",
            "--format=%(trailers:key=Turno-Task,valueonly,separator=%x2C)",
            &range,
        ]);
        let mut tasks: Vec<String> = log.lines().map(str::to_owned).collect();
        tasks.sort();
        tasks
    };
    match story {
        Story::Together => {
            assert_eq!(subjects(1), ["1.1", "1.2", "1.3", "1.4"]);
            for n in 1..=4 {
                assert_eq!(project.at("turno/1/base", &format!("m{n}.txt")), "ported");
            }
        }
        Story::Backlog => {
            assert_eq!(subjects(1), ["1.1"]);
            assert_eq!(project.at("turno/1/base", "a.txt"), "tabs");
            assert_eq!(subjects(2), ["1.1", "2.1"], "it is on top of the first");
            assert_eq!(project.at("turno/2/base", "t2.1.txt"), "mine");
        }
        Story::Moves => {
            let tasks = subjects(1);
            assert_eq!(tasks.iter().filter(|t| *t == "1.1").count(), 1, "{tasks:?}");
            assert_eq!(project.at("turno/1/base", "a.txt"), "tabs");
            assert_eq!(project.at("turno/1/base", "moved.txt"), "moved");
            assert_eq!(project.git(&["rev-list", "--count", "turno/1/base..main"]), "0");
        }
        Story::Alone | Story::Waits | Story::SentAway | Story::Orphan | Story::Hangs | Story::Quiet => {
            assert_eq!(subjects(1), ["1.1"]);
            assert_eq!(project.at("turno/1/base", "a.txt"), "tabs");
        }
    }
}

/// Every deed has its line in a table, here or beside it.
#[test]
fn every_deed_is_killed() {
    let tables = [
        include_str!("kill_points.rs"),
        include_str!("kill_points/verbs.rs"),
        include_str!("kill_points/attached.rs"),
        include_str!("pull_request.rs"),
        include_str!("remarks.rs"),
    ]
    .concat();
    let cases: BTreeSet<&str> = tables
        .lines()
        .filter(|l| l.trim_start().starts_with("#[case"))
        .collect();
    for deed in Deed::ALL {
        let named = format!("Deed::{deed:?}");
        let has = |line: &&str| line.contains(&format!("{named},")) || line.contains(&format!("{named})"));
        assert!(cases.iter().any(has), "{named} is in no table");
    }
}

/// A release build does not listen: the variable changes nothing.
#[test]
fn a_release_build_ignores_the_variable() {
    if LISTENS {
        let source = include_str!("../../crates/engine/src/crash_point.rs");
        assert!(source.contains("pub const LISTENS: bool = cfg!(debug_assertions);"));
        assert_eq!(source.matches("ARMED.get").count(), 2, "both are behind LISTENS");
        assert_eq!(source.matches("if !LISTENS {").count(), 2);
        return;
    }
    let point = CrashPoint {
        moment: BeforeCommit,
        deed: Deed::IssueAdd,
        nth: 1,
    };
    let (name, value) = point.armed();
    let project = Story::Together.project(Deed::LandTogether).env(name, value);
    assert_eq!(project.issue("Filed all the same"), 1);
}
