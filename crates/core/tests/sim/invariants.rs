//! Owns what must be true after every step, seen from outside: the world knows what it was told to do.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::command::Command;
use turno_core::decision::{Asker, DecisionStage};
use turno_core::event::Event;
use turno_core::following::{Following, Keeping};
use turno_core::ids::{AttemptId, SlotId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::policy::{FollowRule, PlanRule};
use turno_core::record::Record;
use turno_core::room::Room;
use turno_core::shift::{Scope, ShiftEnd, ShiftStage};
use turno_core::state::Entity;
use turno_core::step::{Reasons, Waiting};
use turno_core::task::{Park, Stage, Work};
use turno_core::units::MicroUsd;

/// What the hands are doing, kept apart from the state under test.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    /// Attempts that were started and have not ended.
    pub(crate) live: BTreeMap<AttemptId, (TaskId, Option<SlotId>)>,
    /// Every attempt ever started.
    pub(crate) started: BTreeSet<AttemptId>,
    /// Those that bring a branch along.
    pub(crate) followers: BTreeSet<AttemptId>,
}

impl Hands {
    /// Takes a command as real hands would, and refuses what real hands could not do.
    pub(crate) fn take(&mut self, command: &Command) -> Result<(), String> {
        let (attempt, task, slot) = match command {
            Command::StartAgent(s) => (s.attempt, s.task, Some(s.slot)),
            Command::RunChecks(s) => (s.attempt, s.task, Some(s.slot)),
            Command::Land(s) => (s.attempt, s.task, None),
            // Its task is the issue's own, which may be at work on an older head.
            Command::Follow(s) => (s.attempt, TaskId::lead(s.issue), None),
            Command::OpenIssue { .. }
            | Command::Reply { .. }
            | Command::Foresee { .. }
            | Command::WarnOfBudget { .. } => return Ok(()),
            Command::Tell { attempt, .. } => {
                return if self.live.contains_key(attempt) {
                    Ok(())
                } else {
                    Err(format!("{attempt} is spoken to and does not run"))
                };
            }
            Command::Nudge { attempt } => {
                return if self.live.contains_key(attempt) {
                    Ok(())
                } else {
                    Err(format!("{attempt} is reminded and does not run"))
                };
            }
            Command::Adopt { attempt, .. } => {
                return if self.live.contains_key(attempt) {
                    Ok(())
                } else {
                    Err(format!("{attempt} is adopted and does not run"))
                };
            }
            Command::StopAttempt { attempt, .. } => {
                return if self.started.contains(attempt) {
                    Ok(())
                } else {
                    Err(format!("{attempt} was never started"))
                };
            }
            Command::EndShift { .. } => {
                return if self.live.is_empty() {
                    Ok(())
                } else {
                    Err(format!("the shift ended over {:?}", self.live))
                };
            }
        };
        if !self.started.insert(attempt) {
            return Err(format!("attempt {attempt} was started twice"));
        }
        let mut tasks = vec![task];
        if let Command::Land(start) = command {
            tasks.extend(start.with.iter().map(|p| p.task));
        }
        let follows = matches!(command, Command::Follow(_));
        for (other, (other_task, other_slot)) in &self.live {
            if tasks.contains(other_task) && !follows && !self.followers.contains(other) {
                return Err(format!(
                    "{attempt} starts for task {task} while {other} runs for it"
                ));
            }
            if *other_slot == slot {
                return Err(format!("{attempt} starts in {slot:?} while {other} is there"));
            }
        }
        if follows {
            self.followers.insert(attempt);
        }
        self.live.insert(attempt, (task, slot));
        Ok(())
    }
}

