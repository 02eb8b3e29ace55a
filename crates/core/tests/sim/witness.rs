//! Owns what the world itself has seen, kept apart from the state under test: which trees were proven, what was
//! approved by whom, what has landed. Each command is held against it.

use std::collections::{BTreeMap, BTreeSet};

use turno_core::State;
use turno_core::brief::Ask;
use turno_core::check::{CheckReport, CheckVerdict};
use turno_core::command::{AgentStart, Command, FollowStart, LandStart, Session};
use turno_core::decision::Asker;
use turno_core::event::{AgentEnd, Event, FollowEnd, LandingEnd, LeftBehind, OthersEnd};
use turno_core::following::FollowHow;
use turno_core::foresight::{AT_MOST, Rival, clashes, under_way};
use turno_core::globs;
use turno_core::guard::{self, GuardRule, Guarded};
use turno_core::ids::{AttemptId, CheckName, CommitId, IssueId, SessionId, TaskId, TreeId};
use turno_core::issue::IssueStage;
use turno_core::outcome::{Outcome, Severity, Verdict};
use turno_core::policy::{ClashRule, FollowRule, OverlapRule, Policy, RedBaseRule, ReviewRule};
use turno_core::promotion::Fork;
use turno_core::shift::Scope;
use turno_core::task::{Approved, Because, Change, Consent, Proof, Stage, StartFrom, Task, Work, WriteJob};
use turno_core::train::Train;
use turno_core::units::Timestamp;

#[derive(Debug, Default)]
pub(crate) struct Witness {
    green: BTreeSet<TreeId>,
    approvals: BTreeSet<(AttemptId, CommitId)>,
    /// Check runs whose new tests must fail without the change.
    must_fail: BTreeSet<AttemptId>,
    landed: BTreeSet<TaskId>,
    pub(crate) frozen: BTreeMap<TaskId, BTreeSet<String>>,
    paths: BTreeMap<CommitId, BTreeSet<String>>,
    /// What was found about each commit that was left.
    guards: BTreeMap<CommitId, Vec<Guarded>>,
    /// Commits that a person let land.
    let_land: BTreeSet<CommitId>,
    writers: BTreeSet<SessionId>,
    findings: BTreeSet<IssueId>,
    /// Where a branch could not follow: neither side may be as it was when it is tried again.
    refused: BTreeSet<(IssueId, CommitId, CommitId)>,
    following: BTreeMap<AttemptId, (IssueId, CommitId)>,
    /// Plans given for an issue since its shift began.
    pub(crate) plans: BTreeMap<IssueId, usize>,
}

impl Witness {
    /// Takes note of a fact, as the state was before it.
    pub(crate) fn saw(&mut self, state: &State, event: &Event) {
        if matches!(event, Event::ShiftStarted { .. }) {
            self.plans.clear();
        }
        if let Event::DecisionAnswered { decision, answer } = event
            && answer == "let it land"
            && let Some(decision) = state.decisions.get(decision)
            && decision.is_open()
            && let Asker::Guard { commit, .. } = &decision.asker
        {
            self.let_land.insert(commit.clone());
        }
        self.saw_following(event);
        let Some(task) = event
            .attempt()
            .and_then(|a| state.task_of(a))
            .map(|t| &state.tasks[&t])
        else {
            return;
        };
        match event {
            Event::ChecksEnded {
                attempt,
                report,
                without,
                on_base,
            } => {
                if let Stage::Checking { change, .. } = &task.stage
                    && change.tree == report.tree
                    && passes(state, task, report, on_base.as_ref())
                    && (!self.must_fail.contains(attempt) || without.as_ref().is_some_and(fails))
                {
                    self.green.insert(report.tree.clone());
                }
            }
            Event::AgentEnded {
                attempt, end, left, ..
            } => self.saw_end(state, task, *attempt, end, left),
            Event::LandingEnded {
                end: LandingEnd::Landed { .. },
                ..
            } => {
                self.landed.insert(task.id);
            }
            Event::LandingEnded {
                end: LandingEnd::Together(end),
                ..
            } => {
                if let OthersEnd::Landed { members, .. } = &end.others {
                    self.landed.extend(members.iter().map(|m| m.task));
                }
            }
            Event::SessionOpened { session, .. } if matches!(task.stage, Stage::Writing { .. }) => {
                self.writers.insert(session.clone());
            }
            _ => {}
        }
    }

