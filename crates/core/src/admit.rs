//! Owns what a person may ask for in a given state. A request that is refused here never enters the journal;
//! `step` itself stays total and ignores what makes no sense.

use crate::State;
use crate::event::{Discard, Event};
use crate::globs;
use crate::holding::Hold;
use crate::ids::{AgentName, AttemptId, DecisionId, IssueId, LessonId, RepoName, ShiftId, TaskId};
use crate::issue::{IssueDraft, IssueStage, Split};
use crate::ledger::{AllowanceChange, Bound, Level, Off, Used};
use crate::lesson::LessonEdit;
use crate::outcome::{Finding, LessonDraft};
use crate::plan::edit::{self, PlanEdit, PlanVersion};
use crate::plan::issue_cycle;
use crate::promotion::TakeBack;
use crate::remark::{Fate, Subject, fate, takes_tasks};
use crate::shift::{Scope, Shift, ShiftStage};
use crate::step::{cannot_attach, unmet_needs};
use crate::task::Stage;

/// Why a request is refused, with what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such issue.
    #[error("there is no issue {0}; `turno issue list` shows those there are")]
    NoSuchIssue(IssueId),
    /// There is no such task.
    #[error("there is no task {0}; `turno status` shows those there are")]
    NoSuchTask(TaskId),
    /// The issue is over.
    #[error("issue {0} is over ({1}); file a new one with `turno issue add`")]
    IssueIsOver(IssueId, &'static str),
    /// A shift is running.
    #[error("shift {0} is running; wait for it or stop it with `turno stop`")]
    ShiftRuns(ShiftId),
    /// The shift begins nothing more.
    #[error(
        "shift {0} is winding down and begins nothing more; `turno run {1}` works on issue {1} when it is over"
    )]
    ShiftWinds(ShiftId, IssueId),
    /// It is in the shift already.
    #[error("issue {0} is in shift {1} already; `turno status` tells how far it is, or what it waits for")]
    IsInShift(IssueId, ShiftId),
    /// The issue is no longer in the backlog.
    #[error("issue {0} is not in the backlog: it was begun before; `turno run {0}` goes on with it")]
    HasBegun(IssueId),
    /// What the issue needs is neither done nor worked on.
    #[error("issue {issue} needs {} first, which no shift works on; begin that one first", needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NeedsFirst {
        /// Which.
        issue: IssueId,
        /// What is not done.
        needs: Vec<IssueId>,
    },
    /// No shift is running.
    #[error("no shift is running; `turno run ISSUE` starts one")]
    NoShift,
    /// An issue without a title.
    #[error("an issue needs a title; give it as `turno issue add \"TITLE\"`")]
    NoTitle,
    /// A budget of nothing.
    #[error("a budget of $0.00 starts nothing; give one with `--budget USD`")]
    NoBudget,
    /// A limit of nothing, or none at all.
    #[error(
        "a budget needs at least one limit, above zero or `none`; give --usd, --tokens, --wall or --turns"
    )]
    NoAllowance,
    /// The money of a shift without a limit.
    #[error("a shift always has a budget in money; set a higher one with --usd")]
    ShiftNeedsMoney,
    /// What the limit is for will use nothing more.
    #[error("{0} is over, so a budget for it changes nothing")]
    LevelIsOver(String),
    /// There is no such agent.
    #[error("there is no agent `{0}`; `turno doctor` lists those there are")]
    NoSuchAgent(AgentName),
    /// The issue is being worked on.
    #[error(
        "issue {0} is being worked on in shift {1}; stop it first with `turno stop`, or `turno discard {0}`"
    )]
    IssueInShift(IssueId, ShiftId),
    /// The task has landed; a landed task cannot be given up alone.
    #[error("task {0} has landed; it is part of its issue's branch now")]
    HasLanded(TaskId),
    /// The task was given up before.
    #[error("task {0} is given up already")]
    IsDropped(TaskId),
    /// There is nothing on the integration branch.
    #[error("issue {0} has nothing landed to promote; `turno run {0}` works on it")]
    NothingLanded(IssueId),
    /// It was not promoted.
    #[error("issue {0} is not promoted, so there is nothing to take back")]
    NotPromoted(IssueId),
    /// What its promotion did is not known.
    #[error(
        "it is not recorded what the promotion of issue {0} put on {1}: the branch had all of it, or an older turno \
         promoted it; take it back by hand with `git revert`"
    )]
    NothingPut(IssueId, String),
    /// A fact that only Turno itself may state, e.g. that a check passed.
    #[error("that is nothing a person asks for; only turno itself says so")]
    NotAsked,
    /// There is no such question.
    #[error("there is no question {0}; `turno answer` lists those that wait")]
    NoSuchDecision(DecisionId),
    /// Nobody waits for an answer any more.
    #[error("nobody waits for an answer to {0} any more; `turno answer` lists those that wait")]
    NotAwaited(DecisionId),
    /// An empty answer.
    #[error("an answer needs words: an option's name, or a text of your own")]
    NoAnswer,
    /// There is no such lesson.
    #[error("there is no lesson {0}; `turno lessons` lists them")]
    NoSuchLesson(LessonId),
    /// A lesson without words or paths.
    #[error("a lesson needs a text and at least one path glob it is about")]
    NoLesson,
    /// A glob that is none.
    #[error("{0}")]
    NoGlob(String),
    /// There is no such repository.
    #[error("there is no repository `{0}`; name it in turno.toml under [repos]")]
    NoSuchRepo(RepoName),
    /// Issues that wait for each other.
    #[error("issues cannot wait for each other: {0}")]
    NeedsCycle(String),
    /// A batch of nothing.
    #[error("a batch needs at least one item, and groups of at least one")]
    NoItems,
    /// A number of candidates that makes no sense.
    #[error("a task may have 2 to 9 candidates")]
    Candidates,
    /// The plan cannot be changed at all.
    #[error("{0}")]
    PlanClosed(String),
    /// What a person changes in a plan is not sound.
    #[error("the plan of issue {issue} stays as it is: {}", why.join("; "))]
    PlanUnsound {
        /// Of which issue.
        issue: IssueId,
        /// Everything that is wrong, each with the edit that it is in.
        why: Vec<String>,
    },
    /// Somebody has changed the plan meanwhile.
    #[error(
        "the plan of issue {issue} has changed since you saw it (version {seen}, now {now}), so nothing of it is changed; \
         look at it with `turno plan {issue}` and say again what is to change"
    )]
    PlanMoved {
        /// Of which issue.
        issue: IssueId,
        /// The version that was seen.
        seen: PlanVersion,
        /// The version that it has.
        now: PlanVersion,
    },
    /// A comment or a message without words.
    #[error("there are no words in that; say what is to be done")]
    NoWords,
    /// Nobody can be spoken to there.
    #[error(
        "no agent that can be spoken to runs as {0}: it has ended, is being stopped, or is no agent's; say it of its \
         task with `turno comment`"
    )]
    NotAtWork(AttemptId),
    /// A comment on what was given up.
    #[error(
        "task {0} was given up, so nobody would read that; comment on the task that does its work, or file an issue"
    )]
    NobodyWrites(TaskId),
    /// A comment on what has not begun.
    #[error("issue {0} has not begun, so there is nothing to comment on; say it with `turno issue edit {0}`")]
    NotBegun(IssueId),
    /// No configuration was loaded.
    #[error("no configuration is loaded")]
    NoConfig,
    /// Nobody can work on the task now.
    #[error("nobody can attach to task {0}: {1}. `turno explain {0}` tells more")]
    NotAttachable(TaskId, &'static str),
    /// Somebody is there already.
    #[error("somebody is attached to task {0} already; leave that agent first")]
    AlreadyAttached(TaskId),
    /// That visit is over.
    #[error("task {0} is not held by that visit any more; what it left is kept on a branch of Turno's own")]
    NotAttached(TaskId),
    /// It was not put aside.
    #[error("task {0} is not kept aside, so there is nothing to give back")]
    NotKept(TaskId),
}

