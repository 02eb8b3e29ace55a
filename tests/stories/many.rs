//! A workspace in which much has happened: a thousand issues, many attempts, each of which said fifty megabytes. What the
//! board takes for it in memory is bounded; how quick it is, is printed.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use turno_core::event::Event;
use turno_core::ids::Seq;
use turno_core::issue::IssueDraft;
use turno_core::record::Record;
use turno_engine::run::now;
use turno_engine::store::Store;

use crate::harness::board::Shown;
use crate::harness::browser::Browser;
use crate::harness::processes::{ended_within, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// So many issues are worked on for real; each takes an attempt to write, to check, to review and to land.
const WORKED: usize = 8;
const ISSUES: usize = 1000;
const MEGABYTES: usize = 50;
/// So many lines are said for the sake of when they are seen.
const TICKS: usize = 40;

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

/// Files issues by the journal itself: a thousand programs would take minutes.
fn filed(project: &Project) {
    let (mut store, mut state) = Store::open(&project.state().join("store")).unwrap();
    while state.issues.len() < ISSUES {
        let mut records = Vec::new();
        for _ in 0..100.min(ISSUES - state.issues.len()) {
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

/// Every attempt has said fifty megabytes. They are one file under many names.
fn said_much(project: &Project) -> usize {
    let said = project.home().join("said");
    let mut file = std::io::BufWriter::new(fs::File::create(&said).unwrap());
    let line = format!("{{\"say\":{{\"text\":\"{}\"}}}}\n", "many words ".repeat(90));
    for _ in 0..MEGABYTES * 1_000_000 / line.len() {
        file.write_all(line.as_bytes()).unwrap();
    }
    file.flush().unwrap();
    let mut attempts = 0;
    for entry in fs::read_dir(project.state().join("attempts")).unwrap() {
        let out = entry.unwrap().path().join("out");
        if out.is_file() {
            fs::remove_file(&out).unwrap();
            fs::hard_link(&said, &out).unwrap();
            attempts += 1;
        }
    }
    attempts
}

/// Memory of a process, in megabytes: now, and at most so far.
fn memory(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Keeps when each line was seen, from when it was said.
const WATCH: &str = r#"
  window.seen = new Map();
  new MutationObserver(() => {
    for (const at of document.querySelectorAll("[data-attempt]")) {
      const tick = /tick-(\d+)/.exec(at.textContent)?.[1];
      if (tick && !window.seen.has(tick)) window.seen.set(tick, Date.now() - Number(tick));
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
"#;

#[test]
fn much_has_happened_and_the_board_stays_small() {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", &script())]).env("TURNO_AGENT", "actor");
    let mut run = vec!["run".to_owned()];
    for n in 0..WORKED {
        run.push(project.issue(&format!("Worked on, number {n}")).to_string());
    }
    let ticks = project.issue("Ticks").to_string();
    run.extend(["--policy".to_owned(), "single".to_owned()]);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    ended_within(Duration::from_secs(120), &project, project.start(&run)).exits(0);
    let begun = Instant::now();
    filed(&project);
    let attempts = said_much(&project);
    println!(
        "{ISSUES} issues, {attempts} attempts of {MEGABYTES} MB, filed in {:?}",
        begun.elapsed()
    );
    assert!(attempts >= WORKED * 2, "{attempts}");

    let board = Shown::begin(&project);
    let pid = board.child.id();
    let (before, _) = memory(pid);
    let pages = [
        "",
        "issues/1",
        "attempts/1",
        "attempts/2",
        "shifts/1",
        "?q=rooms",
        "issues/900",
    ];
    for page in pages {
        let begun = Instant::now();
        let answer = board.ask("GET", &format!("/{page}"), &[], "");
        assert_eq!(answer.code, 200, "{page}");
        println!("/{page}: {:?}, {} kB", begun.elapsed(), answer.body.len() >> 10);
        assert!(answer.body.len() < 8 << 20, "{page}: {}", answer.body.len());
    }
    // All of it can be read by links alone, a page at a time, however long it is.
    let page = |path: &str| board.ask("GET", path, &[], "").body;
    let link = |page: &str, id: &str| {
        let found = page.split_once(&format!("id=\"{id}\" href=\""));
        let (href, _) = found.and_then(|(_, rest)| rest.split_once('"'))?;
        Some(href.to_owned())
    };
    let end = page("/attempts/1");
    let earlier = link(&end, "earlier").unwrap();
    let older = page(&earlier);
    assert!(older.contains("id=\"past\""), "{older}");
    assert!(link(&older, "earlier").is_some() && link(&older, "later").is_some());
    let first = page("/attempts/1?after=0");
    assert_eq!(link(&first, "earlier"), None);
    assert_eq!(link(&first, "later").unwrap(), "/attempts/1?after=200");
    for attempt in 1..=attempts {
        board.ask(
            "GET",
            &format!("/api/attempts/{attempt}/conversation?last=2000"),
            &[],
            "",
        );
        board.ask(
            "GET",
            &format!("/api/attempts/{attempt}/transcript?limit=100000000"),
            &[],
            "",
        );
    }
    if let Some(mut browser) = Browser::open(&project.home()) {
        browser.go(&board.link);
        browser.at("/");
        for page in ["", "issues/1", "attempts/1"] {
            browser.go(&format!("{}/{page}", board.url));
            let paint = "performance.getEntriesByName('first-contentful-paint')[0]";
            browser.until("it is painted", paint);
            println!(
                "first paint of /{page}: {} ms",
                browser.eval(&format!("{paint}.startTime"))
            );
        }
        browser.go(&format!("{}/", board.url));
        browser.until("it hears", "document.body.dataset.heard === ''");
        browser.eval(WATCH);
        let shift = project.start(&["run", &ticks, "--policy", "single"]);
        browser.until("it works", "document.querySelector('#lane-working .doing')");
        fs::write(project.shared().join("go"), "").unwrap();
        ended_within(Duration::from_secs(90), &project, shift).exits(0);
        until("all was seen", || {
            board.get("/api/shifts/2")["shift"]["stage"]
                .get("ended")
                .is_some()
        });
        let seen = browser.eval("[...window.seen.values()].sort((a, b) => a - b)");
        let seen = seen.as_array().unwrap();
        println!(
            "from an agent's line to the screen: {} of {TICKS} seen, p50 {} ms, p95 {} ms",
            seen.len(),
            seen[seen.len() / 2],
            seen[seen.len() * 95 / 100]
        );
        browser.shot("many");
    }
    let (after, most) = memory(pid);
    println!("memory of the board: {before} MB when it begins, {after} MB at the end, {most} MB at most");
    // A page that read a whole transcript would take it at once, and several times as text.
    assert!(most < before + 100, "{before} MB, then {most} MB");
    board.end();
}
