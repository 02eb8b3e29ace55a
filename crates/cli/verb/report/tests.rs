//! What a page looks like in each form, told from journals that are kept for ever, and that no text of others does
//! harm in any of them.

use turno_core::ids::ShiftId;
use turno_core::record::Record;
use turno_core::report::{Fold, Report, Since};
use turno_core::units::Timestamp;

use super::words::Setting;
use super::{html, markdown, tell, text, words};
use crate::args::ReportFormat;

fn setting() -> Setting {
    Setting {
        project: "till".to_owned(),
        state_dir: "/state".to_owned(),
    }
}

/// The first shift of a kept journal.
fn kept(name: &str) -> Report {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/journals")
        .join(name);
    let mut fold = Fold::new(ShiftId(1));
    for record in records(&dir) {
        fold.take(&record);
    }
    fold.finish().unwrap()
}

/// The records of a journal, read through a copy of it: opening one may write beside it.
fn records(dir: &std::path::Path) -> Vec<Record> {
    let copy = tempfile::tempdir().unwrap();
    let journal = copy.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    for file in std::fs::read_dir(dir).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, journal.join(file.file_name().unwrap())).unwrap();
    }
    let (_, reader) = turno_engine::store::Store::look(copy.path()).unwrap();
    reader.all().unwrap()
}

/// Holds a text against a file that was looked at. `TURNO_BLESS=1` writes it anew.
#[track_caller]
fn matches(name: &str, told: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/cli/verb/report/golden")
        .join(name);
    let told = format!("{}\n", anstream::adapter::strip_str(told).to_string().trim_end());
    if std::env::var_os("TURNO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &told).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        told == golden,
        "{name} is told otherwise now; look at it, then TURNO_BLESS=1:\n{told}"
    );
}

/// Times of day without their zone: goldens must not depend on where they are looked at.
fn without_times(told: &str) -> String {
    let mut out = String::with_capacity(told.len());
    let mut rest = told;
    while let Some(at) = rest.find(':') {
        let (before, after) = rest.split_at(at);
        let digits = |t: &str, n: usize| t.len() >= n && t.bytes().take(n).all(|b| b.is_ascii_digit());
        let clock = before.len() >= 2
            && before.is_char_boundary(before.len() - 2)
            && digits(&before[before.len() - 2..], 2)
            && digits(&after[1..], 2);
        if clock {
            out.push_str(&before[..before.len() - 2]);
            out.push_str("hh:mm");
            rest = &after[3..];
        } else {
            out.push_str(before);
            out.push(':');
            rest = &after[1..];
        }
    }
    out.push_str(rest);
    // The day, too, depends on where one is.
    for day in ["20", "21", "22"] {
        out = out.replace(&format!("2026-11-{day}"), "yyyy-mm-dd");
    }
    out
}

#[test]
fn a_kept_journal_is_told_as_text_and_markdown_as_it_always_was() {
    let page = words::page(&kept("team-1"), &setting());
    matches("team-1.txt", &without_times(&text::text(&page, 90)));
    matches("team-1.md", &without_times(&markdown::markdown(&page)));
}

#[test]
fn an_older_journal_is_told_in_every_form() {
    for name in ["demo-1", "team-1"] {
        let report = kept(name);
        for format in [
            ReportFormat::Text,
            ReportFormat::Markdown,
            ReportFormat::Html,
            ReportFormat::Json,
        ] {
            let told = tell(&report, &setting(), format, 80).unwrap();
            assert!(told.contains("landed"), "{name} as {format:?}: {told}");
        }
    }
}

#[test]
fn lines_of_text_fit_their_width() {
    let page = words::page(&kept("team-1"), &setting());
    for width in [72, 80, 120] {
        let told = anstream::adapter::strip_str(&text::text(&page, width)).to_string();
        for line in told.lines() {
            // A command is typed as it is, a single word is not broken.
            let bound = if line.trim_start().starts_with('$') {
                200
            } else {
                width
            };
            assert!(line.chars().count() <= bound, "{width}: {line:?}");
        }
    }
}

/// Text that wants to be markup, to move the cursor, to read backwards, to be a link, to end a block, to flood.
const EVIL: &str = "</pre></title></style><script>alert(1)</script><img src=x onerror=alert(2)> \
    {{ page.project }} {% raw %} [link](javascript:alert(3)) ![p](https://evil.example/x.png) `code` ``` \
    | cell | # head @someone www.evil.example \u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}1m\u{202e}txt.exe\u{2066} \u{0}\r";