/// Whether a person's request makes sense now.
///
/// # Errors
/// When it does not; the error says what to do instead.
pub fn admit(state: &State, event: &Event) -> Result<(), Refused> {
    match event {
        Event::IssueAdded { draft } => {
            title(&draft.title)?;
            sound(state, state.desk.next_issue, draft)
        }
        Event::IssueEdited { issue, draft } => {
            open_issue(state, *issue)?;
            title(&draft.title)?;
            sound(state, *issue, draft)
        }
        Event::DecisionAnswered { decision, answer } => match state.decisions.get(decision) {
            None => Err(Refused::NoSuchDecision(*decision)),
            Some(d) if !d.is_open() => Err(Refused::NotAwaited(*decision)),
            Some(_) if answer.trim().is_empty() => Err(Refused::NoAnswer),
            Some(_) => Ok(()),
        },
        Event::LessonAdded { draft, .. } => lesson(draft),
        Event::LessonEdited { lesson: id, edit } => {
            if !state.lessons.contains_key(id) {
                return Err(Refused::NoSuchLesson(*id));
            }
            match edit {
                LessonEdit::Reword(draft) => lesson(draft),
                LessonEdit::Keep | LessonEdit::Remove => Ok(()),
            }
        }
        Event::IssueClosed { issue, .. } => {
            open_issue(state, *issue)?;
            match state.shift() {
                Some(shift) if shift.issues.contains(issue) => Err(Refused::IssueInShift(*issue, shift.id)),
                Some(_) | None => Ok(()),
            }
        }
        Event::IssueJoined { issue } => joins(state, *issue),
        Event::ShiftStarted { issues, budget, .. } => {
            if let Some(shift) = state.shift() {
                return Err(Refused::ShiftRuns(shift.id));
            }
            if state.config.is_none() {
                return Err(Refused::NoConfig);
            }
            if budget.0 == 0 {
                return Err(Refused::NoBudget);
            }
            issues.iter().try_for_each(|i| open_issue(state, i.issue))
        }
        Event::TaskTaken { task: id } => {
            let task = state.tasks.get(id).ok_or(Refused::NoSuchTask(*id))?;
            if state.config.is_none() {
                return Err(Refused::NoConfig);
            }
            if task.hold.visit().is_some() {
                return Err(Refused::AlreadyAttached(*id));
            }
            cannot_attach(task).map_or(Ok(()), |why| Err(Refused::NotAttachable(*id, why)))
        }
        Event::TaskGivenBack {
            task: id, attempt, ..
        } => {
            let task = state.tasks.get(id).ok_or(Refused::NoSuchTask(*id))?;
            match task.hold.visit() {
                Some(visit) if visit.attempt == *attempt => Ok(()),
                Some(_) | None => Err(Refused::NotAttached(*id)),
            }
        }
        Event::TaskReleased { task: id } => match state.tasks.get(id).map(|t| &t.hold) {
            None => Err(Refused::NoSuchTask(*id)),
            Some(Hold::Kept { .. }) => Ok(()),
            Some(Hold::Free | Hold::Attached(_)) => Err(Refused::NotKept(*id)),
        },
        Event::BudgetSet { level, allowance } => budget(state, level, allowance),
        Event::StopAsked { .. } => state.shift().map(|_| ()).ok_or(Refused::NoShift),
        Event::Commented { on, finding, .. } => comment(state, *on, finding),
        Event::Told { words, .. } if words.trim().is_empty() => Err(Refused::NoWords),
        Event::Told { attempt, .. } => match fate(state, *attempt) {
            Some(Fate::SaidNow | Fate::NextTurn) => Ok(()),
            None => Err(Refused::NotAtWork(*attempt)),
        },
        Event::Discarded {
            what: Discard::Issue(issue),
        } => open_issue(state, *issue),
        Event::Discarded {
            what: Discard::Task(id),
        } => match state.tasks.get(id) {
            None => Err(Refused::NoSuchTask(*id)),
            Some(task) if matches!(task.stage, Stage::Dropped { .. }) => Err(Refused::IsDropped(*id)),
            Some(task) if task.is_over() => Err(Refused::HasLanded(*id)),
            Some(_) => Ok(()),
        },
        Event::PlanEdited {
            issue,
            version,
            edits,
        } => plan_edited(state, *issue, *version, edits),
        // It was begun while it could be, and is there: whoever closed the issue meanwhile does not make it unknown.
        Event::PullRequestOpened { issue, request }
            if state
                .issues
                .get(issue)
                .is_some_and(|i| i.pull.is_begun(&request.pushed)) =>
        {
            Ok(())
        }
        Event::PromotionBegun { issue, .. }
        | Event::Promoted { issue, .. }
        | Event::PullRequestBegun { issue, .. }
        | Event::PullRequestOpened { issue, .. } => {
            open_issue(state, *issue)?;
            let landed = state
                .issues
                .get(issue)
                .and_then(|i| i.integration())
                .is_some_and(|(base, head)| base != head);
            if landed {
                Ok(())
            } else {
                Err(Refused::NothingLanded(*issue))
            }
        }
        Event::Reverted { issue, .. } => match state.issues.get(issue).map(|i| &i.stage) {
            None => Err(Refused::NoSuchIssue(*issue)),
            Some(IssueStage::Done {
                back: TakeBack::Possible { .. },
                ..
            }) => Ok(()),
            Some(IssueStage::Done {
                onto,
                back: TakeBack::Impossible | TakeBack::WasThere { .. },
                ..
            }) => Err(Refused::NothingPut(*issue, onto.clone())),
            Some(
                IssueStage::Backlog
                | IssueStage::Opening { .. }
                | IssueStage::Working { .. }
                | IssueStage::Review { .. }
                | IssueStage::Closed { .. },
            ) => Err(Refused::NotPromoted(*issue)),
        },
        Event::ConfigLoaded { .. }
        | Event::IssueOpened { .. }
        | Event::IssueNotOpened { .. }
        | Event::DecisionAsked { .. }
        | Event::TaskProposed { .. }
        | Event::Noted { .. }
        | Event::Heard { .. }
        | Event::SessionOpened { .. }
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
        | Event::AttemptFailed { .. }
        | Event::TimePassed
        | Event::Restarted { .. } => Err(Refused::NotAsked),
    }
}

