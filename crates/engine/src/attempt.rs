//! Owns what an attempt on this machine does from start to end. Each kind has a file; each ends its attempt by
//! telling exactly one ending, and leaves no process.

mod agent;
mod checks;
mod landing;
mod talk;

pub(crate) use agent::{agent, branch_of, message_of, replay_spend};
pub(crate) use checks::checks;
pub(crate) use landing::landing;

use turno_core::failure::{Cause, Failure};
use turno_core::task::StopWhy;

use crate::runner::local::{Asked, Ear};

/// Waits until the attempt is told to stop. Never returns if it is not.
async fn told_to_stop(ear: &mut Ear) -> StopWhy {
    loop {
        if let Asked::Stop(why) = *ear.borrow_and_update() {
            return why;
        }
        if ear.changed().await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

fn workspace(error: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Workspace, error.to_string())
}

fn stopped(why: StopWhy) -> Failure {
    Failure::new(Cause::Stopped, why.phrase())
}
