//! The one file that starts processes. It owns their life: how they are started, the limit on how long they
//! run, and that nothing of them is left afterwards. It must not know what a program is for.
//!
//! A process gets the environment its caller spells out and nothing else, and a process group of its own,
//! which is killed as a whole.

pub mod confine;
pub mod detached;
pub mod doorman;
pub mod editor;
pub mod handed;
pub mod limited;
mod mouthpiece;
mod paper;
pub mod supervised;
pub mod supervisor;
pub mod tree;
pub(crate) mod usage;
mod wire;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long output may still arrive after the program itself has ended.
const LINGER: Duration = Duration::from_secs(2);

/// What a program reads.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// Nothing.
    Nothing,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// All of a file.
    File(PathBuf),
}

/// A short helper program to run to its end.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Looked up in the `PATH` of `env`.
    pub(crate) program: OsString,
    /// Its arguments, without its own name.
    pub(crate) args: Vec<OsString>,
    /// Where it starts.
    pub(crate) cwd: PathBuf,
    /// All of its environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// What it reads.
    pub(crate) input: Input,
    /// How many bytes of output are accepted. More is an error: half an answer would be read as a whole one.
    pub(crate) output_cap: usize,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// A program that came to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How.
    pub(crate) end: End,
    /// All of its output.
    pub(crate) stdout: Vec<u8>,
    /// Its messages; the tail is dropped beyond the cap.
    pub(crate) stderr: Vec<u8>,
}

/// Why a program did not come to an end of its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start `{program}` in {}: {source}. Is it installed and on PATH?", cwd.display())]
    NotStarted {
        /// Its name.
        program: String,
        /// Where.
        cwd: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ran too long; its whole process group was killed.
    #[error("`{program}` was stopped after {} s without an end", limit.as_secs())]
    TimedOut {
        /// Its name.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It wrote more than was accepted.
    #[error("`{program}` wrote more than {cap} bytes")]
    TooMuch {
        /// Its name.
        program: String,
        /// The cap.
        cap: usize,
    },
    /// It left a process behind that kept its output open, or its output could not be read.
    #[error("the output of `{program}` could not be read to its end: {why}")]
    Output {
        /// Its name.
        program: String,
        /// Why.
        why: String,
    },
}

/// Kills a process group when it goes out of scope, so that a caller that stops waiting leaves nothing behind.
struct Group {
    leader: Pid,
    armed: Armed,
}

#[derive(PartialEq, Eq)]
enum Armed {
    Yes,
    No,
}

impl Group {
    fn kill(&self) {
        match killpg(self.leader, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                tracing::warn!(group = self.leader.as_raw(), %errno, "could not kill a process group");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed == Armed::Yes {
            self.kill();
        }
    }
}

/// Runs a helper to its end. At `limit` its whole process group is killed and waited for.
pub(crate) async fn run_to_end(call: Call, limit: Duration) -> Result<Finished, Error> {
    let program = call.program.to_string_lossy().into_owned();
    let mut child = spawn(&call, &program)?;
    let mut group = Group {
        leader: group_of(&child),
        armed: Armed::Yes,
    };
    let feeding = tokio::spawn(feed(child.stdin.take(), call.input));
    let stdout = tokio::spawn(take(child.stdout.take(), call.output_cap));
    let stderr = tokio::spawn(take(child.stderr.take(), call.output_cap));

    let waited = timeout(limit, child.wait()).await;
    let status = match waited {
        Ok(status) => status.map_err(|e| Error::Output {
            program: program.clone(),
            why: e.to_string(),
        })?,
        Err(_) => {
            group.kill();
            group.armed = Armed::No;
            let reaped = child.wait().await;
            tracing::debug!(program, ?reaped, "killed at its limit");
            feeding.abort();
            stdout.abort();
            stderr.abort();
            return Err(Error::TimedOut { program, limit });
        }
    };
    // The leader is reaped: its number may be used again, unless a member of the group is still there.
    group.armed = Armed::No;
    let out = finish(stdout, &group, &program).await?;
    let err = finish(stderr, &group, &program).await?;
    feeding.abort();
    match out {
        Taken::All(stdout) => Ok(Finished {
            end: end_of(status),
            stdout,
            stderr: err.into_bytes(),
        }),
        Taken::Part(_) => Err(Error::TooMuch {
            program,
            cap: call.output_cap,
        }),
    }
}

fn spawn(call: &Call, program: &str) -> Result<Child, Error> {
    let not_started = |source| Error::NotStarted {
        program: program.to_owned(),
        cwd: call.cwd.clone(),
        source,
    };
    let stdin = match &call.input {
        Input::Nothing => Stdio::null(),
        Input::Bytes(_) => Stdio::piped(),
        Input::File(path) => std::fs::File::open(path).map_err(not_started)?.into(),
    };
    Command::new(&call.program)
        .args(&call.args)
        .current_dir(&call.cwd)
        .env_clear()
        .envs(call.env.iter().map(|(k, v)| (k, v)))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(not_started)
}

fn group_of(child: &Child) -> Pid {
    // An unreaped child always has an id; a group that cannot exist is the harmless answer otherwise.
    Pid::from_raw(
        child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or(i32::MAX),
    )
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Signalled(0),
    }
}

async fn feed(stdin: Option<ChildStdin>, input: Input) {
    if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, input)
        && let Err(error) = stdin.write_all(&bytes).await
    {
        // A program may end without having read everything; its exit code says whether that was right.
        tracing::debug!(%error, "a helper did not read all of its input");
    }
}