pub(crate) fn check(state: &State, record: &Record, slots: u16, largest_message: u64) -> Result<(), String> {
    let mut held = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    let mut landings = BTreeSet::new();
    for task in state.tasks.values() {
        if let Some(slot) = task.slot() {
            if !held.insert(slot) {
                return Err(format!("slot {slot} is held twice"));
            }
            if slot.0 == 0 || slot.0 > slots {
                return Err(format!("slot {slot} does not exist"));
            }
        }
        if let Some(run) = task.run() {
            // Those that land together are one attempt.
            let together = landings.contains(&run.attempt);
            if matches!(task.stage, Stage::Landing { .. }) {
                landings.insert(run.attempt);
            }
            if !attempts.insert(run.attempt) && !together {
                return Err(format!("attempt {} runs for two tasks", run.attempt));
            }
            let in_shift = state.shift().is_some_and(|s| s.issues.contains(&task.id.issue));
            if !in_shift {
                return Err(format!("{} runs outside a shift", run.attempt));
            }
        }
    }
    for shift in state.shifts.values() {
        if let Scope::Backlog {
            at_most: Some(most), ..
        } = shift.scope
            && shift.issues.len() > usize::from(most)
        {
            return Err(format!("a shift took up {} issues of {most}", shift.issues.len()));
        }
        let spent = state.spent(shift);
        let slack = MicroUsd(largest_message * u64::from(slots));
        if spent > shift.budget + slack {
            return Err(format!("spent {spent} of {} (slack {slack})", shift.budget));
        }
        let starts = record
            .commands
            .iter()
            .any(|c| matches!(c, Command::StartAgent(_)));
        let running = matches!(shift.stage, ShiftStage::Running);
        if starts && running && state.committed(shift) > shift.budget + slack {
            return Err(format!("promised {} of {}", state.committed(shift), shift.budget));
        }
    }
    if landings.len() > 1 {
        return Err("two landings at once".to_owned());
    }
    followings(state, record)?;
    questions(state)?;
    nothing_starts_without_room(state, record)?;
    // What is left lying stays so until something happens; to look at every third step is enough, and cheaper.
    if record.seq.0.is_multiple_of(3) {
        nothing_is_left_lying(state)?;
        issues(state)?;
    }
    Ok(())
}

/// One branch at most is brought along, in the place of landings and in a shift; no issue comes to its review while its
/// branch has still to follow; and a branch that is watched is one that may move.
fn followings(state: &State, record: &Record) -> Result<(), String> {
    let running: Vec<_> = state
        .issues
        .values()
        .filter(|i| i.following.run().is_some())
        .collect();
    match running.as_slice() {
        [] => {}
        [issue] => {
            if state.landing().is_some() {
                return Err(format!("issue {} follows while something lands", issue.id));
            }
            if !state.shift().is_some_and(|s| s.issues.contains(&issue.id)) {
                return Err(format!("issue {} follows outside a shift", issue.id));
            }
        }
        [_, _, ..] => return Err("two branches are brought along at once".to_owned()),
    }
    let off = state
        .config
        .as_ref()
        .is_none_or(|c| c.policy.landing.follow == FollowRule::Off);
    if off && !running.is_empty() {
        return Err("a branch follows though none is to".to_owned());
    }
    for entity in &record.changes {
        let Entity::Issue(issue) = entity else { continue };
        let Following::Branch { keeping, .. } = &issue.following else {
            continue;
        };
        let in_shift = state
            .shift()
            .is_some_and(|s| s.stage == ShiftStage::Running && s.issues.contains(&issue.id));
        // Neither of these brings an issue into review.
        let moved = matches!(
            record.event,
            Event::TargetMoved { .. } | Event::PullRequestBegun { .. } | Event::PullRequestOpened { .. }
        );
        let review = matches!(issue.stage, IssueStage::Review { .. });
        if review && in_shift && !off && !moved && *keeping == Keeping::Behind {
            return Err(format!("issue {} is in review and has not followed", issue.id));
        }
    }
    Ok(())
}

/// Without room on a disk nothing is started.
fn nothing_starts_without_room(state: &State, record: &Record) -> Result<(), String> {
    let starts = |command: &&Command| {
        matches!(
            command,
            Command::StartAgent(_) | Command::RunChecks(_) | Command::Land(_) | Command::Follow(_)
        )
    };
    match record.commands.iter().find(starts) {
        Some(started) if state.desk.room != Room::Enough => Err(format!("no room, and {started:?}")),
        Some(_) | None => Ok(()),
    }
}

