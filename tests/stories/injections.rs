//! Text from outside gives no orders to Turno, whatever it says: in an issue, in what an agent says of its work, in
//! a file of the repository. Each text of `fixtures/injections` is filed as an issue and worked on beside a harmless
//! one, and what Turno does, shows and tells others is the same for both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::project::{Done, Project};

const CONFIG: &str = r#"
slots = 1
policy = "single"
[checks.test]
command = "test ! -e pwned"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// The agent copies the texts into files; what a guard makes of them there is not the question here.
const POLICY: &str = "[guards]\nhidden-text = \"allow\"\nsecrets = \"allow\"\n";

const HARMLESS: &str = "Greet the world\nIt should say hello.\n";

/// Colours of Turno's own.
const OURS: [&str; 6] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
];

/// The texts, by name, the harmless one first.
fn texts() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/injections");
    let mut texts: Vec<(String, String)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    texts.sort();
    assert!(texts.len() >= 25, "{}", texts.len());
    texts.insert(0, ("harmless".to_owned(), HARMLESS.to_owned()));
    texts
}

/// What agents say of an issue's work: its own text, wherever they may say something. It is cut to what a call of a
/// tool may hold.
fn sessions(issue: usize, text: &str) -> Vec<Value> {
    let text: String = text.chars().take(4000).collect();
    let finding = json!({ "file": text, "line": 1, "severity": "note", "what": text, "how_to_see": text });
    vec![
        json!({ "persona": "engineer", "task": format!("{issue}.1"), "steps": [
            { "write": { "path": format!("done-{issue}"), "text": text } },
            { "run": "cat injections/*.txt done-*" },
            { "say": text },
            { "note": text },
            { "report": finding },
            { "outcome": { "summary": text, "evidence": [text], "open_questions": [text] } },
        ] }),
        json!({ "persona": "reviewer", "task": format!("{issue}.1"), "steps": [
            { "outcome": { "verdict": "approve", "findings": [finding], "read": [text] } },
        ] }),
    ]
}

fn filed(texts: &[(String, String)]) -> Project {
    let sessions: Vec<Value> = texts
        .iter()
        .enumerate()
        .flat_map(|(at, (_, text))| sessions(at + 1, text))
        .collect();
    // JSON is YAML, where all is ASCII.
    let escaped = |c: char| match c {
        ' '..='~' => c.to_string(),
        other => format!("\\U{:08x}", u32::from(other)),
    };
    let script: String = json!({ "sessions": sessions })
        .to_string()
        .chars()
        .map(escaped)
        .collect();
    let files: Vec<(String, &str)> = texts
        .iter()
        .map(|(name, text)| (format!("injections/{name}.txt"), text.as_str()))
        .collect();
    let mut all = vec![
        ("turno.toml", CONFIG),
        (".turno/policies/single.toml", POLICY),
        ("script.yaml", script.as_str()),
    ];
    all.extend(files.iter().map(|(path, text)| (path.as_str(), *text)));
    // So that colours, and whatever else a terminal heeds, are not taken out of what goes into a pipe.
    let project = Project::new(&all)
        .env("TURNO_AGENT", "actor")
        .env("CLICOLOR_FORCE", "1");
    for (name, text) in texts {
        let (title, body) = text.split_once('\n').unwrap();
        let body = format!("--body={body}");
        let accept = format!("--accept={title}");
        let done = project.turno(&["issue", "add", &body, &accept, "--", title]);
        shows_nothing_else(name, &done.exits(0));
    }
    project
}

/// Nothing is shown that a terminal heeds or a reader does not see, but for our own colours.
fn shows_nothing_else(what: &str, done: &Done) {
    assert_ne!(done.code, 2, "{what}: {}", done.err);
    for shown in [&done.out, &done.err] {
        let mut text = shown.clone();
        for ours in OURS {
            text = text.replace(ours, "");
        }
        let heeded = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\t'))
                || matches!(c, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                || matches!(c, '\u{e0000}'..='\u{e007f}')
        };
        if let Some(at) = text.find(heeded) {
            let around: String = text.get(at..).unwrap().chars().take(60).collect();
            panic!("{what} shows {around:?}");
        }
    }
}

/// The commands of each task in order: what is started, and for whom.
fn commands(journal: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut commands: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for command in journal.iter().flat_map(|r| r["commands"].as_array().unwrap()) {
        let Some((kind, inner)) = command.as_object().and_then(|c| c.iter().next()) else {
            panic!("{command}");
        };
        let task = match (&inner["task"], &inner["issue"]) {
            (Value::String(task), _) => task.clone(),
            (_, issue) if issue.is_u64() => format!("{issue}.1"),
            _ => "none".to_owned(),
        };
        let one = match kind.as_str() {
            "start-agent" => format!(
                "start {} as {}, {}",
                inner["agent"], inner["persona"], inner["access"]
            ),
            "run-checks" => format!("check with {}", inner["checks"]),
            other => other.to_owned(),
        };
        commands.entry(task).or_default().push(one);
    }
    commands
}

/// A prompt without what stands in its blocks, and without numbers: what Turno itself says.
fn skeleton(prompt: &str) -> String {
    let mut own = String::new();
    let mut end: Option<String> = None;
    for line in prompt.lines() {
        match &end {
            Some(closes) if line == closes => end = None,
            Some(_) => {}
            None if line.starts_with('<') && line.ends_with('>') => {
                end = Some(line.replacen('<', "</", 1));
                let tag = line.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '>' | '-'));
                own.push_str(&format!("{tag}>\n"));
            }
            None => {
                let bare: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
                // A commit's name has letters too.
                let words: Vec<&str> = bare
                    .split(' ')
                    .filter(|word| !word.chars().all(|c| matches!(c, 'a'..='f' | '.' | ',' | ';')))
                    .collect();
                own.push_str(&format!("{}\n", words.join(" ")));
            }
        }
    }
    assert_eq!(end, None, "a block has no end: {prompt}");
    own
}