enum Taken {
    All(Vec<u8>),
    Part(Vec<u8>),
}

impl Taken {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::All(bytes) | Self::Part(bytes) => bytes,
        }
    }
}

async fn take<R: AsyncRead + Unpin>(pipe: Option<R>, cap: usize) -> std::io::Result<Taken> {
    let Some(mut pipe) = pipe else {
        return Ok(Taken::All(Vec::new()));
    };
    let mut kept = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut over = 0usize;
    loop {
        let n = pipe.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        // It is drained beyond the cap too, so that the program is not blocked for ever.
        let room = cap.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(&chunk[..room]);
        over += n - room;
    }
    Ok(if over == 0 {
        Taken::All(kept)
    } else {
        Taken::Part(kept)
    })
}

async fn finish(
    mut reader: JoinHandle<std::io::Result<Taken>>,
    group: &Group,
    program: &str,
) -> Result<Taken, Error> {
    let failed = |why: String| Error::Output {
        program: program.to_owned(),
        why,
    };
    let joined = match timeout(LINGER, &mut reader).await {
        Ok(joined) => joined,
        Err(_) => {
            group.kill();
            match timeout(LINGER, &mut reader).await {
                Ok(joined) => joined,
                Err(_) => {
                    reader.abort();
                    return Err(failed("another process keeps it open".to_owned()));
                }
            }
        }
    };
    joined
        .map_err(|e| failed(e.to_string()))?
        .map_err(|e| failed(e.to_string()))
}

/// Starts the program of a supervised run, inside its supervisor, whose environment it gets.
fn spawn_supervised(orders: &supervisor::Orders) -> std::io::Result<std::process::Child> {
    let (program, args) = orders
        .argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is named"))?;
    std::process::Command::new(program)
        .args(args)
        .current_dir(&orders.cwd)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            std::io::Error::new(
                e.kind(),
                format!("cannot start `{program}`: {e}. Is it installed and on PATH?"),
            )
        })
}

/// Runs a supervisor's last program to its end, with its environment. At `limit` it is killed.
fn run_after(argv: &[String], limit: Duration) -> std::io::Result<()> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is named"))?;
    let mut child = std::process::Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    let until = std::time::Instant::now() + limit;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(std::io::Error::other(format!(
                    "{} ended with {status}",
                    argv.join(" ")
                )));
            }
            None if std::time::Instant::now() >= until => {
                child.kill()?;
                child.wait()?;
                return Err(std::io::Error::other(format!("{} took too long", argv.join(" "))));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Who a program runs as.
pub(crate) struct Role {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Puts a program in the place of this process, as another user without any further group. It comes back only when
/// that failed.
pub(crate) fn become_program(
    program: &Path,
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
    role: &Role,
) -> std::io::Error {
    // The supplementary groups go with the change of user: the library clears them where root asks for one.
    std::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(env)
        .uid(role.uid)
        .gid(role.gid)
        .exec()
}

/// Starts a confined program from within its confinement: with our environment and more, our input and our outputs.
fn spawn_confined(argv: &[String], env: &[(String, String)]) -> std::io::Result<std::process::Child> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is named"))?;
    std::process::Command::new(program)
        .args(args)
        .envs(env.iter().map(|(k, v)| (k, v)))
        .spawn()
}

/// A program of the person's own, run in front of them.
fn in_front(program: &str) -> std::process::Command {
    std::process::Command::new(program)
}

/// Starts a program for a person, on the terminal that they are at: it is in the foreground with us, so what they type,
/// Ctrl-C too, is its.
pub(crate) fn at_terminal(
    argv: &[String],
    cwd: &Path,
    env: &BTreeMap<String, String>,
) -> std::io::Result<Child> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is named"))?;
    Command::new(program)
        .args(args)
        .current_dir(cwd)
        .env_clear()
        .envs(env)
        .kill_on_drop(true)
        .spawn()
}

