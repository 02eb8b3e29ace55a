//! The coordinator's loop waits for nobody who looks. One shift is asked for the same things twice: while nobody looks,
//! and beside hundreds of clients that follow it, do not read, read a little, or are killed. The board is a process of
//! its own; programs that follow the coordinator's own socket are clients too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use turno_core::event::Event;
use turno_core::ids::IssueId;
use turno_core::issue::IssueDraft;
use turno_engine::pace::{BOUNDS, Pace, Times};
use turno_engine::socket::{Answer, Ask, Client};

use crate::harness::board::Shown;
use crate::harness::processes::{alive, ended_within, signal, until};
use crate::harness::project::Project;

const CONFIG: &str = r#"
slots = 1
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// One is done at once; another waits until the story is done.
const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - task: "1*"
    steps:
      - say: it is soon done
      - write: {path: done.txt, text: done}
      - outcome: {summary: done}
  - steps:
      - run: 'touch $HOME/shared/said; until [ -e $HOME/shared/go ]; do sleep 0.1; done; echo x > x.txt'
      - outcome: {summary: done}
"#;

/// So often it is asked for something in each part.
const ASKED: u32 = 400;
const FOLLOW: usize = 150;
const DEAF: usize = 50;
const SLOW: usize = 20;
/// Programs beside the board: some are stopped in the middle, some killed.
const BESIDE: usize = 6;

/// How long each of many requests took, and what the loop says of itself.
struct Part {
    took: Vec<Duration>,
    turns: Times,
    waits: Times,
}

async fn pace(client: &mut Client) -> Pace {
    client.ask(&Ask::Pace).await.unwrap();
    match client.answer().await.unwrap() {
        Some(Answer::Pace(pace)) => pace,
        other => panic!("{other:?}"),
    }
}

fn since(before: &Times, after: &Times) -> Times {
    Times {
        counts: after
            .counts
            .iter()
            .zip(&before.counts)
            .map(|(a, b)| a - b)
            .collect(),
        micros: after.micros - before.micros,
    }
}

/// The end of the class that holds the slowest hundredth.
fn slowest(times: &Times) -> Duration {
    let all: u64 = times.counts.iter().sum();
    let mut seen = 0;
    for (count, bound) in times.counts.iter().zip(BOUNDS.iter().chain([&u64::MAX])) {
        seen += count;
        if seen * 100 >= all * 99 {
            return Duration::from_micros(*bound);
        }
    }
    Duration::MAX
}

/// Asks for one thing after the other, each when the one before is committed.
fn asked(project: &Project, mut meanwhile: impl FnMut(u32)) -> Part {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let socket = project.state().join("turno.sock");
    let mut client = runtime.block_on(Client::connect(&socket)).unwrap();
    let before = runtime.block_on(pace(&mut client));
    let mut took = Vec::new();
    for n in 0..ASKED {
        meanwhile(n);
        let draft = IssueDraft {
            title: format!("asked for {n} times"),
            body: "x".repeat(2000),
            ..IssueDraft::default()
        };
        let event = Event::IssueEdited {
            issue: IssueId(2),
            draft,
        };
        let begun = Instant::now();
        let answer = runtime.block_on(async {
            client.ask(&Ask::Take(Box::new(event))).await.unwrap();
            client.answer().await.unwrap()
        });
        took.push(begun.elapsed());
        assert!(matches!(answer, Some(Answer::Taken(_))), "{answer:?}");
    }
    let after = runtime.block_on(pace(&mut client));
    took.sort_unstable();
    Part {
        took,
        turns: since(&before.turns, &after.turns),
        waits: since(&before.waits, &after.waits),
    }
}

impl Part {
    fn at(&self, percent: usize) -> Duration {
        *self.took.get(self.took.len() * percent / 100).unwrap()
    }

    fn line(&self) -> String {
        format!(
            "a request {:?} at p50, {:?} at p99; a turn of the loop under {:?}, a wait for it under {:?} at p99",
            self.at(50),
            self.at(99),
            slowest(&self.turns),
            slowest(&self.waits)
        )
    }
}

/// A request on a connection of its own.
fn opened(board: &Shown<'_>, path: &str) -> TcpStream {
    let port: u16 = board.host().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (host, token) = (board.host(), &board.token);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    stream
}

