//! Owns the smaller figures of a shift: the landing queue, the checks and what is known of them, what was found in
//! the repository and about changes, what was asked of the network and of people, what was learnt.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{cut, line};
use crate::check::{CheckReport, CheckVerdict, Source};
use crate::contact::{Answer, Contact};
use crate::decision::{Asker, Decision, DecisionStage};
use crate::event::{Event, FollowEnd, LandingEnd, LeftBehind, OthersEnd};
use crate::explain::event_phrase;
use crate::guard::Guarded;
use crate::ids::{AttemptId, CheckName, DecisionId, LessonId, TaskId};
use crate::ledger::Level;
use crate::lesson::{Lesson, LessonStage};
use crate::record::Record;
use crate::shift::Shift;
use crate::task::{Stage, Task, Work};
use crate::units::{Span, Timestamp};

/// More of a list than this are counted and not told.
const MANY: usize = 200;

/// What the landing queue did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Landings {
    /// How often landing was tried.
    pub runs: u32,
    /// How many changes landed.
    pub landed: u32,
    /// How many of them together with others.
    pub together: u32,
    /// How often the integrated tree was not green.
    pub red: u32,
    /// How many changes did not apply.
    pub conflicts: u32,
    /// How often the branch moved meanwhile.
    pub raced: u32,
    /// How long changes waited for their turn, added up.
    pub waited_ms: u64,
    /// How long the one that waited longest did.
    pub longest_ms: u64,
}

/// What one check showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckFigures {
    /// Which.
    pub check: CheckName,
    /// How often it was run.
    pub runs: u32,
    /// How often what was known stood for a run.
    pub known: u32,
    /// How often what was known turned out to hold no more.
    pub differs: u32,
    /// How often it was red.
    pub red: u32,
    /// How often it was red and then green at the same tree.
    pub flaky: u32,
    /// How often it could not be run.
    pub not_run: u32,
    /// How long it ran, added up.
    pub time_ms: u64,
    /// How long it would have run again where what was known stood for it.
    pub saved_ms: u64,
}

/// Something that was found changed in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// While which attempt ran.
    pub attempt: AttemptId,
    /// When it was found.
    pub at: Timestamp,
    /// What, and what was done about it.
    pub what: String,
}

/// Something that was found about a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardNote {
    /// Of which task, if it is known.
    pub task: Option<TaskId>,
    /// What.
    pub found: Guarded,
}

/// A host that was asked for and not reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Which, at which port, why not, how often.
    #[serde(flatten)]
    pub contact: Contact,
    /// By which attempts.
    pub attempts: Vec<AttemptId>,
}

/// What was asked of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// How often a host was let through.
    pub allowed: u64,
    /// What was not reached, the most asked for first.
    pub refused: Vec<Refusal>,
    /// How often others were asked for, beyond those that are told apart.
    pub others: u64,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its id.
    pub id: DecisionId,
    /// For which task.
    pub task: TaskId,
    /// Who asked; Turno itself, where nobody is named.
    pub by: Option<crate::task::Actor>,
    /// What; cut.
    pub question: String,
    /// When.
    pub asked: Timestamp,
    /// What became of it, as far as the shift saw it.
    pub stage: DecisionStage,
}

/// A lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Learnt {
    /// Its id.
    pub id: LessonId,
    /// What it says; cut.
    pub text: String,
    /// The paths it is about.
    pub paths: Vec<String>,
    /// Who proposed it; a person, where nobody is named.
    pub by: Option<crate::task::Actor>,
    /// How far it is.
    pub stage: LessonStage,
}

/// What a person has done with a shift's work after it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Since {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub what: String,
}

