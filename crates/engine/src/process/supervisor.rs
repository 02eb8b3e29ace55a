//! Owns an attempt's process tree from inside: the program of the hidden verb `turno supervise DIR`.
//!
//! It leads a session of its own and is the reaper of every orphan below it, so nothing that the attempt starts
//! can leave its tree. It writes what the program says into files before anybody reads them, and the end into
//! an exit file. It outlives a coordinator that dies. It decides nothing: it is told when to stop.

mod ladder;
mod streams;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};

use self::ladder::Ladder;
use self::streams::{Pump, Stream};
use super::doorman::Doorman;
use super::handed::{self, Private};
use super::limited::Limited;
use super::mouthpiece::Mouthpiece;
pub use super::paper::{After, End, ExitKind, Orders, files};
pub(crate) use super::paper::{Said, write_whole};
use super::tree::{self, Identity};
use super::wire::{AfterSpoken, Line, Spoken, Word};
use crate::redact::Redaction;

/// How much is moved at once: what a pipe holds. Larger ones, with a larger pipe, gained nothing (measured).
const CHUNK: usize = 1 << 16;

/// Who answers a program while nobody coordinates, if it is one that must be answered.
pub trait Understudy {
    /// What follows from what the program has said by now.
    fn hear(&mut self) -> Vec<Cue>;
}

/// What an understudy wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// Say this line.
    Say(String),
    /// End the program's input.
    CloseInput,
    /// Stop the program: it has spent what it may.
    Stop,
}

/// Finds the understudy for the run in a directory.
pub type Understudies = fn(&Path) -> Option<Box<dyn Understudy>>;

/// Runs the hidden verb.
///
/// # Errors
/// When the orders cannot be read or the end cannot be written; the tree is gone in any case.
pub fn supervise(dir: &Path, understudies: Understudies) -> std::io::Result<ExitCode> {
    // A leader of a group cannot lead a new session; it then leads one already.
    let _already = setsid();
    nix::sys::prctl::set_child_subreaper(true)?;
    let orders: Orders = serde_json::from_slice(&std::fs::read(dir.join(files::ORDERS))?)?;
    let me =
        Identity::of(std::process::id().cast_signed()).ok_or_else(|| std::io::Error::other("no /proc"))?;
    write_whole(&dir.join(files::SUPERVISOR), &serde_json::to_vec(&me)?)?;
    let end = match Handed::over().and_then(|handed| Supervisor::start(dir, &orders, handed, understudies)) {
        Ok(mut supervisor) => {
            let end = supervisor.watch();
            tidy(&orders.after);
            if let Err(error) = supervisor.leave() {
                log(&format!("{error}\n"));
            }
            end
        }
        Err(error) => End::NotStarted(error.to_string()),
    };
    write_whole(&dir.join(files::EXIT), &serde_json::to_vec(&end)?)?;
    Ok(ExitCode::SUCCESS)
}

/// What a coordinator hands over on the input, and nowhere else.
struct Handed {
    /// What must not be written down.
    redaction: Arc<Redaction>,
    /// What is in no file.
    private: Private,
    /// The line to the coordinator: the input itself, from then on.
    line: UnixStream,
}

impl Handed {
    /// Read without a buffer: what follows is said to the program.
    fn over() -> std::io::Result<Self> {
        let mut line = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let (redaction, private) = handed::take(&mut line)?;
        Ok(Self {
            redaction: Arc::new(redaction),
            private,
            line,
        })
    }
}

/// Runs what is to be run afterwards, before the end is told.
fn tidy(after: &After) {
    let After::Run { argv, limit_ms } = after else {
        return;
    };
    if let Err(error) = super::run_after(argv, Duration::from_millis(*limit_ms)) {
        log(&format!("what is to be run afterwards: {error}\n"));
    }
}

struct Supervisor {
    signals: SignalFd,
    line: Line,
    doorman: Option<Doorman>,
    dir: PathBuf,
    redaction: Arc<Redaction>,
    child: Pid,
    input: Mouthpiece,
    out: Pump<ChildStdout>,
    err: Pump<ChildStderr>,
    buffer: Vec<u8>,
    /// How many bytes of the standard output are in its file.
    written: u64,
    /// Since when nobody coordinates.
    alone: Option<Instant>,
    understudies: Understudies,
    /// Who answers meanwhile.
    understudy: Option<Box<dyn Understudy>>,
    /// What of it may be written down.
    clean: Vec<u8>,
    kept: u64,
    orders: Orders,
    limited: Limited,
    limit: Instant,
    ladder: Ladder,
    /// Why it is stopped, if it is.
    verdict: Option<End>,
    exit: Option<ExitKind>,
}