/// What could be started has been started, and what is not has a reason.
fn nothing_is_left_lying(state: &State) -> Result<(), String> {
    let reasons = Reasons::of(state);
    for task in state.tasks.values() {
        let needs_reason = matches!(
            task.stage,
            Stage::Ready { .. }
                | Stage::Blocked
                | Stage::Entered { .. }
                | Stage::Backoff { .. }
                | Stage::Parked { .. }
        );
        let why = reasons.why(task);
        if needs_reason && why.is_none() {
            return Err(format!(
                "{} could be started and is not: {:?}",
                task.id, task.stage
            ));
        }
        let begun = matches!(state.issues[&task.id.issue].stage, IssueStage::Working { .. });
        let nothing = matches!(&why, Some(Waiting::Needs(needs)) if needs.is_empty());
        if begun && nothing {
            return Err(format!("{} waits for nothing", task.id));
        }
    }
    Ok(())
}

/// Every question is answered, withdrawn, or somebody waits for it.
fn questions(state: &State) -> Result<(), String> {
    for decision in state.decisions.values().filter(|d| d.is_open()) {
        if let Asker::Guard { .. } = &decision.asker {
            let waits = matches!(&state.tasks[&decision.task].stage,
                Stage::Parked { work: Work::Land(_), park: Park::Decision(on) } if *on == decision.id);
            if !waits {
                return Err(format!("{} is open and its change does not wait", decision.id));
            }
            continue;
        }
        let Asker::Agent { actor, .. } = &decision.asker else {
            let issue = &state.issues[&decision.task.issue];
            if !matches!(issue.stage, IssueStage::Working { .. }) {
                return Err(format!("{} asks about a batch that is over", decision.id));
            }
            continue;
        };
        let task = &state.tasks[&decision.task];
        let runs = task.run().is_some_and(|r| r.attempt == actor.attempt);
        let parked = match &task.stage {
            Stage::Parked {
                park: Park::Decision(on),
                ..
            } => {
                matches!(&state.decisions[on].asker, Asker::Agent { actor: a, .. } if a.attempt == actor.attempt)
            }
            _ => false,
        };
        let waits = matches!(decision.stage, DecisionStage::Waiting { .. });
        if !runs && (waits || !parked) {
            return Err(format!("{} is open and nobody waits for it", decision.id));
        }
    }
    Ok(())
}

fn issues(state: &State) -> Result<(), String> {
    for issue in state.issues.values() {
        let needs: BTreeMap<TaskId, _> = state
            .tasks_of(issue.id)
            .map(|t| (t.id, t.spec.needs.clone()))
            .collect();
        for start in needs.keys() {
            let mut open: Vec<TaskId> = needs[start].iter().copied().collect();
            let mut seen = BTreeSet::new();
            while let Some(at) = open.pop() {
                if at == *start {
                    return Err(format!("{start} waits for itself"));
                }
                if seen.insert(at) {
                    open.extend(needs.get(&at).into_iter().flatten().copied());
                }
            }
        }
        let lead = state.tasks.get(&issue.lead());
        let accepted = lead.is_some_and(|t| matches!(t.stage, Stage::Accepted { .. }));
        let policy = &state.config.as_ref().ok_or("no configuration")?.policy;
        if accepted && policy.plan == PlanRule::Author && issue.open_proposals().next().is_some() {
            return Err(format!("issue {} is accepted over open proposals", issue.id));
        }
    }
    Ok(())
}

