//! Owns the attempts of a shift as they are reported: who did what where, from when to when, how it ended and what it
//! was charged. All of it is read off the tasks' stages and the facts that ended them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{cut, line};
use crate::check::{LogRef, ReportVerdict};
use crate::decision::{Asker, DecisionStage};
use crate::event::{AgentEnd, Event, FollowEnd, LandingEnd, OthersEnd};
use crate::explain::event_phrase;
use crate::failure::Cause;
use crate::ids::{AttemptId, DecisionId, TaskId};
use crate::issue::Issue;
use crate::outcome::{Outcome, Verdict};
use crate::record::Record;
use crate::state::{Entity, State};
use crate::task::{Run, Task};
use crate::units::{CostBasis, MicroUsd, Span, Timestamp, Tokens};
use crate::view::{RunBy, RunPlace, StageName};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It has not.
    Running,
    /// It did what it was for.
    Done,
    /// It said no: checks that are red, findings, a change that could not land.
    SentBack,
    /// With a question.
    Asked,
    /// It did not do what it was for.
    Failed {
        /// Why.
        cause: Cause,
    },
}

/// A time in which an agent waited in its slot for a person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// For which.
    pub decision: DecisionId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// For which task.
    pub task: TaskId,
    /// Tasks that were landed together with that one.
    pub with: Vec<TaskId>,
    /// What it did.
    pub kind: StageName,
    /// Who did it.
    pub by: RunBy,
    /// Where.
    pub place: RunPlace,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Option<Timestamp>,
    /// How it ended.
    pub ending: Ending,
    /// The same in words; may hold text from outside.
    pub said: String,
    /// What it was charged; for one that runs, what it has spent.
    pub cost: MicroUsd,
    /// How sure that is, once it is known.
    pub basis: Option<CostBasis>,
    /// The last meter reading, if there was one.
    pub metered: Option<MicroUsd>,
    /// The tokens behind it.
    pub tokens: Tokens,
    /// Everything it said.
    pub transcript: Option<LogRef>,
    /// When it waited for a person's answer.
    pub pauses: Vec<Pause>,
}

impl Attempt {
    /// How long it ran, or has run until that time.
    pub fn time(&self, until: Timestamp) -> Span {
        self.to.unwrap_or(until).since(self.from)
    }

    fn of(task: &Task) -> Option<Self> {
        let run = task.run()?;
        let by = task.agent_run().map_or(RunBy::Turno, |r| RunBy::Agent {
            persona: r.persona.clone(),
            agent: r.agent.clone(),
        });
        let place = task.slot().map_or(RunPlace::Landing, RunPlace::Slot);
        Some(Self::begun(run, task.id, StageName::of(&task.stage), by, place))
    }

    /// The one that brings an issue's branch along: told as the issue's own task's.
    fn of_issue(issue: &Issue) -> Option<Self> {
        let run = issue.following.run()?;
        let (kind, place) = (StageName::Following, RunPlace::Landing);
        Some(Self::begun(run, issue.lead(), kind, RunBy::Turno, place))
    }

    fn begun(run: &Run, task: TaskId, kind: StageName, by: RunBy, place: RunPlace) -> Self {
        Self {
            id: run.attempt,
            task,
            with: Vec::new(),
            kind,
            by,
            place,
            from: run.started,
            to: None,
            ending: Ending::Running,
            said: String::new(),
            cost: MicroUsd::ZERO,
            basis: None,
            metered: None,
            tokens: Tokens::default(),
            transcript: None,
            pauses: Vec::new(),
        }
    }
}

/// The attempts as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    all: BTreeMap<AttemptId, Attempt>,
    paused: BTreeMap<DecisionId, (AttemptId, Timestamp)>,
}

impl Attempts {
    /// Those that run already when the shift begins.
    pub(super) fn seed(&mut self, state: &State, started: Timestamp) {
        let of_tasks = state.running().filter_map(|t| Attempt::of(t));
        let of_issue = state.following().and_then(|i| Attempt::of_issue(i));
        for mut attempt in of_tasks.chain(of_issue) {
            attempt.from = attempt.from.max(started);
            self.all.insert(attempt.id, attempt);
        }
    }

    /// Takes a task in as it was and as it became.
    pub(super) fn task(&mut self, was: Option<&Task>, now: &Task, record: &Record) {
        let before = was.and_then(|t| t.run()).map(|r| r.attempt);
        let after = now.run().map(|r| r.attempt);
        if let Some(ended) = before.and_then(|a| self.all.get_mut(&a)) {
            let spent = was.map_or(MicroUsd::ZERO, |t| t.spent);
            if before != after && ended.to.is_none() {
                end(ended, record);
                ended.cost = MicroUsd::ZERO;
            }
            ended.cost += now.spent.less(spent);
        }
        let (Some(id), Some(attempt)) = (after, Attempt::of(now)) else {
            return;
        };
        let known = self.all.entry(id).or_insert(attempt);
        if known.task != now.id && !known.with.contains(&now.id) {
            known.with.push(now.id);
        }
        if let (Some(run), Event::Metered { .. }) = (now.agent_run(), &record.event) {
            known.metered = Some(run.cost());
            known.tokens = run.spend.tokens;
        }
        if let Some(run) = now.agent_run() {
            known.cost = run.cost();
        }
    }

    /// Takes an issue in as it became.
    pub(super) fn issue(&mut self, now: &Issue, record: &Record) {
        let after = Attempt::of_issue(now);
        let runs = after.as_ref().map(|a| a.id);
        let ended = self.all.values_mut().filter(|a| {
            a.kind == StageName::Following && a.task == now.lead() && a.to.is_none() && Some(a.id) != runs
        });
        ended.for_each(|a| end(a, record));
        if let Some(attempt) = after {
            self.all.entry(attempt.id).or_insert(attempt);
        }
    }

