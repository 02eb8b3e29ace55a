//! Owns the coordinator's end of the tools: whose token it is, the fact that a call becomes, and the answer, which
//! is given after the commit and never before.

use std::sync::Arc;

use turno_core::State;
use turno_core::event::Event;
use turno_core::ids::AttemptId;
use turno_core::issue::{Proposal, ProposalStage};
use turno_core::outcome::Proposed;
use turno_core::step::current_brief;
use turno_core::task::Said;

use super::{Call, Given, Token};
use crate::run::Handle;
use crate::runner::mouth::{Shared, Waiting};

/// The tools of the agents that run on this machine. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Toolbox {
    shared: Arc<Shared>,
}

impl Toolbox {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Carries a call out, for the attempt whose token it is and no other. Safe to be dropped: nobody waits then.
    pub(crate) async fn call(&self, handle: &Handle, token: &Token, call: Call) -> Given {
        let Some(attempt) = self.shared.attempt_of(token) else {
            return Given::Refused(
                "this token opens nothing: the attempt it was made for is over. End your turn".to_owned(),
            );
        };
        self.shared.begun(attempt).await;
        if let Err(senseless) = call.check() {
            return Given::Refused(senseless.to_string());
        }
        // What is told is looked for afterwards in the words in which it was kept.
        let call = match self.shared.redaction().record(call) {
            Ok(call) => call,
            Err(unfit) => return Given::Refused(unfit.to_string()),
        };
        match call {
            Call::Context => context(&handle.snapshot(), attempt),
            Call::Ask(question) => match Waiting::ask(&self.shared, attempt, question) {
                Err(not) => Given::Refused(not.to_string()),
                Ok(mut waiting) => waiting.reply().await.map_or_else(over, Given::Replied),
            },
            Call::ProposeTask(proposed) => {
                let title = proposed.title.trim().to_owned();
                let event = Event::TaskProposed { attempt, proposed };
                let Some(issue) = self.told(attempt, event, handle).await else {
                    return over();
                };
                proposal(&issue, attempt, &title)
            }
            Call::ReportFinding(finding) => self.noted(attempt, Said::Finding(finding), handle).await,
            Call::Note(text) => self.noted(attempt, Said::Remark(text), handle).await,
        }
    }

    /// Tells a fact and waits until it is committed; the state as it is then, or `None` when the attempt is over.
    async fn told(&self, attempt: AttemptId, event: Event, handle: &Handle) -> Option<Arc<State>> {
        let number = self.shared.tell_from(attempt, event)?;
        self.shared.committed(number).await;
        Some(handle.snapshot())
    }

    async fn noted(&self, attempt: AttemptId, said: Said, handle: &Handle) -> Given {
        let event = Event::Noted {
            attempt,
            said: said.clone(),
        };
        let Some(state) = self.told(attempt, event, handle).await else {
            return over();
        };
        let task = state.task_of(attempt).and_then(|id| state.tasks.get(&id));
        if task.is_some_and(|t| t.notes.iter().any(|n| n.said == said)) {
            Given::Done("it is written down".to_owned())
        } else {
            Given::Refused("it is not kept: this task has as many notes as are kept".to_owned())
        }
    }
}

fn over() -> Given {
    Given::Refused("your attempt is over: end your turn".to_owned())
}

/// What the core made of a proposal.
fn proposal(state: &State, attempt: AttemptId, title: &str) -> Given {
    let issue = state.task_of(attempt).and_then(|id| state.issues.get(&id.issue));
    let is_it = |p: &&Proposal| same(&p.proposed, title);
    match issue.and_then(|i| i.plan.proposals.iter().find(is_it)) {
        None => Given::Refused("it is not kept: this issue has as many proposals as are kept".to_owned()),
        Some(found) => match &found.stage {
            ProposalStage::Declined { reason } => Given::Refused(format!("it is declined: {reason}")),
            ProposalStage::Open if found.by.attempt == attempt => Given::Done(format!(
                "it is proposal {}; the issue's author decides on it, or a person where there is none. Go on with your own task",
                found.id
            )),
            _ => Given::Done(format!(
                "a task of that title is proposed already, as {}. Go on with your own task",
                found.id
            )),
        },
    }
}

fn same(proposed: &Proposed, title: &str) -> bool {
    proposed.title.trim() == title
}

/// The brief as it would be given now.
fn context(state: &State, attempt: AttemptId) -> Given {
    let Some(brief) = current_brief(state, attempt) else {
        return over();
    };
    match serde_json::to_string(&brief) {
        Ok(text) => Given::Done(text),
        Err(error) => Given::Refused(format!("your brief cannot be written down: {error}")),
    }
}
