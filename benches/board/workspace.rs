//! Owns the workspaces that are looked at: issues filed by the journal itself, attempts that ran, and what they are made
//! to have said.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use turno_core::event::Event;
use turno_core::ids::Seq;
use turno_core::issue::IssueDraft;
use turno_core::record::Record;
use turno_engine::run::now;
use turno_engine::store::Store;

use crate::harness::processes::ended_within;
use crate::harness::project::Project;

/// So many lines are said for the sake of when they are seen.
pub(crate) const TICKS: usize = 60;

const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// How much has happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) issues: usize,
    pub(crate) attempts: usize,
    /// So long is what each attempt said, in kilobytes.
    pub(crate) kilobytes: usize,
}

/// A workspace in which much has happened.
pub(crate) struct Workspace {
    pub(crate) project: Project,
    /// The attempts that said something.
    pub(crate) attempts: Vec<u64>,
    /// The issue whose work says the time again and again, once `go` lies in the shared directory.
    pub(crate) ticks: String,
}

fn script() -> String {
    let tick = "      - run: 'echo tick-$(date +%s%3N)'\n      - sleep: 100ms\n".repeat(TICKS);
    format!(
        r#"
sessions:
  - {{persona: reviewer, steps: [{{outcome: {{verdict: approve}}}}]}}
  - task: "Ticks*"
    steps:
      - run: 'until [ -e $HOME/shared/go ]; do sleep 0.05; done'
{tick}      - write: {{path: ticked.txt, text: ticked}}
      - outcome: {{summary: ticked}}
  - steps:
      - run: 'date +%N > "$(date +%s%N).txt"'
      - outcome: {{summary: done}}
"#
    )
}

impl Workspace {
    pub(crate) fn of(sizes: Sizes) -> Self {
        let files = [("turno.toml", CONFIG), ("script.yaml", &script())];
        let project = Project::new(&files).unconfined().env("TURNO_AGENT", "actor");
        // Each issue takes one to write and one to review.
        let worked = sizes.attempts.div_ceil(2);
        file(&project, worked);
        let mut run = vec!["run".to_owned()];
        run.extend((1..=worked).map(|n| n.to_string()));
        run.extend(["--policy".to_owned(), "single".to_owned()]);
        let run: Vec<&str> = run.iter().map(String::as_str).collect();
        ended_within(Duration::from_secs(1800), &project, project.start(&run)).exits(0);
        file(&project, sizes.issues - 1);
        let ticks = project.issue("Ticks").to_string();
        let attempts = say(&project, sizes.kilobytes);
        Self {
            project,
            attempts,
            ticks,
        }
    }
}

/// Files issues until there are so many: a thousand programs would take minutes.
fn file(project: &Project, wanted: usize) {
    let (mut store, mut state) = Store::open(&project.state().join("store")).unwrap();
    while state.issues.len() < wanted {
        let mut records = Vec::new();
        for _ in 0..100.min(wanted - state.issues.len()) {
            let n = state.issues.len();
            let draft = IssueDraft {
                title: format!("The {n}th thing that is wanted of the house and its rooms"),
                body: "It is wanted by many. ".repeat(20),
                labels: vec![format!("room-{}", n % 12)],
                ..IssueDraft::default()
            };
            let seq = Seq(store.head().0 + 1 + records.len() as u64);
            records.push(Record::of(&mut state, seq, now(), Event::IssueAdded { draft }));
        }
        store.commit(&records).unwrap();
    }
}

/// Makes every attempt one of Claude Code that has said much; gives their numbers. All have one file under many names.
fn say(project: &Project, kilobytes: usize) -> Vec<u64> {
    let said = project.home().join("said");
    transcript(&said, kilobytes * 1000);
    let mut attempts = Vec::new();
    for entry in fs::read_dir(project.state().join("attempts")).unwrap() {
        let dir = entry.unwrap().path();
        let out = dir.join("out");
        if !out.is_file() {
            continue;
        }
        fs::remove_file(&out).unwrap();
        fs::hard_link(&said, &out).unwrap();
        let note = dir.join("standing.json");
        let mut standing: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        standing["dialect"] = json!("claude");
        fs::write(&note, standing.to_string()).unwrap();
        let name = dir.file_name().unwrap().to_str().unwrap();
        attempts.push(name.trim_start_matches('a').parse().unwrap());
    }
    attempts.sort_unstable();
    attempts
}

/// Lines in the shapes and about the lengths that Claude Code writes with partial messages: a turn is a thought and words
/// in crumbs, the same words whole, a tool and what it gave.
fn transcript(path: &Path, bytes: usize) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    let mut written = 0;
    let mut turn = 0;
    while written < bytes {
        for line in said_in(turn) {
            let line = line.to_string() + "\n";
            file.write_all(line.as_bytes()).unwrap();
            written += line.len();
        }
        turn += 1;
    }
    file.flush().unwrap();
}

fn said_in(turn: usize) -> Vec<Value> {
    let session = "950a6ccc-e5f6-4f38-ac96-b012a487fe3d";
    let words =
        "The parser takes a number for a text, so the sum of the basket is wrong; I look where it is read. ";
    let message = format!("msg_{turn:020}");
    let call = format!("toolu_{turn:020}");
    let usage = json!({"input_tokens": 1200, "cache_creation_input_tokens": 900, "cache_read_input_tokens": 31_000,
        "output_tokens": 120, "service_tier": "standard"});
    let whole = |content: Value| {
        json!({"type": "assistant", "message": {"id": message, "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-5", "content": [content], "stop_reason": null, "usage": usage},
            "parent_tool_use_id": null, "session_id": session, "uuid": format!("{turn:036}")})
    };
    let crumb = |event: Value| {
        json!({"type": "stream_event", "event": event, "session_id": session, "parent_tool_use_id": null,
            "uuid": format!("{turn:036}")})
    };
    let mut lines = vec![crumb(
        json!({"type": "message_start", "message": {"id": message, "role": "assistant",
        "model": "claude-sonnet-4-5", "content": [], "usage": usage}}),
    )];
    for piece in 0..8 {
        let delta = json!({"type": "text_delta", "text": &words[piece * 12..piece * 12 + 12]});
        lines.push(crumb(
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        ));
    }
    lines.push(whole(json!({"type": "text", "text": words.repeat(1 + turn % 4)})));
    lines.push(whole(json!({"type": "tool_use", "id": call, "name": "Read",
        "input": {"file_path": format!("/home/me/till/src/part_{}.rs", turn % 90)}})));
    lines.push(crumb(json!({"type": "message_stop"})));
    let given = "    let sum: u64 = lines.iter().map(|line| line.price * line.quantity).sum();\n"
        .repeat(10 + turn % 60);
    lines.push(json!({"type": "user", "message": {"role": "user", "content": [
        {"tool_use_id": call, "type": "tool_result", "content": given}]}, "parent_tool_use_id": null,
        "session_id": session, "uuid": format!("{turn:036}"), "tool_use_result": {"type": "text"}}));
    lines
}
