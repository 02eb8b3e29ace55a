//! Owns one simulated night: the real core on a virtual clock, and hands that only pretend. Each command is answered as
//! the engine would answer it. What agents return is in `agents`, what checks and landings show in `proofs`.

mod agents;
mod kin;
mod planner;
mod proofs;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use turno_core::command::{AskedThen, Command};
use turno_core::decision::Reply;
use turno_core::event::{AgentEnd, Event, FollowEnd, LeftBehind};
use turno_core::failure::{Cause, Failure};
use turno_core::following::Target;
use turno_core::foresight::{Found, Rival, Sight};
use turno_core::ids::{
    AgentName, AttemptId, CheckName, CommitId, DecisionId, InvalidId, IssueId, TaskId, TreeId,
};
use turno_core::progress::Essence;
use turno_core::shift::{IssueAtStart, Scope, Shift};
use turno_core::units::{MicroUsd, Span, Timestamp};
use turno_core::view::StageName;
use turno_core::{State, next_deadline, step};

use super::bill::Bill;
use super::dice::Dice;
use super::forecast::{Bar, Lane};
use super::model::{Model, Person};
use super::odds::{AtTask, Odds};
use super::{Job, Stuck};
use kin::{Which, Whose};
use words::{ended, with_spend};

/// A night of more steps than this does not end.
const MOST_STEPS: u32 = 2_000_000;
/// How long it takes until a stopped attempt is gone.
const STOPS_IN: Span = Span::seconds(2);

/// One thing that will happen.
#[derive(Debug)]
enum Fate {
    /// An attempt spends.
    Spend(AttemptId, Bill),
    /// An attempt says something while it runs.
    Say(AttemptId, Box<Event>),
    /// An attempt ends.
    End(AttemptId, Box<Event>),
    /// What is no attempt's.
    Done(Box<Event>),
}

/// An attempt that runs.
#[derive(Debug)]
struct Live {
    slot: Lane,
    since: Timestamp,
    stage: StageName,
    task: TaskId,
    spent: Bill,
    /// What it spends without a word before its end, and in which time.
    quietly: Option<(Bill, Span)>,
    kind: Kind,
    /// How it goes on once it is told what became of its question.
    asleep: Option<Asleep>,
    going: Going,
}

/// What an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Writer,
    Reader,
    /// Checks or a landing.
    Plain,
}

/// Whether an attempt was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Stops,
}

/// An agent that waits for an answer.
#[derive(Debug)]
struct Asleep {
    rest: Span,
    cost: Bill,
    end: Box<Event>,
}

/// What is kept of a night besides its end.
#[derive(Debug)]
pub(super) enum Kept {
    Nothing,
    /// What ran when and where, for a picture.
    Bars(Vec<Bar>),
    /// What a journal would hold, to learn from.
    #[cfg(test)]
    Records(Vec<turno_core::record::Record>),
}

/// How a night ended.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) state: State,
    pub(super) shift: Arc<Shift>,
    pub(super) kept: Kept,
    pub(super) started: u32,
    /// The largest sum that was spent at once.
    pub(super) message: MicroUsd,
}

