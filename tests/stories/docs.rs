//! The documentation is true: what a page types runs, what it shows is what is seen, and what it links to is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::harness::processes::{ended_or_killed, nothing_runs, sweep};
use crate::harness::project::Project;

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page a person may read, by its path in the repository.
fn pages() -> BTreeMap<String, String> {
    let docs = fs::read_dir(top().join("docs")).unwrap();
    let docs = docs
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "md"));
    let others = ["README.md", "SECURITY.md", "crates/README.md"].map(|p| top().join(p));
    docs.chain(others)
        .map(|path| {
            let name = path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// One line that is typed, and what is to be seen of it.
struct Typed {
    line: String,
    shows: Vec<String>,
}

/// The lines of a page's `console` blocks.
fn session(page: &str) -> Vec<Typed> {
    let mut typed: Vec<Typed> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), typed.last_mut()) {
                (Some(command), _) => typed.push(Typed {
                    line: command.to_owned(),
                    shows: Vec::new(),
                }),
                (None, Some(last)) => last.shows.push(line.to_owned()),
                (None, None) => panic!("a console block begins with what is typed: {line}"),
            },
            (false, _) => {}
        }
    }
    typed
}

/// Whether a line is as a page shows it: `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let mut rest = line;
    for (i, part) in shown.split('…').enumerate() {
        let Some(at) = rest.find(part) else { return false };
        if i == 0 && at != 0 {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || shown.ends_with('…') || !shown.contains('…') && line == shown
}

/// What is shown comes in this order, with other lines between.
#[track_caller]
fn shows(output: &str, typed: &Typed) {
    let mut lines = output.lines().map(str::trim_end);
    for shown in &typed.shows {
        assert!(
            lines.any(|line| is_like(line, shown)),
            "`{}` does not show, or not there: {shown}\n{output}",
            typed.line
        );
    }
}

#[test]
fn a_shown_line_is_matched_whole() {
    assert!(is_like("a b c", "a b c") && is_like("a b c", "a…c") && is_like("a b c", "…"));
    assert!(is_like("  0:14 spent", "  …spent") && is_like("x y z", "…y…"));
    assert!(!is_like("a b c", "a b") && !is_like("a b c", "b…") && !is_like("a b c", "a…d"));
    assert!(!is_like("a b c", "a…b"));
}

#[test]
fn what_getting_started_types_shows_what_it_says() {
    let page = fs::read_to_string(top().join("docs/getting-started.md")).unwrap();
    let typed = session(&page);
    assert!(typed.len() > 10, "its blocks are not found");
    let project = Project::new(&[("Makefile", "test:\n\ttrue\n")]);
    let root = project.repo().parent().unwrap().to_owned();
    fs::rename(project.repo(), root.join("mine")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_turno"))
        .parent()
        .unwrap()
        .to_owned();
    let mut cwd = root.clone();
    for one in &typed {
        if let Some(dir) = one.line.strip_prefix("cd ") {
            cwd = cwd.join(dir).canonicalize().unwrap();
            continue;
        }
        // As somebody would type it: each project has its own state below the home.
        let output = Command::new("sh")
            .args(["-c", &format!("{} 2>&1", one.line)])
            .current_dir(&cwd)
            .env_clear()
            .env(
                "PATH",
                format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
            )
            .env("HOME", project.home())
            .env("USER", "ada")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        // A machine without an agent cannot start; `doctor` says so.
        let may_fail = one.line == "turno doctor";
        assert!(may_fail || output.status.success(), "`{}`: {text}", one.line);
        shows(&text, one);
    }
    nothing_runs(&project);
}

/// Verbs that pages name and that are not typed here: Turno starts the first three itself, and the demo is run above.
const LEFT_OUT: [&str; 4] = ["confine", "perform", "supervise", "demo"];

/// What stands for something in a page, and something that it may stand for.
const MEANT: [(&str, &str); 12] = [
    ("ISSUE...", "1"),
    ("ISSUE", "1"),
    ("[CHECK...]", "test"),
    ("TASK", "1.1"),
    ("aN", "a1"),
    ("N", "1"),
    ("LABEL", "1"),
    ("T", "fix.md"),
    ("GLOB", "*.txt"),
    ("NAME", "engineer"),
    ("POLICY", "drain"),
    ("FILE", "saved.jsonl"),
];

/// The words of a command as a shell would give them.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut any) = (String::new(), None, false);
    for c in command.chars() {
        match (quote, c) {
            (None, '|') => break,
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (Some(q), c) if q == c => quote = None,
            (None, ' ') => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
        .into_iter()
        .map(|w| {
            MEANT
                .iter()
                .find(|(said, _)| *said == w)
                .map_or(w, |(_, meant)| (*meant).to_owned())
        })
        .collect()
}

/// Every command of Turno's that a page types or names, with the page.
fn commands() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (page, text) in pages() {
        let mut fence = false;
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                fence = !fence;
                continue;
            }
            if fence || line.starts_with("    ") {
                let typed = line.trim_start().trim_start_matches("$ ");
                if typed.starts_with("turno ") {
                    let typed = typed.split("  ").next().unwrap_or(typed);
                    found.insert(typed.trim().to_owned(), page.clone());
                }
            } else {
                let mut spans = line.split('`').skip(1).step_by(2);
                found.extend(
                    spans
                        .by_ref()
                        .filter(|s| s.starts_with("turno ") && !s.contains('…') && !s.contains("..."))
                        .map(|s| (s.to_owned(), page.clone())),
                );
            }
        }
    }
    found.retain(|c, _| !LEFT_OUT.iter().any(|i| c.split(' ').nth(1) == Some(i)));
    found
}

