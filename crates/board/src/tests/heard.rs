//! What is given of a conversation is what hearing all of it at once gives, however it came, and little of it is held.

use std::cell::Cell;
use std::io::Write;

use serde_json::json;
use tempfile::TempDir;
use turno_core::command::AgentStart;
use turno_engine::config::{self, EnvMap, Loaded, Overrides, Places};

use super::*;

const A1: AttemptId = AttemptId(1);

/// An attempt of Claude Code on disk.
struct Attempt {
    dir: TempDir,
    config: Loaded,
    start: AgentStart,
    begun: Cell<usize>,
}

impl Attempt {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            repo: dir.path().to_owned(),
            user: None,
        };
        let config = "[agents.actor]\ndialect = \"claude\"\n[checks.test]\ncommand = \"true\"\n";
        std::fs::write(dir.path().join("turno.toml"), config).unwrap();
        let start = json!({
            "attempt": 1, "task": "1.1", "slot": 1, "persona": "author", "agent": "actor", "access": "read",
            "from": "6a0505656886a6969dbc87d6f75605661dc66035", "session": "fresh",
            "brief": {
                "issue": {"id": 1, "title": "", "body": ""},
                "task": {"id": "1.1", "title": "", "brief": "", "acceptance": [], "touches": []},
                "round": 1,
                "ask": {"plan": {"because": "new", "checks": [], "room": 20, "tasks": [], "proposals": []}},
            },
            "limits": {"cap": 1, "wall_clock": "20m", "silence": "15m"},
        });
        Self {
            config: config::load(&places, &EnvMap::new(), &Overrides::default()).unwrap(),
            dir,
            start: serde_json::from_value(start).unwrap(),
            begun: Cell::new(0),
        }
    }

    fn out(&self) -> std::path::PathBuf {
        self.dir.path().join(files::OUT)
    }

    fn says(&self, bytes: &[u8]) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.out()).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn replay(&self) -> Replay {
        Replay::of(&self.config, &self.start, self.dir.path()).unwrap()
    }

    /// All that was said, heard at once.
    fn whole(&self) -> Vec<SaidView> {
        let mut all = Vec::new();
        self.replay()
            .read(|doing| all.push(SaidView::of(all.len() + 1, &doing)));
        all
    }

    fn piece(&self, heard: &Heard, id: AttemptId, life: Life, which: Which) -> ConversationPage {
        let begin = || {
            self.begun.set(self.begun.get() + 1);
            Ok(self.replay())
        };
        heard.piece(id, self.dir.path(), life, which, begin).unwrap()
    }

    /// Asks for one piece and holds it against what hearing all of it gives.
    #[track_caller]
    fn is_right(&self, heard: &Heard, life: Life, which: Which) {
        let all = self.whole();
        let given = self.piece(heard, A1, life, which);
        let (from, to) = match which {
            Which::After { after, limit } => (after.min(all.len()), (after + limit).min(all.len())),
            Which::Last(most) => (all.len().saturating_sub(most), all.len()),
        };
        assert_eq!(given.items, all[from..to], "{which:?} of {}", all.len());
        assert_eq!(given.more, to < all.len(), "{which:?}");
    }
}

/// Lines whose meaning hangs on lines before them: a tool's end has only the number of its beginning, and a kind of
/// message that nobody knows is told once.
fn lines(count: usize) -> Vec<u8> {
    let mut text = String::new();
    for n in 0..count {
        let line = match n % 4 {
            0 => json!({"type": "assistant", "message": {"id": format!("m{n}"), "content": [
                {"type": "tool_use", "id": format!("t{n}"), "name": format!("Tool{n}"), "input": {}}]}}),
            1 => json!({"type": "assistant", "message": {"id": format!("m{n}"), "content": [
                {"type": "text", "text": format!("the {n}th thing, and gr\u{fc}n")}]}}),
            // The end of a tool that began many lines ago.
            2 => json!({"type": "user", "message": {"content": [
                {"type": "tool_result", "tool_use_id": format!("t{}", (n - 2).saturating_sub(400)), "content": "x"}]}}),
            _ => json!({"type": format!("never-heard-of-{}", n % 16)}),
        };
        text.push_str(&format!("{line}\n"));
    }
    text.into_bytes()
}

const ASKED: [Which; 8] = [
    Which::Last(200),
    Which::Last(HELD),
    Which::Last(2000),
    Which::After { after: 0, limit: 50 },
    Which::After {
        after: 300,
        limit: 200,
    },
    Which::After {
        after: 900,
        limit: 2000,
    },
    Which::After {
        after: 1290,
        limit: 500,
    },
    Which::After {
        after: 9000,
        limit: 5,
    },
];

