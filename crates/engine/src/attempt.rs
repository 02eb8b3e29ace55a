//! Owns what an attempt on this machine does from start to end. Each kind has a file; each ends its attempt by
//! telling exactly one ending, and leaves no process.

mod adopt;
mod agent;
mod attached;
mod checks;
mod contained;
mod following;
mod landing;
mod leaving;
mod lodger;
mod pulse;
mod standing;
mod talk;
mod tally;
mod understudy;
mod windows;

pub(crate) use adopt::{adopted, can_be_adopted};
pub(crate) use agent::{agent, begun, branch_of, message_of, told_or_unknown};
pub(crate) use attached::is_used;
pub use attached::{Attached, Gone, Seat, Unopened, attach, found_gone};
pub(crate) use checks::checks;
pub(crate) use following::following;
pub(crate) use landing::landing;
pub(crate) use standing::{dialect_of, token_of};
pub(crate) use tally::Tally;
pub use understudy::understudy;

use turno_core::failure::{Cause, Failure};
use turno_core::ids::AttemptId;
use turno_core::task::StopWhy;

use crate::containers;
use crate::process::supervised::{Bell, StopForce, Supervised, end_supervisor};
use crate::process::supervisor::End;
use crate::process::tree::kill_marked;
use crate::runner::mouth::{Asked, Ear};
use crate::site::{self, Site};

/// Waits until the attempt is told to stop. Never returns if it is not.
pub(crate) async fn told_to_stop(ear: &mut Ear) -> StopWhy {
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

/// Waits until the attempt, which was told to stop, is told so again.
async fn told_again(ear: &mut Ear) -> StopWhy {
    loop {
        if ear.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        if let Asked::Stop(why) = *ear.borrow_and_update() {
            return why;
        }
    }
}

/// Waits until a program that is only listened to has come to its end, or has been stopped. Nothing of it is
/// left either way.
pub(crate) async fn to_its_end(mut run: Supervised, ear: &mut Ear) -> Option<End> {
    run.close_input().await;
    loop {
        tokio::select! {
            bell = run.bell() => {
                if bell == Bell::Over {
                    break;
                }
            }
            why = told_to_stop(ear) => {
                run.stop(if why.is_about_money() { StopForce::Kill } else { StopForce::Ladder });
                break;
            }
        }
    }
    run.wait().await
}

fn not_ready(error: site::Error) -> Failure {
    match error {
        site::Error::Stopped(why) => stopped(why),
        other => workspace(other),
    }
}

fn workspace(error: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Workspace, error.to_string())
}

fn stopped(why: StopWhy) -> Failure {
    Failure::new(Cause::Stopped, why.phrase())
}

/// Ends whatever runs for an attempt: its own supervisor, those of its checks and its setup, whoever carries its
/// marker, and its containers.
pub(crate) async fn clear(site: &Site, attempt: AttemptId) {
    let dir = site.dirs.attempt(attempt);
    end_supervisor(&dir).await;
    end_supervisor(&dir.join("setup")).await;
    let mut ran = Vec::new();
    for entry in std::fs::read_dir(dir.join("checks"))
        .into_iter()
        .flatten()
        .flatten()
    {
        end_supervisor(&entry.path()).await;
        ran.push(entry.path());
    }
    kill_marked(&site.marker(attempt)).await;
    // A container need not be below any process of ours.
    for dir in ran {
        containers::clear(&dir, &site.env).await;
    }
}