/// Something for every command to work on: an issue that has landed, and others that have not begun.
fn worked() -> Project {
    let config = "slots = 1\npolicy = \"single\"\n[checks.test]\ncommand = \"true\"\n[agents.actor]\ndialect = \"script\"\nscript = \"script.yaml\"\n";
    let script = "sessions:\n  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}\n  - steps: [{write: {path: a.txt, text: \"a\\n\"}}, {outcome: {summary: adds a}}]\n";
    let project = Project::new(&[
        ("turno.toml", config),
        ("script.yaml", script),
        ("b.txt", "b\n"),
        ("fix.md", "Fix {{ item }}\n"),
        ("list.txt", "one\n"),
    ])
    .env("TURNO_AGENT", "actor");
    project.issue("Add a");
    project.turno(&["run", "1"]).exits(0);
    for n in 2..=5 {
        project.issue(&format!("Issue {n}"));
    }
    project
}

/// What is wrong with a command, if it is not understood or breaks.
fn misunderstood(project: &Project, command: &str, page: &str) -> Option<String> {
    let words = words(command);
    let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    // Some have no end of their own: a board, a display, what follows.
    let done = ended_or_killed(Duration::from_secs(4), project, project.start(&args));
    // In running text a verb may be named without what it needs.
    let only_named = words.iter().all(|w| w.chars().all(|c| c.is_ascii_lowercase()))
        && done.err.contains("required arguments were not provided");
    let unknown = done.err.contains("For more information, try") && !only_named;
    let broken = matches!(done.code, 70 | 101) || done.err.contains("panicked");
    (unknown || broken).then(|| format!("{page}: {command}: {}", done.err))
}

/// Each command is one that the binary takes. What it then says of this project is another matter: it may refuse, with
/// words; it does not fail to understand, and does not break.
#[test]
fn every_command_of_every_page_is_understood() {
    let commands = commands();
    assert!(commands.len() > 60, "they are not found: {commands:#?}");
    let project = worked();
    let left = Mutex::new(commands.into_iter());
    let next = || left.lock().unwrap().next();
    let one_after_another = || -> Vec<String> {
        let all = std::iter::from_fn(next);
        all.filter_map(|(command, page)| misunderstood(&project, &command, &page))
            .collect()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        // Some are only waited for.
        let people = [(); 4].map(|()| scope.spawn(one_after_another));
        people.into_iter().flat_map(|p| p.join().unwrap()).collect()
    });
    sweep(&project);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The anchor of a heading, as the usual renderers make it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_in_the_book() {
    let pages = pages();
    let mut wrong = Vec::new();
    for (page, text) in &pages {
        let dir = Path::new(page).parent().unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') || link.is_empty() {
                continue;
            }
            let (path, at) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                top().join(page)
            } else {
                top().join(dir).join(path)
            };
            let there = target.exists()
                && (at.is_empty()
                    || fs::read_to_string(&target)
                        .is_ok_and(|t| t.lines().any(|l| l.starts_with('#') && anchor(l) == at)));
            if !there {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere: {wrong:#?}");
    let book = &pages["docs/README.md"];
    let left_out: BTreeSet<&String> = pages
        .keys()
        .filter(|p| {
            p.strip_prefix("docs/")
                .is_some_and(|p| p != "README.md" && !book.contains(&format!("]({p})")))
        })
        .collect();
    assert!(left_out.is_empty(), "not in docs/README.md: {left_out:?}");
}