    fn saw_following(&mut self, event: &Event) {
        let Event::FollowEnded { attempt, end } = event else {
            return;
        };
        let Some((issue, onto)) = self.following.remove(attempt) else {
            return;
        };
        match end {
            FollowEnd::Conflict { head, .. }
            | FollowEnd::NotGreen { head, .. }
            | FollowEnd::Rewritten { head, .. } => {
                self.refused.insert((issue, onto, head.clone()));
            }
            FollowEnd::Followed { .. } | FollowEnd::Raced { .. } => {}
        }
    }

    /// A branch is brought along only where nobody works on its head, and not in vain.
    fn allows_following(&mut self, state: &State, start: &FollowStart) -> Result<(), String> {
        let issue = &state.issues[&start.issue];
        let config = state.config.as_ref().unwrap();
        let IssueStage::Working { base, head } = &issue.stage else {
            return Err(format!("issue {} follows in {:?}", issue.id, issue.stage));
        };
        if (base, head) != (&start.base, &start.head) || issue.fork != Fork::ByHistory {
            return Err(format!("issue {} follows from another head", issue.id));
        }
        if start.checks != config.checks_of(&issue.draft.repo) || start.known_red != issue.plan.red {
            return Err(format!("issue {} follows on other checks", issue.id));
        }
        let alone = issue.draft.needs.is_empty();
        let how = match config.policy.landing.follow {
            FollowRule::Rebase if alone => FollowHow::Rebase,
            _ => FollowHow::Merge,
        };
        if start.how != how || start.since.is_some() != alone {
            return Err(format!("issue {} follows by a {:?}", issue.id, start.how));
        }
        let at_head = |t: &Task| t.agent_run().is_some_and(|r| r.from == *head);
        if let Some(task) = state.tasks_of(issue.id).find(|t| at_head(t)) {
            return Err(format!(
                "issue {} follows while {} is at its head",
                issue.id, task.id
            ));
        }
        let key = (issue.id, start.onto.clone(), head.clone());
        if self.refused.contains(&key) {
            return Err(format!("issue {} follows in vain again", issue.id));
        }
        self.following
            .insert(start.attempt, (issue.id, start.onto.clone()));
        Ok(())
    }

