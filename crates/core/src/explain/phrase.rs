//! Owns the words for each fact of the journal, and for what it carries: ends, reports, findings.

use super::first_line;
use crate::check::{CheckReport, CheckVerdict, ReportVerdict, Source};
use crate::contact::Answer;
use crate::event::{AgentEnd, Event, FollowEnd, LandingEnd, LeftBehind, OthersEnd, StopHow, TogetherEnd};
use crate::following::CannotFollow;
use crate::foresight::sights_phrase;
use crate::holding::{Brought, Leaving};
use crate::ids::{AttemptId, TaskId};
use crate::lesson::LessonEdit;
use crate::liveness::{Activity, JumpWhy, short};
use crate::outcome::{Finding, Outcome, ProposalVerdict, Verdict};
use crate::plan::edit::PlanEdit;
use crate::promotion::{Assurance, Put};
use crate::remark::said_phrase;
use crate::room::seen_phrase;
use crate::shift::Scope;
use crate::task::Said;
use crate::train::Stands;
use crate::units::Span;
use crate::view::failure_phrase;

fn given_back_phrase(task: TaskId, attempt: AttemptId, brought: &Brought, leaving: Leaving) -> String {
    let what = match brought {
        Brought::Nothing => "with nothing changed".to_owned(),
        Brought::Change(change) => format!("with {} as its candidate", change.commit.short()),
    };
    let cost = "what it cost was not metered";
    match leaving {
        Leaving::GoesOn => format!("a person gave task {task} back ({attempt}) {what}; {cost}"),
        Leaving::Kept => format!("a person keeps task {task} aside ({attempt}) {what}; {cost}"),
        Leaving::Lost => {
            format!("the person attached to task {task} ({attempt}) was gone; it goes on {what}; {cost}")
        }
    }
}

