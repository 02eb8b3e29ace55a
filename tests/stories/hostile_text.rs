//! Text from outside that means harm, on every surface there is: one table of tricks, one of verbs, one of routes. A
//! verb or a route without a row fails. What a terminal gets is looked at byte for byte, what a browser makes of a page
//! in the page.

mod surfaces;
mod tricks;

use std::fs;
use std::time::Duration;

use serde_json::json;

use self::surfaces::{PAGES, Page, ROWS, Row};
use self::tricks::{MARK, TRICKS, forgery, harm, quoted};
use crate::harness::board::Shown;
use crate::harness::browser::{Browser, DESK, PHONE};
use crate::harness::processes::{alive, until, until_within};
use crate::harness::project::Project;
use crate::harness::pty::Typed;
use crate::harness::tmux::{Tmux, is_there};

/// A line of ten million characters takes its time.
const LONG: Duration = Duration::from_secs(60);

const CONFIG: &str = r#"
slots = 2
[checks.test]
command = "sh check.sh"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Names of files that mean harm, as a shell makes them; the last is no UTF-8.
const MAKE: &str = r#"
mkdir -p made
harm='kilroy-content <img src=x onerror=document.title=1>'
printf '%s \033[8m\033]0;owned\007\302\2338m\n' "$harm" > 'made/<img src=x onerror=document.title=1>.txt'
printf 'kilroy\n' > "made/$(printf 'kilroy\nforged-by-a-name.txt')"
printf 'kilroy\n' > "made/$(printf 'kilroy\033]0;owned\007\033[8m.txt')"
printf 'kilroy\n' > "made/$(printf 'kilroy\302\2338m\342\200\256txt.exe')"
printf 'kilroy\n' > "made/$(printf 'kilroy\377\376.txt')"
printf 'kilroy-said \377\376 \033]52;c;b3duZWQ=\007\n'
"#;

/// Red until the work was gone on with twice, and loud about it.
const CHECK: &str = "n=$(wc -l 2>/dev/null < mended.txt || echo 0)\n\
    printf 'kilroy-check \\033]0;owned\\007\\033[31mtheirs \\302\\2338m <script>document.title=1</script>\\n'\n\
    [ \"$n\" -ge 2 ]\n";

/// Every text that an agent can give is a hostile one, and says where it comes from.
fn script() -> String {
    let text = |of: &str| quoted(&harm(of));
    let finding = format!(
        "{{file: {}, line: 1, severity: major, what: {}, how_to_see: {}}}",
        text("file"),
        text("finding"),
        text("how")
    );
    format!(
        r#"
sessions:
  - {{persona: reviewer, round: 1, steps: [{{say: {review}}}, {{outcome: {{verdict: findings, findings: [{finding}], read: [{read}]}}}}]}}
  - {{persona: reviewer, steps: [{{outcome: {{verdict: approve}}}}]}}
  - task: "2*"
    steps:
      - say: {say}
      - fail: {{cause: agent, detail: {fail}}}
  - resumed: true
    steps:
      - run: "find made -name '*exe*' -delete; rm -rf made/*owned*; date +%s%N >> mended.txt"
      - outcome: {{summary: {summary}, evidence: [{evidence}], open_questions: [{open}]}}
  - steps:
      - say: {say}
      - raw: {raw}
      - flood: {{lines: 1, bytes_per_line: 10000000}}
      - quota: {{window: {window}, fill: {{percent: 83}}, resets_in: 2h}}
      - note: {note}
      - propose: {{title: {title}, brief: {brief}, why: {why}, touches: ["made/**"]}}
      - report: {finding}
      - run: {run}
      - run: sh make.sh
      - commit: {commit}
      - ask: {{question: {question}, options: [{{label: {label}, detail: {detail}}}, {{label: plain}}], recommended: {label}}}
      - outcome: {{summary: {summary}}}
"#,
        review = text("review"),
        read = text("read"),
        say = text("say"),
        fail = text("fail"),
        summary = text("summary"),
        evidence = text("evidence"),
        open = text("open"),
        raw = text("raw"),
        window = text("window"),
        note = text("note"),
        title = text("proposal"),
        brief = text("brief"),
        why = text("why"),
        run = quoted(&format!(": '{}'", harm("tool").replace('\'', ""))),
        commit = text("commit"),
        question = text("question"),
        label = text("label"),
        detail = text("detail"),
    )
}

const BRANCH: &str = "kilroy/<img/src=x>\u{202e}\u{9b}8m";

