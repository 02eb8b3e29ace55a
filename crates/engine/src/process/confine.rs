//! Owns the program of the hidden verb `turno confine SPEC -- PROGRAM`: the parent of a confined program. It puts up
//! the fence that is put up from inside, opens the way to the network, starts the program and passes its end on.
//! Where the fence cannot be put up, nothing is started.

use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use turno_sandbox::Network;
use turno_sandbox::inside::{self, Inside, Outside};
use turno_sandbox::net::bridge::Bridge;

/// What a shell says of a program that it cannot run.
const NOT_RUN: u8 = 126;
/// What a shell says of a program that is not there.
const NOT_FOUND: u8 = 127;

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be held cannot be read.
    #[error("the confinement cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The fence is not up.
    #[error(transparent)]
    NoFence(#[from] inside::Error),
    /// The process itself cannot be prepared.
    #[error("the confinement cannot be prepared: {0}")]
    Unprepared(#[from] nix::Error),
    /// The way to the network is not there.
    #[error("the way to the network cannot be opened: {0}")]
    NoNetwork(std::io::Error),
    /// The program cannot be started.
    #[error(
        "cannot start `{program}`: {source}. Is it installed and on PATH, and may it be seen from the sandbox?"
    )]
    NotStarted {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code that says so.
    pub fn code(&self) -> u8 {
        match self {
            Self::NotStarted { source, .. } if source.kind() == std::io::ErrorKind::NotFound => NOT_FOUND,
            Self::NotStarted { .. }
            | Self::NoNetwork(_)
            | Self::Unreadable(_)
            | Self::NoFence(_)
            | Self::Unprepared(_) => NOT_RUN,
        }
    }
}

/// Runs the hidden verb.
///
/// # Errors
/// When the program was not started.
pub fn confine(spec: &str, argv: &[String]) -> Result<ExitCode, Error> {
    let inside: Inside = serde_json::from_str(spec)?;
    // What is asked to leave is the program: its parent stays to tell its end.
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block()?;
    // Nothing that is started here may look into this process: one of its threads is not confined.
    nix::sys::prctl::set_dumpable(false)?;
    let bridge = match (&inside.profile.network, inside.proxy_socket()) {
        (Network::Proxy { forwards, .. }, Some(socket)) => {
            // Without namespaces the ports are the user's own, and Landlock lets through to them.
            let forwards: &[u16] = match inside.outside {
                Outside::Bubblewrap => forwards,
                Outside::Nothing => &[],
            };
            Some(Bridge::open(socket, forwards).map_err(Error::NoNetwork)?)
        }
        (Network::None | Network::Open | Network::Proxy { .. }, _) => None,
    };
    inside.confine(bridge.as_ref().map(Bridge::port))?;
    let env = bridge.as_ref().map(Bridge::env).unwrap_or_default();
    let program = argv.first().cloned().unwrap_or_default();
    let wrong = |source| Error::NotStarted { program, source };
    let status = super::spawn_confined(argv, &env)
        .and_then(|mut child| child.wait())
        .map_err(wrong)?;
    Ok(match super::end_of(status) {
        super::End::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        super::End::Signalled(signal) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
    })
}
