//! `turno run`: a parent issue becomes a diamond of tasks, one more is discovered, one is sent back by the reviewer,
//! the first acceptance fails and leads to a new task, and everything lands.

use turno_core::State;
use turno_core::command::Command;
use turno_core::ids::PersonaName;
use turno_core::persona::Role;
use turno_core::record::Record;
use turno_core::step::{Waiting, waiting};
use turno_core::task::{Stage, Work};

use super::{stage, starts, tells};
use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 3
policy = "feature-dev"
[checks.syntax]
command = "for f in bin/calc lib/*.sh; do sh -n $f || exit 1; done"
[checks.test]
command = "sh tests/run"
[agents.ada]
dialect = "script"
script = "team.yaml"
[agents.grace]
dialect = "script"
script = "team.yaml"
[personas.engineer]
agents = ["ada"]
[personas.author]
agents = ["grace"]
[personas.reviewer]
agents = ["grace"]
[personas.tester]
agents = ["grace"]
"#;

const RUN: &str = r#"
for t in tests/*.case; do
  want=$(sed -n 2p $t)
  got=$(sh bin/calc $(sed -n 1p $t))
  [ "$want" = "$got" ] || { echo "$t: want $want, got $got"; exit 1; }
done
"#;

const CALC: &str = "#!/bin/sh\nfor f in lib/*.sh; do . ./$f; done\n\"$@\"\n";

const TEAM: &str = r#"
sessions:
  # The author: plan, answer a proposal, look for what is missing, plan that, accept.
  - persona: author
    round: 1
    steps:
      - say: I read bin/calc and the tests.
      - usage: {usd: 0.02}
      - outcome:
          tasks:
            - {key: base, title: Numbers are read, brief: "lib/num.sh: num", acceptance: ["num 7 prints 7"], touches: ["lib/num.sh", "tests/num.case"], size: small}
            - {key: add, title: Numbers are added, brief: "lib/add.sh", acceptance: ["add 2 3 prints 5"], needs: [base], touches: ["lib/add.sh", "tests/add.case"]}
            - {key: mul, title: Numbers are multiplied, brief: "lib/mul.sh", acceptance: ["mul 2 3 prints 6"], needs: [base], touches: ["lib/mul.sh", "tests/mul.case"]}
            - {key: both, title: A sum of products, brief: "lib/both.sh", acceptance: ["both 2 3 4 prints 10"], needs: [add, mul], touches: ["lib/both.sh", "tests/both.case"]}
  - persona: author
    round: 2
    steps:
      - outcome:
          tasks:
            - {key: readme, title: A page on calc, brief: README.md, acceptance: [README.md names add], touches: [README.md]}
          answers:
            - {proposal: p1, verdict: accept, becomes: readme, reason: nobody finds the functions otherwise}
  - {persona: author, round: 3, steps: [{outcome: {missing: [calc --help prints a line]}}]}
  - persona: author
    round: 4
    steps:
      - outcome:
          tasks:
            - {key: help, title: Help is printed, brief: "lib/help.sh", acceptance: ["calc --help prints a line"], touches: [bin/calc, "lib/help.sh"]}
  - {persona: author, steps: [{outcome: {missing: []}}]}

  # Engineers.
  - persona: engineer
    task: Numbers are read
    steps:
      - write: {path: lib/num.sh, text: "num() { echo $1; }\n"}
      - write: {path: tests/num.case, text: "num 7\n7\n"}
      - outcome: {summary: Numbers are read., evidence: ["sh tests/run"], open_questions: [negative numbers were not looked at]}
  - persona: engineer
    task: Numbers are added
    steps:
      - sleep: 300ms
      - write: {path: lib/add.sh, text: "add() { echo $(($1 + $2)); }\n"}
      - write: {path: tests/add.case, text: "add 2 3\n5\n"}
      - outcome: {summary: Numbers are added., proposals: [{title: Describe calc, brief: write a page, why: there is none}]}
  - persona: engineer
    task: Numbers are multiplied
    round: 1
    steps:
      - sleep: 300ms
      - write: {path: lib/mul.sh, text: "mul() { echo $(($1 * $2)) ; }\n"}
      - write: {path: tests/mul.case, text: "mul 2 3\n6\n"}
      - outcome: {summary: Numbers are multiplied.}
  - persona: engineer
    task: Numbers are multiplied
    steps:
      - write: {path: tests/mul0.case, text: "mul 0 3\n0\n"}
      - outcome: {summary: "Numbers are multiplied, zero too.", evidence: [added a case for zero]}
  - persona: engineer
    task: A sum of products
    steps:
      - write: {path: lib/both.sh, text: "both() { add $(mul $1 $2) $4; }\n"}
      - edit: {path: lib/both.sh, find: "$4", replace: "$3"}
      - write: {path: tests/both.case, text: "both 2 3 4\n10\n"}
      - outcome: {summary: Products are summed.}
  - persona: engineer
    task: A page on calc
    steps:
      - write: {path: README.md, text: "calc: num, add, mul, both\n"}
      - outcome: {summary: A page on calc.}
  - persona: engineer
    task: Help is printed
    steps:
      - edit: {path: bin/calc, find: "\"$@\"", replace: "case $1 in --help) set -- help;; esac\n\"$@\""}
      - write: {path: lib/help.sh, text: "help() { echo usage: calc FUNCTION NUMBER...; }\n"}
      - outcome: {summary: Help is printed.}

  # The reviewer sends one back.
  - persona: reviewer
    task: Numbers are multiplied
    round: 1
    steps:
      - outcome: {verdict: findings, findings: [{file: tests/mul.case, line: 1, severity: major, what: zero is not tested, how_to_see: cat tests/mul.case}], read: [lib/mul.sh]}
  - {persona: reviewer, steps: [{sleep: 100ms}, {outcome: {verdict: approve, read: [lib]}}]}

  # The tester goes through the acceptance list on the integration branch, for real.
  - persona: tester
    round: 1
    steps:
      - run: sh bin/calc --help
      - outcome: {verdict: findings, findings: [{file: bin/calc, severity: major, what: --help is not known, how_to_see: sh bin/calc --help}]}
  - {persona: tester, steps: [{run: {command: "sh bin/calc --help", must_pass: true}}, {outcome: {verdict: approve}}]}
"#;

fn project() -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        ("team.yaml", TEAM),
        ("bin/calc", CALC),
        ("lib/none.sh", ":\n"),
        ("tests/run", RUN),
        ("tests/none.case", "true\n\n"),
    ]);
    let add = [
        "issue",
        "add",
        "A calculator",
        "--accept",
        "calc --help prints a line",
    ];
    project.turno(&add).exits(0);
    project
}

#[test]
fn a_parent_issue_is_split_worked_on_accepted_and_landed() {
    let project = project();
    let done = project.turno(&["run", "1"]).exits(0);
    tells(&done.out, &["all landed"]);
    nothing_runs(&project);
    assert_eq!(project.git(&["status", "--porcelain"]), "");

    for task in ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"] {
        assert_eq!(stage(&project, task), "landed", "{task}");
    }
    assert_eq!(stage(&project, "1.0"), "accepted");
    let status = project.turno(&["status", "--json"]).exits(0).json();
    assert!(
        status["issues"][0]["stage"]["review"].is_object(),
        "{}",
        status["issues"][0]["stage"]
    );
    project.turno(&["promote", "1"]).exits(0);
    let said = |args: &str| {
        let words: Vec<&str> = args.split(' ').collect();
        let output = std::process::Command::new("sh")
            .args(&words)
            .current_dir(project.repo())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said("bin/calc both 2 3 4"), "10\n");
    assert_eq!(said("bin/calc --help"), "usage: calc FUNCTION NUMBER...\n");

    let journal = project.journal();
    let started = starts(&journal);
    let count = |who: &str| started.iter().filter(|(persona, _)| persona == who).count();
    assert_eq!(count("author"), 5, "{started:?}");
    assert_eq!(count("engineer"), 7, "{started:?}");
    assert_eq!(count("reviewer"), 7, "{started:?}");
    assert_eq!(count("tester"), 2, "{started:?}");
    let place = |task: &str, who: &str| started.iter().position(|(p, t)| p == who && t == task).unwrap();
    assert!(place("1.4", "engineer") > place("1.2", "reviewer"), "{started:?}");
    assert!(place("1.4", "engineer") > place("1.3", "reviewer"), "{started:?}");

    let plan = project.turno(&["explain", "1.0"]).exits(0).out;
    tells(
        &plan,
        &[
            "a plan of 4 task(s)",
            "p1 accepted as readme (nobody finds the functions otherwise)",
            "1 missing",
            "calc --help prints a line",
            "nothing is missing",
        ],
    );
    let read = project.turno(&["explain", "1.1"]).exits(0).out;
    tells(
        &read,
        &[
            "handed on: Numbers are read.",
            "open: negative numbers were not looked at",
        ],
    );
    let told = project.turno(&["log", "1.3"]).exits(0).out;
    tells(
        &told,
        &[
            "engineer (ada",
            "reviewer (grace",
            "1 thing(s) must be mended",
            "zero is not tested",
            "Approved.",
        ],
    );
    // What a task leaves is told to those who need it.
    let told = journal.iter().flat_map(|r| r["commands"].as_array().unwrap());
    let told: Vec<_> = told
        .filter_map(|c| c.get("start-agent"))
        .filter(|s| s["task"] == "1.2" && s["persona"] == "engineer")
        .collect();
    assert_eq!(
        told[0]["brief"]["handoffs"][0]["handoff"]["summary"],
        "Numbers are read."
    );
    turns_are_fair(&project);
}

/// Nobody with work that only lacks a slot is passed over for longer than one round of the ring.
#[track_caller]
fn turns_are_fair(project: &Project) {
    let done = project.turno(&["log", "--json"]).exits(0);
    let mut state = State::default();
    let mut passed: std::collections::BTreeMap<PersonaName, usize> = std::collections::BTreeMap::new();
    for line in done.out.lines() {
        let record: Record = serde_json::from_str(line).unwrap();
        for command in &record.commands {
            let Command::StartAgent(start) = command else {
                continue;
            };
            passed.remove(&start.persona);
            let ring = state.desk.ring.len();
            for (persona, times) in &mut passed {
                *times += 1;
                assert!(
                    *times <= ring,
                    "{persona} was passed over {times} times at #{}",
                    record.seq
                );
            }
        }
        record.redo(&mut state);
        let Some(config) = state.config.clone() else {
            continue;
        };
        for persona in &config.personas {
            let lacks_a_slot = state.tasks.values().any(|task| {
                let Stage::Ready { work, .. } = &task.stage else {
                    return false;
                };
                role(work) == Some(persona.role)
                    && matches!(
                        waiting(&state, task),
                        Some(Waiting::NoFreeSlot | Waiting::AgentsBusy(_))
                    )
            });
            if lacks_a_slot {
                passed.entry(persona.name.clone()).or_default();
            } else {
                passed.remove(&persona.name);
            }
        }
    }
}

fn role(work: &Work) -> Option<Role> {
    match work {
        Work::Write(_) => Some(Role::Engineer),
        Work::Review(_) | Work::Compare(_) => Some(Role::Reviewer),
        Work::Test(_) | Work::Try => Some(Role::Tester),
        Work::Plan(_) | Work::Accept(_) => Some(Role::Author),
        Work::Check(_) | Work::Land(_) | Work::Survey => None,
    }
}

/// With one slot everybody has to wait; nobody starves.
#[test]
fn in_one_slot_the_personas_take_turns() {
    let project = project();
    project.turno(&["run", "1", "--slots", "1"]).exits(0);
    turns_are_fair(&project);
}