    /// Takes a record's questions in: who waits in its slot for an answer, and who does not any more.
    pub(super) fn decisions(&mut self, record: &Record) {
        for entity in &record.changes {
            let Entity::Decision(decision) = entity else {
                continue;
            };
            match (&decision.stage, &decision.asker) {
                (DecisionStage::Waiting { .. }, Asker::Agent { actor, .. }) => {
                    self.paused
                        .entry(decision.id)
                        .or_insert((actor.attempt, record.at));
                }
                (
                    DecisionStage::Waiting { .. }
                    | DecisionStage::Open
                    | DecisionStage::Answered { .. }
                    | DecisionStage::Withdrawn,
                    _,
                ) => self.resumed(decision.id, record.at),
            }
        }
    }

    fn resumed(&mut self, decision: DecisionId, to: Timestamp) {
        let Some((attempt, from)) = self.paused.remove(&decision) else {
            return;
        };
        if let Some(attempt) = self.all.get_mut(&attempt) {
            attempt.pauses.push(Pause { decision, from, to });
        }
    }

    /// What an attempt was for, if it is known.
    pub(super) fn task_of(&self, attempt: AttemptId) -> Option<TaskId> {
        self.all.get(&attempt).map(|a| a.task)
    }

    /// All of them, as far as they are about these tasks, in the order they began.
    pub(super) fn finish(mut self, until: Timestamp, is_ours: impl Fn(TaskId) -> bool) -> Vec<Attempt> {
        let waiting: Vec<DecisionId> = self.paused.keys().copied().collect();
        for decision in waiting {
            self.resumed(decision, until);
        }
        let mut all: Vec<Attempt> = self.all.into_values().filter(|a| is_ours(a.task)).collect();
        all.sort_by_key(|a| (a.from, a.id));
        all
    }
}

/// Writes down how an attempt ended.
fn end(attempt: &mut Attempt, record: &Record) {
    attempt.to = Some(record.at);
    attempt.said = cut(&line(&event_phrase(&record.event)), 300);
    attempt.ending = ending(attempt.id, &record.event);
    if let Event::AgentEnded {
        spend, transcript, ..
    } = &record.event
    {
        attempt.basis = Some(spend.basis);
        attempt.tokens = spend.tokens;
        attempt.transcript = Some(transcript.clone());
    }
    if let Event::Restarted { lost, .. } = &record.event
        && let Some(lost) = lost.iter().find(|l| l.attempt == attempt.id)
    {
        attempt.basis = Some(lost.spend.basis);
        attempt.tokens = lost.spend.tokens;
    }
}

fn ending(attempt: AttemptId, event: &Event) -> Ending {
    if event.attempt() != Some(attempt) {
        let discarded = matches!(event, Event::Discarded { .. });
        return Ending::Failed {
            cause: if discarded { Cause::Stopped } else { Cause::Lost },
        };
    }
    if let Event::AgentEnded { end, .. } = event {
        agent_ending(end)
    } else if let Event::ChecksEnded { report, .. } = event {
        match report.verdict() {
            ReportVerdict::Green => Ending::Done,
            ReportVerdict::Red => Ending::SentBack,
            ReportVerdict::Unknown => Ending::Failed {
                cause: Cause::CouldNotCheck,
            },
        }
    } else if let Event::LandingEnded { end, .. } = event {
        landing_ending(end)
    } else if let Event::FollowEnded { end, .. } = event {
        following_ending(end)
    } else if let Event::AttemptFailed { failure, .. } = event {
        Ending::Failed { cause: failure.cause }
    } else {
        // What is not known to have ended well is lost.
        Ending::Failed { cause: Cause::Lost }
    }
}

fn agent_ending(end: &AgentEnd) -> Ending {
    match end {
        AgentEnd::Asked(_) => Ending::Asked,
        AgentEnd::Failed(failure) => Ending::Failed { cause: failure.cause },
        AgentEnd::Finished(outcome) => match outcome {
            Outcome::Verdict {
                verdict: Verdict::Findings { .. },
                ..
            }
            | Outcome::Choice { winner: None, .. } => Ending::SentBack,
            Outcome::Acceptance { missing } if !missing.is_empty() => Ending::SentBack,
            Outcome::Verdict { .. }
            | Outcome::Choice { .. }
            | Outcome::Acceptance { .. }
            | Outcome::Plan { .. }
            | Outcome::Change { .. } => Ending::Done,
        },
    }
}

fn following_ending(end: &FollowEnd) -> Ending {
    match end {
        FollowEnd::Followed { .. } => Ending::Done,
        FollowEnd::Conflict { .. } | FollowEnd::NotGreen { .. } | FollowEnd::Rewritten { .. } => {
            Ending::SentBack
        }
        FollowEnd::Raced { .. } => Ending::Failed {
            cause: Cause::LandingRaced,
        },
    }
}

fn landing_ending(end: &LandingEnd) -> Ending {
    let raced = Ending::Failed {
        cause: Cause::LandingRaced,
    };
    match end {
        LandingEnd::Landed { .. } => Ending::Done,
        LandingEnd::Conflict { .. } | LandingEnd::NotGreen { .. } => Ending::SentBack,
        LandingEnd::Raced { .. } => raced,
        LandingEnd::Together(end) => match end.others {
            OthersEnd::Landed { .. } => Ending::Done,
            OthersEnd::None | OthersEnd::NotGreen { .. } => Ending::SentBack,
            OthersEnd::Raced { .. } => raced,
        },
    }
}