impl Since {
    /// What a record tells of that.
    pub(super) fn of(record: &Record, shift: &Shift, decisions: &[Asked]) -> Option<Self> {
        let ours = &shift.issues;
        let told = match &record.event {
            Event::Promoted { issue, .. }
            | Event::PullRequestOpened { issue, .. }
            | Event::Reverted { issue, .. }
            | Event::IssueClosed { issue, .. }
            | Event::IssueJoined { issue }
            | Event::PlanEdited { issue, .. }
            | Event::IssueEdited { issue, .. } => ours.contains(issue),
            Event::DecisionAnswered { decision, .. } => decisions.iter().any(|d| d.id == *decision),
            Event::TaskTaken { task } | Event::TaskGivenBack { task, .. } | Event::TaskReleased { task } => {
                ours.contains(&task.issue)
            }
            Event::Discarded { what } => match what {
                crate::event::Discard::Issue(issue) => ours.contains(issue),
                crate::event::Discard::Task(task) => ours.contains(&task.issue),
            },
            // What a day or an account may use holds for the next shift as it would have for this one.
            Event::BudgetSet { level, .. } => match level {
                Level::Shift(id) => *id == shift.id,
                Level::Issue(issue) => ours.contains(issue),
                Level::Task(task) => ours.contains(&task.issue),
                Level::Day(_) | Level::Agent { .. } => true,
            },
            Event::LessonEdited { .. } => true,
            Event::Commented { on, .. } => ours.contains(&on.issue()),
            Event::ConfigLoaded { .. }
            | Event::IssueAdded { .. }
            | Event::ShiftStarted { .. }
            | Event::IssueOpened { .. }
            | Event::IssueNotOpened { .. }
            | Event::LessonAdded { .. }
            | Event::StopAsked { .. }
            | Event::Told { .. }
            | Event::Heard { .. }
            | Event::SessionOpened { .. }
            | Event::DecisionAsked { .. }
            | Event::TaskProposed { .. }
            | Event::Noted { .. }
            | Event::Metered { .. }
            | Event::QuotaSeen { .. }
            | Event::Seen { .. }
            | Event::ClockJumped { .. }
            | Event::RoomSeen { .. }
            | Event::Contacted { .. }
            | Event::Tampered { .. }
            | Event::AgentEnded { .. }
            | Event::ChecksEnded { .. }
            | Event::LandingEnded { .. }
            | Event::TargetMoved { .. }
            | Event::FollowEnded { .. }
            | Event::Foreseen { .. }
            | Event::PromotionBegun { .. }
            | Event::PullRequestBegun { .. }
            | Event::AttemptFailed { .. }
            | Event::TimePassed
            | Event::Restarted { .. } => false,
        };
        told.then(|| Self {
            at: record.at,
            what: line(&event_phrase(&record.event)),
        })
    }
}

impl Asked {
    pub(super) fn of(decision: &Decision) -> Self {
        Self {
            id: decision.id,
            task: decision.task,
            by: match &decision.asker {
                Asker::Agent { actor, .. } => Some(actor.clone()),
                Asker::Trial | Asker::Guard { .. } => None,
            },
            question: cut(&decision.question.question, 1000),
            asked: decision.asked,
            stage: match &decision.stage {
                DecisionStage::Answered { by, answer, at, told } => DecisionStage::Answered {
                    by: *by,
                    answer: cut(answer, 1000),
                    at: *at,
                    told: *told,
                },
                other @ (DecisionStage::Waiting { .. } | DecisionStage::Open | DecisionStage::Withdrawn) => {
                    other.clone()
                }
            },
        }
    }
}

impl Learnt {
    pub(super) fn of(lesson: &Lesson) -> Self {
        Self {
            id: lesson.id,
            text: cut(&lesson.draft.text, 600),
            paths: lesson.draft.paths.iter().take(10).map(|p| cut(p, 120)).collect(),
            by: match &lesson.taught {
                crate::lesson::Taught::ByPerson => None,
                crate::lesson::Taught::ByAgent(actor) => Some(actor.clone()),
            },
            stage: lesson.stage,
        }
    }
}

/// The figures as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) landings: Landings,
    pub(super) tampering: Vec<Incident>,
    pub(super) guards: Vec<GuardNote>,
    pub(super) network: Network,
    checks: BTreeMap<CheckName, CheckFigures>,
    to_land: BTreeMap<TaskId, Timestamp>,
}

impl Tally {
    /// Takes the fact of a record in; `task` is what its attempt was for.
    pub(super) fn event(&mut self, record: &Record, task: Option<TaskId>) {
        if let Event::ChecksEnded { report, .. } = &record.event {
            self.checked(report);
        } else if let Event::LandingEnded { end, .. } = &record.event {
            self.landing(end);
        } else if let Event::FollowEnded {
            end: FollowEnd::NotGreen { report, .. },
            ..
        } = &record.event
        {
            self.checked(report);
        } else if let Event::Tampered { attempt, what } = &record.event {
            let room = MANY.saturating_sub(self.tampering.len());
            let told = what.iter().take(room).map(|w| Incident {
                attempt: *attempt,
                at: record.at,
                what: line(&w.to_string()),
            });
            self.tampering.extend(told);
        } else if let Event::Contacted {
            attempt,
            contacts,
            others,
        } = &record.event
        {
            self.contacted(*attempt, contacts);
            self.network.others = self.network.others.saturating_add(*others);
        } else if let Event::AgentEnded {
            left: LeftBehind::Commit { guards, .. },
            ..
        } = &record.event
        {
            for found in guards {
                let note = GuardNote {
                    task,
                    found: Guarded {
                        file: cut(&found.file, 200),
                        what: line(&found.what),
                        ..found.clone()
                    },
                };
                if self.guards.len() < MANY && !self.guards.contains(&note) {
                    self.guards.push(note);
                }
            }
        }
    }

