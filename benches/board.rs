//! Owns the figures of the board under load: a workspace in which much has happened is held beside a small one, in the
//! same run and the same browser, so that the ratio means something on another machine too.
//!
//! `cargo bench --bench board [-- --full] [--attempts N]`. In full it is 1,000 issues and 200 attempts of 50 MB; otherwise
//! 200, 20 and 5 MB. The exit code is 1 when a bound is broken.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run has no better answer"
)]
#![expect(clippy::print_stdout, reason = "the figures are its output")]

#[expect(dead_code, reason = "stories need more of it")]
#[path = "board/harness.rs"]
mod harness;
#[expect(dead_code, reason = "other benchmarks need more of it")]
#[path = "ratios/measure.rs"]
mod measure;
#[path = "board/workspace.rs"]
mod workspace;

use std::process::ExitCode;
use std::time::Duration;
use std::{fmt, fs};

use harness::board::Shown;
use harness::browser::Browser;
use harness::processes::ended_within;
use measure::{Bound, Times, Verdict, time};
use workspace::{Sizes, TICKS, Workspace};

const SMALL: Sizes = Sizes {
    issues: 10,
    attempts: 2,
    kilobytes: 20,
};
const SHORT: Sizes = Sizes {
    issues: 200,
    attempts: 20,
    kilobytes: 5000,
};
const FULL: Sizes = Sizes {
    issues: 1000,
    attempts: 200,
    kilobytes: 50_000,
};
const ROUNDS: usize = 9;
/// What the board may take more than when it began, in megabytes, however many attempts are looked at.
const MEMORY: u64 = 150;

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

/// What is timed of one workspace, in an order that is the same for all.
struct Figures {
    times: Vec<Times>,
    memory: Memory,
}

/// Of a process, in megabytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    now: u64,
    most: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} MB at most", self.now, self.most)
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let is_full = words.iter().any(|word| word == "--full");
    let mut large = if is_full { FULL } else { SHORT };
    if let Some(at) = words.iter().position(|word| word == "--attempts") {
        large.attempts = words[at + 1].parse().unwrap();
    }
    let small = look("small", SMALL);
    let large = look("large", large);
    println!();
    let mut verdict = Verdict::Holds;
    for (large, small) in large.times.iter().zip(&small.times) {
        verdict = verdict.and(large.against(small, Bound::Shown));
    }
    for (name, figures) in [("small", &small), ("large", &large)] {
        println!("memory of the board of the {name} one: {}", figures.memory);
    }
    if large.memory.most > small.memory.most + MEMORY {
        println!("that is more than {MEMORY} MB above the small one's \u{2014} BROKEN");
        verdict = Verdict::Broken;
    }
    match verdict {
        Verdict::Holds => ExitCode::SUCCESS,
        Verdict::Broken => ExitCode::FAILURE,
    }
}

/// Makes a workspace and looks at it as a program does and as a browser does.
fn look(name: &str, sizes: Sizes) -> Figures {
    let (took, workspace) = time(|| Workspace::of(sizes));
    let Workspace {
        project,
        attempts,
        ticks,
    } = &workspace;
    println!(
        "\n## {name}: {} issues, {} attempts of {} kB, made in {took:.1?}\n",
        sizes.issues,
        attempts.len(),
        sizes.kilobytes
    );
    let board = Shown::begin(project);
    println!("memory when it begins: {}", memory(&board));
    let mut times = Vec::new();
    let pages = [
        ("the board", String::new()),
        ("an issue", "issues/1".to_owned()),
        (
            "an attempt, looked at before",
            format!("attempts/{}", attempts[0]),
        ),
    ];
    println!("the answer, as a program has it:");
    for (page, path) in &pages {
        board.ask("GET", &format!("/{path}"), &[], "");
        let mut answers = Times::of(format!("{name}: {page}"));
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let (took, answer) = time(|| board.ask("GET", &format!("/{path}"), &[], ""));
            assert_eq!(answer.code, 200, "{path}: {}", answer.body);
            bytes = answer.body.len();
            answers.push(took);
        }
        answers.print(1);
        println!("{:<44} {} kB", "", bytes >> 10);
        times.push(answers);
    }
    // Those that nobody has looked at yet: all of each is heard.
    let mut anew = Times::of(format!("{name}: an attempt, for the first time"));
    for attempt in attempts.iter().skip(1 + ROUNDS) {
        let (took, answer) = time(|| board.ask("GET", &format!("/attempts/{attempt}"), &[], ""));
        assert!(answer.body.contains("id=\"talk\""), "{}", answer.body);
        anew.push(took);
    }
    if attempts.len() > 1 + ROUNDS {
        anew.print(1);
    }
    println!("memory after all attempts: {}", memory(&board));
    if let Some(mut browser) = Browser::open(&project.home()) {
        browser.go(&board.link);
        browser.at("/");
        println!("in Chromium, to the first paint and until all of it is there:");
        for (page, path) in &pages {
            let (painted, there) = painted(&mut browser, name, page, |_| format!("{}/{path}", board.url));
            times.extend([painted, there]);
        }
        let anew = |round: usize| {
            format!(
                "{}/attempts/{}",
                board.url,
                attempts[(1 + round) % attempts.len()]
            )
        };
        painted(&mut browser, name, "an attempt, for the first time", anew);
        seen(&mut browser, &board, &workspace, ticks);
    }
    let memory = memory(&board);
    board.end();
    Figures { times, memory }
}

fn painted(browser: &mut Browser, name: &str, page: &str, url: impl Fn(usize) -> String) -> (Times, Times) {
    let mut painted = Times::of(format!("{name}: {page}, painted"));
    let mut there = Times::of(format!("{name}: {page}, there"));
    let milliseconds = |value: serde_json::Value| Duration::from_secs_f64(value.as_f64().unwrap() / 1e3);
    for round in 0..ROUNDS {
        browser.go(&url(round));
        let paint = "performance.getEntriesByName('first-contentful-paint')[0]";
        browser.until("it is painted", paint);
        painted.push(milliseconds(browser.eval(&format!("{paint}.startTime"))));
        let whole = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd";
        there.push(milliseconds(browser.eval(whole)));
    }
    painted.print(1);
    there.print(1);
    (painted, there)
}

/// How long it takes from a line of an agent to the screen of whoever looks at the board.
fn seen(browser: &mut Browser, board: &Shown<'_>, workspace: &Workspace, ticks: &str) {
    let project = &workspace.project;
    browser.go(&format!("{}/", board.url));
    browser.until("it hears", "document.body.dataset.heard === ''");
    browser.eval(WATCH);
    let shift = project.start(&["run", ticks, "--policy", "single"]);
    browser.until("it works", "document.querySelector('#lane-working .doing')");
    fs::write(project.shared().join("go"), "").unwrap();
    ended_within(Duration::from_secs(300), project, shift).exits(0);
    browser.until(
        "its end is seen",
        "!document.querySelector('#lane-working .doing')",
    );
    let seen = browser.eval("[...window.seen.values()].sort((a, b) => a - b)");
    let seen = seen.as_array().unwrap();
    println!(
        "from an agent's line to the screen: {} of {TICKS} seen, p50 {} ms, p95 {} ms, at most {} ms",
        seen.len(),
        seen[seen.len() / 2],
        seen[seen.len() * 95 / 100],
        seen[seen.len() - 1]
    );
}

fn memory(board: &Shown<'_>) -> Memory {
    let status = fs::read_to_string(format!("/proc/{}/status", board.child.id())).unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() >> 10
    };
    Memory {
        now: of("VmRSS:"),
        most: of("VmHWM:"),
    }
}
