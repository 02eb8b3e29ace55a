//! Owns which agent plays a persona, and which conversation it goes on with. Looks only: nothing is started here.

use super::gates::{entry, is_away};
use crate::State;
use crate::command::Session;
use crate::config::Config;
use crate::gate::Entry;
use crate::ids::{AgentName, PersonaName};
use crate::persona::Persona;
use crate::policy::Then;
use crate::task::{Because, PlanBecause, Task, Work, WriterSession};

/// The agent to play a persona: the one that holds the writer's conversation; for a reviewer one that is not
/// the writer's, where there is one, also if that means to wait; after failures the next in the list. Whose account is
/// closed is passed over, and nobody waits for a conversation with one that is closed for long.
pub(super) fn pick_agent(
    state: &State,
    config: &Config,
    persona: &Persona,
    task: &Task,
    work: &Work,
    wanted: impl Fn(&AgentName) -> bool,
) -> Option<AgentName> {
    let has_room = |agent: &&AgentName| {
        let limit = config.agents.get(*agent).map_or(0, |a| usize::from(a.at_once));
        state.running_of(agent) < limit && entry(state, config, agent) == Entry::Free && wanted(agent)
    };
    let holds = |holder: &PersonaName, agent: &AgentName| {
        config
            .persona(holder)
            .is_some_and(|p| p.role == persona.role && p.agents.contains(agent))
            && !is_away(state, agent)
    };
    // A question is answered in the conversation in which it was asked.
    if let Some(resume) = &task.resume
        && holds(&resume.persona, &resume.agent)
    {
        return Some(&resume.agent)
            .filter(|a| resume.persona == persona.name && has_room(a))
            .cloned();
    }
    // Failures after which another agent may do better.
    let failures: usize = task
        .tries
        .iter()
        .filter(|(cause, _)| config.policy.row(**cause).then != Then::Retry)
        .map(|(_, n)| usize::from(*n))
        .sum();
    let mut turn = failures;
    let order: Vec<&AgentName> = match work {
        Work::Write(_) | Work::Plan(_) | Work::Accept(_) => {
            if let WriterSession::Open {
                persona: holder,
                agent,
                ..
            } = &task.session
                && holds(holder, agent)
            {
                return Some(agent)
                    .filter(|a| *holder == persona.name && has_room(a))
                    .cloned();
            }
            // Candidates for the same task begin with different agents.
            if let Some(first) = task.spec.contest {
                turn += usize::from(task.id.number.saturating_sub(first.number));
            }
            persona.agents.iter().collect()
        }
        Work::Test(_) | Work::Review(_) | Work::Compare(_) => {
            let writer = work.change().map(|c| &c.writer.agent);
            let (others, same): (Vec<_>, Vec<_>) = persona.agents.iter().partition(|a| Some(*a) != writer);
            let reachable = others.iter().any(|a| !is_away(state, a));
            if failures == 0 && reachable {
                others
            } else {
                others.into_iter().chain(same).collect()
            }
        }
        Work::Try | Work::Check(_) | Work::Land(_) | Work::Survey => persona.agents.iter().collect(),
    };
    let count = order.len();
    (0..count)
        .filter_map(|i| order.get((i + turn) % count).copied())
        .find(has_room)
        .cloned()
}

/// Which conversation a run begins or goes on with.
pub(super) fn session(task: &Task, work: &Work, persona: &Persona, agent: &AgentName) -> Session {
    if let Some(resume) = &task.resume
        && resume.persona == persona.name
        && resume.agent == *agent
    {
        return Session::Resume(resume.session.clone());
    }
    let goes_on = match work {
        Work::Write(job) => !matches!(job.because, Because::New | Because::TestsFirst),
        Work::Plan(because) => *because != PlanBecause::New,
        Work::Accept(_) => true,
        Work::Test(_)
        | Work::Review(_)
        | Work::Compare(_)
        | Work::Try
        | Work::Check(_)
        | Work::Land(_)
        | Work::Survey => false,
    };
    match &task.session {
        WriterSession::Open {
            persona: holder,
            agent: held,
            session,
        } if goes_on && *holder == persona.name && held == agent => Session::Resume(session.clone()),
        WriterSession::Open { .. } | WriterSession::Fresh => Session::Fresh,
    }
}