    /// Takes a task in as it became: how long it waits to land.
    pub(super) fn task(&mut self, task: &Task, at: Timestamp) {
        if let Stage::Ready {
            work: Work::Land(_), ..
        } = &task.stage
        {
            self.to_land.entry(task.id).or_insert(at);
        } else if let Some(since) = self.to_land.remove(&task.id) {
            let Span(waited) = at.since(since);
            self.landings.waited_ms = self.landings.waited_ms.saturating_add(waited);
            self.landings.longest_ms = self.landings.longest_ms.max(waited);
        }
    }

    /// What each check showed, in the order of their names.
    pub(super) fn checks(&self) -> Vec<CheckFigures> {
        self.checks.values().cloned().collect()
    }

    fn checked(&mut self, report: &CheckReport) {
        for result in &report.results {
            let figures = self
                .checks
                .entry(result.check.clone())
                .or_insert_with(|| CheckFigures {
                    check: result.check.clone(),
                    runs: 0,
                    known: 0,
                    differs: 0,
                    red: 0,
                    flaky: 0,
                    not_run: 0,
                    time_ms: 0,
                    saved_ms: 0,
                });
            match result.source {
                Source::Known { .. } => {
                    figures.known += 1;
                    figures.saved_ms = figures.saved_ms.saturating_add(result.took.0);
                }
                Source::Run | Source::Differs { .. } => {
                    figures.runs += 1;
                    figures.time_ms = figures.time_ms.saturating_add(result.took.0);
                }
            }
            if let Source::Differs { .. } = result.source {
                figures.differs += 1;
            }
            match result.verdict {
                CheckVerdict::Pass => {}
                CheckVerdict::Flaky => figures.flaky += 1,
                CheckVerdict::Fail { .. } => figures.red += 1,
                CheckVerdict::CouldNotRun { .. } => figures.not_run += 1,
            }
        }
    }

    fn landing(&mut self, end: &LandingEnd) {
        self.landings.runs += 1;
        match end {
            LandingEnd::Landed { .. } => self.landings.landed += 1,
            LandingEnd::Conflict { .. } => self.landings.conflicts += 1,
            LandingEnd::NotGreen { report, .. } => {
                self.landings.red += 1;
                self.checked(report);
            }
            LandingEnd::Raced { .. } => self.landings.raced += 1,
            LandingEnd::Together(end) => {
                self.landings.conflicts += u32::try_from(end.refused.len()).unwrap_or(u32::MAX);
                match &end.others {
                    OthersEnd::None => {}
                    OthersEnd::Landed { members, .. } => {
                        let many = u32::try_from(members.len()).unwrap_or(u32::MAX);
                        self.landings.landed += many;
                        if many > 1 {
                            self.landings.together += many;
                        }
                    }
                    OthersEnd::NotGreen { red } => {
                        self.landings.red += 1;
                        self.checked(&red.report);
                    }
                    OthersEnd::Raced { .. } => self.landings.raced += 1,
                }
            }
        }
    }

    fn contacted(&mut self, attempt: AttemptId, contacts: &[Contact]) {
        for contact in contacts {
            if contact.answer == Answer::Allowed {
                self.network.allowed = self.network.allowed.saturating_add(contact.times);
                continue;
            }
            let host = cut(&contact.host, 120);
            let refused = &mut self.network.refused;
            let same = |r: &&mut Refusal| {
                r.contact.host == host && r.contact.port == contact.port && r.contact.answer == contact.answer
            };
            if let Some(known) = refused.iter_mut().find(same) {
                known.contact.times = known.contact.times.saturating_add(contact.times);
                if known.attempts.last() != Some(&attempt) {
                    known.attempts.push(attempt);
                }
            } else if refused.len() < MANY {
                refused.push(Refusal {
                    contact: Contact {
                        host,
                        ..contact.clone()
                    },
                    attempts: vec![attempt],
                });
            } else {
                self.network.others = self.network.others.saturating_add(contact.times);
            }
        }
    }
}
