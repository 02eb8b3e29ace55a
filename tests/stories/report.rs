//! `turno report` after a night of twelve issues: what landed, what asks, what failed at its checks and at its money,
//! what was not tried; in every form, and each sum equal to what the journal says.

use serde_json::Value;

use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 3
policy = "single"
[checks.test]
command = "! ls | grep -q broken"
[agents.ada]
dialect = "script"
script = "night.yaml"
[agents.grace]
dialect = "script"
script = "night.yaml"
[personas.engineer]
agents = ["ada"]
budget_usd = 0.5
[personas.reviewer]
agents = ["grace"]
"#;

/// Issue 5 fails at its check, issue 6 asks, issue 9 spends more than an attempt may.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{usage: {usd: 0.03}}, {outcome: {verdict: approve}}]}
  - persona: engineer
    task: "5.*"
    steps: [{usage: {usd: 0.11}}, {run: "touch broken-$TURNO_ATTEMPT-$$"}, {outcome: {summary: it does not work}}]
  - persona: engineer
    task: "6.*"
    steps: [{usage: {usd: 0.07}}, {outcome: {kind: question, question: "Tabs or spaces?", options: [{label: tabs, detail: ""}, {label: spaces, detail: ""}], recommended: spaces}}]
  - persona: engineer
    task: "9.*"
    steps: [{usage: {usd: 0.2}}, {usage: {usd: 0.6}}, {hang: {}}]
  - persona: engineer
    steps: [{usage: {input: 20000, output: 1000, model: claude-sonnet-4-5}}, {run: "echo done > done-$TURNO_TASK"}, {outcome: {summary: done}}]
"#;

/// A title that wants to be markup, a command of the terminal, and text that reads backwards.
const EVIL: &str =
    "Two</title><script>alert(1)</script> \u{1b}[2J\u{202e}txt [x](http://evil.example) `c` | d";

/// The night before it is run; its forecast is in `simulate.rs`.
pub(super) fn night() -> Project {
    let project = Project::new(&[("turno.toml", CONFIG), ("night.yaml", SCRIPT), ("f", "f\n")]);
    for n in 1..=12 {
        let title = match n {
            2 => EVIL.to_owned(),
            n => format!("Issue number {n}"),
        };
        let mut args = vec!["issue", "add", &title];
        if n == 11 {
            args.extend(["--needs", "9"]);
        }
        project.turno(&args).exits(0);
    }
    project
}

/// The sum of a number over the members of a list.
fn sum(list: &Value, field: &str) -> u64 {
    let list = list.as_array().unwrap();
    list.iter().map(|v| v[field].as_u64().unwrap()).sum()
}

/// What the journal's own facts add up to: every ended attempt of an agent, its charge and its tokens.
fn ended(journal: &[Value]) -> (usize, u64, u64) {
    let ends: Vec<&Value> = journal
        .iter()
        .filter_map(|r| r["event"].get("agent-ended"))
        .collect();
    let cost = ends.iter().map(|e| e["spend"]["cost"].as_u64().unwrap()).sum();
    let tokens = ends
        .iter()
        .map(|e| e["spend"]["tokens"]["input"].as_u64().unwrap())
        .sum();
    (ends.len(), cost, tokens)
}

