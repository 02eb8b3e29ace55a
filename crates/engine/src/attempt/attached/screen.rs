//! Owns the program on a person's terminal: the errand before it, the limits that it is held to, the signals that are
//! its and not ours, its end. It must not know what is made of its work.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use turno_core::failure::{Cause, Failure};

use crate::process::limited::{LimitHit, LimitOrders, Limited};
use crate::process::{self, Call, End, Input};

/// How long an errand may take. It asks for nothing that waits for a model.
const ERRAND: Duration = Duration::from_secs(60);
/// How much of what it says is kept.
const SAID: usize = 1 << 20;
/// How long a program has to leave when it is asked to.
const LEAVES: Duration = Duration::from_secs(3);

/// How a screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Its program ended, as the person wanted it or otherwise.
    Ended,
    /// It was ended, because it used more of the machine than it may; in words.
    AtLimit(String),
}

/// Why a screen was not there until the person left it.
#[derive(Debug)]
pub enum Unopened {
    /// It was never started: nobody has worked.
    NotStarted(Failure),
    /// It was started, and its end cannot be waited for: what the person did is in the slot.
    Lost(Failure),
}

/// Whether an errand was run to a good end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// It was.
    Done,
    /// It was not.
    NotDone,
}

/// Runs an errand in a slot.
pub(super) async fn errand(
    argv: &[String],
    input: &[String],
    path: &Path,
    env: &BTreeMap<String, String>,
) -> Errand {
    let Some((program, args)) = argv.split_first() else {
        return Errand::NotDone;
    };
    let call = Call {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        cwd: path.to_owned(),
        env: env.iter().map(|(n, v)| (n.into(), v.into())).collect(),
        input: Input::Bytes(input.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect()),
        output_cap: SAID,
    };
    match process::run_to_end(call, ERRAND).await {
        Ok(finished) if finished.end == End::Exited(0) => Errand::Done,
        Ok(finished) => {
            let said = String::from_utf8_lossy(&finished.stdout).into_owned();
            tracing::warn!(end = ?finished.end, said, "what had to be done before was not done");
            Errand::NotDone
        }
        Err(error) => {
            tracing::warn!(%error, "what had to be done before was not done");
            Errand::NotDone
        }
    }
}

/// Opens a program on the person's terminal and waits until it has ended. What they type, Ctrl-C too, is the program's.
///
/// # Errors
/// When it cannot be started, or not be waited for.
pub(super) async fn open(
    argv: &[String],
    path: &Path,
    env: &BTreeMap<String, String>,
    limits: &LimitOrders,
) -> Result<Gone, Unopened> {
    let wrong = |e: std::io::Error| {
        Unopened::NotStarted(Failure::new(Cause::Spawn, format!("it cannot be started: {e}")))
    };
    // Who presses Ctrl-C means the agent. Heard before it starts, so that none of them ends us.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
    let mut quit = signal(SignalKind::quit()).map_err(wrong)?;
    let mut term = signal(SignalKind::terminate()).map_err(wrong)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(wrong)?;
    let mut limited = Limited::begin(Some(limits)).map_err(wrong)?;
    let mut child = limited
        .born_inside(|| process::at_terminal(argv, path, env))
        .map_err(wrong)?;
    let mut hit: Option<LimitHit> = None;
    let ended = loop {
        let look = limited.next_look().unwrap_or(LEAVES);
        tokio::select! {
            ended = child.wait() => break ended,
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = term.recv() => end(&mut child).await,
            _ = hangup.recv() => end(&mut child).await,
            () = tokio::time::sleep_until((Instant::now() + look).into()) => {
                if let Some(over) = limited.look() {
                    hit.get_or_insert(over);
                    end(&mut child).await;
                    limited.kill_all();
                }
            }
        }
    };
    // Where the kernel killed it, nobody had to look.
    let hit = hit.or_else(|| limited.killed());
    if let Err(error) = limited.end() {
        tracing::warn!(%error, "a control group is left behind");
    }
    match (ended, hit) {
        (Ok(_), None) => Ok(Gone::Ended),
        (Ok(_), Some(hit)) => Ok(Gone::AtLimit(hit.words())),
        (Err(error), _) => {
            let why = format!("the agent's end cannot be waited for: {error}");
            Err(Unopened::Lost(Failure::new(Cause::Spawn, why)))
        }
    }
}

/// Asks it to leave; when it does not hear, it is killed.
async fn end(child: &mut Child) {
    if let Some(id) = child.id() {
        process::tree::send(id.cast_signed(), Signal::SIGTERM);
    }
    if tokio::time::timeout(LEAVES, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        tracing::warn!(%error, "an agent's screen cannot be ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ends badly, or cannot be started, or is not there, is not done: unknown is no success.
    #[tokio::test]
    async fn an_errand_is_done_when_it_ends_well() {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let run = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let there = tempfile::tempdir().unwrap();
        let cases = [
            (run(r#"read -r line; test "$line" = go"#), Errand::Done),
            (run("exit 3"), Errand::NotDone),
            (vec!["/no/such/program".to_owned()], Errand::NotDone),
            (Vec::new(), Errand::NotDone),
        ];
        for (argv, expected) in cases {
            let done = errand(&argv, &["go".to_owned()], there.path(), &env).await;
            assert_eq!(done, expected, "{argv:?}");
        }
    }
}