/// Whether a level's limits may be set so.
fn budget(state: &State, level: &Level, allowance: &AllowanceChange) -> Result<(), Refused> {
    if allowance.is_nothing() || allowance.limits().reached(Used::default()).is_some() {
        return Err(Refused::NoAllowance);
    }
    let over = || Err(Refused::LevelIsOver(level.phrase()));
    match level {
        Level::Task(id) => match state.tasks.get(id) {
            None => Err(Refused::NoSuchTask(*id)),
            Some(task) if task.is_over() => over(),
            Some(_) => Ok(()),
        },
        Level::Issue(id) => open_issue(state, *id),
        Level::Shift(id) => match state.shift() {
            None => Err(Refused::NoShift),
            Some(shift) if shift.id != *id => over(),
            Some(_) if allowance.usd == Some(Bound::Off(Off::NoLimit)) => Err(Refused::ShiftNeedsMoney),
            Some(_) => Ok(()),
        },
        Level::Day(day) | Level::Agent { day, .. } if *day < state.desk.today => over(),
        Level::Day(_) => Ok(()),
        Level::Agent { agent, .. } => {
            let known = state
                .config
                .as_ref()
                .is_some_and(|c| c.agents.contains_key(agent));
            if known {
                Ok(())
            } else {
                Err(Refused::NoSuchAgent(agent.clone()))
            }
        }
    }
}

