//! Secrets: they reach the agent that they are for, and nobody else; and of what Turno writes down or shows, no
//! byte holds one, whoever said it and wherever.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::project::{Done, Project};

/// Known by value: of the user's environment, of a file, of a command, of a provider.
const OF_VARIABLE: &str = "canary/of+a variable";
const OF_FILE: &str = "canary-of-a-file-0123";
const OF_COMMAND: &str = "canary-of-a-command-0123";
const OF_PROVIDER: &str = "canary-of-a-provider-0123";
const VALUES: [&str; 4] = [OF_VARIABLE, OF_FILE, OF_COMMAND, OF_PROVIDER];

/// Their heads in base64, as `base64` prints them.
const IN_BASE64: [&str; 3] = [
    "Y2FuYXJ5L29mK2EgdmFyaWFib",
    "Y2FuYXJ5LW9mLWEtZmlsZS0wMT",
    "Y2FuYXJ5LW9mLWEtY29tbWFuZC0wMT",
];

/// Known by shape alone. It is put together here, so that no scanner takes this file for a leak.
fn by_shape() -> String {
    format!("ghp_{}", "a1B2c3D4e5F6".repeat(3))
}

const CONFIG: &str = r#"
policy = "single"
[checks.test]
command = "sh check.sh"
"#;

/// Nobody waits for another try.
const POLICY: &str = "[rows.agent]\ntries = 3\nwait = \"0s\"\n";

/// The user's own file, so that no secret lies in the repository.
fn agents(home: &Path) -> String {
    format!(
        r#"
[agents.actor]
dialect = "script"
script = "script.yaml"
pass_env = ["PROVIDER_API_KEY"]
[agents.actor.env]
BY_VARIABLE = "${{MINE}}"
BY_FILE = {{ file = "{}/key" }}
BY_COMMAND = {{ command = "echo x >> $HOME/shared/runs; cat $HOME/shared/printed" }}
"#,
        home.display()
    )
}

fn script() -> String {
    format!(
        r#"
sessions:
  - persona: reviewer
    round: 1
    steps:
      - outcome: {{verdict: findings, findings: [{{file: a.txt, line: 1, severity: major, what: "it holds {OF_FILE}", how_to_see: "{shape}"}}]}}
  - persona: reviewer
    steps: [{{outcome: {{verdict: approve}}}}]
  - persona: engineer
    round: 1
    steps:
      - run: 'echo "given: $BY_VARIABLE" > "$HOME/shared/given"; echo "$BY_FILE $BY_COMMAND $PROVIDER_API_KEY" >> "$HOME/shared/given"'
      - run: 'echo "$BY_VARIABLE"; printf %s "$BY_FILE" | base64; echo {shape}'
      - run: 'echo "$BY_COMMAND" >&2'
      - say: 'the key is {OF_FILE}, and {shape}'
      - note: 'noted: {OF_COMMAND}'
      - propose: {{title: 'Rotate {OF_FILE}', brief: 'as {OF_PROVIDER}', why: 'because {shape}'}}
      - report: {{file: b.txt, line: 1, severity: note, what: 'saw {OF_VARIABLE}', how_to_see: 'env'}}
      - write: {{path: a.txt, text: "a\n"}}
      - commit: 'with {OF_FILE}'
      - write: {{path: b.txt, text: "b\n"}}
      - outcome: {{summary: 'uses {OF_COMMAND}', evidence: ['ran with {shape}'], open_questions: ['why {OF_VARIABLE}?']}}
  - persona: engineer
    round: 2
    steps:
      - write: {{path: fine, text: "a\n"}}
      - fail: {{cause: agent, detail: 'died of {OF_PROVIDER}'}}
  - persona: engineer
    round: 3
    steps:
      - write: {{path: fine, text: "b\n"}}
      - outcome: {{summary: mended}}
  - persona: engineer
    steps:
      - ask: {{question: 'Is it {OF_FILE}?', options: ['{OF_COMMAND}', no], recommended: no}}
      - write: {{path: fine, text: "c\n"}}
      - outcome: {{summary: mended}}
"#,
        shape = by_shape()
    )
}

/// What the checks say, and that they are given nothing.
fn check() -> String {
    format!(
        r#"echo checked {OF_FILE} {shape}
printf %s '{OF_COMMAND}' | base64
env > "$HOME/shared/env-of-checks"
test -e fine"#,
        shape = by_shape()
    )
}

fn project() -> Project {
    let project = Project::new(&[
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", POLICY),
        ("check.sh", &check()),
    ])
    .env("TURNO_AGENT", "actor")
    .env("MINE", OF_VARIABLE)
    .env("PROVIDER_API_KEY", OF_PROVIDER)
    .env("ANTHROPIC_API_KEY", "canary-of-another-dialect");
    let home = project.home();
    let config = home.join(".config/turno");
    fs::create_dir_all(&config).unwrap();
    project.configure(&agents(&home));
    fs::write(config.join("script.yaml"), script()).unwrap();
    fs::write(home.join("key"), format!("{OF_FILE}\n")).unwrap();
    fs::write(project.shared().join("printed"), format!("{OF_COMMAND}\n")).unwrap();
    fs::set_permissions(home.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    project
}

/// Which secrets some bytes hold, in any form that is looked for here.
fn found_in(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let shape = by_shape();
    VALUES
        .into_iter()
        .chain(IN_BASE64)
        .chain([shape.as_str(), "canary%2Fof%2Ba%20variable"])
        .filter(|secret| text.contains(secret))
        .map(str::to_owned)
        .collect()
}

/// Every file below a directory that holds a secret. What agents wrote into their worktrees is theirs.
fn leaks(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("slots") {
            found.extend(leaks(&path));
        } else if path.is_file() {
            let secrets = found_in(&fs::read(&path).unwrap());
            found.extend(secrets.into_iter().map(|s| format!("{}: {s}", path.display())));
        }
    }
    found
}