/// How a shift may leave its tasks: what is not over waits for a person, or the shift was cut short.
pub(crate) fn at_the_end(state: &State, end: ShiftEnd) -> Result<(), String> {
    let shift = state.shifts.values().next_back().ok_or("no shift")?;
    // Without room a shift gives up wherever it is.
    let cut_short = matches!(end, ShiftEnd::Budget | ShiftEnd::Interrupted | ShiftEnd::TimeUp)
        || state.desk.room != Room::Enough;
    for task in state.tasks.values() {
        // Candidates wait for each other too.
        let held = match &task.stage {
            Stage::Entered { .. } => state.tasks_of(task.id.issue).any(|t| t.hold.is_held()),
            _ => task.hold.is_held(),
        };
        let explained = match &task.stage {
            Stage::Landed { .. } | Stage::Dropped { .. } | Stage::Accepted { .. } | Stage::Parked { .. } => {
                true
            }
            Stage::Entered { .. } if !cut_short => state.pieces_of(task.id.issue).any(|t| {
                matches!(
                    t.stage,
                    Stage::Parked {
                        work: Work::Compare(_),
                        ..
                    }
                )
            }),
            // A shift that took up as many issues as it was allowed leaves the others as they were.
            Stage::Ready { .. } | Stage::Backoff { .. } | Stage::Entered { .. } => {
                // Whoever is attached to it, or has put it aside, is not waited for for ever.
                cut_short || held || !shift.issues.contains(&task.id.issue)
            }
            Stage::Blocked if cut_short || !shift.issues.contains(&task.id.issue) => true,
            // Its group waits for the one before it, in which a person holds something.
            Stage::Blocked
                if task.spec.wave > 0 && state.tasks_of(task.id.issue).any(|t| t.hold.is_held()) =>
            {
                true
            }
            Stage::Blocked if task.id.is_lead() => state.pieces_of(task.id.issue).any(|t| !t.is_over()),
            Stage::Blocked if task.spec.wave > state.issues[&task.id.issue].plan.wave => state
                .decisions
                .values()
                .any(|d| d.is_open() && d.task.issue == task.id.issue && d.asker == Asker::Trial),
            Stage::Blocked => task.spec.needs.iter().any(|n| {
                !state.has_landed(*n)
                    && matches!(
                        state.tasks[n].stage,
                        Stage::Blocked | Stage::Parked { .. } | Stage::Dropped { .. }
                    )
                    || state.tasks[n].hold.is_held()
                    // Its contest waits for a candidate that a person holds, or for a person to choose.
                    || matches!(state.tasks[n].stage, Stage::Entered { .. })
                        && state.tasks_of(n.issue).any(|t| {
                            t.hold.is_held() || matches!(t.stage, Stage::Parked { work: Work::Compare(_), .. })
                        })
            }),
            _ => false,
        };
        if !explained {
            return Err(format!(
                "the shift ended as {end:?} with {} in {:?}",
                task.id, task.stage,
            ));
        }
    }
    let open = |i: &IssueStage| {
        matches!(
            i,
            IssueStage::Backlog | IssueStage::Opening { .. } | IssueStage::Working { .. }
        )
    };
    let done = |id| {
        matches!(
            state.issues[id].stage,
            IssueStage::Review { .. } | IssueStage::Done { .. }
        )
    };
    if !cut_short
        && let Some(issue) = state.issues.values().find(|i| {
            shift.issues.contains(&i.id)
                && i.stage == IssueStage::Backlog
                && !shift.refused.contains_key(&i.id)
                && i.draft.needs.iter().all(done)
        })
    {
        return Err(format!("issue {} could be begun and is not", issue.id));
    }
    let full = matches!(shift.scope, Scope::Backlog { at_most: Some(most), .. }
        if shift.issues.len() >= usize::from(most));
    let mine = |id| shift.issues.contains(id) || shift.scope != Scope::Listed && !full;
    if end == ShiftEnd::Done
        && let Some(issue) = state.issues.values().find(|i| mine(&i.id) && open(&i.stage))
    {
        return Err(format!("done, but issue {} is not", issue.id));
    }
    if state
        .issues
        .values()
        .any(|i| matches!(i.stage, IssueStage::Opening { .. }))
    {
        return Err("the shift is over and an issue is being begun".to_owned());
    }
    Ok(())
}