fn project() -> Project {
    let files = [
        (
            ".turno/policies/single.toml",
            "[rows.agent]\ntries = 2\nwait = \"200ms\"\n",
        ),
        ("turno.toml", CONFIG),
        ("script.yaml", &script()),
        ("make.sh", MAKE),
        ("check.sh", CHECK),
    ];
    let project = Project::new(&files).env("TURNO_AGENT", "actor");
    project.git(&["checkout", "-q", "-b", BRANCH]);
    for title in ["title", "failing"] {
        let title = format!("{}{}", harm(title), forgery("a-title"));
        let (body, accept, label) = (harm("body"), harm("accept"), harm("word"));
        let add = [
            "issue", "add", &title, "--body", &body, "--accept", &accept, "--label", &label,
        ];
        project.turno(&add).exits(0);
    }
    project
}

/// Why what was written to a terminal is not as it should be.
fn wrong_in(written: &[u8], row: &Row) -> Option<String> {
    let Ok(text) = std::str::from_utf8(written) else {
        return Some("it is no UTF-8".to_owned());
    };
    for (name, trick) in TRICKS {
        let kept = matches!(row, Row::Kept(_)) && name == "a heap of marks";
        if tricks::is_heeded(trick) && !kept && text.contains(trick) {
            return Some(format!("the trick {name} arrives whole"));
        }
    }
    if let Some(at) = tricks::stray(text) {
        return Some(format!("a terminal heeds {at:?}"));
    }
    let forged = text
        .lines()
        .map(tricks::bare)
        .find(|l| l.trim_start().starts_with("forged-"));
    match (row, forged) {
        (Row::Lines(_), Some(line)) => return Some(format!("a line is forged: {line}")),
        (Row::Lines(_) | Row::Papers(_) | Row::Kept(_) | Row::Silent(_), _) => {}
    }
    None
}

/// Types what is shown of the project, on a terminal, and looks at each byte.
fn typed_everything(project: &Project, when: &str) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (verb, row) in ROWS {
        let (Row::Lines(lines) | Row::Papers(lines) | Row::Kept(lines)) = row else {
            continue;
        };
        for line in *lines {
            let harm = harm("typed");
            let args: Vec<&str> = line
                .iter()
                .map(|a| if *a == "HARM" { harm.as_str() } else { *a })
                .collect();
            let written = Typed::begin(project, &args).ends();
            let told = String::from_utf8_lossy(&written).into_owned();
            if let Some(why) = wrong_in(&written, row) {
                wrong.push(format!("{when}: turno {}: {why}", line.join(" ")));
            }
            assert!(!told.contains("panicked"), "{verb}: {told}");
            assert!(!written.is_empty(), "turno {} says nothing", line.join(" "));
            seen += usize::from(told.contains(MARK));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What shows nothing of it proves nothing.
    assert!(seen > 20, "{seen}");
}

/// What a page must not be, whatever it shows.
const HEALTH: &str = r#"(() => {
  const wrong = [];
  const count = (what) => document.querySelectorAll(what).length;
  if (count("img, iframe, object, embed, style, main script, base, main link, meta[http-equiv]")) wrong.push("an element was made");
  for (const e of document.querySelectorAll("*")) {
    for (const { name, value } of e.attributes) {
      if (/^on|^style$|^autofocus$/.test(name)) wrong.push(`<${e.nodeName} ${name}>`);
      if (/^\s*javascript:/i.test(value)) wrong.push(`javascript: in ${name}`);
    }
  }
  if (/^\s*(owned|1)?\s*$/.test(document.title)) wrong.push(`the title is ${document.title}`);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`it is ${document.documentElement.scrollWidth} wide on ${innerWidth}`);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.textContent;
    const at = node.parentElement;
    if (at.closest("script, template")) continue;
    if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u3164]|[\u{e0000}-\u{e0fff}]/u.test(text)) wrong.push(`unseen in ${at.outerHTML.slice(0, 120)}`);
    if (/\p{M}{9}/u.test(text)) wrong.push(`a heap of marks in ${at.outerHTML.slice(0, 120)}`);
    if (!/\p{Script=Hebrew}/u.test(text)) continue;
    // What is written from the right must be alone in what keeps its direction to itself.
    let keeps = at;
    while (keeps && !/isolate|plaintext/.test(getComputedStyle(keeps).unicodeBidi)) keeps = keeps.parentElement;
    const beside = [];
    const others = document.createTreeWalker(keeps ?? document.body, NodeFilter.SHOW_TEXT);
    for (let o = others.nextNode(); o; o = others.nextNode()) {
      let mine = o.parentElement;
      while (mine && mine !== keeps && !/isolate|plaintext/.test(getComputedStyle(mine).unicodeBidi)) mine = mine.parentElement;
      if (o !== node && mine === keeps && o.textContent.trim() && !/^(option|button)$/i.test(o.parentElement.nodeName)) beside.push(o.textContent.trim().slice(0, 40));
    }
    if (beside.length) wrong.push(`beside what is written from the right: ${JSON.stringify(beside.slice(0, 3))} in ${keeps.outerHTML.slice(0, 160)}`);
  }
  return [...new Set(wrong)];
})()"#;

