//! What the screen looks like, told from a journal that is kept for ever, and that no text of others does harm on
//! it; what the keys do.

use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use turno_core::decision::{Asker, Choice, Decision, DecisionStage, Question};
use turno_core::event::{Event, StopHow};
use turno_core::ids::{AttemptId, DecisionId, IssueId, Seq, TaskId};
use turno_core::issue::IssueDraft;
use turno_core::record::Record;
use turno_core::state::{Entity, State};
use turno_core::task::Actor;
use turno_core::units::Timestamp;
use turno_engine::live::{Doing, LiveLine};

use super::frame::{Frame, Heard, Source, Subject, frame};
use super::paint::Paint;
use super::ui::{Above, Pane, Paper, Ui, Wish};
use super::{draw, text_of};

/// The first records of a kept journal, read through a copy of it.
fn records(count: usize) -> Vec<Record> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals/team-1");
    let copy = tempfile::tempdir().unwrap();
    let journal = copy.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    for file in std::fs::read_dir(kept).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, journal.join(file.file_name().unwrap())).unwrap();
    }
    let (_, reader) = turno_engine::store::Store::look(copy.path()).unwrap();
    reader.after(Seq(0), count).unwrap()
}

/// What is heard of them by a coordinator, some seconds after the last of them.
fn heard(count: usize) -> (Heard, Timestamp) {
    let records = records(count);
    let mut heard = Heard::nothing();
    heard.source = Source::Live;
    records.iter().for_each(|r| heard.record(r));
    (heard, Timestamp(records.last().unwrap().at.0 + 7000))
}

/// A question for a person, with a task that there is.
fn asks(heard: &mut Heard, question: &str, at: Timestamp) {
    let actor = Actor {
        persona: "engineer".parse().unwrap(),
        agent: "ada".parse().unwrap(),
        attempt: AttemptId(9),
    };
    let choice = |label: &str, detail: &str| Choice {
        label: label.to_owned(),
        detail: detail.to_owned(),
    };
    let decision = Decision {
        id: DecisionId(1),
        task: TaskId {
            issue: IssueId(1),
            number: 1,
        },
        asker: Asker::Agent { actor, session: None },
        question: Question {
            question: question.to_owned(),
            options: vec![choice("round up", "the till wins"), choice("round to even", "")],
            recommended: Some("round to even".to_owned()),
        },
        asked: Timestamp(at.0 - 3000),
        stage: DecisionStage::Open,
    };
    heard.state.put(Entity::Decision(decision.into()));
}

/// Clocks stand in the time of the place where they are read.
fn timeless(mut frame: Frame) -> Frame {
    for event in &mut frame.events {
        event.at = "12:00:00".to_owned();
    }
    frame
}

fn screen(frame: &Frame, ui: &mut Ui, columns: u16, lines: u16) -> String {
    let area = Rect::new(0, 0, columns, lines);
    let mut buffer = Buffer::empty(area);
    draw::draw(frame, ui, Paint::NoColours, area, &mut buffer);
    text_of(&buffer).join("\n") + "\n"
}