/// A fact in words.
pub fn event_phrase(event: &Event) -> String {
    match event {
        Event::ConfigLoaded { config } => format!(
            "configuration loaded: policy {}, {} slot(s), {} check(s)",
            config.policy.name,
            config.slots,
            config.checks.len()
        ),
        Event::IssueAdded { draft } => format!("issue filed: {}", draft.title),
        Event::IssueEdited { issue, .. } => format!("issue {issue} edited"),
        Event::IssueClosed { issue, why } => format!("issue {issue} closed: {why}"),
        Event::IssueJoined { issue } => format!("a person put issue {issue} into the shift"),
        Event::ShiftStarted {
            mode,
            issues,
            budget,
            scope,
        } => {
            let what = match scope {
                Scope::Listed => format!("{} issue(s)", issues.len()),
                Scope::Backlog { .. } => "the backlog".to_owned(),
            };
            format!("shift started in mode {mode} on {what} with a budget of {budget}")
        }
        Event::IssueOpened { issue, base, .. } => format!("issue {issue} begins at {}", base.short()),
        Event::TargetMoved { issue, tip } => {
            format!("the branch that issue {issue} began on is at {} now", tip.short())
        }
        Event::IssueNotOpened { issue, why } => format!("issue {issue} could not be begun: {why}"),
        Event::DecisionAsked {
            attempt, question, ..
        } => format!("{attempt} asks: {}", first_line(&question.question)),
        Event::DecisionAnswered { decision, answer } => {
            format!("{decision} was answered: {}", first_line(answer))
        }
        Event::TaskProposed { attempt, proposed } => {
            format!("{attempt} proposed a task: {}", first_line(&proposed.title))
        }
        Event::Noted { attempt, said } => match said {
            Said::Remark(text) => format!("{attempt} noted: {}", first_line(text)),
            Said::Finding(finding) => format!("{attempt} found: {}", finding_phrase(finding)),
        },
        Event::LessonAdded { draft, .. } => format!("lesson written: {}", first_line(&draft.text)),
        Event::LessonEdited { lesson, edit } => match edit {
            LessonEdit::Keep => format!("lesson {lesson} is kept"),
            LessonEdit::Reword(draft) => format!("lesson {lesson} is kept as: {}", first_line(&draft.text)),
            LessonEdit::Remove => format!("lesson {lesson} was removed"),
        },
        Event::BudgetSet { level, allowance } => {
            format!("a person set the budget of {}: {allowance}", level.phrase())
        }
        Event::StopAsked { how: StopHow::Drain } => {
            "a person asked to drain: nothing new is started".to_owned()
        }
        Event::StopAsked { how: StopHow::Now } => "a person asked to stop now".to_owned(),
        Event::Discarded { .. } => "a person discarded it".to_owned(),
        Event::PlanEdited { issue, edits, .. } => {
            let edits: Vec<String> = edits.iter().map(PlanEdit::phrase).collect();
            format!("a person changed the plan of issue {issue}: {}", edits.join("; "))
        }
        Event::TaskTaken { task } => {
            format!("a person attached to task {task}; nothing is started for it meanwhile")
        }
        Event::TaskGivenBack {
            task,
            attempt,
            brought,
            leaving,
        } => given_back_phrase(*task, *attempt, brought, *leaving),
        Event::TaskReleased { task } => format!("a person gave task {task} back, which they had kept aside"),
        Event::PullRequestBegun { issue, pushed } => format!(
            "issue {issue} is about to be pushed to {} as {} at {}",
            pushed.remote,
            pushed.branch,
            pushed.head.short()
        ),
        Event::PullRequestOpened { issue, request } => format!("issue {issue}: {}", request.phrase()),
        Event::PromotionBegun { issue, begun } => format!(
            "issue {issue} is about to be promoted onto {} at {}",
            begun.onto,
            begun.commit.short()
        ),
        Event::Promoted {
            issue,
            onto,
            commit,
            put,
        } => {
            let how = match put {
                Put::Nothing => String::new(),
                Put::Commits {
                    manner, assurance, ..
                } => match assurance {
                    Assurance::Proven => format!(" ({})", manner.word()),
                    Assurance::Unproven { behind } => {
                        format!(" ({}, unproven: {behind} commit(s) behind)", manner.word())
                    }
                },
            };
            format!("issue {issue} promoted onto {onto} at {}{how}", commit.short())
        }
        Event::Reverted { issue, from, commit } => {
            format!("issue {issue} taken back from {from} at {}", commit.short())
        }
        Event::Commented { on, finding, .. } => {
            format!("a person said of {on}: {}", said_phrase(finding))
        }
        Event::Told { attempt, words } => {
            format!("a person said to {attempt}: {}", first_line(words))
        }
        Event::Heard { attempt, .. } => format!("{attempt} has taken in what a person said to it"),
        Event::SessionOpened { attempt, session } => format!("{attempt} opened session {session}"),
        Event::Metered { attempt, spend } => format!("{attempt} has spent {}", spend.cost),
        Event::Seen {
            attempt,
            activity: Activity::Working,
            ..
        } => format!("{attempt} works again"),
        Event::Seen {
            attempt,
            activity,
            lasts,
        } => format!("{attempt}: {}", activity.phrase(*lasts)),
        Event::ClockJumped { by, why } => {
            let way = if *by < 0 { "back" } else { "forward" };
            let why = match why {
                JumpWhy::Slept => "the machine slept",
                JumpWhy::Set => "it was set",
            };
            let far = short(Span(by.unsigned_abs()));
            format!("the clock went {way} by {far}, because {why}; no limit of time counts that")
        }
        Event::RoomSeen { tight } => seen_phrase(tight),
        Event::QuotaSeen { attempt, quota } => {
            format!(
                "{attempt} heard of its account's {} window: {}",
                quota.window, quota.fill
            )
        }
        Event::Contacted {
            attempt,
            contacts,
            others,
        } => {
            let refused = contacts.iter().filter(|c| c.answer != Answer::Allowed).count();
            let more = match others {
                0 => String::new(),
                n => format!(", and {n} more times others"),
            };
            format!(
                "{attempt} asked for {} host(s), {refused} in vain{more}",
                contacts.len()
            )
        }
        Event::Tampered { attempt, what } => {
            let first = what.first().map(ToString::to_string).unwrap_or_default();
            let more = match what.len() {
                0 | 1 => String::new(),
                n => format!(" (and {} more: turno log --json)", n - 1),
            };
            format!(
                "the repository changed while {attempt} ran: {}{more}",
                first_line(&first)
            )
        }
        Event::AgentEnded {
            attempt,
            end,
            spend,
            left,
            ..
        } => {
            format!(
                "{attempt} ended after {}: {}{}",
                spend.cost,
                end_phrase(end),
                left_phrase(left)
            )
        }
        Event::ChecksEnded {
            attempt,
            report,
            without,
            on_base,
        } => {
            let on_base = match on_base.as_ref().map(|r| (r.verdict(), report_phrase(r))) {
                None => String::new(),
                Some((ReportVerdict::Red, shown)) => format!("; without the change: {shown}"),
                Some((ReportVerdict::Green, _)) => "; without the change they pass".to_owned(),
                Some((ReportVerdict::Unknown, _)) => "; without the change they could not be run".to_owned(),
            };
            let without = match without.as_ref().map(CheckReport::verdict) {
                None => "",
                Some(ReportVerdict::Red) => "; without the change the new tests fail, as they must",
                Some(ReportVerdict::Green | ReportVerdict::Unknown) => {
                    "; without the change the new tests do not fail"
                }
            };
            format!("{attempt}: {}{without}{on_base}", report_phrase(report))
        }
        Event::LandingEnded { attempt, end } => format!("{attempt}: {}", landing_phrase(end)),
        Event::FollowEnded { attempt, end } => format!("{attempt}: {}", follow_phrase(end)),
        Event::Foreseen { of, sights, .. } => {
            sights_phrase(*of, sights).unwrap_or_else(|| format!("{of} merges with what it was held against"))
        }
        Event::AttemptFailed { attempt, failure } => format!("{attempt} failed: {}", failure_phrase(failure)),
        Event::TimePassed => "time passed".to_owned(),
        Event::Restarted { lost, adopted } => format!(
            "the coordinator began again, {} attempt(s) had worked on, {} were lost",
            adopted.len(),
            lost.len()
        ),
    }
}

