//! Owns the table of surfaces: every verb that a person may type and every route of the board, and how the story looks
//! at it. A test holds the table against what there is.

use std::collections::BTreeSet;

use turno_board::served;

use crate::harness::project::Project;

/// What a verb shows of text from outside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row {
    /// Lines of Turno's own, with such text in them: what to type. `HARM` stands for hostile text as an argument.
    Lines(&'static [&'static [&'static str]]),
    /// The same for papers, whose own lines are shown as they are.
    Papers(&'static [&'static [&'static str]]),
    /// The same for what other programs read back: heaps of marks are kept in it.
    Kept(&'static [&'static [&'static str]]),
    /// Nothing, or it is typed elsewhere; why.
    Silent(&'static str),
}

use Row::{Kept, Lines, Papers, Silent};

/// Every verb; one with verbs below it has a row for each of those.
pub(super) const ROWS: &[(&str, Row)] = &[
    ("demo", Silent("an example of Turno's own")),
    ("init", Lines(&[&["init", "--dry-run"]])),
    ("doctor", Lines(&[&["doctor"]])),
    (
        "issue add",
        Lines(&[
            &["issue", "add", "HARM", "--repo", "HARM"],
            &["issue", "add", "x", "--needs", "HARM"],
        ]),
    ),
    (
        "issue list",
        Lines(&[&["issue", "list", "--all"], &["issue", "list", "--json"]]),
    ),
    (
        "issue show",
        Lines(&[
            &["issue", "show", "1"],
            &["issue", "show", "2"],
            &["issue", "show", "1", "--json"],
        ]),
    ),
    (
        "issue edit",
        Lines(&[
            &["issue", "edit", "2", "--label", "HARM"],
            &["issue", "edit", "HARM"],
        ]),
    ),
    (
        "issue start",
        Lines(&[&["issue", "start", "HARM"], &["issue", "start", "1"]]),
    ),
    ("issue close", Lines(&[&["issue", "close", "9", "--why", "HARM"]])),
    (
        "run",
        Lines(&[&["run", "HARM"], &["run", "1", "--policy", "HARM"], &["run", "9"]]),
    ),
    ("qa", Lines(&[&["qa", "HARM"]])),
    ("pair", Lines(&[&["pair", "x", "--rounds", "HARM"]])),
    ("drain", Lines(&[&["drain", "--until", "HARM"]])),
    ("batch", Lines(&[&["batch", "HARM", "--glob", "HARM"]])),
    (
        "simulate",
        Lines(&[
            &["simulate", "1", "--seed", "HARM"],
            &["simulate", "1", "--policy", "single"],
        ]),
    ),
    ("lessons list", Lines(&[&["lessons", "list", "--all"]])),
    (
        "lessons add",
        Lines(&[
            &["lessons", "add", "HARM", "--path", "made/**"],
            &["lessons", "add", "x", "--path", "HARM"],
        ]),
    ),
    ("lessons keep", Lines(&[&["lessons", "keep", "HARM"]])),
    (
        "lessons edit",
        Lines(&[&["lessons", "edit", "l1", "--text", "HARM"], &["lessons", "list"]]),
    ),
    ("lessons remove", Lines(&[&["lessons", "remove", "HARM"]])),
    ("budget show", Lines(&[&["budget", "show"]])),
    ("budget set", Lines(&[&["budget", "set", "HARM"]])),
    ("status", Lines(&[&["status"], &["status", "--json"]])),
    ("board", Lines(&[&["board", "--port", "HARM"]])),
    (
        "top",
        Lines(&[&["top", "--once"], &["top", "--once", "--size", "200x60"]]),
    ),
    (
        "log",
        Papers(&[
            &["log"],
            &["log", "--json"],
            &["log", "1.1"],
            &["log", "a1"],
            &["log", "a1", "--raw"],
            &["log", "HARM"],
        ]),
    ),
    (
        "report",
        Papers(&[
            &["report"],
            &["report", "--format", "markdown"],
            &["report", "--format", "html"],
            &["report", "--format", "json"],
            &["report", "--format", "HARM"],
            &["report", "-o", "/nowhere/HARM"],
        ]),
    ),
    ("record", Kept(&[&["record", "a1"], &["record", "HARM"]])),
    (
        "explain",
        Lines(&[
            &["explain", "1.1"],
            &["explain", "2.1"],
            &["explain", "1.1", "--json"],
            &["explain", "HARM"],
        ]),
    ),
    (
        "diff",
        Papers(&[&["diff", "1.1"], &["diff", "1.1", "--stat"], &["diff", "HARM"]]),
    ),
    (
        "plan add",
        Lines(&[
            &["plan", "1"],
            &["plan", "1", "--json"],
            &["plan", "HARM"],
            &["plan", "add", "9", "--title", "HARM"],
            &["plan", "add", "1", "--title", "x", "--needs", "HARM"],
        ]),
    ),
    (
        "plan split",
        Lines(&[&["plan", "split", "1.9", "--into", "HARM"]]),
    ),
    ("plan edit", Lines(&[&["plan", "edit", "1.9", "--title", "HARM"]])),
    ("plan drop", Lines(&[&["plan", "drop", "HARM"]])),
    ("plan order", Lines(&[&["plan", "order", "1", "HARM"]])),
    ("plan open", Lines(&[&["plan", "open", "HARM"]])),
    ("attach", Lines(&[&["attach", "HARM"], &["attach", "9.9"]])),
    ("preview", Lines(&[&["preview"], &["preview", "HARM"]])),
    (
        "comment",
        Lines(&[
            &["comment", "HARM", "x"],
            &["comment", "9.9", "HARM", "--on", "HARM"],
        ]),
    ),
    ("tell", Lines(&[&["tell", "HARM", "x"], &["tell", "a99", "HARM"]])),
    ("answer", Lines(&[&["answer"], &["answer", "d99", "HARM"]])),
    ("resume", Lines(&[&["resume"]])),
    (
        "stop",
        Silent("it says its own words alone, and would end the story"),
    ),
    (
        "promote",
        Lines(&[
            &["promote", "1", "--dry-run"],
            &["promote", "1", "--dry-run", "--onto", "HARM"],
        ]),
    ),
    (
        "pr",
        Lines(&[
            &["pr", "1", "--dry-run"],
            &["pr", "1", "--dry-run", "--remote", "HARM"],
        ]),
    ),
    (
        "revert",
        Lines(&[&["revert", "1", "--dry-run", "--onto", "HARM"]]),
    ),
    ("discard", Lines(&[&["discard", "HARM"]])),
    ("salvage list", Lines(&[&["salvage", "list"]])),
    ("salvage show", Lines(&[&["salvage", "show", "HARM"]])),
    ("salvage restore", Lines(&[&["salvage", "restore", "HARM"]])),
    ("gc", Lines(&[&["gc"], &["gc", "--older-than", "HARM"]])),
    ("where", Lines(&[&["where"]])),
    ("store check", Lines(&[&["store", "check"]])),
    ("store rebuild", Lines(&[&["store", "rebuild", "HARM"]])),
    ("store export", Kept(&[&["store", "export"]])),
    ("store import", Lines(&[&["store", "import", "HARM"]])),
    ("persona list", Lines(&[&["persona", "list"]])),
    (
        "persona show",
        Papers(&[&["persona", "show", "engineer"], &["persona", "show", "HARM"]]),
    ),
    (
        "persona render",
        Papers(&[&["persona", "render", "engineer", "1"]]),
    ),
    ("notify list", Lines(&[&["notify", "list"]])),
    ("notify test", Lines(&[&["notify", "test", "HARM"]])),
    ("notify flush", Lines(&[&["notify", "flush"]])),
    (
        "mcp",
        Silent("it speaks JSON to a program; its texts have a test of their own"),
    ),
    ("completions", Lines(&[&["completions", "HARM"]])),
    ("man", Silent("Turno's own words")),
];

/// How a route is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page {
    /// In a browser, at these addresses.
    Seen(&'static [&'static str]),
    /// Its answer is for programs, which no browser shows as a page: asked for here.
    Data(&'static [&'static str]),
    /// Neither; why.
    Apart(&'static str),
}

use Page::{Apart, Data, Seen};

/// Every route that is read.
pub(super) const PAGES: &[(&str, Page)] = &[
    (
        "/enter",
        Seen(&["/enter?code=%3Cimg%20src=x%20onerror=document.title=1%3E%E2%80%AE"]),
    ),
    (
        "/",
        Seen(&[
            "/",
            "/?q=kilroy",
            "/?q=%3Cimg%20src=x%3E%1B%5D0;x%07%E2%80%AE",
            "/?label=%22%3E%3Cscript%3E",
        ]),
    ),
    (
        "/issues/{id}",
        Seen(&[
            "/issues/1",
            "/issues/2",
            "/issues/%3Cimg%20src=x%20onerror=document.title=1%3E",
        ]),
    ),
    ("/issues/{id}/diff", Seen(&["/issues/1/diff"])),
    (
        "/issues/{id}/promote",
        Seen(&[
            "/issues/1/promote",
            "/issues/1/promote?onto=%3Cimg%20src=x%3E%E2%80%AE",
        ]),
    ),
    (
        "/issues/{id}/pull-request",
        Seen(&[
            "/issues/1/pull-request",
            "/issues/1/pull-request?remote=%3Cimg%20src=x%3E%E2%80%AE",
        ]),
    ),
    ("/tasks/{id}", Seen(&["/tasks/1.1", "/tasks/2.1"])),
    ("/tasks/{id}/diff", Seen(&["/tasks/1.1/diff"])),
    (
        "/issues/{id}/comment",
        Seen(&["/issues/1/comment?file=%3Cimg%20src=x%3E%E2%80%AE&line=1"]),
    ),
    (
        "/tasks/{id}/comment",
        Seen(&["/tasks/1.1/comment?file=%3Cimg%20src=x%3E%E2%80%AE&line=1"]),
    ),
    ("/issues/{id}/plan", Seen(&["/issues/1/plan"])),
    (
        "/attempts/{id}",
        Seen(&["/attempts/1", "/attempts/2", "/attempts/3"]),
    ),
    ("/decisions", Seen(&["/decisions"])),
    ("/shifts", Seen(&["/shifts"])),
    ("/shifts/{id}", Seen(&["/shifts/1"])),
    (
        "/shifts/{id}/report",
        Apart("one file with its style in it, made by `turno report --format html`"),
    ),
    ("/report", Apart("the same")),
    ("/salvage", Seen(&["/salvage"])),
    ("/config", Seen(&["/config"])),
    ("/personas", Seen(&["/personas"])),
    ("/assets/{name}", Apart("Turno's own files")),
    ("/metrics", Data(&["/metrics"])),
    (
        "/api/events",
        Apart("a stream of JSON; what pages make of it is looked at in the pages"),
    ),
    ("/api/openapi.json", Data(&["/api/openapi.json"])),
    ("/api/board", Data(&["/api/board"])),
    (
        "/api/issues/{id}",
        Data(&["/api/issues/1", "/api/issues/%3Cimg%3E"]),
    ),
    ("/api/issues/{id}/diff", Data(&["/api/issues/1/diff"])),
    ("/api/issues/{id}/promotion", Data(&["/api/issues/1/promotion"])),
    ("/api/issues/{id}/plan", Data(&["/api/issues/1/plan"])),
    (
        "/api/issues/{id}/pull-request",
        Data(&["/api/issues/1/pull-request"]),
    ),
    ("/api/previews", Data(&["/api/previews"])),
    ("/api/tasks/{id}", Data(&["/api/tasks/1.1"])),
    ("/api/tasks/{id}/diff", Data(&["/api/tasks/1.1/diff"])),
    ("/api/attempts/{id}", Data(&["/api/attempts/1"])),
    (
        "/api/attempts/{id}/conversation",
        Data(&["/api/attempts/1/conversation"]),
    ),
    (
        "/api/attempts/{id}/transcript",
        Data(&["/api/attempts/1/transcript?limit=100"]),
    ),
    ("/api/attempts/{id}/prompt", Data(&["/api/attempts/1/prompt"])),
    ("/api/decisions", Data(&["/api/decisions"])),
    ("/api/budget", Data(&["/api/budget"])),
    ("/api/salvage", Data(&["/api/salvage"])),
    ("/api/config", Data(&["/api/config"])),
    ("/api/shifts", Data(&["/api/shifts"])),
    ("/api/shifts/{id}", Data(&["/api/shifts/1"])),
    ("/api/shifts/{id}/report", Data(&["/api/shifts/1/report"])),
    ("/api/v1/state", Data(&["/api/v1/state"])),
    ("/api/v1/{identifier}", Data(&["/api/v1/1"])),
];

/// The verbs that a help names.
fn named(help: &str) -> Vec<String> {
    let verbs = help
        .lines()
        .skip_while(|l| *l != "Commands:")
        .skip(1)
        .take_while(|l| !l.is_empty());
    let word = |l: &str| {
        (l.starts_with("  ") && !l.starts_with("   ")).then(|| l.split_whitespace().next().map(str::to_owned))
    };
    verbs
        .filter_map(|l| word(l).flatten())
        .filter(|w| w != "help")
        .collect()
}

#[test]
fn every_verb_and_every_route_is_in_the_table() {
    let project = Project::new(&[("readme.txt", "none\n")]);
    let mut verbs = BTreeSet::new();
    for verb in named(&project.turno(&["--help"]).exits(0).out) {
        let below = named(&project.turno(&[&verb, "--help"]).exits(0).out);
        if below.is_empty() {
            verbs.insert(verb);
        } else {
            verbs.extend(below.iter().map(|b| format!("{verb} {b}")));
        }
    }
    let rows: BTreeSet<String> = ROWS.iter().map(|(verb, _)| (*verb).to_owned()).collect();
    assert_eq!(
        rows, verbs,
        "a verb shows text from outside, or why it does not is said here"
    );
    assert!(verbs.len() > 40, "{verbs:?}");
    for (verb, row) in ROWS {
        match row {
            Silent(why) => assert!(!why.is_empty()),
            Lines(lines) | Papers(lines) | Kept(lines) => {
                let words: Vec<&str> = verb.split(' ').collect();
                assert!(lines.iter().any(|l| l.starts_with(&words)), "{verb}");
            }
        }
    }

    let read = served().into_iter().filter(|(method, ..)| *method == "GET");
    let read: BTreeSet<&str> = read.map(|(_, path, _)| path).collect();
    let pages: BTreeSet<&str> = PAGES.iter().map(|(path, _)| *path).collect();
    assert_eq!(pages, read, "a route is looked at, or why it is not is said here");
    for (path, page) in PAGES {
        if let Apart(why) = page {
            assert!(!why.is_empty(), "{path}");
        }
    }
}