/// Holds a screen against a file that was looked at. `TURNO_BLESS=1` writes it anew.
#[track_caller]
fn matches(name: &str, shown: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/cli/verb/top/golden");
    let path = dir.join(name);
    if std::env::var_os("TURNO_BLESS").is_some() {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(&path, shown).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(
        shown == golden,
        "{name} looks otherwise now; look at it, then TURNO_BLESS=1:\n{shown}"
    );
}

fn press(ui: &mut Ui, frame: &Frame, keys: &str) -> Vec<Wish> {
    let code = |c| match c {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\u{1b}' => KeyCode::Esc,
        c => KeyCode::Char(c),
    };
    keys.chars()
        .map(|c| {
            ui.settle(frame);
            ui.key(KeyEvent::new(code(c), KeyModifiers::NONE), frame)
        })
        .filter(|wish| *wish != Wish::Nothing)
        .collect()
}

#[test]
fn a_shift_is_seen_at_a_glance_at_both_sizes() {
    let (mut seen, now) = heard(40);
    asks(&mut seen, "How are half cents rounded?", now);
    let running: Vec<AttemptId> = seen
        .state
        .running()
        .filter_map(|t| t.run())
        .map(|r| r.attempt)
        .collect();
    for attempt in running {
        seen.line(&LiveLine {
            attempt,
            doing: Doing::Uses("cargo test --workspace".to_owned()),
        });
    }
    let frame = timeless(frame(&seen, now));
    matches("shift-80x24.txt", &screen(&frame, &mut Ui::new(), 80, 24));
    matches("shift-200x50.txt", &screen(&frame, &mut Ui::new(), 200, 50));
    let mut ui = Ui::new();
    press(&mut ui, &frame, "a2");
    matches("answer-80x24.txt", &screen(&frame, &mut ui, 80, 24));
    let mut ui = Ui::new();
    press(&mut ui, &frame, "?");
    matches("help-80x24.txt", &screen(&frame, &mut ui, 80, 24));
}

#[test]
fn a_shift_that_is_over_and_one_whose_coordinator_died_are_told() {
    let (mut seen, now) = heard(usize::MAX);
    let over = screen(&timeless(frame(&seen, now)), &mut Ui::new(), 80, 24);
    matches("over-80x24.txt", &over);
    (seen, _) = heard(40);
    seen.source = Source::Still;
    let left = screen(&frame(&seen, now), &mut Ui::new(), 120, 24);
    assert!(
        left.contains("! no coordinator is alive: `turno resume`"),
        "{left}"
    );
}

#[test]
fn nothing_that_others_wrote_reaches_the_terminal_as_it_is() {
    let bad = format!(
        "\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}evil\u{200b}\r\n\t漢字 {}",
        "x".repeat(10 << 20)
    );
    let (mut seen, now) = heard(40);
    let attempt = seen.state.running().find_map(|t| t.run()).unwrap().attempt;
    seen.line(&LiveLine {
        attempt,
        doing: Doing::Says(bad.clone()),
    });
    let mut state: State = seen.state.clone();
    let draft = IssueDraft {
        title: bad.clone(),
        ..IssueDraft::default()
    };
    let record = Record::of(&mut state, Seq(1000), now, Event::IssueAdded { draft });
    seen.record(&record);
    asks(&mut seen, &bad, now);
    seen.trouble = Some(bad);
    let frame = frame(&seen, now);
    let mut texts: Vec<&String> = frame
        .alarms
        .iter()
        .chain(frame.work.iter().map(|r| &r.title))
        .collect();
    texts.extend(frame.questions.iter().map(|q| &q.question));
    texts.extend(frame.at_work.iter().map(|r| &r.doing));
    texts.extend(frame.events.iter().map(|e| &e.what));
    assert!(
        texts.iter().filter(|t| t.contains("evil")).count() >= 5,
        "{texts:?}"
    );
    for text in texts {
        assert!(!text.contains(crate::print::is_unseen), "{text:?}");
    }
    for (columns, lines) in [(80, 24), (200, 50)] {
        for keys in ["", "a", "?", "s"] {
            let mut ui = Ui::new();
            press(&mut ui, &frame, keys);
            let shown = screen(&frame, &mut ui, columns, lines);
            assert!(
                !shown.contains(|c| crate::print::is_unseen(c) && c != '\n'),
                "{shown:?}"
            );
            let widest = shown.lines().map(super::text::width).max();
            assert!(widest <= Some(usize::from(columns)), "{shown}");
            assert_eq!(shown.lines().count(), usize::from(lines));
            assert!(
                keys == "?" || shown.contains("evil"),
                "what is harmless of it is shown: {shown}"
            );
        }
    }
}

#[test]
fn no_size_is_too_small() {
    let (mut seen, now) = heard(40);
    asks(&mut seen, "How are half cents rounded?", now);
    seen.trouble = Some("the journal cannot be read".to_owned());
    let frame = frame(&seen, now);
    for columns in [1, 2, 5, 19, 40, 129, 130] {
        for lines in [1, 2, 3, 7, 12] {
            for above in ["", "a", "?", "S"] {
                let mut ui = Ui::new();
                press(&mut ui, &frame, above);
                screen(&frame, &mut ui, columns, lines);
                let lines_of_it = vec![("some words to be read".to_owned(), super::Tone::Plain); 30];
                ui.above = Above::Paper(Paper::new("it".to_owned(), lines_of_it));
                screen(&frame, &mut ui, columns, lines);
            }
        }
    }
}

#[test]
fn a_question_is_answered_by_number_or_in_words_and_only_when_meant() {
    let (mut seen, now) = heard(40);
    let none = frame(&seen, now);
    let mut ui = Ui::new();
    assert_eq!(press(&mut ui, &none, "a"), []);
    assert!(ui.notice.is_some(), "that there is none is said");
    asks(&mut seen, "How are half cents rounded?", now);
    let asked = frame(&seen, now);
    let answer = |words: &str| Wish::Answer {
        decision: DecisionId(1),
        words: words.to_owned(),
    };
    assert_eq!(press(&mut Ui::new(), &asked, "a2\n"), [answer("2")]);
    assert_eq!(
        press(&mut Ui::new(), &asked, "aquietly, sq\n"),
        [answer("quietly, sq")]
    );
    assert_eq!(
        press(&mut Ui::new(), &asked, "a\n\n \n"),
        [],
        "nothing is no answer"
    );
    let mut ui = Ui::new();
    assert_eq!(press(&mut ui, &asked, "a2\u{1b}"), []);
    assert!(matches!(ui.above, Above::Nothing));
    ui.above = Above::Answer {
        decision: DecisionId(1),
        typed: String::new(),
    };
    ui.paste("two\nlines\u{1b}[2J");
    assert_eq!(press(&mut ui, &asked, "\n"), [answer("two lines\u{fffd}[2J")]);
    // Somebody else was faster.
    press(&mut ui, &asked, "a2");
    ui.settle(&none);
    assert!(matches!(ui.above, Above::Nothing));
}

#[test]
fn a_stop_is_asked_for_twice() {
    let (seen, now) = heard(40);
    let frame = frame(&seen, now);
    assert_eq!(press(&mut Ui::new(), &frame, "sy"), [Wish::Stop(StopHow::Drain)]);
    assert_eq!(press(&mut Ui::new(), &frame, "Sy"), [Wish::Stop(StopHow::Now)]);
    assert_eq!(press(&mut Ui::new(), &frame, "Sns\n"), []);
}

#[test]
fn keys_move_within_a_pane_and_what_is_marked_is_opened() {
    let (seen, now) = heard(40);
    let frame = frame(&seen, now);
    let task = |number| {
        Subject::Task(TaskId {
            issue: IssueId(1),
            number,
        })
    };
    assert_eq!(press(&mut Ui::new(), &frame, "jj\n"), [Wish::Explain(task(1))]);
    assert_eq!(press(&mut Ui::new(), &frame, "jjjko"), [Wish::Diff(task(1))]);
    assert_eq!(
        press(&mut Ui::new(), &frame, "Ggko"),
        [Wish::Diff(Subject::Issue(IssueId(1)))]
    );
    let mut ui = Ui::new();
    press(&mut ui, &frame, "\t");
    assert_eq!(ui.pane, Pane::Events);
    press(&mut ui, &frame, "kkkj");
    assert_eq!(ui.back, 2);
    press(&mut ui, &frame, "\t");
    assert_eq!(ui.pane, Pane::AtWork, "no question: its pane is left out");
    assert_eq!(press(&mut ui, &frame, "q"), [Wish::Quit]);
}