fn hostile() -> Report {
    let mut report = kept("team-1");
    let long = format!("{EVIL}{}", "A".repeat(100_000));
    for issue in &mut report.issues {
        issue.title = long.clone();
        issue.proposed = vec![long.clone()];
        issue.alarm = Some(turno_core::report::Alarmed {
            since: Timestamp(0),
            branch: long.clone(),
            tip: "1".repeat(40).parse().unwrap(),
            head: "2".repeat(40).parse().unwrap(),
            why: long.clone(),
        });
    }
    for landed in &mut report.landed {
        landed.title = long.clone();
        landed.paths = vec![long.clone(); 3];
    }
    for attempt in &mut report.attempts {
        attempt.said = long.clone();
    }
    let task = report.landed[0].task;
    report.parked.push(turno_core::report::Parked {
        task,
        title: long.clone(),
        question: long.clone(),
        options: vec![turno_core::decision::Choice {
            label: long.clone(),
            detail: long.clone(),
        }],
        recommended: Some(long.clone()),
        evidence: Vec::new(),
        todo: vec![turno_core::report::Todo::RunAgain(task.issue)],
        tries: 1,
        cost: turno_core::units::MicroUsd(1),
    });
    report.failed.push(turno_core::report::Failed {
        task,
        title: long.clone(),
        stuck: turno_core::report::Stuck::NoProgress,
        why: long.clone(),
        evidence: vec![turno_core::report::Evidence {
            what: long.clone(),
            extract: format!("{EVIL}\n~~~\n````\n</pre>\n{EVIL}"),
            log: None,
        }],
        last: None,
        transcript: None,
        todo: Vec::new(),
        tries: 1,
        cost: turno_core::units::MicroUsd(1),
    });
    report.since.push(Since {
        at: Timestamp(0),
        what: long,
    });
    report
}

#[test]
fn a_branch_that_cannot_follow_is_told_first_in_every_form() {
    let page = words::page(&hostile(), &setting());
    let told = page
        .warnings
        .iter()
        .find(|w| w.contains("cannot follow"))
        .unwrap();
    assert!(
        told.contains("it is at 1111111") && told.contains("did not move"),
        "{told}"
    );
    for told in [
        text::text(&page, 80),
        markdown::markdown(&page),
        html::html(&page).unwrap(),
    ] {
        assert!(told.contains("cannot follow"), "{told}");
    }
}

#[test]
fn hostile_text_is_harmless_in_html() {
    let page = words::page(&hostile(), &setting());
    let told = html::html(&page).unwrap();
    let lower = told.to_lowercase();
    assert!(
        !lower.contains("<script") && !lower.contains("<img"),
        "an element of theirs"
    );
    assert_eq!(lower.matches("</style>").count(), 1);
    assert_eq!(lower.matches("</title>").count(), lower.matches("<title").count());
    // What stands between tags may say anything; what stands in one may not.
    for tag in lower.split('<').skip(1).filter_map(|t| t.split('>').next()) {
        for word in [" onerror", " onload", "href=\"h", "href=\"j", "src="] {
            assert!(!tag.contains(word), "{tag}");
        }
    }
    assert!(!told.contains('\u{1b}') && !told.contains('\u{202e}') && !told.contains('\0'));
    assert!(told.len() < 400_000, "{}", told.len());
    assert!(
        told.contains("{{ page.project }}"),
        "a template in a title is text"
    );
}

#[test]
fn hostile_text_is_harmless_in_a_terminal() {
    let page = words::page(&hostile(), &setting());
    let told = anstream::adapter::strip_str(&text::text(&page, 80)).to_string();
    assert!(
        !told.contains(|c: char| crate::print::is_unseen(c) && c != '\n'),
        "something unseen is shown"
    );
    assert!(told.len() < 200_000, "{}", told.len());
}

#[test]
fn hostile_text_is_harmless_in_markdown() {
    let page = words::page(&hostile(), &setting());
    let told = markdown::markdown(&page);
    assert!(
        !told.contains(|c: char| crate::print::is_unseen(c) && c != '\n'),
        "something unseen is shown"
    );
    let mut fence: Option<String> = None;
    for line in told.lines() {
        let bare = line.trim_start();
        let ticks: String = bare.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if bare == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && bare.ends_with("text") => fence = Some(ticks),
            None => {
                // What is escaped is text.
                let mut bare = String::new();
                let mut chars = line.chars();
                while let Some(c) = chars.next() {
                    if c == '\\' {
                        chars.next();
                    } else {
                        bare.push(c);
                    }
                }
                for mark in ["<script", "<img", "](", "@someone", "https:/", "www.evil"] {
                    assert!(!bare.contains(mark), "{mark} in {line:.300}");
                }
            }
        }
    }
    assert_eq!(fence, None, "a block of theirs is not closed");
    assert!(told.len() < 200_000, "{}", told.len());
}

#[test]
fn hostile_text_is_harmless_in_json() {
    let report = hostile();
    let told = tell(&report, &setting(), ReportFormat::Json, 80).unwrap();
    assert!(
        !told.contains(crate::print::is_unseen),
        "something unseen is shown"
    );
    let read: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        read["parked"][0]["question"], report.parked[0].question,
        "it is the same text"
    );
    assert_eq!(read["project"], "till");
}

#[test]
fn the_shape_of_the_data_stays() {
    let told = tell(&kept("team-1"), &setting(), ReportFormat::Json, 80).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let keys: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "project state_dir format shift issues landed parked failed dropped unfinished untried costs visits attempts \
         spending budgets waits landings checks tampering guards network decisions lessons since"
    );
    assert_eq!(told["format"], 1);
    assert_eq!(told["shift"]["end"]["ended"]["how"], "done");
    assert_eq!(told["costs"]["by_outcome"][0]["of"], "landed");
    assert_eq!(told["landed"][0]["checks"][1]["check"], "test");
    assert_eq!(told["issues"][0]["todo"][1], "turno promote 1");
    assert_eq!(told["attempts"][0]["by"]["agent"]["persona"], "author");
}
