//! Owns what follows from a person's words: a change goes back to its writer, a running agent is told, what has landed
//! gets a task more. A remark is given once to each turn, and is open again when that turn came to nothing.

use super::Turn;
use super::brief::role_of;
use super::retry::go_on;
use crate::brief::RemarkBrief;
use crate::command::Command;
use crate::event::{AgentEnd, LeftBehind};
use crate::ids::{AttemptId, CommitId, IssueId, RemarkId, TaskId};
use crate::issue::IssueStage;
use crate::outcome::{Finding, Outcome};
use crate::persona::Role;
use crate::remark::{Fate, Remark, RemarkStage, Subject, Way, fate, finding, takes_tasks};
use crate::task::{
    Actor, AgentRun, Approved, Because, ChangeKind, Park, Stage, StopWhy, Task, TaskSpec, Trial, Work,
};

/// So many characters of a comment are the title of the task that it becomes.
const TITLE: usize = 72;

/// What open remarks mean for a task.
enum Tends {
    /// Nothing now: its next turn is given them.
    Waits,
    /// What runs on its change is stopped.
    Stops,
    /// This is next.
    Next(Box<Work>),
    /// They become tasks.
    Anew,
}

impl Turn<'_> {
    pub(super) fn commented(&mut self, on: Subject, said: &Finding, commit: Option<&CommitId>) {
        let id = match on {
            Subject::Task(id) if !id.is_lead() => id,
            Subject::Task(id) => return self.comment_becomes_task(id.issue, said, commit),
            Subject::Issue(issue) => return self.comment_becomes_task(issue, said, commit),
        };
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let to = task.spec.writer;
        self.remark(id, said, commit, to, RemarkStage::Open);
        self.look_again(id);
    }

    pub(super) fn told(&mut self, attempt: AttemptId, words: &str) {
        let Some(task) = self.task_of(attempt) else { return };
        let Some(to) = addressee(&task) else { return };
        let said = finding("", 0, words);
        match fate(self.state, attempt) {
            Some(Fate::SaidNow) => {
                let stage = RemarkStage::Saying { attempt };
                if let Some(remark) = self.remark(task.id, &said, None, to, stage) {
                    let words = words.to_owned();
                    self.commands.push(Command::Tell {
                        attempt,
                        remark,
                        words,
                    });
                }
            }
            Some(Fate::NextTurn) | None => {
                self.remark(task.id, &said, None, to, RemarkStage::Open);
            }
        }
    }

    /// An agent has taken in what was said to it.
    pub(super) fn heard(&mut self, attempt: AttemptId, id: RemarkId) {
        let at = self.now;
        let Some(task) = self.task_of(attempt) else { return };
        let Some(actor) = task.agent_run().map(AgentRun::actor) else {
            return;
        };
        let Some(task) = self.task(task.id) else { return };
        let said = task.remarks.iter_mut().find(|r| r.id == id);
        if let Some(remark) = said.filter(|r| r.stage == RemarkStage::Saying { attempt }) {
            remark.stage = RemarkStage::Given {
                to: actor,
                way: Way::WhileItRan,
                at,
            };
        }
    }

    /// Says again what an agent has perhaps not heard: whoever says it knows what was said before.
    pub(super) fn tell_again(&mut self, id: TaskId, attempt: AttemptId) {
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let saying = task
            .remarks
            .iter()
            .filter(|r| r.stage == RemarkStage::Saying { attempt });
        let again = saying.map(|r| Command::Tell {
            attempt,
            remark: r.id,
            words: r.finding.what.clone(),
        });
        let again: Vec<Command> = again.collect();
        self.commands.extend(again);
    }

    /// What an agent is told when it begins is given to it.
    pub(super) fn give_remarks(&mut self, id: TaskId, told: &[RemarkBrief], to: &Actor) {
        let at = self.now;
        if told.is_empty() {
            return;
        }
        let Some(task) = self.task(id) else { return };
        for remark in &mut task.remarks {
            if remark.is_open() && told.iter().any(|t| t.id == remark.id) {
                remark.stage = RemarkStage::Given {
                    to: to.clone(),
                    way: Way::AtTheBeginning,
                    at,
                };
            }
        }
    }

    /// An agent has ended: it has heeded what it had if it delivered; anything else is open again.
    pub(super) fn remarks_after(&mut self, attempt: AttemptId, end: &AgentEnd, left: &LeftBehind) {
        let Some(task) = self.task_of(attempt) else { return };
        if task.remarks.is_empty() {
            return;
        }
        let stays = matches!(&task.stage, Stage::Writing { job, .. } if task.left_as_it_is(job).is_some());
        let delivered = match (end, left) {
            // A change of nothing is no change: it is asked for again.
            (AgentEnd::Finished(Outcome::Change { .. }), LeftBehind::Nothing) => stays,
            (AgentEnd::Finished(_), _) => true,
            (AgentEnd::Asked(_) | AgentEnd::Failed(_), _) => false,
        };
        let Some(task) = self.task(task.id) else { return };
        for remark in &mut task.remarks {
            let next = match &remark.stage {
                RemarkStage::Given { to, way, .. } if to.attempt == attempt && delivered => {
                    let (by, way) = (to.clone(), *way);
                    RemarkStage::Heeded { by, way }
                }
                RemarkStage::Given { to, .. } if to.attempt == attempt => RemarkStage::Open,
                RemarkStage::Saying { attempt: saying } if *saying == attempt => RemarkStage::Open,
                RemarkStage::Open
                | RemarkStage::Saying { .. }
                | RemarkStage::Given { .. }
                | RemarkStage::Heeded { .. }
                | RemarkStage::Task { .. } => continue,
            };
            remark.stage = next;
        }
    }

    /// Whether a person said something that the writer has not been given.
    pub(super) fn has_remarks_for_writer(&self, id: TaskId) -> bool {
        let task = self.state.tasks.get(&id);
        task.is_some_and(|t| t.open_remarks().any(|r| r.to == t.spec.writer))
    }

    /// What follows for each task from what is said about it and was not given to anybody.
    pub(super) fn tend_remarks(&mut self) {
        let spoken_of = self.state.tasks.values().filter(|t| !t.remarks.is_empty());
        let ids: Vec<TaskId> = spoken_of.map(|t| t.id).collect();
        for id in ids {
            self.reopen_remarks(id);
            let Some(task) = self.state.tasks.get(&id) else {
                continue;
            };
            match tends(task) {
                Tends::Waits => {}
                Tends::Stops => self.stop(id, StopWhy::Remarked),
                Tends::Next(work) => {
                    let since = self.now;
                    let change = task.change().map(Box::new);
                    if let Some(task) = self.task(id) {
                        if matches!(*work, Work::Write(_)) {
                            task.sent_back = change;
                        }
                        task.stage = Stage::Ready { work: *work, since };
                    }
                }
                Tends::Anew => self.remarks_become_tasks(id),
            }
        }
    }

    /// What an attempt had that is gone without a word, e.g. because the machine was switched off, is open again.
    fn reopen_remarks(&mut self, id: TaskId) {
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let running = task.run().map(|r| r.attempt);
        let gone = |remark: &Remark| match &remark.stage {
            RemarkStage::Saying { attempt } => Some(*attempt) != running,
            RemarkStage::Given { to, .. } => Some(to.attempt) != running,
            RemarkStage::Open | RemarkStage::Heeded { .. } | RemarkStage::Task { .. } => false,
        };
        if !task.remarks.iter().any(gone) {
            return;
        }
        let Some(task) = self.task(id) else { return };
        for remark in task.remarks.iter_mut().filter(|r| gone(r)) {
            remark.stage = RemarkStage::Open;
        }
    }

    /// What waited for a person because it led nowhere is tried again with fresh tries: a person has looked.
    fn look_again(&mut self, id: TaskId) {
        let since = self.now;
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let Stage::Parked { work, park } = &task.stage else {
            return;
        };
        match park {
            Park::OutOfTries { .. } | Park::NoProgress { .. } => {}
            Park::NoChecks
            | Park::Decision(_)
            | Park::NoPlan { .. }
            | Park::NotAccepted { .. }
            | Park::RedBase { .. }
            | Park::Budget { .. }
            | Park::NoCandidate { .. }
            | Park::Ceiling { .. }
            | Park::Account { .. } => return,
        }
        let work = work.clone();
        if let Some(task) = self.task(id) {
            task.tries.clear();
            task.progress.clear();
            task.stage = Stage::Ready { work, since };
        }
    }

    fn remark(
        &mut self,
        id: TaskId,
        said: &Finding,
        commit: Option<&CommitId>,
        to: Role,
        stage: RemarkStage,
    ) -> Option<RemarkId> {
        let at = self.now;
        let task = self.task(id)?;
        let last = task.remarks.last().map_or(0, |r| r.id.0);
        let id = RemarkId(last.saturating_add(1));
        task.remarks.push(Remark {
            id,
            at,
            finding: said.clone(),
            commit: commit.cloned(),
            to,
            stage,
        });
        Some(id)
    }

    fn remarks_become_tasks(&mut self, id: TaskId) {
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let open: Vec<Remark> = task.open_remarks().cloned().collect();
        for remark in open {
            let spec = task_of_comment(Some(id), &remark.finding, remark.commit.as_ref());
            let Some(new) = self.new_task_by_person(id.issue, spec) else {
                return;
            };
            let Some(task) = self.task(id) else { return };
            if let Some(remark) = task.remarks.iter_mut().find(|r| r.id == remark.id) {
                remark.stage = RemarkStage::Task { task: new };
            }
        }
    }

    fn comment_becomes_task(&mut self, issue: IssueId, said: &Finding, commit: Option<&CommitId>) {
        let spec = task_of_comment(None, said, commit);
        let to = spec.writer;
        if let Some(new) = self.new_task_by_person(issue, spec) {
            self.remark(new, said, commit, to, RemarkStage::Task { task: new });
        }
    }

    /// A task that a person wants of an issue that has a branch. An issue that was ready is worked on again.
    fn new_task_by_person(&mut self, id: IssueId, spec: TaskSpec) -> Option<TaskId> {
        let issue = self.issue(id).filter(|i| takes_tasks(&i.stage))?;
        if let IssueStage::Review { base, head } = &issue.stage {
            let (base, head) = (base.clone(), head.clone());
            issue.stage = IssueStage::Working { base, head };
        }
        let (number, wave, lead) = (issue.next_task, issue.plan.wave, issue.lead());
        self.add_task(id, TaskSpec { wave, ..spec }, Stage::Blocked);
        // What was accepted is not all of it any more.
        if let Some(task) = self.task(lead)
            && matches!(task.stage, Stage::Accepted { .. })
        {
            task.stage = Stage::Blocked;
        }
        Some(TaskId { issue: id, number })
    }
}