#[test]
fn every_piece_is_what_hearing_all_at_once_gives() {
    let attempt = Attempt::new();
    let heard = Heard::default();
    let said = lines(1800);
    // Cut in the middle of lines and of characters.
    for piece in said.chunks(said.len() / 23 + 1) {
        attempt.says(piece);
        for which in ASKED {
            attempt.is_right(&heard, Life::Running, which);
        }
    }
    assert!(attempt.whole().len() > HELD * 2, "{}", attempt.whole().len());
    for which in ASKED {
        attempt.is_right(&heard, Life::Over, which);
        attempt.is_right(&Heard::default(), Life::Over, which);
    }
}

#[test]
fn an_attempt_is_heard_once_and_then_only_what_is_new() {
    let attempt = Attempt::new();
    let heard = Heard::default();
    let end = Which::Last(200);
    // Before it has said anything there is no file.
    assert_eq!(attempt.piece(&heard, A1, Life::Running, end).items, []);
    attempt.says(&lines(400));
    attempt.is_right(&heard, Life::Running, end);
    let begun = attempt.begun.get();
    for _ in 0..20 {
        attempt.says(b"{\"type\": \"assistant\", \"message\": {\"content\": [{\"type\": \"text\", \"text\": \"on\"}]}}\n");
        attempt.is_right(&heard, Life::Running, end);
        let seen = attempt.whole().len();
        let news = Which::After {
            after: seen - 1,
            limit: 500,
        };
        attempt.is_right(&heard, Life::Running, news);
    }
    // That it is over is no reason to hear it again, nor is being asked again then.
    attempt.is_right(&heard, Life::Over, end);
    attempt.is_right(&heard, Life::Over, end);
    assert_eq!(attempt.begun.get(), begun);
    // What comes all the same is heard.
    attempt.says(&lines(40));
    attempt.is_right(&heard, Life::Over, end);
    assert_eq!(attempt.begun.get(), begun + 1);
}

#[test]
fn another_file_of_that_name_is_heard_from_its_beginning() {
    for life in [Life::Running, Life::Over] {
        let attempt = Attempt::new();
        let heard = Heard::default();
        attempt.says(&lines(200));
        attempt.is_right(&heard, life, Which::Last(200));
        std::fs::remove_file(attempt.out()).unwrap();
        assert_eq!(attempt.piece(&heard, A1, life, Which::Last(200)).items, []);
        attempt.says(&lines(300));
        attempt.is_right(&heard, life, Which::Last(200));
        std::fs::write(attempt.out(), lines(20)).unwrap();
        attempt.is_right(&heard, life, Which::Last(200));
    }
}

#[test]
fn little_is_held_however_many_say_much() {
    let attempt = Attempt::new();
    let heard = Heard::default();
    let line = |long: usize| {
        let text = "x".repeat(long);
        json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}).to_string()
            + "\n"
    };
    attempt.says(line(300_000).repeat(20).as_bytes());
    for n in 1..=100 {
        let page = attempt.piece(&heard, AttemptId(n), Life::Over, Which::Last(200));
        assert_eq!(page.items.len(), WORDS / 300_000);
        let shelf = held(&heard.0);
        let bytes: usize = shelf.ears.values().map(|k| held(&k.ear).ring.weight()).sum();
        assert!(bytes <= ALL_HELD + WORDS, "{bytes}");
        assert!(shelf.ears.contains_key(&AttemptId(n)));
    }
    std::fs::write(attempt.out(), line(1)).unwrap();
    for n in 1..=100 {
        attempt.piece(&heard, AttemptId(n), Life::Running, Which::Last(200));
        assert!(held(&heard.0).ears.len() <= EARS);
    }
}

fn given(which: Which, all: usize, long: usize) -> (Vec<usize>, Option<Vec<usize>>) {
    let (mut piece, mut ring) = (Piece::new(which), Ring::default());
    for n in 1..=all {
        let doing = Doing::Says("x".repeat(long));
        piece.take(n, &doing);
        ring.take(doing);
    }
    let numbers = |items: Vec<SaidView>| items.iter().map(|i| i.n).collect();
    (numbers(piece.items.into()), ring.give(which).map(numbers))
}

#[test]
fn a_piece_holds_no_more_than_is_given() {
    let after = |after, limit| Which::After { after, limit };
    let same = |which, all, long, right: &[usize]| {
        let (heard, held) = given(which, all, long);
        assert_eq!(heard, right, "{which:?}");
        assert_eq!(held.as_deref(), Some(right), "{which:?}");
    };
    same(after(2, 3), 9, 1, &[3, 4, 5]);
    same(after(7, 3), 9, 1, &[8, 9]);
    same(Which::Last(2), 9, 1, &[8, 9]);
    same(Which::Last(5), 2, 1, &[1, 2]);
    // Long ones: less is given at once, and always something.
    same(Which::Last(9), 9, WORDS / 2, &[8, 9]);
    same(Which::Last(9), 3, WORDS * 2, &[3]);
    same(after(7, 9), 9, WORDS / 2, &[8, 9]);
    assert_eq!(given(after(0, 9), 9, WORDS / 2), (vec![1, 2], None));
    assert_eq!(given(Which::Last(HELD + 1), HELD + 9, 1).1, None);
}