/// The attempts of each task in order, by their directories.
fn attempts(project: &Project, task: &str) -> Vec<Value> {
    let mut found: Vec<(u64, Value)> = fs::read_dir(project.state().join("attempts"))
        .unwrap()
        .filter_map(|entry| {
            let dir = entry.unwrap().path();
            let start: Value = serde_json::from_slice(&fs::read(dir.join("start.json")).ok()?).ok()?;
            let number = dir.file_name()?.to_str()?.trim_start_matches('a').parse().ok()?;
            let orders: Value = serde_json::from_slice(&fs::read(dir.join("orders.json")).ok()?).ok()?;
            let prompt = fs::read_to_string(dir.join("prompt.md")).ok()?;
            let of_task = start["task"] == task;
            let arguments = orders["argv"].as_array()?.len();
            of_task.then(|| {
                (
                    number,
                    json!({ "arguments": arguments, "prompt": skeleton(&prompt), "whole": prompt }),
                )
            })
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, attempt)| attempt).collect()
}

#[test]
fn no_text_from_outside_changes_what_turno_does() {
    let texts = texts();
    let project = filed(&texts);
    let ids: Vec<String> = (1..=texts.len()).map(|id| id.to_string()).collect();
    let mut run = vec!["run"];
    run.extend(ids.iter().map(String::as_str));
    let done = project.turno(&run);
    shows_nothing_else("run", &done);
    let done = done.exits(0);
    drop(done);

    let commands = commands(&project.journal());
    let harmless = &commands["1.1"];
    assert!(harmless.len() >= 4, "{harmless:?}");
    let told = attempts(&project, "1.1");
    assert_eq!(told.len(), 2, "an engineer's and a reviewer's");
    for (at, (name, _)) in texts.iter().enumerate() {
        let task = format!("{}.1", at + 1);
        assert_eq!(&commands[&task], harmless, "{name}");
        let seen = attempts(&project, &task);
        assert_eq!(seen.len(), told.len(), "{name}");
        for (seen, told) in seen.iter().zip(&told) {
            assert_eq!(seen["prompt"], told["prompt"], "{name}: {}", seen["whole"]);
            assert_eq!(seen["arguments"], told["arguments"], "{name}");
            let whole = seen["whole"].as_str().unwrap();
            assert!(
                !whole.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')),
                "{name}"
            );
        }
    }
    let tera = attempts(
        &project,
        &format!("{}.1", 1 + texts.iter().position(|(n, _)| n == "tera").unwrap()),
    );
    let whole = tera[0]["whole"].as_str().unwrap();
    assert!(
        whole.contains("{{ 7*7 }} PWNED {% if true %}") && whole.contains("{% include \"around\" %}"),
        "{whole}"
    );

    nothing_was_obeyed(&project, texts.len());
    everything_is_shown_harmlessly(&project, &ids);
}

/// No command of a text was run, no ref was made or moved by a name in it, and no commit claims another's work.
fn nothing_was_obeyed(project: &Project, issues: usize) {
    for dir in [project.home(), project.repo(), project.state()] {
        for name in ["pwned", "PWNED"] {
            assert!(!dir.join(name).exists(), "{}", dir.display());
        }
    }
    assert!(!Path::new("/tmp/pwned").exists());
    let refs = project.git(&["for-each-ref", "--format=%(refname)"]);
    for name in refs.lines() {
        let of_turno = name
            .strip_prefix("refs/heads/turno/")
            .or_else(|| name.strip_prefix("refs/turno/"));
        assert!(
            name == "refs/heads/main"
                || of_turno.is_some_and(|n| n
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '/' | '-' | '.'))),
            "{name}"
        );
    }
    for issue in 1..=issues {
        let branch = format!("turno/{issue}/base");
        let claimed = project.git(&[
            "log",
            "-1",
            "--format=%(trailers:key=Turno-Task,valueonly)%(trailers:key=Signed-off-by)",
            &branch,
        ]);
        assert_eq!(claimed.trim(), format!("{issue}.1"));
        let message = project.git(&["log", "-1", "--format=%B", &branch]);
        assert!(
            !message.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')),
            "{message:?}"
        );
        let landed: BTreeSet<String> = project
            .git(&["diff", "--name-only", "main", &branch])
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(landed, [format!("done-{issue}")].into());
    }
}

fn everything_is_shown_harmlessly(project: &Project, ids: &[String]) {
    for verb in [
        &["status"][..],
        &["status", "--json"],
        &["log"],
        &["log", "--json"],
        &["issue", "list"],
        &["issue", "list", "--json"],
        &["answer"],
        &["lessons", "list"],
    ] {
        shows_nothing_else(&verb.join(" "), &project.turno(verb));
    }
    for id in ids {
        let task = format!("{id}.1");
        for verb in [
            &["issue", "show", id][..],
            &["issue", "show", id, "--json"],
            &["log", &task],
            &["explain", &task],
            &["diff", id],
        ] {
            shows_nothing_else(&verb.join(" "), &project.turno(verb));
        }
    }
}
