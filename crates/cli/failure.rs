//! Owns what a person reads when something does not work: what failed, where it came from, what to do next.
//! Every error of the engine becomes a [`Failure`] here and nowhere else; its kind picks the exit code.

use std::process::ExitCode;

use turno_board::Problem;
use turno_core::admit::Refused;
use turno_core::ids::InvalidId;
use turno_engine::{
    config, gc, git, person, repos, run, salvage, simulate, site, slots, socket, store, workspace,
};

use crate::exit;

/// Whose fault it is, roughly: it picks the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Words or configuration that make no sense.
    Usage,
    /// Something that is needed is not there.
    CannotStart,
    /// A person has to look.
    NeedsPerson,
    /// Turno's own.
    Bug,
}

/// One failure, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn cannot_start(message: impl Into<String>) -> Self {
        Self::new(Kind::CannotStart, message)
    }

    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, message)
    }

    /// Writes it to standard error; gives the exit code.
    pub(crate) fn show(&self) -> ExitCode {
        crate::print::error(&self.message);
        ExitCode::from(match self.kind {
            Kind::Usage => exit::USAGE,
            Kind::CannotStart => exit::CANNOT_START,
            Kind::NeedsPerson => exit::NEEDS_PERSON,
            Kind::Bug => exit::BUG,
        })
    }
}

macro_rules! failures {
    ($($error:ty => $kind:ident),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Kind::$kind, error.to_string())
            }
        })*
    };
}

failures! {
    InvalidId => Usage,
    Refused => Usage,
    config::Error => Usage,
    simulate::ModelError => Usage,
    config::MissingVar => CannotStart,
    site::Error => CannotStart,
    slots::Error => CannotStart,
    store::Error => CannotStart,
    store::ImportError => CannotStart,
    turno_engine::recording::Error => CannotStart,
    socket::Error => CannotStart,
    workspace::Error => CannotStart,
    turno_engine::wallet::Error => CannotStart,
    std::io::Error => CannotStart,
    serde_json::Error => Bug,
}

impl From<git::Error> for Failure {
    fn from(error: git::Error) -> Self {
        let kind = match error {
            git::Error::NotARepository { .. } => Kind::Usage,
            _ => Kind::CannotStart,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<salvage::Error> for Failure {
    fn from(error: salvage::Error) -> Self {
        match error {
            salvage::Error::Git(error) => error.into(),
            full @ salvage::Error::NotEmpty { .. } => Self::usage(full.to_string()),
            other @ salvage::Error::Io { .. } => Self::cannot_start(other.to_string()),
        }
    }
}

impl From<gc::Error> for Failure {
    fn from(error: gc::Error) -> Self {
        match error {
            gc::Error::Git(error) => error.into(),
            gc::Error::Salvage(error) => error.into(),
            gc::Error::Slots(error) => error.into(),
            other @ (gc::Error::Io { .. } | gc::Error::NoSuchRepo(_)) => {
                Self::cannot_start(other.to_string())
            }
        }
    }
}

impl From<simulate::Error> for Failure {
    fn from(error: simulate::Error) -> Self {
        match error {
            simulate::Error::Refused(refused) => refused.into(),
            other @ (simulate::Error::ShiftRuns | simulate::Error::NoIssues) => {
                Self::usage(other.to_string())
            }
            stuck @ simulate::Error::Stuck { .. } => Self::bug(stuck.to_string()),
        }
    }
}

impl From<person::Error> for Failure {
    fn from(error: person::Error) -> Self {
        let kind = match error {
            person::Error::Config(error) => return error.into(),
            person::Error::NoSuchUser { .. }
            | person::Error::IsRoot { .. }
            | person::Error::NotRoot { .. } => Kind::Usage,
            person::Error::NoHome { .. }
            | person::Error::Unreadable(_)
            | person::Error::StillRoot
            | person::Error::NotStarted { .. }
            | person::Error::NotReadable { .. }
            | person::Error::NotWritable { .. } => Kind::CannotStart,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<repos::Error> for Failure {
    fn from(error: repos::Error) -> Self {
        match error {
            repos::Error::Config(error) => error.into(),
            repos::Error::Git(error) => error.into(),
            taken @ repos::Error::Taken { .. } => Self::cannot_start(taken.to_string()),
        }
    }
}

impl From<run::DeskError> for Failure {
    fn from(error: run::DeskError) -> Self {
        match error {
            run::DeskError::Refused(refused) => refused.into(),
            run::DeskError::Store(error) => error.into(),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            Kind::Usage | Kind::NeedsPerson => Self::Refused(failure.message),
            Kind::CannotStart => Self::Unavailable(failure.message),
            Kind::Bug => Self::Bug(failure.message),
        }
    }
}

impl From<turno_board::Error> for Failure {
    fn from(error: turno_board::Error) -> Self {
        Self::cannot_start(error.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