/// A program that follows the coordinator itself.
fn beside(project: &Project) -> Child {
    let mut command = project.command(&["log", "--follow", "--json"], &project.repo());
    // Nobody reads what it writes: its pipe is full soon.
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A process that follows the board, for being killed.
fn follower(board: &Shown<'_>) -> Child {
    let (host, port) = board.host().split_once(':').unwrap();
    let request = format!(
        "GET /api/events?after=0 HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nAuthorization: Bearer {}\\r\\n\\r\\n",
        board.token
    );
    let line = format!("exec 3<>/dev/tcp/{host}/{port}; printf '{request}' >&3; exec cat <&3 >/dev/null");
    Command::new("bash").args(["-c", &line]).spawn().unwrap()
}

/// The first attempt has said fifty megabytes.
fn said_much(project: &Project) {
    let line = format!("{{\"say\":{{\"text\":\"{}\"}}}}\n", "many words ".repeat(90));
    let out = std::fs::OpenOptions::new()
        .append(true)
        .open(project.state().join("attempts/a1/out"));
    let mut out = std::io::BufWriter::new(out.unwrap());
    for _ in 0..50_000_000 / line.len() + 1 {
        out.write_all(line.as_bytes()).unwrap();
    }
    out.flush().unwrap();
}

#[test]
fn the_loop_waits_for_nobody_who_looks() {
    let project =
        Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)]).env("TURNO_AGENT", "actor");
    for title in ["Says much", "Is edited", "Works meanwhile"] {
        project.issue(title);
    }
    project.turno(&["run", "1", "--policy", "single"]).exits(0);
    said_much(&project);
    let shift = project.start(&["run", "3", "--policy", "single"]);
    until("another is at work", || project.shared().join("said").exists());

    let alone = asked(&project, |_| {});

    let board = Shown::begin(&project);
    let bytes = board.get("/api/attempts/1")["kept"]["parts"][0]["bytes"]
        .as_u64()
        .unwrap();
    assert!(bytes >= 50_000_000, "{bytes}");
    let mut readers = Vec::new();
    for _ in 0..FOLLOW {
        let mut stream = opened(&board, "/api/events?after=0");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        readers.push(std::thread::spawn(move || {
            let (mut read, mut piece) = (0, [0; 4096]);
            while let Ok(n @ 1..) = stream.read(&mut piece) {
                read += n;
            }
            read
        }));
    }
    let deaf: Vec<TcpStream> = (0..DEAF).map(|_| opened(&board, "/api/events?after=0")).collect();
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|n| {
            opened(
                &board,
                &format!(
                    "/api/attempts/1/transcript?offset={}&limit=1048576",
                    n * 1_000_000
                ),
            )
        })
        .collect();
    let mut killed: Vec<Child> = (0..BESIDE).map(|_| follower(&board)).collect();
    let stopped: Vec<Child> = (0..BESIDE).map(|_| beside(&project)).collect();
    let mut gone: Vec<Child> = (0..BESIDE).map(|_| beside(&project)).collect();
    until("they follow", || {
        let told = board.ask("GET", "/metrics", &[], "").body;
        let streams = told.lines().find_map(|l| l.strip_prefix("turno_board_streams "));
        streams.is_some_and(|n| n.parse::<usize>().unwrap() >= FOLLOW + DEAF)
    });
    for one in &stopped {
        signal(one, Signal::SIGSTOP);
    }

    let watched = asked(&project, |n| {
        if n % 50 == 25 {
            for mut one in killed.pop().into_iter().chain(gone.pop()) {
                one.kill().unwrap();
                one.wait().unwrap();
            }
        }
        if n % 20 == 0 {
            for mut stream in &slow {
                // A little, now and then.
                stream.set_nonblocking(true).unwrap();
                let _few: Result<usize, _> = stream.read(&mut [0; 512]);
            }
        }
    });

    println!("alone:   {}", alone.line());
    println!("watched: {}", watched.line());
    let ratio = watched.at(99).as_secs_f64() / alone.at(99).as_secs_f64();
    println!("a request at p99, watched / alone: {ratio:.2}");
    // A loop that waited for one client would wait for seconds: they are cut off after twenty.
    let bound = |alone: Duration| alone * 5 + Duration::from_millis(50);
    assert!(
        watched.at(99) <= bound(alone.at(99)),
        "{} / {}",
        alone.line(),
        watched.line()
    );
    assert!(
        slowest(&watched.turns) <= bound(slowest(&alone.turns)),
        "{}",
        watched.line()
    );
    assert!(
        slowest(&watched.waits) <= bound(slowest(&alone.waits)),
        "{}",
        watched.line()
    );
    let told = board.ask("GET", "/metrics", &[], "").body;
    for name in ["turno_loop_turn_seconds_bucket", "turno_loop_wait_seconds_count"] {
        assert!(told.contains(name), "{name}: {told}");
    }

    // Who reads was given all of it, whoever else did not.
    for mut one in killed.into_iter().chain(gone).chain(stopped) {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    drop((deaf, slow));
    std::fs::write(project.shared().join("go"), "").unwrap();
    ended_within(Duration::from_secs(60), &project, shift).exits(0);
    board.end();
    for reader in readers {
        assert!(
            reader.join().unwrap() > 100_000,
            "a client that reads is given what happened"
        );
    }
    until("nothing runs", || alive(&project).is_empty());
}
