//! Output of a child through its supervisor into the transcript and on to lines, against `cat FILE | cat > OUT`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::runtime::Runtime;
use turno_agents::DialectKind;
use turno_agents::dialect::{Conversation, Cue, Job, Line, Protected};
use turno_core::command::Session;
use turno_core::outcome::OutcomeKind;
use turno_core::persona::{Access, Effort, Model, Tools};
use turno_core::units::MicroUsd;
use turno_engine::process::supervised::{Bell, Start, Supervised};
use turno_engine::process::supervisor::{After, End, ExitKind, Orders, files};
use turno_engine::redact::Redaction;
use turno_engine::transcript::Tail;

use crate::measure::{Bound, Times, Verdict, settle, time};

const BYTES: usize = 200 << 20;
const ROUNDS: usize = 7;
const BOUND: Bound = Bound::AtMost(2.0);

/// Runs the section.
pub(crate) fn run(dir: &Path) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut verdict = Verdict::Holds;
    for length in [200, 2000] {
        let input = dir.join(format!("lines-{length}"));
        let count = generate(&input, length);
        println!("{count} lines of {length} bytes");
        let stage = Stage {
            runtime: &runtime,
            dir,
            input: &input,
            count,
        };
        verdict = verdict.and(stage.run());
        println!();
    }
    verdict
}

/// How far the lines are followed while they come.
#[derive(Clone, Copy)]
enum Follow {
    /// Into the transcript.
    Transcript,
    /// On to lines.
    Lines,
    /// On to what they mean.
    Signals,
}

struct Stage<'a> {
    runtime: &'a Runtime,
    dir: &'a Path,
    input: &'a Path,
    count: usize,
}

impl Stage<'_> {
    fn run(&self) -> Verdict {
        let mut cat = Times::of("cat FILE | cat > OUT");
        let mut kept = Times::of("supervisor, to the transcript");
        let mut cut = Times::of("supervisor, to lines");
        let mut heard = Times::of("supervisor, to signals of a dialect");
        self.cat();
        for round in 0..ROUNDS {
            let mut ours = || {
                kept.push(self.supervised(Follow::Transcript));
                cut.push(self.supervised(Follow::Lines));
                heard.push(self.supervised(Follow::Signals));
            };
            if round % 2 == 0 {
                cat.push(self.cat());
                ours();
            } else {
                ours();
                cat.push(self.cat());
            }
        }
        for times in [&cat, &kept, &cut, &heard] {
            times.print(1);
            let million = f64::from(u32::try_from(self.count).unwrap()) / 1e6;
            println!(
                "{:<44} {:.2} million lines a second",
                "",
                million / times.median().as_secs_f64()
            );
        }
        heard.against(&cat, Bound::Shown);
        let kept = kept.against(&cat, BOUND);
        cut.against(&cat, BOUND).and(kept)
    }

    fn cat(&self) -> std::time::Duration {
        let out = self.dir.join("out-of-cat");
        settle();
        let (took, status) = time(|| {
            Command::new("sh")
                .args(["-c", "cat \"$0\" | cat > \"$1\""])
                .args([self.input, &out])
                .status()
                .unwrap()
        });
        assert!(status.success());
        self.check(&out);
        took
    }

    fn supervised(&self, follow: Follow) -> std::time::Duration {
        let dir = self.dir.join("attempt");
        fs::create_dir(&dir).unwrap();
        settle();
        let (took, lines) = time(|| self.runtime.block_on(self.attempt(&dir, follow)));
        match follow {
            Follow::Transcript => {}
            Follow::Lines | Follow::Signals => assert_eq!(lines, self.count),
        }
        self.check(&dir.join(files::OUT));
        fs::remove_dir_all(&dir).unwrap();
        took
    }

    async fn attempt(&self, dir: &Path, follow: Follow) -> usize {
        let redaction = Redaction::default();
        let start = Start {
            turno: Path::new(env!("CARGO_BIN_EXE_turno")),
            dir,
            orders: Orders {
                argv: vec!["cat".to_owned(), self.input.display().to_string()],
                cwd: PathBuf::from("/"),
                grace_ms: 1000,
                limit_ms: 600_000,
                output_cap: u64::MAX,
                alone_ms: 60_000,
                limits: None,
                after: After::Nothing,
            },
            env: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
            marker: "bench".to_owned(),
            redaction: &redaction,
            net: None,
        };
        let mut run = Supervised::start(start).await.unwrap();
        run.close_input().await;
        let mut tail = Tail::new(dir.join(files::OUT));
        let mut conversation = turno_agents::dialect(DialectKind::Claude).converse(&job());
        let mut lines = 0;
        let mut take = |line: Line<'_>| {
            lines += 1;
            if let Follow::Signals = follow {
                hear(&mut *conversation, line);
            }
        };
        loop {
            let bell = run.bell().await;
            match follow {
                Follow::Transcript => {}
                Follow::Lines | Follow::Signals => tail.read(&mut take),
            }
            if bell == Bell::Over {
                break;
            }
        }
        assert_eq!(run.wait().await, Some(End::Exited(ExitKind::Code(0))));
        match follow {
            Follow::Transcript => {}
            Follow::Lines | Follow::Signals => tail.finish(&mut take),
        }
        lines
    }

    /// All of it is there; then it goes.
    fn check(&self, out: &Path) {
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert_eq!(length(out), length(self.input));
        fs::remove_file(out).unwrap();
    }
}

fn hear(conversation: &mut dyn Conversation, line: Line<'_>) {
    let signals = conversation.line(line);
    assert!(!signals.is_empty(), "every line says something");
    std::hint::black_box(signals);
}

/// Lines as an agent writes them, all of one length.
fn generate(path: &Path, length: usize) -> usize {
    let head =
        r#"{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":""#;
    let tail = "\"}]}}\n";
    let words = "the parser takes a number for a text; ";
    let room = length - head.len() - tail.len();
    let text: String = words.chars().cycle().take(room).collect();
    let line = format!("{head}{text}{tail}");
    assert_eq!(line.len(), length);
    let count = BYTES / length;
    let mut file = BufWriter::new(File::create(path).unwrap());
    for _ in 0..count {
        file.write_all(line.as_bytes()).unwrap();
    }
    file.flush().unwrap();
    count
}

/// Only what a conversation listens for matters.
fn job() -> Job {
    Job {
        program: "claude".to_owned(),
        turno: String::new(),
        extra_args: Vec::new(),
        cwd: "/".to_owned(),
        attempt_dir: "/".to_owned(),
        system: String::new(),
        prompt: String::new(),
        session: Session::Fresh,
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: Access::Read,
        tools: Tools::ByAccess,
        outcome: OutcomeKind::Verdict,
        cap: MicroUsd(1_000_000),
        prices: BTreeMap::new(),
        tool_servers: Vec::new(),
        protected: Protected::default(),
        cue: Cue {
            persona: "reviewer".parse().unwrap(),
            task: "1.1".parse().unwrap(),
            title: String::new(),
            round: 1,
        },
    }
}