    fn saw_end(&mut self, state: &State, task: &Task, attempt: AttemptId, end: &AgentEnd, left: &LeftBehind) {
        let policy = &state.config.as_ref().unwrap().policy;
        let protected = &policy.protected;
        if let LeftBehind::Commit { commit, guards, .. } = left {
            self.guards.insert(commit.clone(), guards.clone());
        }
        match (&task.stage, end) {
            (Stage::Writing { .. }, _) => {
                if let LeftBehind::Commit { commit, paths, .. } = left {
                    self.paths.insert(commit.clone(), paths.clone());
                }
            }
            (
                Stage::Reviewing { proven, .. },
                AgentEnd::Finished(Outcome::Verdict {
                    verdict: Verdict::Approve { .. },
                    protected: named,
                    ..
                }),
            ) if *left == LeftBehind::Nothing => {
                let mut paths = proven.change.paths.iter();
                let words = self
                    .under(policy, &proven.change.commit, GuardRule::Reviewer)
                    .all(|g| named.contains(&g.file));
                if words && paths.all(|p| !globs::matches(protected, p) || named.contains(p)) {
                    self.approvals.insert((attempt, proven.change.commit.clone()));
                }
            }
            (
                Stage::Comparing { proven, .. },
                AgentEnd::Finished(Outcome::Choice {
                    winner: Some(winner), ..
                }),
            ) if *left == LeftBehind::Nothing => {
                let chosen = match state.tasks.get(winner).map(|t| &t.stage) {
                    _ if *winner == task.id => Some(proven),
                    Some(Stage::Entered { proven }) => Some(proven),
                    _ => None,
                };
                if let Some(chosen) = chosen
                    && !chosen.change.paths.iter().any(|p| globs::matches(protected, p))
                    && self
                        .under(policy, &chosen.change.commit, GuardRule::Reviewer)
                        .next()
                        .is_none()
                {
                    self.approvals.insert((attempt, chosen.change.commit.clone()));
                }
            }
            (Stage::Trying { .. }, AgentEnd::Finished(Outcome::Verdict { verdict, .. })) => {
                let bad = matches!(verdict, Verdict::Findings { findings }
                    if findings.iter().any(|f| f.severity > Severity::Note));
                if bad {
                    self.findings.insert(task.id.issue);
                } else {
                    self.findings.remove(&task.id.issue);
                }
            }
            (Stage::Planning { .. }, AgentEnd::Finished(Outcome::Plan { .. })) => {
                *self.plans.entry(task.id.issue).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Holds a command against what is known, with the state as it is after the step.
    pub(crate) fn allows(&mut self, state: &State, now: Timestamp, command: &Command) -> Result<(), String> {
        match command {
            Command::StartAgent(start) => self.allows_agent(state, now, start),
            Command::RunChecks(start) => {
                let issue = &state.issues[&start.task.issue];
                if start.repo != issue.draft.repo
                    || start.checks != state.config.as_ref().unwrap().checks_of(&start.repo)
                {
                    return Err(format!("{} runs the checks of another repository", start.attempt));
                }
                if start.new_tests.is_some() {
                    self.must_fail.insert(start.attempt);
                }
                Ok(())
            }
            Command::Land(start) => self.allows_landing(state, start),
            Command::Follow(start) => self.allows_following(state, start),
            Command::OpenIssue { issue, .. } => {
                let issue = &state.issues[issue];
                let done = |id: &IssueId| {
                    let stage = &state.issues[id].stage;
                    // A person may have wanted more of it since.
                    let more = state.tasks_of(*id).any(|t| !t.remarks.is_empty());
                    matches!(stage, IssueStage::Review { .. } | IssueStage::Done { .. }) || more
                };
                // After a restart it is asked for again; what it stands on may be gone by then, not undone.
                if issue.draft.needs.iter().all(done) {
                    Ok(())
                } else {
                    Err(format!("issue {} is begun before what it needs", issue.id))
                }
            }
            Command::Foresee { of, commit, with, .. } => self.allows_look(state, *of, commit, with),
            Command::StopAttempt { .. }
            | Command::Reply { .. }
            | Command::Nudge { .. }
            | Command::Tell { .. }
            | Command::Adopt { .. }
            | Command::WarnOfBudget { .. }
            | Command::EndShift { .. } => Ok(()),
        }
    }

    fn allows_agent(&mut self, state: &State, now: Timestamp, start: &AgentStart) -> Result<(), String> {
        let task = &state.tasks[&start.task];
        let shift = state.shift().ok_or("an agent starts without a shift")?;
        let issue = &state.issues[&start.task.issue];
        let moves = issue.following.run().is_some();
        if let (true, Some((_, head))) = (moves, issue.integration())
            && start.from == *head
        {
            return Err(format!(
                "{} starts on a head that is about to move",
                start.attempt
            ));
        }
        if let Scope::Backlog {
            until: Some(until), ..
        } = shift.scope
            && now >= until
        {
            return Err(format!("{} starts after the shift's time", start.attempt));
        }
        match &start.brief.ask {
            Ask::Write { because, .. } => {
                // After a conflict the tester brings its tests onto the new head.
                if *because == Because::TestsFirst {
                    self.frozen.remove(&task.id);
                }
                if let Because::MakePass { frozen, .. } = because {
                    let before = self.frozen.insert(task.id, frozen.clone());
                    if before.is_some_and(|b| b != *frozen) {
                        return Err(format!("the frozen tests of {} changed", task.id));
                    }
                }
                self.allows_begin(state, task)
            }
            Ask::Test { .. } | Ask::Review { .. } | Ask::Compare { .. } | Ask::Try { .. } => {
                match &start.session {
                    Session::Resume(session) if self.writers.contains(session) => {
                        Err(format!("{} judges in a writer's session", start.attempt))
                    }
                    Session::Resume(_) | Session::Fresh => Ok(()),
                }
            }
            Ask::Plan { .. } | Ask::Accept { .. } => Ok(()),
        }
    }

    fn allows_begin(&self, state: &State, task: &Task) -> Result<(), String> {
        let rival = |a: &Task, b: &Task| a.spec.contest.is_some() && a.spec.contest == b.spec.contest;
        for need in &task.spec.needs {
            let landed = state
                .tasks
                .values()
                .any(|t| self.landed.contains(&t.id) && (t.id == *need || rival(t, &state.tasks[need])));
            if !landed {
                return Err(format!("{} begins before {need} has landed", task.id));
            }
        }
        let Stage::Writing {
            job: WriteJob {
                from: StartFrom::Head,
                ..
            },
            ..
        } = &task.stage
        else {
            return Ok(());
        };
        if state.config.as_ref().unwrap().policy.overlap == OverlapRule::Start {
            return Ok(());
        }
        let other = state.pieces_of(task.id.issue).find(|t| {
            t.id != task.id
                && !rival(t, task)
                && globs::overlap(&t.spec.touches, &task.spec.touches)
                && has_files_open(t)
        });
        match other {
            Some(other) => Err(format!("{} begins on paths that {} writes", task.id, other.id)),
            None => Ok(()),
        }
    }

    /// What is asked for is a change under way, held against what is there now, and only of one of two.
    fn allows_look(
        &self,
        state: &State,
        of: TaskId,
        commit: &CommitId,
        with: &[Rival],
    ) -> Result<(), String> {
        let at = |task: TaskId| under_way(&state.tasks[&task]).map(|c| &c.commit);
        if at(of) != Some(commit) || with.is_empty() || with.len() > AT_MOST {
            return Err(format!("{of} at {commit} is no change to be looked at"));
        }
        for rival in with {
            let there = match rival {
                Rival::Branch { head } => state.issues[&of.issue].integration().map(|(_, h)| h) == Some(head),
                Rival::Task { task, commit } => *task != of && at(*task) == Some(commit),
            };
            if !there {
                return Err(format!("{of} is held against {rival:?}, which is not there"));
            }
        }
        Ok(())
    }

    /// Two that are known to conflict are not tried together, unless they are known to be red together.
    fn allows_company(&self, state: &State, start: &LandStart) -> Result<(), String> {
        let rule = state.config.as_ref().unwrap().policy.landing.clashes;
        let narrowing = matches!(state.issues[&start.task.issue].train, Train::Narrowing { .. });
        if narrowing || matches!(rule, ClashRule::Ignore | ClashRule::Tell) {
            return Ok(());
        }
        let aboard: Vec<TaskId> = std::iter::once(start.task)
            .chain(start.with.iter().map(|p| p.task))
            .collect();
        for task in &aboard {
            for clash in clashes(state, &state.tasks[task]) {
                let together = match clash.with {
                    Rival::Branch { .. } => aboard.len() > 1,
                    Rival::Task { task: other, .. } => aboard.contains(&other),
                };
                if together {
                    return Err(format!("{task} lands with others in spite of {clash:?}"));
                }
            }
        }
        Ok(())
    }

    fn allows_landing(&self, state: &State, start: &LandStart) -> Result<(), String> {
        let most = usize::from(state.config.as_ref().unwrap().policy.landing.batch);
        if start.with.len() >= most {
            return Err(format!(
                "{} and {} others land together",
                start.task,
                start.with.len()
            ));
        }
        if let Some(other) = start.with.iter().find(|p| p.task.issue != start.task.issue) {
            return Err(format!("{} lands with {}", start.task, other.task));
        }
        self.allows_company(state, start)?;
        self.allows_member(state, start, start.task, &start.approved)?;
        for passenger in &start.with {
            self.allows_member(state, start, passenger.task, &passenger.approved)?;
        }
        Ok(())
    }

    fn allows_member(
        &self,
        state: &State,
        start: &LandStart,
        task: TaskId,
        approved: &Approved,
    ) -> Result<(), String> {
        let change = &approved.proven.change;
        let policy = &state.config.as_ref().unwrap().policy;
        let Proof::Checked(report) = &approved.proven.proof else {
            return Err("a change without a check run is landed".to_owned());
        };
        let red_now = &state.issues[&task.issue].plan.red;
        let own = &state.tasks[&task].spec.repairs;
        if start
            .known_red
            .iter()
            .any(|c| !red_now.contains(c) || own.contains(c))
        {
            return Err(format!("{} may land past checks that are green or its own", task));
        }
        if report.tree != change.tree || !self.green.contains(&change.tree) {
            return Err(format!("{} is landed without a pass of its tree", change.commit));
        }
        if self.landed.contains(&task) {
            return Err(format!("{} is landed twice", task));
        }
        let contest = state.tasks[&task].spec.contest;
        if let Some(other) = self
            .landed
            .iter()
            .find(|t| contest.is_some() && state.tasks[*t].spec.contest == contest)
        {
            return Err(format!("{} is landed although {other} has won", task));
        }
        if let (Some(frozen), Some(paths)) = (self.frozen.get(&task), self.paths.get(&change.commit))
            && paths.intersection(frozen).next().is_some()
        {
            return Err(format!("{} is landed with other tests than were frozen", task));
        }
        self.allows_guarded(policy, change, &approved.consent)?;
        match &approved.consent {
            Consent::Approved { by, .. } => {
                if !self.approvals.contains(&(by.attempt, change.commit.clone())) {
                    return Err(format!("{} is landed without an approval of it", change.commit));
                }
                if by.attempt == change.writer.attempt || by.persona == change.writer.persona {
                    return Err("the writer approved its own change".to_owned());
                }
                Ok(())
            }
            Consent::Waived if policy.review == ReviewRule::Required => {
                Err("a change without a review is landed".to_owned())
            }
            Consent::Waived if change.paths.iter().any(|p| globs::matches(&policy.protected, p)) => {
                Err("a protected path is landed on nobody's word".to_owned())
            }
            Consent::Waived => Ok(()),
        }
    }

    /// What was found about a commit that has this rule.
    fn under<'a>(
        &'a self,
        policy: &'a Policy,
        commit: &CommitId,
        rule: GuardRule,
    ) -> impl Iterator<Item = &'a Guarded> {
        let found = self.guards.get(commit).into_iter().flatten();
        found.filter(move |g| guard::rule(policy, g.kind) == rule)
    }

    /// Nothing that the policy refuses lands; what needs a person lands after the answer, what needs a reviewer after
    /// a review.
    fn allows_guarded(&self, policy: &Policy, change: &Change, consent: &Consent) -> Result<(), String> {
        let commit = &change.commit;
        if let Some(found) = self.under(policy, commit, GuardRule::Refuse).next() {
            return Err(format!("{commit} is landed with {found}"));
        }
        if self.under(policy, commit, GuardRule::Person).next().is_some() && !self.let_land.contains(commit) {
            return Err(format!("{commit} is landed before a person said so"));
        }
        if self.under(policy, commit, GuardRule::Reviewer).next().is_some() && *consent == Consent::Waived {
            return Err(format!("{commit} is landed on nobody's word"));
        }
        Ok(())
    }

    /// An issue that is accepted over a tester's findings.
    pub(crate) fn accepted_over_findings(&self, issue: IssueId) -> bool {
        self.findings.contains(&issue)
    }
}

/// Whether a task's files are with somebody: a run of a writer, or a change on its way.
fn has_files_open(task: &Task) -> bool {
    match &task.stage {
        Stage::Writing { .. }
        | Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Entered { .. }
        | Stage::Landing { .. } => true,
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } => match work {
            Work::Write(job) => job.from != StartFrom::Head,
            other => other.change().is_some(),
        },
        _ => false,
    }
}