fn end_phrase(end: &AgentEnd) -> String {
    match end {
        AgentEnd::Finished(Outcome::Change { summary, .. }) => format!("change: {}", first_line(summary)),
        AgentEnd::Finished(Outcome::Verdict {
            verdict: Verdict::Approve { notes },
            ..
        }) => {
            format!("approved with {} note(s)", notes.len())
        }
        AgentEnd::Finished(Outcome::Verdict {
            verdict: Verdict::Findings { findings },
            ..
        }) => {
            format!("{} finding(s)", findings.len())
        }
        AgentEnd::Finished(Outcome::Plan {
            tasks,
            answers,
            drops,
        }) => {
            let mut phrase = format!("a plan of {} task(s)", tasks.len());
            for answer in answers {
                let verdict = match &answer.verdict {
                    ProposalVerdict::Accept { key } => format!("accepted as {key}"),
                    ProposalVerdict::Merge { into } => format!("merged into {into}"),
                    ProposalVerdict::Decline => "declined".to_owned(),
                };
                phrase.push_str(&format!(
                    ", {} {verdict} ({})",
                    answer.proposal,
                    first_line(&answer.reason)
                ));
            }
            for dropped in drops {
                phrase.push_str(&format!(
                    ", {} given up ({})",
                    dropped.task,
                    first_line(&dropped.reason)
                ));
            }
            phrase
        }
        AgentEnd::Finished(Outcome::Choice { winner, why }) => match winner {
            Some(winner) => format!("chose {winner}: {}", first_line(why)),
            None => format!("chose none: {}", first_line(why)),
        },
        AgentEnd::Finished(Outcome::Acceptance { missing }) => {
            format!("acceptance, {} missing", missing.len())
        }
        AgentEnd::Asked(question) => format!("asks: {}", first_line(&question.question)),
        AgentEnd::Failed(failure) => failure_phrase(failure),
    }
}

