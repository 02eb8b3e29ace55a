//! Owns landing: its start, one at a time, alone or together with what waits for the same branch, and its ends. Which
//! changes are tried together, and who is to blame when they are red, is the train's to say.

use std::collections::BTreeSet;

use super::Turn;
use super::checking::summary;
use crate::check::ReportVerdict;
use crate::command::{Command, LandStart, Passenger};
use crate::event::{LandingEnd, OthersEnd, TogetherEnd};
use crate::failure::{Cause, Failure};
use crate::foresight::{self, Apart};
use crate::ids::{AttemptId, CheckName, CommitId, IssueId, TaskId};
use crate::issue::IssueStage;
use crate::policy::ClashRule;
use crate::task::{
    Approved, Because, Change, ConflictHunk, Consent, Essence, Handoff, Neighbour, Note, Progress, Run, Said,
    Stage, StartFrom, StopWhy, Stopping, Task, Work, WriteJob, WriterSession, checks_deadline,
};
use crate::train::{Again, Candidate, Culprit, Red, Stands, Tried};

/// A change that is being landed.
struct Member {
    id: TaskId,
    approved: Approved,
    run: Run,
}

impl Turn<'_> {
    /// Lands some of the changes that wait for one branch, given in order.
    pub(super) fn land(&mut self, issue: IssueId, waiting: Vec<(TaskId, Approved)>) {
        let Some(config) = self.state.config.clone() else {
            return;
        };
        let Some(of) = self.state.issues.get(&issue) else {
            return;
        };
        let Some((base, head)) = of.integration().map(|(b, h)| (b.clone(), h.clone())) else {
            return;
        };
        let candidates: Vec<Candidate> = waiting.iter().map(|(id, a)| candidate(*id, a)).collect();
        let at_most = usize::from(config.policy.landing.batch);
        let apart = match config.policy.landing.clashes {
            ClashRule::Ignore | ClashRule::Tell => Apart::default(),
            ClashRule::Order | ClashRule::Return => foresight::apart(self.state, waiting.iter().map(|w| w.0)),
        };
        let Some(trial) = of.train.next(&candidates, &head, at_most, &apart) else {
            return;
        };
        let reruns = match trial.again {
            Again::AsPolicy => config.policy.check_reruns,
            Again::AtLeastOnce => config.policy.check_reruns.max(1),
        };
        let chosen = trial.members.iter().filter_map(|m| {
            let (id, approved) = waiting.iter().find(|(id, _)| *id == m.task)?;
            let task = self.state.tasks.get(id)?;
            Some(Passenger {
                task: *id,
                title: task.spec.title.clone(),
                approved: approved.clone(),
                cost: task.cost(),
            })
        });
        let mut chosen = chosen.collect::<Vec<_>>().into_iter();
        let Some(first) = chosen.next() else { return };
        let with: Vec<Passenger> = chosen.collect();
        let ids: Vec<TaskId> = trial.members.iter().map(|m| m.task).collect();
        let (checks, repo) = (self.checks_for(first.task), self.repo_of(first.task));
        let known_red = self.known_red_with(issue, &ids);
        let run = self.new_run(checks_deadline(checks.iter().map(|c| c.timeout), reruns));
        for passenger in std::iter::once(&first).chain(&with) {
            let (approved, run) = (passenger.approved.clone(), run.clone());
            self.set_stage(passenger.task, Stage::Landing { approved, run });
        }
        self.commands.push(Command::Land(Box::new(LandStart {
            attempt: run.attempt,
            task: first.task,
            repo,
            title: first.title,
            approved: first.approved,
            base,
            head,
            checks,
            known_red,
            reruns,
            cost: first.cost,
            with,
        })));
    }

    pub(super) fn landing_ended(&mut self, attempt: AttemptId, end: &LandingEnd) {
        let members = self.landing_in(attempt);
        match (end, members.as_slice()) {
            (_, []) => {}
            (LandingEnd::Together(end), _) => self.together_ended(&members, end),
            (alone, [member]) => self.alone_ended(member, alone),
            // An answer about one says nothing of the others.
            (_, [_, ..]) => {
                let failure = Failure::new(Cause::Lost, "the landing answered for one change of several");
                self.landing_failed(attempt, &failure);
            }
        }
    }

    /// The changes that an attempt lands.
    fn landing_in(&self, attempt: AttemptId) -> Vec<Member> {
        let member = |task: &Task| match &task.stage {
            Stage::Landing { approved, run } if run.attempt == attempt => Some(Member {
                id: task.id,
                approved: approved.clone(),
                run: run.clone(),
            }),
            Stage::Landing { .. }
            | Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Writing { .. }
            | Stage::Checking { .. }
            | Stage::Reviewing { .. }
            | Stage::Testing { .. }
            | Stage::Entered { .. }
            | Stage::Comparing { .. }
            | Stage::Surveying { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Accepted { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        };
        self.state.tasks.values().filter_map(|t| member(t)).collect()
    }

    fn alone_ended(&mut self, member: &Member, end: &LandingEnd) {
        let Member { id, approved, run } = member;
        let id = *id;
        let tried = [candidate(id, approved)];
        // What is on the branch is on the branch, also when a person has changed their mind meanwhile.
        if let LandingEnd::Landed { commit } = end {
            self.head_is(id.issue, commit);
            self.landed(id, approved, commit);
            let head = commit.clone();
            return self.train_goes_on(id.issue, &tried, Tried::Landed { head });
        }
        if is_discarded(run) {
            self.stopped(id, StopWhy::Discarded, Work::Land(approved.clone()));
            return self.train_goes_on(id.issue, &tried, Tried::Nothing);
        }
        match end {
            LandingEnd::Landed { .. } | LandingEnd::Together(_) => {}
            LandingEnd::Raced { head } => {
                self.head_is(id.issue, head);
                self.raced(id, approved, head);
                self.train_goes_on(id.issue, &tried, Tried::Moved);
            }
            LandingEnd::Conflict { hunks, head } => {
                self.head_is(id.issue, head);
                self.conflict(id, &approved.proven.change, hunks, head);
                self.train_goes_on(id.issue, &tried, Tried::Nothing);
            }
            LandingEnd::NotGreen {
                rebased,
                head,
                report,
            } => {
                self.head_is(id.issue, head);
                let stands = Stands {
                    task: id,
                    commit: rebased.clone(),
                    onto: head.clone(),
                };
                let red = Red {
                    members: vec![stands],
                    report: report.clone(),
                };
                self.not_green(&[member], &tried, head, &red);
                self.wait_again(std::slice::from_ref(member));
            }
        }
    }

    fn together_ended(&mut self, members: &[Member], end: &TogetherEnd) {
        let Some(issue) = members.first().map(|m| m.id.issue) else {
            return;
        };
        let member = |task: TaskId| members.iter().find(|m| m.id == task);
        let candidates = |of: &[Stands]| -> Vec<Candidate> {
            let known = of.iter().filter_map(|s| member(s.task));
            known.map(|m| candidate(m.id, &m.approved)).collect()
        };
        self.head_is(issue, &end.head);
        let mut refusing = &end.head;
        let (tried, how) = match &end.others {
            OthersEnd::None => (Vec::new(), Tried::Nothing),
            OthersEnd::Landed { members: of, head } => {
                self.head_is(issue, head);
                for stands in of {
                    if let Some(member) = member(stands.task) {
                        self.landed(member.id, &member.approved, &stands.commit);
                    }
                }
                refusing = head;
                (candidates(of), Tried::Landed { head: head.clone() })
            }
            OthersEnd::NotGreen { red } => {
                let there: Vec<&Member> = red.members.iter().filter_map(|s| member(s.task)).collect();
                self.not_green(&there, &candidates(&red.members), &end.head, red);
                return self.wait_again(members);
            }
            OthersEnd::Raced { head } => {
                self.head_is(issue, head);
                for member in members.iter().filter(|m| !is_discarded(&m.run)) {
                    self.raced(member.id, &member.approved, head);
                }
                (Vec::new(), Tried::Moved)
            }
        };
        // What a refused one was held against is on the branch now, unless the others did not get there.
        if !matches!(end.others, OthersEnd::Raced { .. }) {
            for refused in &end.refused {
                let Some(member) = member(refused.task) else {
                    continue;
                };
                if !is_discarded(&member.run) {
                    self.conflict(
                        member.id,
                        &member.approved.proven.change,
                        &refused.hunks,
                        refusing,
                    );
                }
            }
        }
        self.wait_again(members);
        self.train_goes_on(issue, &tried, how);
    }

    /// What is still being landed when its landing has ended waits for the next one, or is given up.
    fn wait_again(&mut self, members: &[Member]) {
        let since = self.now;
        for Member { id, approved, run } in members {
            let lands = self
                .state
                .tasks
                .get(id)
                .is_some_and(|t| matches!(t.stage, Stage::Landing { .. }));
            let work = Work::Land(approved.clone());
            match run.stopping {
                _ if !lands => {}
                Stopping::Asked { why, .. } => self.stopped(*id, why, work),
                Stopping::No => self.set_stage(*id, Stage::Ready { work, since }),
            }
        }
    }

    /// The coordinator died during a landing: it is begun again, and nobody is to blame.
    pub(super) fn land_again(&mut self, attempt: AttemptId) {
        let members = self.landing_in(attempt);
        let Some(issue) = members.first().map(|m| m.id.issue) else {
            return;
        };
        let tried: Vec<_> = members.iter().map(|m| candidate(m.id, &m.approved)).collect();
        self.wait_again(&members);
        self.train_goes_on(issue, &tried, Tried::Moved);
    }

    /// A landing came to no end. Where it was of several that is nobody's fault in particular, and nothing is booked
    /// but that it was lost, so that it does not go on for ever.
    pub(super) fn landing_failed(&mut self, attempt: AttemptId, failure: &Failure) {
        let members = self.landing_in(attempt);
        match members.as_slice() {
            [] => {}
            [Member { id, approved, run }] => {
                let work = Work::Land(approved.clone());
                match run.stopping {
                    Stopping::Asked { why, .. } => self.stopped(*id, why, work),
                    Stopping::No => self.retry(*id, work, failure),
                }
                self.train_goes_on(id.issue, &[candidate(*id, approved)], Tried::Nothing);
            }
            [first, ..] => {
                // One that a person or the budget stopped takes nothing from what the others may do together.
                let asked = members.iter().any(|m| match m.run.stopping {
                    Stopping::No => false,
                    Stopping::Asked { why, .. } => why != StopWhy::WallClock,
                });
                let tried: Vec<_> = members.iter().map(|m| candidate(m.id, &m.approved)).collect();
                let issue = first.id.issue;
                if failure.cause == Cause::Lost {
                    for Member { id, approved, .. } in
                        members.iter().filter(|m| m.run.stopping == Stopping::No)
                    {
                        self.retry(*id, Work::Land(approved.clone()), failure);
                    }
                }
                self.wait_again(&members);
                let apart = !asked && failure.cause != Cause::Lost;
                let how = if apart { Tried::Nothing } else { Tried::Moved };
                self.train_goes_on(issue, &tried, how);
            }
        }
    }

    /// The integrated tree is not green. `members` are those that are in it.
    fn not_green(&mut self, members: &[&Member], tried: &[Candidate], head: &CommitId, red: &Red) {
        let Some(issue) = members.first().map(|m| m.id.issue) else {
            return;
        };
        let ids: Vec<TaskId> = members.iter().map(|m| m.id).collect();
        let known_red = self.known_red_with(issue, &ids);
        if red.report.verdict_despite(&known_red) == ReportVerdict::Unknown {
            if let [Member { id, approved, run }] = members {
                let failure = Failure::new(Cause::CouldNotCheck, summary(&red.report));
                let work = Work::Land(approved.clone());
                match run.stopping {
                    Stopping::Asked { why, .. } => self.stopped(*id, why, work),
                    Stopping::No => self.retry(*id, work, &failure),
                }
            }
            return self.train_goes_on(issue, tried, Tried::Nothing);
        }
        let (head, red) = (head.clone(), red.clone());
        self.train_goes_on(issue, tried, Tried::Red { head, red });
    }

    /// Takes the end of a trial to the train, and what it says about a culprit to its writer.
    fn train_goes_on(&mut self, issue: IssueId, tried: &[Candidate], how: Tried) {
        let Some(issue) = self.issue(issue) else { return };
        let (next, culprit) = std::mem::take(&mut issue.train).after(tried, how);
        issue.train = next;
        if let Some(culprit) = culprit {
            self.blamed(&culprit);
        }
    }

    /// Gives a change that makes the checks fail back to its writer, if it is still the one that waits.
    fn blamed(&mut self, culprit: &Culprit) {
        let Culprit {
            change,
            stands,
            report,
        } = culprit;
        let id = change.task;
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let Some(Work::Land(approved)) = task.work() else {
            return;
        };
        let given_up = task.run().is_some_and(is_discarded);
        if given_up || candidate(id, &approved) != *change {
            return;
        }
        let beside = self.neighbours(id, &approved.proven.change.base);
        let mut change = approved.proven.change;
        change.commit = stands.commit.clone();
        change.base = stands.onto.clone();
        // It was tried on another head, so what it is there was not looked at.
        change.essence = Essence::Unknown;
        if let Some(task) = self.task(id) {
            // The conversation knows another base; the next writer should look afresh.
            task.session = WriterSession::Fresh;
            // What others have landed is no change of the frozen tests.
            if let Some(frozen) = &mut task.frozen {
                frozen.commit = stands.commit.clone();
            }
        }
        let known_red = self.known_red_at_head(id);
        self.red(id, &change, report, &known_red, beside);
    }

    fn raced(&mut self, id: TaskId, approved: &Approved, head: &CommitId) {
        let failure = Failure::new(Cause::LandingRaced, format!("it is at {} now", head.short()));
        self.retry(id, Work::Land(approved.clone()), &failure);
    }

    /// Gives a change that does not apply to what has landed back to its writer.
    pub(super) fn conflict(&mut self, id: TaskId, change: &Change, hunks: &[ConflictHunk], head: &CommitId) {
        let files: BTreeSet<&str> = hunks.iter().map(|h| h.file.as_str()).collect();
        let names: Vec<&str> = hunks.iter().map(|h| h.file.as_str()).collect();
        let failure = Failure::new(Cause::Conflict, format!("in {}", names.join(", ")));
        let progress = Progress {
            tree: change.tree.clone(),
            essence: change.essence.clone(),
            failing: BTreeSet::new(),
            findings: hunks
                .iter()
                .map(|h| format!("conflict in {} with {}", h.file, head.short()))
                .collect(),
        };
        let mut beside = self.neighbours(id, &change.base);
        beside.retain(|n| self.touched(n.task, &files));
        let frozen = self.task(id).and_then(|t| t.frozen.take()).is_some();
        let because = if frozen {
            // Tests that came first come first again: nobody else may bring them onto the new head.
            if let Some(task) = self.task(id) {
                task.session = WriterSession::Fresh;
            }
            Because::TestsFirst
        } else {
            Because::Conflict {
                commit: change.commit.clone(),
                hunks: hunks.to_vec(),
                beside,
            }
        };
        let from = StartFrom::Head;
        self.send_back(id, WriteJob { from, because }, &failure, progress);
    }

    fn landed(&mut self, id: TaskId, approved: &Approved, commit: &CommitId) {
        let Some(task) = self.state.tasks.get(&id).cloned() else {
            return;
        };
        if let Some(issue) = self.issue(id.issue) {
            issue.plan.red.retain(|c| !task.spec.repairs.contains(c));
        }
        let handoff = handoff(&task.spec.title, &task.notes, approved.clone());
        let (commit, at) = (commit.clone(), self.now);
        self.set_stage(id, Stage::Landed { commit, at, handoff });
    }

    pub(super) fn head_is(&mut self, issue: IssueId, at: &CommitId) {
        let Some(issue) = self.issue(issue) else { return };
        if let IssueStage::Working { head, .. } | IssueStage::Review { head, .. } = &mut issue.stage {
            *head = at.clone();
        }
    }

    /// What has landed since a change was begun at `base`.
    fn neighbours(&self, id: TaskId, base: &CommitId) -> Vec<Neighbour> {
        let landed: Vec<_> = self
            .state
            .tasks_of(id.issue)
            .filter_map(|t| landing_of(t))
            .collect();
        // A change begins at the head of then, which is what landed last before it.
        let begun = landed.iter().find(|l| l.commit == base).map(|l| l.at);
        let since = landed.iter().filter(|l| begun.is_none_or(|begun| l.at > begun));
        since
            .map(|l| Neighbour {
                task: l.task,
                goal: l.handoff.goal.clone(),
                summary: l.handoff.summary.clone(),
            })
            .collect()
    }

    fn touched(&self, id: TaskId, files: &BTreeSet<&str>) -> bool {
        let task = self.state.tasks.get(&id);
        let landed = task.and_then(|t| landing_of(t));
        landed.is_some_and(|l| l.handoff.paths.iter().any(|p| files.contains(p.as_str())))
    }

    /// Checks that are red on the integration branch for reasons that none of these is to mend.
    fn known_red_with(&self, issue: IssueId, ids: &[TaskId]) -> BTreeSet<CheckName> {
        let mut known = match self.state.issues.get(&issue) {
            Some(issue) => issue.plan.red.clone(),
            None => BTreeSet::new(),
        };
        for task in ids.iter().filter_map(|id| self.state.tasks.get(id)) {
            known.retain(|check| !task.spec.repairs.contains(check));
        }
        known
    }
}

fn candidate(task: TaskId, approved: &Approved) -> Candidate {
    let commit = approved.proven.change.commit.clone();
    Candidate { task, commit }
}

fn is_discarded(run: &Run) -> bool {
    matches!(
        run.stopping,
        Stopping::Asked {
            why: StopWhy::Discarded,
            ..
        }
    )
}

/// What has landed of a task.
struct LandedAs<'a> {
    task: TaskId,
    commit: &'a CommitId,
    at: crate::units::Timestamp,
    handoff: &'a Handoff,
}

fn landing_of(task: &Task) -> Option<LandedAs<'_>> {
    let Stage::Landed { commit, at, handoff } = &task.stage else {
        return None;
    };
    Some(LandedAs {
        task: task.id,
        commit,
        at: *at,
        handoff,
    })
}

/// What a landed change leaves those who build on it.
fn handoff(goal: &str, notes: &[Note], approved: Approved) -> Handoff {
    let change = approved.proven.change;
    let mut said: Vec<String> = notes
        .iter()
        .map(|n| match &n.said {
            Said::Remark(text) => format!("{}: {text}", n.by.persona),
            Said::Finding(finding) => format!("{}: {}: {}", n.by.persona, finding.file, finding.what),
        })
        .collect();
    if let Consent::Approved { by, notes } = approved.consent {
        said.extend(
            notes
                .iter()
                .map(|f| format!("{}: {}: {}", by.persona, f.file, f.what)),
        );
    }
    Handoff {
        goal: goal.to_owned(),
        summary: change.summary,
        paths: change.paths,
        evidence: change.evidence,
        open_questions: change.open_questions,
        notes: said,
    }
}