/// Whether every check of the task's repository passed, but for those that are known to be red for other reasons.
fn passes(state: &State, task: &Task, report: &CheckReport, on_base: Option<&CheckReport>) -> bool {
    let issue = &state.issues[&task.id.issue];
    // A change may have been begun before the repair of others landed; its landing is held to what is red now.
    let becomes_task = state.config.as_ref().unwrap().policy.red_base == RedBaseRule::Task;
    let red_without = |name: &CheckName| {
        let mut there = on_base
            .iter()
            .flat_map(|r| &r.results)
            .filter(|r| r.check == *name);
        becomes_task && there.any(|r| matches!(r.verdict, CheckVerdict::Fail { .. }))
    };
    let known = |name: &CheckName| {
        (issue.plan.surveyed.contains(name) || red_without(name)) && !task.spec.repairs.contains(name)
    };
    let checks = state.config.as_ref().unwrap().checks_of(&issue.draft.repo);
    !checks.is_empty()
        && checks.iter().all(|c| {
            report.results.iter().any(|r| {
                r.check == c.name
                    && r.command == c.command
                    && (known(&c.name) || matches!(r.verdict, CheckVerdict::Pass | CheckVerdict::Flaky))
            })
        })
}

fn fails(report: &CheckReport) -> bool {
    report
        .results
        .iter()
        .any(|r| matches!(r.verdict, CheckVerdict::Fail { .. }))
}