fn clean(what: &str, done: &Done) {
    assert_ne!(done.code, 2, "{what}: {}", done.err);
    let all = format!("{}{}", done.out, done.err);
    assert_eq!(found_in(all.as_bytes()), Vec::<String>::new(), "{what}: {all}");
}

#[test]
fn a_secret_reaches_its_agent_and_is_written_down_nowhere() {
    let project = project();
    let id = project.issue("keep a secret").to_string();
    let done = project.turno(&["run", &id]);
    clean("run", &done);

    let given = fs::read_to_string(project.shared().join("given")).unwrap();
    assert_eq!(
        given,
        format!("given: {OF_VARIABLE}\n{OF_FILE} {OF_COMMAND} {OF_PROVIDER}\n")
    );
    assert_eq!(
        fs::read_to_string(project.shared().join("runs")).unwrap(),
        "x\n",
        "run once for a shift"
    );

    let leaked = leaks(&project.state());
    assert_eq!(leaked, Vec::<String>::new());
    // So that what was not found had been there to be found.
    let attempts = project.state().join("attempts");
    let transcripts: String = fs::read_dir(&attempts)
        .unwrap()
        .flat_map(|a| {
            let dir = a.unwrap().path();
            [dir.join("out"), dir.join("err"), dir.join("checks/test-0/out")]
        })
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    for said in [
        "the key is [redacted], and [redacted]",
        "uses [redacted]",
        "checked [redacted] [redacted]",
        "died of [redacted]",
    ] {
        assert!(transcripts.contains(said), "{said}");
    }
    let journal: String = project.journal().iter().map(ToString::to_string).collect();
    for said in [
        "noted: [redacted]",
        "Rotate [redacted]",
        "saw [redacted]",
        "ran with [redacted]",
        "it holds [redacted]",
        "died of [redacted]",
        "Is it [redacted]?",
    ] {
        assert!(journal.contains(said), "{said}");
    }
    let messages = project.git(&["log", "--all", "--format=%an: %B", "--grep", "uses"]);
    assert!(messages.contains("uses [redacted]"), "{messages}");

    let attempt = fs::read_dir(&attempts)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let attempt = attempt.to_str().unwrap();
    for verb in [
        &["status", "--json"][..],
        &["status"],
        &["issue", "show", "1", "--json"],
        &["issue", "list", "--all", "--json"],
        &["diff", "1.1"],
        &["log"],
        &["log", "--json"],
        &["log", attempt, "--raw"],
        &["log", attempt],
        &["explain", "1.1"],
        &["answer"],
        &["lessons", "list"],
    ] {
        clean(&verb.join(" "), &project.turno(verb));
    }
}

#[test]
fn checks_and_other_dialects_are_given_no_secret() {
    let project = project();
    let id = project.issue("keep a secret").to_string();
    project.turno(&["run", &id]);
    let env = fs::read_to_string(project.shared().join("env-of-checks")).unwrap();
    assert!(env.contains("TURNO_TASK="), "{env}");
    for name in [
        "BY_VARIABLE",
        "BY_FILE",
        "BY_COMMAND",
        "MINE",
        "API_KEY",
        "canary",
    ] {
        assert!(!env.contains(name), "{name}: {env}");
    }
}

#[test]
fn a_value_that_is_not_there_stops_the_shift_before_it_begins() {
    let project = project();
    let id = project.issue("keep a secret").to_string();
    fs::set_permissions(project.home().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(project.shared().join("printed"), "").unwrap();
    let done = project.turno(&["run", &id]).exits(4);
    assert!(done.err.contains("agents.actor.env.BY_COMMAND"), "{}", done.err);
    assert!(done.err.contains("it gives nothing"), "{}", done.err);
    assert!(!project.state().join("attempts").exists());
    // Only a shift runs commands.
    fs::remove_file(project.shared().join("runs")).unwrap();
    let doctor = project.turno(&["doctor"]);
    assert!(!project.shared().join("runs").exists());
    assert!(doctor.out.contains("chmod 600"), "{}", doctor.out);
}

#[test]
fn doctor_says_how_a_secret_is_written() {
    let text = format!(
        "{CONFIG}[agents.claude.env]\nX_API_KEY = \"not-by-reference\"\nPLAIN = \"{}\"\nMODEL = \"m\"\n",
        by_shape()
    );
    let project = Project::new(&[("turno.toml", &text)]);
    let doctor = project.turno(&["doctor"]);
    for words in [
        "agents.claude.env.X_API_KEY looks like a secret",
        "X_API_KEY = \"$X_API_KEY\"",
        "agents.claude.env.PLAIN looks like a secret",
    ] {
        assert!(doctor.out.contains(words), "{words}: {}", doctor.out);
    }
    assert!(!doctor.out.contains("env.MODEL"), "{}", doctor.out);
    assert!(!doctor.out.contains("not-by-reference"), "{}", doctor.out);
}
