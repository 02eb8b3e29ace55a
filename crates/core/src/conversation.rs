//! Owns the exchange about one task as a conversation: who said what to whom, told from the journal alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::brief::Ask;
use crate::check::CheckVerdict;
use crate::command::{AgentStart, Command};
use crate::decision::Question;
use crate::event::{AgentEnd, Event, LandingEnd};
use crate::explain::{finding_phrase, report_phrase, together_phrase};
use crate::ids::{AgentName, AttemptId, DecisionId, PersonaName, TaskId};
use crate::outcome::{Outcome, ProposalVerdict, Verdict};
use crate::record::Record;
use crate::remark::{Subject, said_place};
use crate::state::Entity;
use crate::task::Said;
use crate::units::Timestamp;
use crate::view::failure_phrase;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// An agent in its role.
    Agent {
        /// The role's persona.
        persona: PersonaName,
        /// The agent.
        agent: AgentName,
        /// In which attempt.
        attempt: AttemptId,
    },
    /// The project's checks.
    Checks,
    /// The landing queue.
    Landing,
    /// A person.
    Person,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Speaker,
    /// What, in one line.
    pub says: String,
    /// And more: evidence, findings, questions, one line each.
    pub more: Vec<String>,
}

/// The conversation about a task. Records must come in order and from the first that concerns it.
pub fn conversation<'a>(records: impl IntoIterator<Item = &'a Record>, task: TaskId) -> Vec<Spoken> {
    let mut agents: BTreeMap<AttemptId, &AgentStart> = BTreeMap::new();
    let mut others: BTreeMap<AttemptId, Speaker> = BTreeMap::new();
    let mut asked: BTreeMap<DecisionId, &Question> = BTreeMap::new();
    let mut turns = Vec::new();
    for record in records {
        let said = if let Event::DecisionAnswered { decision, answer } = &record.event {
            asked
                .contains_key(decision)
                .then(|| (Speaker::Person, answer.clone(), Vec::new()))
        } else if let Some(words) = by_person(record, task, &agents) {
            Some((Speaker::Person, words, Vec::new()))
        } else {
            record.event.attempt().and_then(|attempt| {
                let by = match (agents.get(&attempt), others.get(&attempt)) {
                    (Some(start), _) => agent(start),
                    (None, Some(other)) => other.clone(),
                    (None, None) => return None,
                };
                let ask = agents.get(&attempt).map(|s| &s.brief.ask);
                spoken(&record.event, ask).map(|(says, more)| (by, says, more))
            })
        };
        if let Some((by, says, more)) = said {
            let at = record.at;
            turns.push(Spoken { at, by, says, more });
        }
        for command in &record.commands {
            match command {
                Command::StartAgent(start) if start.task == task => drop(agents.insert(start.attempt, start)),
                Command::RunChecks(start) if start.task == task => {
                    others.insert(start.attempt, Speaker::Checks);
                }
                Command::Land(start) if start.lands(task) => {
                    others.insert(start.attempt, Speaker::Landing);
                }
                Command::StartAgent(_)
                | Command::RunChecks(_)
                | Command::Land(_)
                | Command::Follow(_)
                | Command::StopAttempt { .. }
                | Command::OpenIssue { .. }
                | Command::Reply { .. }
                | Command::Foresee { .. }
                | Command::Nudge { .. }
                | Command::Tell { .. }
                | Command::Adopt { .. }
                | Command::WarnOfBudget { .. }
                | Command::EndShift { .. } => {}
            }
        }
        for change in &record.changes {
            if let Entity::Decision(decision) = change
                && decision.task == task
            {
                asked.insert(decision.id, &decision.question);
            }
        }
    }
    turns
}

/// What a person said about the task, or to an agent that runs for it.
fn by_person(record: &Record, task: TaskId, agents: &BTreeMap<AttemptId, &AgentStart>) -> Option<String> {
    if let Event::Told { attempt, words } = &record.event {
        let start = agents.get(attempt)?;
        return Some(format!("to {} ({attempt}): {words}", start.persona));
    }
    let Event::Commented { on, finding, .. } = &record.event else {
        return None;
    };
    // Of an issue it is said in the task that it became.
    let became = record
        .changes
        .iter()
        .any(|c| matches!(c, Entity::Task(t) if t.id == task && !t.remarks.is_empty()));
    let about = *on == Subject::Task(task) || matches!(on, Subject::Issue(_)) && became;
    about.then(|| match said_place(finding) {
        Some(place) => format!("{place}: {}", finding.what),
        None => finding.what.clone(),
    })
}

fn agent(start: &AgentStart) -> Speaker {
    Speaker::Agent {
        persona: start.persona.clone(),
        agent: start.agent.clone(),
        attempt: start.attempt,
    }
}