/// Whether a plan may be changed so.
fn plan_edited(state: &State, id: IssueId, seen: PlanVersion, edits: &[PlanEdit]) -> Result<(), Refused> {
    let issue = state.issues.get(&id).ok_or(Refused::NoSuchIssue(id))?;
    if let Some(why) = edit::closed(issue) {
        return Err(Refused::PlanClosed(why));
    }
    let config = state.config.as_ref().ok_or(Refused::NoConfig)?;
    let now = issue.plan.version;
    if now != seen {
        return Err(Refused::PlanMoved { issue: id, seen, now });
    }
    let Err(flaws) = edit::check(state, issue, config.policy.caps, edits) else {
        return Ok(());
    };
    let told = |flaw: &edit::Flaw| match edits.get(flaw.edit) {
        Some(edit) if edits.len() > 1 => {
            format!("change {} ({}): {}", flaw.edit + 1, edit.phrase(), flaw.why)
        }
        Some(_) | None => flaw.why.clone(),
    };
    Err(Refused::PlanUnsound {
        issue: id,
        why: flaws.iter().map(told).collect(),
    })
}

/// Whether somebody will read a comment.
fn comment(state: &State, on: Subject, said: &Finding) -> Result<(), Refused> {
    if said.what.trim().is_empty() {
        return Err(Refused::NoWords);
    }
    if let Subject::Task(id) = on {
        match state.tasks.get(&id).map(|t| &t.stage) {
            None => return Err(Refused::NoSuchTask(id)),
            Some(Stage::Dropped { .. }) => return Err(Refused::NobodyWrites(id)),
            Some(_) => {}
        }
    }
    let id = on.issue();
    open_issue(state, id)?;
    match state.issues.get(&id) {
        Some(issue) if !takes_tasks(&issue.stage) => Err(Refused::NotBegun(id)),
        Some(_) | None => Ok(()),
    }
}

