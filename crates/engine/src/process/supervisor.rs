//! Owns an attempt's process tree from inside: the program of the hidden verb `turno supervise DIR`.
//!
//! It leads a session of its own and is the reaper of every orphan below it, so nothing that the attempt starts
//! can leave its tree. It writes what the program says into files before anybody reads them, and the end into
//! an exit file. It outlives a coordinator that dies. It decides nothing: it is told when to stop.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
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
use serde::{Deserialize, Serialize};

use super::limited::{LimitHit, LimitOrders, Limited};
use super::tree::{self, Identity};
use crate::redact::{Redaction, Redactor};

/// How much is moved at once: what a pipe holds. Larger ones, with a larger pipe, gained nothing (measured).
const CHUNK: usize = 1 << 16;
/// How often a stream is read before everything else is looked at again: a flood must not outrun the limits.
const READS: usize = 16;

/// How long killing is tried.
const IN_VAIN: Duration = Duration::from_secs(10);

/// What is to be run. The environment is not part of it: the supervisor hands on its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Where it works.
    pub cwd: PathBuf,
    /// How long it may take to leave after being asked, before it is killed.
    pub grace_ms: u64,
    /// When the whole tree is stopped, whoever is there to ask for it.
    pub limit_ms: u64,
    /// How many bytes of output are kept. A program that says more is stopped.
    pub output_cap: u64,
    /// What it may use of the machine; nothing is limited without.
    #[serde(default)]
    pub limits: Option<LimitOrders>,
    /// What is run when all of it is over.
    #[serde(default)]
    pub after: After,
}

/// What is run when a supervised program and its tree are gone, however they ended: for what the program made of the
/// machine that is not below it in the tree, like a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// Nothing.
    #[default]
    Nothing,
    /// This program, to its end or its limit. Its failure is in the supervisor's log and nowhere else.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// When it is killed.
        limit_ms: u64,
    },
}

/// How the supervised program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By itself or by a signal; the tree is gone.
    Exited(ExitKind),
    /// It ran into the supervisor's own limit.
    TimedOut,
    /// It was told to stop by the coordinator.
    Stopped,
    /// It said more than may be kept.
    TooMuchOutput,
    /// It used more of the machine than it may.
    HitLimit(LimitHit),
    /// What it said could not be written down.
    TranscriptFailed(String),
    /// It could not be started.
    NotStarted(String),
}

/// The kernel's word on an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitKind {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// The files of one supervised run, by name below its directory.
pub mod files {
    /// What is to be run.
    pub const ORDERS: &str = "orders.json";
    /// Who supervises.
    pub const SUPERVISOR: &str = "supervisor.json";
    /// Standard output, raw but for secrets.
    pub const OUT: &str = "out";
    /// Standard error, raw but for secrets.
    pub const ERR: &str = "err";
    /// The end.
    pub const EXIT: &str = "exit.json";
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)
}

/// Runs the hidden verb.
///
/// # Errors
/// When the orders cannot be read or the end cannot be written; the tree is gone in any case.
pub fn supervise(dir: &Path) -> std::io::Result<ExitCode> {
    // A leader of a group cannot lead a new session; it then leads one already.
    let _already = setsid();
    nix::sys::prctl::set_child_subreaper(true)?;
    let orders: Orders = serde_json::from_slice(&std::fs::read(dir.join(files::ORDERS))?)?;
    let me =
        Identity::of(std::process::id().cast_signed()).ok_or_else(|| std::io::Error::other("no /proc"))?;
    write_whole(&dir.join(files::SUPERVISOR), &serde_json::to_vec(&me)?)?;
    let end = match secrets().and_then(|redaction| Supervisor::start(dir, &orders, &redaction)) {
        Ok(mut supervisor) => {
            let end = supervisor.watch();
            tidy(&orders.after);
            if let Err(error) = supervisor.limited.end() {
                log(&format!("{error}\n"));
            }
            end
        }
        Err(error) => End::NotStarted(error.to_string()),
    };
    write_whole(&dir.join(files::EXIT), &serde_json::to_vec(&end)?)?;
    Ok(ExitCode::SUCCESS)
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

/// What must not be written down comes first on the input; the rest of it is the program's. Read without a buffer,
/// so that not a byte of that is taken.
fn secrets() -> std::io::Result<Arc<Redaction>> {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    Redaction::read_from(&mut input).map(Arc::new)
}

/// One of the two output streams.
struct Pump<R> {
    from: Option<R>,
    to: File,
    redactor: Redactor,
}

/// How far a stop has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ladder {
    /// Nobody asked.
    Standing,
    /// The program was asked to leave; it is killed then.
    Asked(Instant),
    /// The tree is being killed, since then.
    Killing(Instant),
}

struct Supervisor {
    signals: SignalFd,
    child: Pid,
    out: Pump<ChildStdout>,
    err: Pump<ChildStderr>,
    buffer: Vec<u8>,
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

/// What a read of a stream gave.
enum Got {
    Bytes,
    Later,
    End,
}

impl Supervisor {
    fn start(dir: &Path, orders: &Orders, redaction: &Arc<Redaction>) -> std::io::Result<Self> {
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
        let limited = Limited::begin(orders.limits.as_ref())?;
        let mut child = limited.born_inside(|| super::spawn_supervised(orders))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        for fd in [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)]
            .into_iter()
            .flatten()
        {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self {
            signals,
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
        })
    }