fn left_phrase(left: &LeftBehind) -> String {
    match left {
        LeftBehind::Nothing => String::new(),
        LeftBehind::Commit { commit, .. } => format!(" [left {}]", commit.short()),
    }
}

/// A report in words: every check by name.
pub fn report_phrase(report: &CheckReport) -> String {
    let parts: Vec<String> = report
        .results
        .iter()
        .map(|r| {
            let check = format!("{}{}", r.check, r.within.phrase());
            let shown = match &r.verdict {
                CheckVerdict::Pass => format!("{check} passed"),
                CheckVerdict::Flaky => format!("{check} is flaky (red, then green)"),
                CheckVerdict::Fail { .. } => format!("{check} failed"),
                CheckVerdict::CouldNotRun { why } => format!("{check} could not be run: {why}"),
            };
            match r.source {
                Source::Run => shown,
                Source::Known { by } => format!("{shown} (known from {by}, not run again)"),
                Source::Differs { by } => format!(
                    "{shown} (ALARM: {by} saw the opposite on the same files; it depends on something else)"
                ),
            }
        })
        .collect();
    if parts.is_empty() {
        "no checks".to_owned()
    } else {
        parts.join(", ")
    }
}

fn landing_phrase(end: &LandingEnd) -> String {
    match end {
        LandingEnd::Landed { commit } => format!("landed as {}", commit.short()),
        LandingEnd::Conflict { hunks, .. } => format!("conflict in {} place(s)", hunks.len()),
        LandingEnd::NotGreen { report, .. } => {
            format!("the integrated tree is not green: {}", report_phrase(report))
        }
        LandingEnd::Raced { .. } => "the integration branch moved meanwhile".to_owned(),
        LandingEnd::Together(end) => together_phrase(end),
    }
}

fn follow_phrase(end: &FollowEnd) -> String {
    let cannot = |why: CannotFollow| {
        format!(
            "ALARM: the issue's branch cannot follow yours: {}; it did not move",
            why.phrase()
        )
    };
    match end {
        FollowEnd::Followed { head } => {
            format!(
                "the issue's branch has followed yours, it is at {} now",
                head.short()
            )
        }
        FollowEnd::Conflict { files, .. } => cannot(CannotFollow::Conflict { files: files.clone() }),
        FollowEnd::NotGreen { report, .. } => cannot(CannotFollow::NotGreen {
            report: report.clone(),
        }),
        FollowEnd::Rewritten { lost, .. } => cannot(CannotFollow::Rewritten { lost: lost.clone() }),
        FollowEnd::Raced { .. } => "the integration branch moved meanwhile".to_owned(),
    }
}

/// How several changes ended that were to land together.
pub(crate) fn together_phrase(end: &TogetherEnd) -> String {
    let names = |members: &[Stands]| {
        let names: Vec<String> = members.iter().map(|m| m.task.to_string()).collect();
        names.join(", ")
    };
    let mut parts = match &end.others {
        OthersEnd::None => Vec::new(),
        OthersEnd::Landed { members, head } => {
            let shown = format!("{} landed together, at {}", names(members), head.short());
            vec![shown]
        }
        OthersEnd::NotGreen { red } => vec![format!(
            "together {} are not green: {}; the branch did not move",
            names(&red.members),
            report_phrase(&red.report)
        )],
        OthersEnd::Raced { .. } => vec!["the integration branch moved meanwhile".to_owned()],
    };
    let refused = end.refused.iter();
    parts.extend(refused.map(|r| format!("{}: conflict in {} place(s)", r.task, r.hunks.len())));
    parts.join("; ")
}

/// A finding on one line.
pub fn finding_phrase(finding: &Finding) -> String {
    format!(
        "{}:{} [{}] {}",
        finding.file,
        finding.line,
        finding.severity,
        first_line(&finding.what)
    )
}