impl Supervisor {
    fn start(
        dir: &Path,
        orders: &Orders,
        handed: Handed,
        understudies: Understudies,
    ) -> std::io::Result<Self> {
        let Handed {
            redaction,
            private: Private { argv, net },
            line,
        } = handed;
        let orders = &Orders {
            argv,
            ..orders.clone()
        };
        let mut mask = SigSet::empty();
        for signal in [
            Signal::SIGCHLD,
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGUSR1,
        ] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let open = |name| OpenOptions::new().create(true).append(true).open(dir.join(name));
        let (out, err) = (open(files::OUT)?, open(files::ERR)?);
        let line = Line::new(dir, line)?;
        // After the signals are held back: its thread must not get them either.
        let doorman = net.map(Doorman::open).transpose()?;
        let limited = Limited::begin(orders.limits.as_ref())?;
        let mut child = limited.born_inside(|| {
            // A program begins with what is held back here, and it must hear when it is asked to leave. A stop that
            // comes within this moment ends the supervisor alone; whoever waits for it ends the rest by its marker.
            mask.thread_unblock()?;
            let born = super::spawn_supervised(orders);
            mask.thread_block()?;
            born
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let fds = [
            stdin.as_ref().map(AsFd::as_fd),
            stdout.as_ref().map(AsFd::as_fd),
            stderr.as_ref().map(AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self {
            signals,
            line,
            doorman,
            dir: dir.to_owned(),
            input: Mouthpiece {
                to: stdin,
                spoken: Spoken::default(),
                then: AfterSpoken::Stays,
            },
            written: 0,
            alone: None,
            understudies,
            understudy: None,
            child: Pid::from_raw(child.id().cast_signed()),
            out: Pump {
                from: stdout,
                to: out,
                redactor: redaction.stream(),
            },
            err: Pump {
                from: stderr,
                to: err,
                redactor: redaction.stream(),
            },
            buffer: vec![0; CHUNK],
            clean: Vec::new(),
            kept: 0,
            orders: orders.clone(),
            limited,
            limit: Instant::now() + Duration::from_millis(orders.limit_ms),
            ladder: Ladder::Standing,
            verdict: None,
            exit: None,
            redaction,
        })
    }

    /// Gives up what is only there for the program.
    fn leave(mut self) -> std::io::Result<()> {
        let closed = self.doorman.map_or(Ok(()), |doorman| doorman.close(&self.dir));
        self.limited.end().map_err(std::io::Error::other)?;
        closed
    }

    /// Until the program has ended, its tree is gone and everything it said is written down.
    fn watch(&mut self) -> End {
        let mut alone = false;
        loop {
            // Before the streams are looked at: who has ended by then has said all it had to say, and what was said
            // between a look and an end would be lost.
            alone |= self.reap();
            let pumped = self.pump();
            self.read_signals();
            self.listen();
            if self.exit.is_some() && !alone {
                // The program is gone: whatever it left is not allowed to stay.
                self.kill();
            }
            if !matches!(self.ladder, Ladder::Killing(_))
                && let Some(hit) = self.limited.look()
            {
                self.stop_as(End::HitLimit(hit));
            }
            self.climb();
            if alone && !pumped {
                break;
            }
            if self.is_in_vain() {
                name_who_stays();
                break;
            }
            if !pumped {
                self.wait();
            }
        }
        // A stream that somebody else holds open has no end of its own.
        for stream in [Stream::Out, Stream::Err] {
            if let Err(error) = self.write_down(stream, None) {
                self.verdict
                    .get_or_insert_with(|| End::TranscriptFailed(error.to_string()));
            }
        }
        match (self.verdict.take(), self.exit) {
            (Some(end), _) => end,
            (None, Some(exit)) => End::Exited(exit),
            (None, None) => End::NotStarted("its end was not seen".to_owned()),
        }
    }

    fn wait(&mut self) {
        let looks = self.limited.next_look().unwrap_or(Duration::MAX);
        let until = match self.ladder {
            Ladder::Standing => self
                .limit
                .min(self.alone_until().unwrap_or(self.limit))
                .saturating_duration_since(Instant::now())
                .min(looks),
            Ladder::Asked(kill_at) => kill_at.saturating_duration_since(Instant::now()).min(looks),
            Ladder::Killing(_) => Duration::from_millis(5),
        };
        let millis = u16::try_from(until.as_millis().min(30_000))
            .unwrap_or(30_000)
            .saturating_add(1);
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.line.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if let (Some(to), false) = (&self.input.to, self.input.spoken.is_empty()) {
            fds.push(PollFd::new(to.as_fd(), PollFlags::POLLOUT));
        }
        fds.extend(
            self.out
                .from
                .as_ref()
                .map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)),
        );
        fds.extend(
            self.err
                .from
                .as_ref()
                .map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }

    /// Hears the coordinator, if there is one, and passes on what it has to say.
    fn listen(&mut self) {
        for word in self.line.hear() {
            match word {
                Word::Begin { lines, then } => {
                    self.say(&lines);
                    self.input.then = then;
                }
                Word::Say(line) => self.say(&[line]),
                Word::CloseInput => self.input.then = AfterSpoken::Closes,
            }
        }
        match (self.line.is_held(), self.alone) {
            (true, _) => {
                self.alone = None;
                self.understudy = None;
            }
            (false, None) => {
                self.alone = Some(Instant::now());
                self.understudy = (self.understudies)(&self.dir);
            }
            (false, Some(_)) => {}
        }
        for cue in self.understudy.as_mut().map(|u| u.hear()).unwrap_or_default() {
            match cue {
                Cue::Say(line) => self.say(&[line]),
                Cue::CloseInput => self.input.then = AfterSpoken::Closes,
                Cue::Stop => self.stop_as(End::Stopped),
            }
        }
        self.input.flush();
    }

    /// Says lines to the program. They are written down first: a later coordinator must not say them again.
    fn say(&mut self, lines: &[String]) {
        let noted = |line: &String| {
            let clean = self.redaction.bytes(line.as_bytes());
            let said = Said {
                at: self.written,
                line: String::from_utf8_lossy(&clean).into_owned(),
            };
            serde_json::to_string(&said).map(|text| text + "\n")
        };
        let written = lines
            .iter()
            .map(noted)
            .collect::<Result<String, _>>()
            .map_err(std::io::Error::from)
            .and_then(|text| {
                let path = self.dir.join(files::SAID);
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                file.write_all(text.as_bytes())
            });
        if let Err(error) = written {
            return self.stop_as(End::TranscriptFailed(error.to_string()));
        }
        for line in lines {
            self.input.spoken.line(line);
        }
    }

    /// When it is asked to leave because nobody coordinates.
    fn alone_until(&self) -> Option<Instant> {
        self.alone
            .and_then(|since| since.checked_add(Duration::from_millis(self.orders.alone_ms)))
    }

    fn read_signals(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            match Signal::try_from(info.ssi_signo.cast_signed()) {
                Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP) => self.ask(End::Stopped),
                Ok(Signal::SIGUSR1) => self.stop_as(End::Stopped),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// The program itself has ended. What it was refused is asked at once: killing what it left refuses more.
    fn ended(&mut self, exit: ExitKind) {
        self.exit = Some(exit);
        if self.verdict.is_none() {
            self.verdict = self.limited.at_end(exit).map(End::HitLimit);
        }
    }

    /// Takes leave of every child that has ended. True when there is none left.
    fn reap(&mut self) -> bool {
        loop {
            match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.child => {
                    self.ended(ExitKind::Code(code));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.child => {
                    self.ended(ExitKind::Signal(signal as i32));
                }
                Ok(WaitStatus::StillAlive) => return false,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return true,
            }
        }
    }
}

/// Writes down, in the supervisor's own log, what could not be killed.
fn name_who_stays() {
    let pids = tree::descendants(std::process::id().cast_signed());
    log(&format!("these processes cannot be killed and stay: {pids:?}\n"));
}

/// Writes a line into the supervisor's own log.
fn log(line: &str) {
    if let Err(error) = std::io::stderr().write_all(line.as_bytes()) {
        tracing::warn!(%error, "the supervisor's log cannot be written");
    }
}