fn looked_at_everything(browser: &mut Browser, board: &Shown<'_>, when: &str) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, page) in PAGES {
        let Page::Seen(paths) = page else { continue };
        for path in *paths {
            for size in [DESK, PHONE] {
                browser.size(size);
                browser.go(&format!("{}{path}", board.url));
                let found = browser.eval(HEALTH);
                for what in found.as_array().unwrap() {
                    wrong.push(format!("{when}: {path} at {}: {what}", size.0));
                }
            }
            let told = browser.text();
            assert!(told.len() < 300_000, "{path}: {}", told.len());
            seen += usize::from(told.contains(MARK));
        }
        assert!(!path.is_empty());
    }
    let elsewhere = browser
        .asked
        .iter()
        .filter(|url| !url.starts_with(&board.url) && !url.starts_with("about:"));
    wrong.extend(elsewhere.map(|url| format!("{when}: asked elsewhere: {url}")));
    wrong.append(&mut browser.wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 5, "{seen}");
}

#[test]
fn text_that_means_harm_does_none_on_any_surface() {
    let project = project();
    let run = Typed::begin(&project, &["run", "1", "2", "--policy", "single"]);
    until_within(LONG, "it asks, and the other failed", || {
        let told = project.turno(&["status", "--json"]).json();
        let asks = told["decisions"].as_array().is_some_and(|d| !d.is_empty());
        asks && told["issues"][1]["tasks"][0]["stage"] == "parked"
    });
    typed_everything(&project, "while it asks");
    let board = Shown::begin(&project);
    let mut browser = Browser::open(&project.home());
    if let Some(browser) = &mut browser {
        browser.go(&board.link);
        browser.at("/");
        looked_at_everything(browser, &board, "while it asks");
        browser.size(DESK);
        browser.go(&format!("{}/attempts/1", board.url));
    }
    if is_there() {
        top(&project);
    }
    let question = board.get("/api/decisions")[0]["id"].clone();
    let answer = json!({"answer": harm("answer")});
    assert_eq!(
        board
            .post(&format!("/api/decisions/{question}/answer"), &answer)
            .code,
        200
    );
    // Nobody answered while it waited in its slot; the next shift goes on with it.
    let first = run.ends();
    let second = Typed::begin(&project, &["run", "1", "--policy", "single"]).ends();
    for (written, shown) in [(first, "kilroy-question"), (second, "kilroy-check")] {
        let told = String::from_utf8_lossy(&written);
        assert!(told.contains(shown), "{shown}: {told}");
        assert_eq!(wrong_in(&written, &Row::Lines(&[])), None);
    }
    typed_everything(&project, "afterwards");
    if let Some(browser) = &mut browser {
        looked_at_everything(browser, &board, "afterwards");
        browser.shot("hostile-everything");
        let told = browser.text();
        assert!(!told.is_empty());
    }
    nothing_is_heeded_in_answers(&board);
    board.end();
    drop(browser);
    until("nothing runs", || alive(&project).is_empty());
}

/// The screen of `turno top`, gone through with the keyboard; each byte that it writes is looked at.
fn top(project: &Project) {
    let screen = Tmux::turno(project, "hostile", (180, 50), "top");
    screen.shows(&["questions for you: 1"]);
    let file = project.home().join("top.bytes");
    screen.writes_to(&file);
    for keys in [
        &["a"][..],
        &["Escape"],
        &["g", "j", "Enter"],
        &["Escape"],
        &["o"],
        &["Escape"],
        &["G"],
    ] {
        screen.keys(keys);
        // All of it is drawn anew.
        screen.resize(150, 45);
        screen.resize(180, 50);
    }
    screen.keys(&["q"]);
    screen.shows(&["LEFT 0"]);
    let written = fs::read(&file).unwrap();
    let told = String::from_utf8_lossy(&written);
    for shown in ["kilroy-title", "kilroy-question"] {
        assert!(told.contains(shown), "{shown}");
    }
    assert_eq!(wrong_in(&written, &Row::Papers(&[])), None);
}

/// What is for programs is said to be no page, and a browser that is shown it makes none of it.
fn nothing_is_heeded_in_answers(board: &Shown<'_>) {
    for (path, page) in PAGES {
        let Page::Data(paths) = page else { continue };
        for asked in *paths {
            let answer = board.ask("GET", asked, &[], "");
            let head = answer.head.to_lowercase();
            assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
            assert!(!head.contains("text/html"), "{path}: {head}");
            assert!(head.contains("default-src 'none'"), "{path}: {head}");
        }
    }
}