/// Starts a server of ours inside an attempt. It stays in our process group and sees our environment, with one
/// more variable.
pub(crate) fn spawn_served(argv: &[String], secret: (&str, &str)) -> std::io::Result<Child> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("no program is named"))?;
    Command::new(program)
        .args(args)
        .env(secret.0, secret.1)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            std::io::Error::new(
                e.kind(),
                format!("cannot start `{program}`: {e}. Is it installed and on PATH?"),
            )
        })
}

/// Ends such a server: it is asked, and killed when it has not left after `grace`.
pub(crate) async fn end_served(mut child: Child, grace: Duration) {
    if let Some(pid) = child.id() {
        tree::send(pid.cast_signed(), Signal::SIGTERM);
    }
    if timeout(grace, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        tracing::warn!(%error, "a server cannot be killed");
    }
}

/// What a program says of its version: its first line.
///
/// # Errors
/// When it cannot be started, fails, or says nothing; in words.
pub fn version(program: &Path, args: &[&str], env: &BTreeMap<String, String>) -> Result<String, String> {
    let output = std::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(
            env.iter()
                .filter(|(name, _)| matches!(name.as_str(), "PATH" | "HOME" | "LANG" | "NVM_DIR")),
        )
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        Some(_) | None => Err(format!(
            "{} {} ended with {}: {}",
            program.display(),
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Runs a shell command of a script to its end, with both outputs together, and with more environment.
pub(crate) fn run_scripted(
    command: &str,
    env: &BTreeMap<String, String>,
) -> std::io::Result<std::process::Output> {
    std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec 2>&1\n{command}"))
        .envs(env)
        .stdin(Stdio::null())
        .output()
}

/// Leaves a process behind in a session of its own, as an agent's shell may.
pub(crate) fn leave_behind(command: &str) -> std::io::Result<()> {
    let mut child = std::process::Command::new("setsid")
        .args(["--fork", "/bin/sh", "-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    child.wait().map(|_| ())
}

/// Starts a supervisor. It makes a session of its own, so that an interrupt typed at the coordinator does not
/// reach it.
fn spawn_supervisor(
    turno: &Path,
    dir: &Path,
    cwd: &Path,
    env: &BTreeMap<String, String>,
    line: std::os::unix::net::UnixStream,
) -> Result<Child, Error> {
    let not_started = |source| Error::NotStarted {
        program: turno.display().to_string(),
        cwd: cwd.to_owned(),
        source,
    };
    let log = std::fs::File::create(dir.join("supervisor.log")).map_err(not_started)?;
    Command::new(turno)
        .arg("supervise")
        .arg(dir)
        .env_clear()
        .envs(env)
        .process_group(0)
        .stdin(std::os::fd::OwnedFd::from(line))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(not_started)
}

/// Starts a program that goes on without this one.
fn spawn_detached(start: &detached::Start<'_>) -> Result<Child, Error> {
    let not_started = |source| Error::NotStarted {
        program: start.program.display().to_string(),
        cwd: start.cwd.to_owned(),
        source,
    };
    let private = 0o600;
    let mut said = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(said.write(true).create(true).truncate(true), private);
    let said = said.open(start.said).map_err(not_started)?;
    let also = said.try_clone().map_err(not_started)?;
    Command::new(start.program)
        .args(&start.args)
        .current_dir(start.cwd)
        .env_clear()
        .envs(start.env)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(said)
        .stderr(also)
        .spawn()
        .map_err(not_started)
}

#[cfg(test)]
mod tests;