/// For which role words are that are said to whoever runs for a task. What is written is the writer's in any case.
fn addressee(task: &Task) -> Option<Role> {
    match &task.stage {
        Stage::Writing { .. } => Some(task.spec.writer),
        Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. } => role_of(&task.work()?, task),
        Stage::Blocked
        | Stage::Ready { .. }
        | Stage::Checking { .. }
        | Stage::Surveying { .. }
        | Stage::Entered { .. }
        | Stage::Landing { .. }
        | Stage::Backoff { .. }
        | Stage::Parked { .. }
        | Stage::Accepted { .. }
        | Stage::Landed { .. }
        | Stage::Dropped { .. } => None,
    }
}

/// What the remarks mean that nobody was given yet.
fn tends(task: &Task) -> Tends {
    let open = |role: Role| task.open_remarks().any(|r| r.to == role);
    if task.open_remarks().next().is_none() {
        return Tends::Waits;
    }
    let writer = open(task.spec.writer) && !task.id.is_lead();
    match &task.stage {
        Stage::Ready { work, .. } | Stage::Backoff { work, .. } => match work.change() {
            // Its tests come first, and nobody has written what the words are about.
            Some(change) if change.kind == ChangeKind::TestsFirst => Tends::Waits,
            Some(change) if writer => Tends::Next(Box::new(Work::Write(go_on(change, Because::Remarked)))),
            Some(_) => again_for(work, &open),
            None => Tends::Waits,
        },
        Stage::Entered { proven } if writer => {
            Tends::Next(Box::new(Work::Write(go_on(&proven.change, Because::Remarked))))
        }
        Stage::Entered { proven } => again_for(&Work::Compare(proven.clone()), &open),
        Stage::Checking { change, .. } if change.kind == ChangeKind::TestsFirst => Tends::Waits,
        Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Landing { .. }
            if writer =>
        {
            Tends::Stops
        }
        Stage::Accepted { .. } if open(Role::Author) => Tends::Next(Box::new(Work::Accept(Trial::Untried))),
        Stage::Accepted { .. } if open(Role::Tester) => Tends::Next(Box::new(Work::Try)),
        Stage::Landed { .. } => Tends::Anew,
        // What was given up takes its words with it, and what waits for a person keeps them.
        Stage::Checking { .. }
        | Stage::Testing { .. }
        | Stage::Reviewing { .. }
        | Stage::Comparing { .. }
        | Stage::Landing { .. }
        | Stage::Accepted { .. }
        | Stage::Blocked
        | Stage::Writing { .. }
        | Stage::Surveying { .. }
        | Stage::Planning { .. }
        | Stage::Trying { .. }
        | Stage::Accepting { .. }
        | Stage::Parked { .. }
        | Stage::Dropped { .. } => Tends::Waits,
    }
}