/// A night.
pub(super) struct World<'a> {
    job: &'a Job,
    model: &'a Model,
    odds: Odds,
    /// How prone tasks are, by the place of who works on them.
    prone: BTreeMap<(Whose, usize), Rc<AtTask>>,
    /// That checks are red, by task.
    red: BTreeMap<(Whose, Which), f64>,
    dice: Dice,
    now: Timestamp,
    state: State,
    fates: BTreeMap<(Timestamp, u64), Fate>,
    live: BTreeMap<AttemptId, Live>,
    counter: u64,
    quota: BTreeMap<AgentName, Timestamp>,
    broken: BTreeMap<IssueId, BTreeSet<CheckName>>,
    answered: BTreeSet<DecisionId>,
    kept: Kept,
    started: u32,
    message: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(job: &'a Job, model: &'a Model, night: u64, kept: Kept) -> Self {
        let mut dice = Dice::of(job.seed, night);
        let odds = Odds::of(model, &job.config, &mut dice);
        Self {
            job,
            model,
            odds,
            prone: BTreeMap::new(),
            red: BTreeMap::new(),
            dice,
            now: job.begins,
            state: job.state.clone(),
            fates: BTreeMap::new(),
            live: BTreeMap::new(),
            counter: 0,
            quota: BTreeMap::new(),
            broken: BTreeMap::new(),
            answered: BTreeSet::new(),
            kept,
            started: 0,
            message: 0,
        }
    }

    /// The night, to its end.
    pub(super) fn run(mut self) -> Result<Over, Stuck> {
        let issues = match self.job.scope {
            Scope::Listed => self.job.open.clone(),
            Scope::Backlog { .. } => Vec::new(),
        };
        let mut at_start = Vec::new();
        for issue in issues {
            let base = self.commit()?;
            at_start.push(IssueAtStart {
                issue,
                base,
                target: Target::Unknown,
            });
        }
        self.take(&Event::ShiftStarted {
            mode: self.job.config.policy.name.clone(),
            issues: at_start,
            budget: self.job.budget,
            scope: self.job.scope,
        })?;
        for _ in 0..MOST_STEPS {
            if self.state.shift().is_none() {
                let shift = self.state.shifts.values().next_back().cloned();
                return Ok(Over {
                    shift: shift.ok_or(Stuck::Unbegun)?,
                    state: self.state,
                    kept: self.kept,
                    started: self.started,
                    message: MicroUsd(self.message),
                });
            }
            self.turn_the_clock()?;
        }
        Err(Stuck::Endless)
    }

    fn turn_the_clock(&mut self) -> Result<(), Stuck> {
        let next = self.fates.keys().next().copied();
        match (next, next_deadline(&self.state)) {
            (Some(key), deadline) if deadline.is_none_or(|d| key.0 <= d) => {
                let fate = self.fates.remove(&key).ok_or(Stuck::Nothing)?;
                self.now = self.now.max(key.0);
                self.happens(fate)
            }
            (_, Some(deadline)) => {
                self.now = self.now.max(deadline);
                self.take(&Event::TimePassed)
            }
            (_, None) => Err(Stuck::Nothing),
        }
    }

    fn happens(&mut self, fate: Fate) -> Result<(), Stuck> {
        match fate {
            Fate::Spend(attempt, cost) => {
                let Some(live) = self.live.get_mut(&attempt).filter(|l| l.going == Going::On) else {
                    return Ok(());
                };
                live.spent = live.spent.and(cost);
                self.message = self.message.max(cost.micros);
                let spend = live.spent.spend();
                self.take(&Event::Metered { attempt, spend })
            }
            Fate::Say(attempt, event) => {
                let goes = |l: &Live| l.going == Going::On;
                if self.live.get(&attempt).is_some_and(goes) {
                    self.take(&event)?;
                }
                Ok(())
            }
            Fate::End(attempt, event) => {
                // The first ending counts; one that was on its way when it was stopped has been outrun.
                let Some(live) = self.live.remove(&attempt) else {
                    return Ok(());
                };
                self.draw(&live);
                let quietly = live.quietly.map_or(Bill::default(), |(bill, takes)| {
                    let ran = self.now.since(live.since).0.min(takes.0);
                    bill.part(ran, takes.0)
                });
                let spent = live.spent.and(quietly);
                self.take(&with_spend(*event, spent))
            }
            Fate::Done(event) => self.take(&event),
        }
    }

    fn draw(&mut self, live: &Live) {
        let (from, to) = (live.since.since(self.job.begins), self.now.since(self.job.begins));
        if let Kept::Bars(bars) = &mut self.kept {
            bars.push(Bar {
                slot: live.slot,
                from,
                to,
                kind: live.stage,
                task: live.task,
            });
        }
    }

    /// One event, taken in as the engine does it.
    fn take(&mut self, event: &Event) -> Result<(), Stuck> {
        let commands = self.decide(event);
        for command in commands {
            self.perform(&command)?;
        }
        self.people();
        Ok(())
    }

    fn decide(&mut self, event: &Event) -> Vec<Command> {
        #[cfg(test)]
        if let Kept::Records(records) = &mut self.kept {
            use turno_core::record::Record;
            let seq = turno_core::ids::Seq(records.len() as u64 + 1);
            let record = Record::of(&mut self.state, seq, self.now, event.clone());
            let commands = record.commands.clone();
            records.push(record);
            return commands;
        }
        step(&mut self.state, self.now, event)
    }

    /// Every effect has its answer here. A command that is new to the core is an arm that is missing here.
    fn perform(&mut self, command: &Command) -> Result<(), Stuck> {
        match command {
            Command::StartAgent(start) => self.start_agent(start),
            Command::RunChecks(start) => self.run_checks(start),
            Command::Land(start) => self.land(start),
            Command::StopAttempt { attempt, .. } => self.stop(*attempt),
            Command::OpenIssue { issue, on, .. } => {
                let base = match on.first() {
                    Some(head) => head.clone(),
                    None => self.commit()?,
                };
                let opened = Event::IssueOpened {
                    issue: *issue,
                    base,
                    target: Target::Unknown,
                };
                let takes = self.odds.opens.span(&mut self.dice);
                self.later(takes, Fate::Done(Box::new(opened)));
                Ok(())
            }
            Command::Reply { attempt, reply, .. } => self.reply(*attempt, reply),
            // Nobody here tells what is seen of an agent, so nobody is reminded.
            Command::Nudge { .. } => Ok(()),
            // Nobody here says anything.
            Command::Tell { .. } => Ok(()),
            // Nothing here ever restarts, so nothing is ever adopted; what it was told still counts.
            Command::Adopt { attempt, asked } => {
                for before in asked {
                    if let AskedThen::Told(reply) = &before.then {
                        self.reply(*attempt, reply)?;
                    }
                }
                Ok(())
            }
            // What would conflict is drawn when it lands; nobody sees it coming.
            Command::Foresee { of, commit, with, .. } => {
                let merges = |rival: &Rival| Sight {
                    rival: rival.clone(),
                    found: Found::Merges,
                };
                let seen = Event::Foreseen {
                    of: *of,
                    commit: commit.clone(),
                    sights: with.iter().map(merges).collect(),
                };
                self.later(STOPS_IN, Fate::Done(Box::new(seen)));
                Ok(())
            }
            // Nobody moves a branch in a simulated night; one that is behind when it begins catches up.
            Command::Follow(start) => {
                let followed = Event::FollowEnded {
                    attempt: start.attempt,
                    end: FollowEnd::Followed {
                        head: start.onto.clone(),
                    },
                };
                self.later(STOPS_IN, Fate::Done(Box::new(followed)));
                Ok(())
            }
            Command::WarnOfBudget { .. } | Command::EndShift { .. } => Ok(()),
        }
    }

    fn later(&mut self, after: Span, fate: Fate) {
        self.counter += 1;
        self.fates.insert((self.now + after, self.counter), fate);
    }

    fn begin(&mut self, attempt: AttemptId, slot: Lane, kind: Kind, stage: StageName, task: TaskId) {
        self.started += 1;
        let live = Live {
            slot,
            since: self.now,
            stage,
            task,
            spent: Bill::default(),
            quietly: None,
            kind,
            asleep: None,
            going: Going::On,
        };
        self.live.insert(attempt, live);
    }

    fn stop(&mut self, attempt: AttemptId) -> Result<(), Stuck> {
        let Some(live) = self.live.get_mut(&attempt) else {
            return Ok(());
        };
        let kind = live.kind;
        if std::mem::replace(&mut live.going, Going::Stops) == Going::Stops {
            return Ok(());
        }
        let failure = Failure::new(Cause::Stopped, "stopped");
        let event = match kind {
            Kind::Plain => Event::AttemptFailed { attempt, failure },
            Kind::Reader => ended(attempt, AgentEnd::Failed(failure), LeftBehind::Nothing),
            Kind::Writer => ended(attempt, AgentEnd::Failed(failure), self.partly(attempt)?),
        };
        self.later(STOPS_IN, Fate::End(attempt, Box::new(event)));
        Ok(())
    }

    fn reply(&mut self, attempt: AttemptId, reply: &Reply) -> Result<(), Stuck> {
        let Some(asleep) = self.live.get_mut(&attempt).and_then(|l| l.asleep.take()) else {
            return Ok(());
        };
        match reply {
            Reply::Answer(_) => {
                self.later(asleep.rest, Fate::Spend(attempt, asleep.cost));
                self.later(
                    Span(asleep.rest.0.saturating_add(1)),
                    Fate::End(attempt, asleep.end),
                );
            }
            Reply::Parked => {
                let asked = AgentEnd::Asked(agents::question());
                let left = self.partly(attempt)?;
                let end = ended(attempt, asked, left);
                self.later(Span::seconds(1), Fate::End(attempt, Box::new(end)));
            }
        }
        Ok(())
    }

    /// What a writer leaves that does not come to its end; a reader leaves nothing.
    fn partly(&mut self, attempt: AttemptId) -> Result<LeftBehind, Stuck> {
        let writes = |l: &Live| l.kind == Kind::Writer;
        if self.live.get(&attempt).is_some_and(writes) && self.dice.happens(0.5) {
            return self.commits([format!("simulated/{}.rs", attempt.0)].into());
        }
        Ok(LeftBehind::Nothing)
    }

    fn people(&mut self) {
        let Person::AnswersAfter(ms) = self.model.person else {
            return;
        };
        if self.state.decisions.len() == self.answered.len() {
            return;
        }
        let new = |d: &DecisionId| !self.answered.contains(d);
        let asked: Vec<DecisionId> = self.state.decisions.keys().copied().filter(new).collect();
        for decision in asked {
            self.answered.insert(decision);
            let answer = "yes".to_owned();
            let event = Event::DecisionAnswered { decision, answer };
            self.later(Span(ms), Fate::Done(Box::new(event)));
        }
    }

    fn commits(&mut self, paths: BTreeSet<String>) -> Result<LeftBehind, Stuck> {
        Ok(LeftBehind::Commit {
            commit: self.commit()?,
            tree: self.tree()?,
            paths,
            guards: Vec::new(),
            essence: Essence::Unknown,
        })
    }

    fn object(&mut self) -> String {
        self.counter += 1;
        format!("{:040x}", self.counter)
    }

    fn commit(&mut self) -> Result<CommitId, InvalidId> {
        self.object().parse()
    }

    fn tree(&mut self) -> Result<TreeId, InvalidId> {
        self.object().parse()
    }
}