    /// Until the program has ended, its tree is gone and everything it said is written down.
    fn watch(&mut self) -> End {
        let mut alone = false;
        loop {
            let pumped = self.pump();
            self.read_signals();
            alone |= self.reap();
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
            Ladder::Standing => self.limit.saturating_duration_since(Instant::now()).min(looks),
            Ladder::Asked(kill_at) => kill_at.saturating_duration_since(Instant::now()).min(looks),
            Ladder::Killing(_) => Duration::from_millis(5),
        };
        let millis = u16::try_from(until.as_millis().min(30_000))
            .unwrap_or(30_000)
            .saturating_add(1);
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
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

    /// Moves some of what was said into the files, without secrets, before anybody reads it. True when there was
    /// something.
    fn pump(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let out = self.pump_one(Stream::Out, &mut buffer);
        let err = self.pump_one(Stream::Err, &mut buffer);
        self.buffer = buffer;
        out || err
    }

    fn pump_one(&mut self, stream: Stream, buffer: &mut [u8]) -> bool {
        let mut any = false;
        for _ in 0..READS {
            match self.move_some(stream, buffer) {
                Ok(Got::Bytes) => any = true,
                Ok(Got::Later | Got::End) => break,
                Err(error) => {
                    self.stop_as(End::TranscriptFailed(error.to_string()));
                    break;
                }
            }
        }
        any
    }

    fn move_some(&mut self, stream: Stream, buffer: &mut [u8]) -> std::io::Result<Got> {
        let read = match stream {
            Stream::Out => self.out.from.as_mut().map(|f| f.read(buffer)),
            Stream::Err => self.err.from.as_mut().map(|f| f.read(buffer)),
        };
        let count = match read {
            None => return Ok(Got::End),
            Some(Ok(0)) => {
                match stream {
                    Stream::Out => self.out.from = None,
                    Stream::Err => self.err.from = None,
                }
                self.write_down(stream, None)?;
                return Ok(Got::End);
            }
            Some(Ok(count)) => count,
            Some(Err(e)) if e.kind() == ErrorKind::WouldBlock => return Ok(Got::Later),
            Some(Err(e)) if e.kind() == ErrorKind::Interrupted => return Ok(Got::Bytes),
            Some(Err(e)) => return Err(e),
        };
        if self.kept >= self.orders.output_cap {
            self.stop_as(End::TooMuchOutput);
            return Ok(Got::Bytes);
        }
        self.kept += count as u64;
        self.write_down(stream, buffer.get(..count))?;
        Ok(Got::Bytes)
    }

    /// Writes a piece down without the secrets in it; none is the end of the stream, and what was held back.
    fn write_down(&mut self, stream: Stream, piece: Option<&[u8]>) -> std::io::Result<()> {
        if matches!(self.verdict, Some(End::TranscriptFailed(_))) {
            return Ok(());
        }
        let (redactor, to) = match stream {
            Stream::Out => (&mut self.out.redactor, &mut self.out.to),
            Stream::Err => (&mut self.err.redactor, &mut self.err.to),
        };
        self.clean.clear();
        match piece {
            Some(bytes) => redactor.chunk(bytes, &mut self.clean),
            None => redactor.finish(&mut self.clean),
        }
        to.write_all(&self.clean)?;
        if let Stream::Out = stream {
            ring();
        }
        Ok(())
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

    /// Asks the program to leave; its grace runs from now.
    fn ask(&mut self, why: End) {
        if self.ladder == Ladder::Standing {
            self.verdict.get_or_insert(why);
            self.ladder = Ladder::Asked(Instant::now() + Duration::from_millis(self.orders.grace_ms));
            for pid in tree::askable(std::process::id().cast_signed()) {
                tree::send(pid, Signal::SIGINT);
            }
        }
    }

    /// From now on the tree is killed.
    fn kill(&mut self) {
        if !matches!(self.ladder, Ladder::Killing(_)) {
            self.ladder = Ladder::Killing(Instant::now());
        }
    }

    /// Whether something cannot be killed, e.g. because another user owns it. Waiting on would help nobody.
    fn is_in_vain(&self) -> bool {
        matches!(self.ladder, Ladder::Killing(since) if since.elapsed() > IN_VAIN)
    }

    /// Kills the tree.
    fn stop_as(&mut self, why: End) {
        self.verdict.get_or_insert(why);
        self.kill();
    }

    fn climb(&mut self) {
        let now = Instant::now();
        if self.ladder == Ladder::Standing && now >= self.limit {
            self.ask(End::TimedOut);
        }
        if let Ladder::Asked(kill_at) = self.ladder
            && now >= kill_at
        {
            self.kill();
        }
        if let Ladder::Killing(_) = self.ladder {
            self.limited.kill_all();
            for pid in tree::descendants(std::process::id().cast_signed()) {
                tree::send(pid, Signal::SIGKILL);
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

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
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

/// Tells the coordinator that there is something to read. It may be gone: then nobody needs to be told. It may
/// not be listening, e.g. because it was suspended: what it has not heard yet says the same, and nobody waits.
fn ring() {
    let bell = std::io::stdout();
    let mut fds = [PollFd::new(bell.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::ZERO) == Ok(1) {
        let _nobody_listens = nix::unistd::write(&bell, b".");
    }
}