/// A turn that is passed by now, for a role that was told something it has not heard.
fn again_for(work: &Work, open: &impl Fn(Role) -> bool) -> Tends {
    let proven = match work {
        Work::Review(proven) | Work::Compare(proven) | Work::Land(Approved { proven, .. }) => proven,
        Work::Write(_)
        | Work::Check(_)
        | Work::Test(_)
        | Work::Survey
        | Work::Plan(_)
        | Work::Try
        | Work::Accept(_) => return Tends::Waits,
    };
    if open(Role::Tester) {
        return Tends::Next(Box::new(Work::Test(proven.clone())));
    }
    match work {
        Work::Land(_) if open(Role::Reviewer) => Tends::Next(Box::new(Work::Review(proven.clone()))),
        Work::Write(_)
        | Work::Check(_)
        | Work::Test(_)
        | Work::Review(_)
        | Work::Compare(_)
        | Work::Land(_)
        | Work::Survey
        | Work::Plan(_)
        | Work::Try
        | Work::Accept(_) => Tends::Waits,
    }
}

/// A comment in the words of whoever made it, as a task.
fn task_of_comment(about: Option<TaskId>, said: &Finding, commit: Option<&CommitId>) -> TaskSpec {
    let first = said.what.lines().next().unwrap_or_default();
    let short: String = first.chars().take(TITLE).collect();
    let title = if short.len() < first.len() {
        format!("{short}\u{2026}")
    } else {
        short
    };
    let place = match (said.file.as_str(), said.line) {
        ("", _) => String::new(),
        (file, 0) => format!("\n\nIt is about {file}"),
        (file, line) => format!("\n\nIt is about {file}, line {line}"),
    };
    let seen = match commit {
        Some(commit) if !place.is_empty() => format!(", as of commit {commit}"),
        Some(_) | None => String::new(),
    };
    let of = about.map_or_else(String::new, |task| {
        format!("\n\nIt was said of task {task}, which has landed.")
    });
    TaskSpec {
        title,
        brief: format!(
            "A person has looked at what landed and says:\n\n{}{place}{seen}{of}",
            said.what
        ),
        ..TaskSpec::default()
    }
}
