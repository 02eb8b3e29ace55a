//! Owns how an agent is brought to its end, and what its end was: from a request in its own protocol to the supervisor,
//! and whose word counts when both tell one.

use std::path::Path;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;
use turno_agents::dialect::{Exit, Line, Signal};
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::task::StopWhy;

use super::super::windows::When;
use super::super::{stopped, told_again, told_to_stop};
use super::{Heard, Talk};
use crate::process::supervised::StopForce;
use crate::process::supervisor::{End, ExitKind, files};
use crate::run::now;
use crate::runner::mouth::Ear;
use crate::transcript::{Tail, end_of};

/// How long an agent has to end its turn after it was asked to in its own protocol.
const POLITE: Duration = Duration::from_secs(3);
/// How long a supervisor has to end everything once it was told to.
const GIVE_UP: Duration = Duration::from_secs(40);
const STDERR_SHOWN: usize = 4000;

/// Why the agent is being ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Not,
    Told(StopWhy),
}

/// Waits for a word from the core: the first, or after that the next.
pub(super) async fn told(ear: &mut Ear, ending: Ending) -> StopWhy {
    match ending {
        Ending::Told(_) => told_again(ear).await,
        Ending::Not => told_to_stop(ear).await,
    }
}

impl Talk<'_> {
    /// A stop for money is a kill: every further message costs. Any other begins with a request.
    pub(super) async fn stop(&mut self, why: StopWhy) {
        self.ending = Ending::Told(why);
        self.tally.told_to_end();
        if why.is_about_money() {
            self.end_by(StopForce::Kill);
        } else {
            self.ask_politely().await;
        }
    }

    /// A stop under way is told again; if it is about money now, it is not polite any more.
    pub(super) fn hasten(&mut self, why: StopWhy) {
        self.ending = Ending::Told(why);
        if why.is_about_money() {
            self.end_by(StopForce::Kill);
        }
    }

    pub(super) async fn ask_politely(&mut self) {
        let lines = self.conversation.interrupt();
        if lines.is_empty() {
            return self.end_by(StopForce::Ladder);
        }
        for line in lines {
            self.say(&line).await;
        }
        self.next_rung = Some(Instant::now() + POLITE);
    }

    /// The supervisor's turn. If it does not answer either, nobody waits for it.
    pub(super) fn end_by(&mut self, force: StopForce) {
        self.next_rung = None;
        self.run.stop(force);
        self.give_up.get_or_insert(Instant::now() + GIVE_UP);
    }

    /// The supervisor is gone, and so is everything below it.
    pub(super) async fn over(self, mut tail: Tail, dir: &Path) -> Heard {
        let Self {
            mut conversation,
            run,
            mut tally,
            ending,
            mouth,
            mut windows,
            ..
        } = self;
        let end = run.wait().await;
        let mut hear = |line: Line<'_>| {
            for signal in conversation.line(line) {
                tally.hear(&signal);
                match signal {
                    Signal::Quota(said) => {
                        let news = windows.hear(&said, When::At(now()));
                        news.into_iter().for_each(|quota| mouth.quota_seen(quota));
                    }
                    Signal::HeldOff(wait) => windows.hold_off(wait, When::At(now())),
                    Signal::Heard { remark, .. } => mouth.heard(remark),
                    Signal::Session(_)
                    | Signal::Spent(_)
                    | Signal::Text(_)
                    | Signal::ToolStarted(_)
                    | Signal::ToolEnded(_)
                    | Signal::Notice(_)
                    | Signal::Asked { .. }
                    | Signal::Leaving { .. }
                    | Signal::Send(_)
                    | Signal::CloseInput => {}
                }
            }
        };
        while tail.read_piece(&mut hear) {
            yield_now().await;
        }
        tail.finish(hear);
        let stderr = end_of(&dir.join(files::ERR), STDERR_SHOWN);
        let exit = match &end {
            Some(End::Exited(ExitKind::Code(code))) => Exit::Code(*code),
            Some(End::Exited(ExitKind::Signal(signal))) => Exit::Signal(*signal),
            Some(_) | None => Exit::Signal(9),
        };
        let said = conversation.end(exit, &stderr);
        tracing::info!(attempt = %mouth.attempt(), ?end, ?ending, ?said, "an agent has ended");
        let (end, spend) = match (said, outside(end, ending, &stderr)) {
            // What was finished before the stop came is finished.
            (AgentEnd::Finished(outcome), _) => (AgentEnd::Finished(outcome), tally.spend()),
            (AgentEnd::Asked(question), _) => (AgentEnd::Asked(question), tally.spend()),
            (AgentEnd::Failed(_), Some(failure)) => {
                (AgentEnd::Failed(windows.lifting(failure, now())), tally.cut_off())
            }
            (AgentEnd::Failed(failure), None) => {
                (AgentEnd::Failed(windows.lifting(failure, now())), tally.spend())
            }
        };
        Heard { end, spend }
    }
}

/// Why the agent could not come to an end of its own, if it could not.
fn outside(end: Option<End>, ending: Ending, stderr: &str) -> Option<Failure> {
    match (ending, end) {
        (_, Some(End::NotStarted(why))) => Some(Failure::new(Cause::Spawn, why)),
        (_, Some(End::TooMuchOutput)) => Some(Failure::new(
            Cause::Agent,
            "it said more than may be kept and was stopped",
        )),
        (_, Some(End::HitLimit(hit))) => Some(Failure::new(Cause::Resources, hit.words())),
        (_, Some(End::TranscriptFailed(why))) => Some(Failure::new(
            Cause::Workspace,
            format!("what it said could not be written down: {why}"),
        )),
        (_, Some(End::Alone)) => Some(Failure::new(
            Cause::Lost,
            "its coordinator was gone, and none came to listen to it",
        )),
        (Ending::Told(why), _) => Some(stopped(why)),
        (Ending::Not, Some(End::TimedOut)) => {
            Some(Failure::new(Cause::WallClock, "stopped by its supervisor"))
        }
        (Ending::Not, None) => Some(Failure::new(
            Cause::Lost,
            format!("its supervisor died without a word. {stderr}"),
        )),
        (Ending::Not, Some(End::Stopped | End::Exited(_))) => None,
    }
}
