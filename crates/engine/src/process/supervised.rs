//! Owns the coordinator's side of a supervised run: starting it, hearing it, speaking to it, stopping it, and
//! the certainty that nothing of it is left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::Error;
use super::handed;
use super::limited::discard_group;
use super::supervisor::{End, Orders, files, write_whole};
use super::tree::{self, Identity, MARKER};
use crate::redact::Redaction;

/// How long a supervisor may take to end once its program is over or was stopped: its own grace, and more.
const LAST: Duration = Duration::from_secs(30);

/// How far a stop goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopForce {
    /// Ask, wait out the grace, kill.
    Ladder,
    /// Kill the tree now.
    Kill,
}

/// A run to start.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// The `turno` binary, which is the supervisor too.
    pub turno: &'a Path,
    /// The run's own directory; it must exist.
    pub dir: &'a Path,
    /// What to run.
    pub orders: Orders,
    /// All of its environment; the marker is added.
    pub env: BTreeMap<String, String>,
    /// The attempt's marker.
    pub marker: String,
    /// What is not written down of what it says.
    pub redaction: &'a Redaction,
}

/// A running supervised program.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    bell: ChildStdout,
    input: Option<ChildStdin>,
    dir: PathBuf,
    marker: String,
}

/// What the bell said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    /// There is more to read in the transcript.
    More,
    /// The supervisor is gone; what it wrote is all there is.
    Over,
}

impl Supervised {
    /// Starts a run.
    ///
    /// # Errors
    /// When its files cannot be written or the supervisor cannot be started.
    pub async fn start(start: Start<'_>) -> Result<Self, Error> {
        // An argument may hold a secret; the supervisor is handed the real ones through its input.
        let orders = Orders {
            argv: (start.orders.argv.iter())
                .map(|word| start.redaction.text(word).into_owned())
                .collect(),
            ..start.orders.clone()
        };
        let orders = serde_json::to_vec(&orders).map_err(|e| Error::Output {
            program: files::ORDERS.to_owned(),
            why: e.to_string(),
        })?;
        let path = start.dir.join(files::ORDERS);
        write_whole(&path, &orders).map_err(|e| Error::Output {
            program: path.display().to_string(),
            why: e.to_string(),
        })?;
        let mut env = start.env;
        env.insert(MARKER.to_owned(), start.marker.clone());
        let mut child = super::spawn_supervisor(start.turno, start.dir, &start.orders.cwd, &env)?;
        let bell = child.stdout.take();
        let mut input = child.stdin.take();
        let Some(bell) = bell else {
            return Err(Error::Output {
                program: "turno supervise".to_owned(),
                why: "it has no output".to_owned(),
            });
        };
        // First the secrets, and the arguments that may hold one: in no file, and in no environment that the program could read.
        let frame = handed::frames(start.redaction, &start.orders.argv).map_err(|e| Error::Output {
            program: "turno supervise".to_owned(),
            why: e.to_string(),
        })?;
        if let Some(pipe) = &mut input
            && let Err(error) = pipe.write_all(&frame).await
        {
            // It ends at once without them, and says so in its exit file.
            tracing::warn!(%error, "a supervisor does not read its input");
        }
        Ok(Self {
            child,
            bell,
            input,
            dir: start.dir.to_owned(),
            marker: start.marker,
        })
    }

    /// Waits until there is more to read. Cancel-safe.
    pub async fn bell(&mut self) -> Bell {
        let mut rung = [0; 4096];
        match self.bell.read(&mut rung).await {
            Ok(0) | Err(_) => Bell::Over,
            Ok(_) => Bell::More,
        }
    }

    /// Writes one line to the program. A program that has closed its input is not an error here: its end says
    /// what happened.
    pub async fn say(&mut self, line: &str) {
        let Some(input) = &mut self.input else { return };
        let written = async {
            input.write_all(line.as_bytes()).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        if tokio::time::timeout(Duration::from_secs(20), written)
            .await
            .is_err()
        {
            tracing::warn!(marker = self.marker, "the agent does not read its input");
            self.input = None;
        }
    }

    /// Ends the program's input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Tells the supervisor to stop the tree.
    pub fn stop(&self, force: StopForce) {
        let Some(pid) = self.child.id() else { return };
        let signal = match force {
            StopForce::Ladder => Signal::SIGTERM,
            StopForce::Kill => Signal::SIGUSR1,
        };
        tree::send(pid.cast_signed(), signal);
    }

    /// Waits until the supervisor and everything below it is gone. Without an exit file the end is unknown.
    pub async fn wait(mut self) -> Option<End> {
        drop(self.input.take());
        match tokio::time::timeout(LAST, self.child.wait()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot wait for a supervisor"),
            Err(_) => {
                tracing::error!(marker = self.marker, "a supervisor does not end; it is killed");
                if let Err(error) = self.child.kill().await {
                    tracing::error!(%error, "a supervisor cannot be killed");
                }
            }
        }
        let end = read_end(&self.dir);
        if end.is_none() {
            tree::kill_marked(&self.marker).await;
            discard_group(&self.dir).await;
        }
        end
    }
}

/// The end of a run, if it was written.
pub fn read_end(dir: &Path) -> Option<End> {
    serde_json::from_slice(&std::fs::read(dir.join(files::EXIT)).ok()?).ok()
}

/// Ends a supervisor of an earlier coordinator, if it still lives, and waits until it is gone.
pub async fn end_supervisor(dir: &Path) {
    let supervisor = std::fs::read(dir.join(files::SUPERVISOR))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Identity>(&bytes).ok());
    let Some(supervisor) = supervisor else { return };
    supervisor.signal(Signal::SIGUSR1);
    for _ in 0..500 {
        if !supervisor.lives() {
            return discard_group(dir).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    supervisor.signal(Signal::SIGKILL);
    discard_group(dir).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn no_argument_of_the_orders_file_holds_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let redaction = Redaction::of([Secret::new("canary-of-an-argument".to_owned())]);
        let orders = Orders {
            argv: vec!["agent".to_owned(), "--key=canary-of-an-argument".to_owned()],
            cwd: dir.path().to_owned(),
            grace_ms: 0,
            limit_ms: 1000,
            output_cap: 1,
            limits: None,
        };
        let run = Supervised::start(Start {
            // It ends at once, and reads nothing.
            turno: Path::new("/bin/true"),
            dir: dir.path(),
            orders,
            env: BTreeMap::new(),
            marker: "orders-without-secrets".to_owned(),
            redaction: &redaction,
        });
        let run = run.await.unwrap();
        let text = std::fs::read_to_string(dir.path().join(files::ORDERS)).unwrap();
        assert!(
            text.contains("--key=[redacted]") && !text.contains("canary"),
            "{text}"
        );
        assert_eq!(run.wait().await, None);
    }
}