fn title(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        Err(Refused::NoTitle)
    } else {
        Ok(())
    }
}

/// What an issue refers to must be there.
fn sound(state: &State, id: IssueId, draft: &IssueDraft) -> Result<(), Refused> {
    if let Some(config) = &state.config
        && draft.repo != RepoName::default()
        && !config.repos.contains_key(&draft.repo)
    {
        return Err(Refused::NoSuchRepo(draft.repo.clone()));
    }
    if let Some(missing) = draft.needs.iter().find(|n| !state.issues.contains_key(n)) {
        return Err(Refused::NoSuchIssue(*missing));
    }
    if let Some(path) = issue_cycle(state, id, &draft.needs) {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        return Err(Refused::NeedsCycle(path.join(" -> ")));
    }
    match &draft.split {
        Split::Items(items) if items.items.is_empty() || items.group == 0 => Err(Refused::NoItems),
        Split::Items(_) | Split::ByPolicy | Split::Checks(_) | Split::Candidates(2..=9) => Ok(()),
        Split::Candidates(_) => Err(Refused::Candidates),
    }
}

fn lesson(draft: &LessonDraft) -> Result<(), Refused> {
    if draft.text.trim().is_empty() || draft.paths.is_empty() {
        return Err(Refused::NoLesson);
    }
    draft
        .paths
        .iter()
        .try_for_each(|glob| globs::check(glob).map_err(Refused::NoGlob))
}

/// Whether an issue of the backlog may come into the shift that runs.
fn joins(state: &State, id: IssueId) -> Result<(), Refused> {
    open_issue(state, id)?;
    let shift = state.shift().ok_or(Refused::NoShift)?;
    if shift.stage != ShiftStage::Running {
        return Err(Refused::ShiftWinds(shift.id, id));
    }
    if shift.issues.contains(&id) && !shift.refused.contains_key(&id) {
        return Err(Refused::IsInShift(id, shift.id));
    }
    if state
        .issues
        .get(&id)
        .is_some_and(|i| i.stage != IssueStage::Backlog)
    {
        return Err(Refused::HasBegun(id));
    }
    let mut needs: Vec<IssueId> = unmet_needs(state, id).into_iter().collect();
    needs.retain(|need| !comes(state, shift, *need));
    if needs.is_empty() {
        return Ok(());
    }
    Err(Refused::NeedsFirst { issue: id, needs })
}

/// Whether a shift works on an issue, or will.
fn comes(state: &State, shift: &Shift, id: IssueId) -> bool {
    match state.issues.get(&id).map(|i| &i.stage) {
        None | Some(IssueStage::Closed { .. }) => false,
        Some(IssueStage::Backlog) if shift.refused.contains_key(&id) => false,
        Some(IssueStage::Backlog) => {
            shift.issues.contains(&id) || matches!(shift.scope, Scope::Backlog { .. })
        }
        Some(_) => shift.issues.contains(&id),
    }
}

fn open_issue(state: &State, id: IssueId) -> Result<(), Refused> {
    match state.issues.get(&id).map(|i| &i.stage) {
        None => Err(Refused::NoSuchIssue(id)),
        Some(IssueStage::Done { .. }) => Err(Refused::IssueIsOver(id, "promoted")),
        Some(IssueStage::Closed { .. }) => Err(Refused::IssueIsOver(id, "closed")),
        Some(
            IssueStage::Backlog
            | IssueStage::Opening { .. }
            | IssueStage::Working { .. }
            | IssueStage::Review { .. },
        ) => Ok(()),
    }
}