#[test]
fn a_night_is_told_in_every_form_and_adds_up_to_its_journal() {
    let project = night();
    project.turno(&["report"]).exits(2);
    let done = project
        .turno(&["drain", "--policy", "single", "--budget", "20"])
        .exits(1);
    assert!(done.out.contains("turno report S1"), "{}", done.out);

    let told = project.turno(&["report", "--format", "json"]).exits(0).json();
    let journal = project.journal();
    let (attempts, cost, tokens) = ended(&journal);
    let costs = &told["costs"];
    assert_eq!(costs["total"], cost, "{costs}");
    assert_eq!(costs["elsewhere"], 0);
    assert_eq!(costs["tokens"]["input"], tokens);
    for division in ["by_outcome", "by_persona", "by_agent", "by_issue"] {
        assert_eq!(sum(&costs[division], "cost"), cost, "{division}");
        assert_eq!(sum(&costs[division], "attempts"), attempts as u64, "{division}");
    }
    assert_eq!(sum(&told["attempts"], "cost"), cost);
    let last = told["spending"].as_array().unwrap().last().unwrap();
    assert_eq!(last["spent"], cost);
    let shift = journal
        .iter()
        .rev()
        .flat_map(|r| r["changes"].as_array().unwrap());
    let shift = shift.filter_map(|c| c.get("shift")).next().unwrap();
    assert_eq!(shift["spent"], cost, "the ledger says the same");

    let tasks = |list: &str| -> Vec<String> {
        let list = told[list].as_array().unwrap().iter();
        list.map(|v| v["task"].as_str().unwrap().to_owned()).collect()
    };
    let mut landed = tasks("landed");
    landed.sort_by_key(|t| t.split('.').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(landed, ["1.1", "2.1", "3.1", "4.1", "7.1", "8.1", "10.1", "12.1"]);
    assert_eq!(tasks("parked"), ["6.1"]);
    assert_eq!(told["parked"][0]["question"], "Tabs or spaces?");
    assert_eq!(tasks("failed"), ["5.1", "9.1"]);
    assert_eq!(
        told["failed"][0]["stuck"]["out-of-tries"]["cause"],
        "checks-failed"
    );
    assert_eq!(
        told["failed"][1]["stuck"]["out-of-tries"]["cause"],
        "attempt-budget"
    );
    assert_eq!(told["untried"][0]["what"]["issue"], 11);
    assert_eq!(told["landed"][0]["checks"][0]["check"], "test");
    for log in [
        &told["failed"][0]["evidence"][0]["log"],
        &told["failed"][1]["transcript"],
    ] {
        let path = project.state().join(log["path"].as_str().unwrap());
        assert!(path.is_file(), "{}", path.display());
    }

    let text = project.turno(&["report", "S1"]).exits(0).out;
    for part in [
        "LANDED (8)",
        "NEEDS YOU (1)",
        "FAILED (2)",
        "turno answer d1 2",
        "turno promote 12",
        "issue 11",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    let markdown = project.turno(&["report", "--format", "markdown"]).exits(0).out;
    assert!(
        markdown.contains("## Landed (8)") && markdown.contains("## Failed (2)"),
        "{markdown}"
    );
    assert!(
        !markdown.contains("<script") && !markdown.replace("\\]", "").contains("](http"),
        "{markdown}"
    );
    project.turno(&["report", "S7"]).exits(2);
    page(&project);
}

/// The page stands alone: well formed, without a script, a handler, or anything from elsewhere.
#[track_caller]
fn page(project: &Project) {
    let file = project.home().join("report.html");
    let name = file.to_str().unwrap();
    for _ in 0..2 {
        project
            .turno(&["report", "--format", "html", "-o", name])
            .exits(0);
    }
    let html = std::fs::read_to_string(&file).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.contains("Content-Security-Policy"));
    assert!(!html.contains('\u{1b}') && !html.contains('\u{202e}'));
    let (_, body) = html.split_once("</style>").unwrap();
    let mut open: Vec<&str> = vec!["html", "head"];
    for piece in body.split('<').skip(1) {
        let tag = piece.split_once('>').map_or(piece, |(tag, _)| tag);
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "the end of another: {tag}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(
            name != "script" && name != "img" && name != "iframe" && name != "link",
            "{tag}"
        );
        for attribute in tag.split(' ').skip(1) {
            assert!(!attribute.starts_with("on"), "{tag}");
            assert!(!attribute.starts_with("src"), "{tag}");
            let leads = attribute.strip_prefix("href=\"");
            assert!(leads.is_none_or(|l| l.starts_with('#')), "{tag}");
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "what is opened is closed");
    assert!(!html.contains("url(http") && !html.contains("@import"));
    assert!(
        body.contains("&lt;script&gt;alert(1)"),
        "their text is shown as text"
    );
    assert!(body.contains("<svg") && body.contains("<desc"));
}