/// What an event of an attempt says, if it says something to the others.
fn spoken(event: &Event, ask: Option<&Ask>) -> Option<(String, Vec<String>)> {
    match event {
        Event::AgentEnded { end, .. } => Some(last_words(end, ask)),
        Event::ChecksEnded { report, .. } => {
            let shown = report.results.iter().filter_map(|r| match &r.verdict {
                CheckVerdict::Fail { extract } => Some(format!("{}: {}", r.check, extract.trim_end())),
                CheckVerdict::CouldNotRun { why } => Some(format!("{}: {why}", r.check)),
                CheckVerdict::Pass | CheckVerdict::Flaky => None,
            });
            Some((report_phrase(report), shown.collect()))
        }
        Event::LandingEnded { end, .. } => Some(match end {
            LandingEnd::Landed { commit } => (format!("landed as {}", commit.short()), Vec::new()),
            LandingEnd::Conflict { hunks, .. } => (
                "it does not apply to what has landed meanwhile".to_owned(),
                hunks.iter().map(|h| h.file.clone()).collect(),
            ),
            LandingEnd::NotGreen { report, .. } => (
                format!("the integrated tree is not green: {}", report_phrase(report)),
                Vec::new(),
            ),
            LandingEnd::Raced { .. } => ("the branch moved meanwhile; once more".to_owned(), Vec::new()),
            LandingEnd::Together(end) => (together_phrase(end), Vec::new()),
        }),
        Event::AttemptFailed { failure, .. } => Some((failure_phrase(failure), Vec::new())),
        Event::DecisionAsked { question, .. } => Some(asks(question)),
        Event::TaskProposed { proposed, .. } => Some((
            format!("proposes: {}", proposed.title),
            vec![proposed.why.clone()],
        )),
        Event::Noted { said, .. } => Some(match said {
            Said::Remark(text) => (format!("notes: {text}"), Vec::new()),
            Said::Finding(finding) => (format!("found: {}", finding_phrase(finding)), Vec::new()),
        }),
        Event::Heard { .. } => Some(("has taken in what a person said to it".to_owned(), Vec::new())),
        Event::ConfigLoaded { .. }
        | Event::IssueAdded { .. }
        | Event::IssueEdited { .. }
        | Event::IssueClosed { .. }
        | Event::IssueJoined { .. }
        | Event::ShiftStarted { .. }
        | Event::IssueOpened { .. }
        | Event::IssueNotOpened { .. }
        | Event::TargetMoved { .. }
        | Event::FollowEnded { .. }
        | Event::DecisionAnswered { .. }
        | Event::LessonAdded { .. }
        | Event::LessonEdited { .. }
        | Event::BudgetSet { .. }
        | Event::StopAsked { .. }
        | Event::Discarded { .. }
        | Event::PlanEdited { .. }
        | Event::TaskTaken { .. }
        | Event::TaskGivenBack { .. }
        | Event::TaskReleased { .. }
        | Event::PromotionBegun { .. }
        | Event::PullRequestBegun { .. }
        | Event::PullRequestOpened { .. }
        | Event::Promoted { .. }
        | Event::Reverted { .. }
        | Event::Commented { .. }
        | Event::Told { .. }
        | Event::SessionOpened { .. }
        | Event::Metered { .. }
        | Event::QuotaSeen { .. }
        | Event::Seen { .. }
        | Event::ClockJumped { .. }
        | Event::RoomSeen { .. }
        | Event::Contacted { .. }
        | Event::Tampered { .. }
        | Event::Foreseen { .. }
        | Event::TimePassed
        | Event::Restarted { .. } => None,
    }
}

fn asks(question: &Question) -> (String, Vec<String>) {
    let options = question.options.iter().map(|o| {
        if o.detail.is_empty() {
            format!("- {}", o.label)
        } else {
            format!("- {}: {}", o.label, o.detail)
        }
    });
    (format!("asks: {}", question.question), options.collect())
}

fn last_words(end: &AgentEnd, ask: Option<&Ask>) -> (String, Vec<String>) {
    match end {
        AgentEnd::Failed(failure) => (failure_phrase(failure), Vec::new()),
        AgentEnd::Asked(question) => asks(question),
        AgentEnd::Finished(Outcome::Change {
            summary,
            evidence,
            open_questions,
            ..
        }) => {
            let seen = evidence.iter().map(|e| format!("seen: {e}"));
            let open = open_questions.iter().map(|q| format!("open: {q}"));
            (summary.clone(), seen.chain(open).collect())
        }
        AgentEnd::Finished(Outcome::Verdict { verdict, .. }) => match verdict {
            Verdict::Approve { notes } => {
                let word = match ask {
                    Some(Ask::Test { .. } | Ask::Try { .. }) => "I tried it and found nothing that breaks.",
                    _ => "Approved.",
                };
                (word.to_owned(), notes.iter().map(finding_phrase).collect())
            }
            Verdict::Findings { findings } => (
                format!("{} thing(s) must be mended.", findings.len()),
                findings
                    .iter()
                    .map(|f| match f.how_to_see.as_str() {
                        "" => finding_phrase(f),
                        how => format!("{} (see it: {how})", finding_phrase(f)),
                    })
                    .collect(),
            ),
        },
        AgentEnd::Finished(Outcome::Plan {
            tasks,
            answers,
            drops,
        }) => {
            let planned = tasks.iter().map(|t| match t.needs.as_slice() {
                [] => format!("{}: {}", t.key, t.title),
                needs => format!("{}: {} (after {})", t.key, t.title, needs.join(", ")),
            });
            let answered = answers.iter().map(|a| match &a.verdict {
                ProposalVerdict::Accept { key } => format!("{} accepted as {key}: {}", a.proposal, a.reason),
                ProposalVerdict::Merge { into } => format!("{} merged into {into}: {}", a.proposal, a.reason),
                ProposalVerdict::Decline => format!("{} declined: {}", a.proposal, a.reason),
            });
            let dropped = drops.iter().map(|d| format!("{} given up: {}", d.task, d.reason));
            (
                format!("a plan of {} task(s)", tasks.len()),
                planned.chain(answered).chain(dropped).collect(),
            )
        }
        AgentEnd::Finished(Outcome::Acceptance { missing }) if missing.is_empty() => {
            ("Nothing is missing.".to_owned(), Vec::new())
        }
        AgentEnd::Finished(Outcome::Acceptance { missing }) => (
            format!("{} thing(s) are missing.", missing.len()),
            missing.clone(),
        ),
        AgentEnd::Finished(Outcome::Choice { winner, why }) => match winner {
            Some(winner) => (format!("I choose {winner}."), vec![why.clone()]),
            None => ("None is good enough.".to_owned(), vec![why.clone()]),
        },
    }
}
