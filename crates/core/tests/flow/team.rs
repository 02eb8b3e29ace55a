//! Short words for flow tests of a whole team: who is there, what they return, how a task is led on.

use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::command::{AgentStart, Command};
use turno_core::config::Config;
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind};
use turno_core::ids::{AttemptId, CommitId, IssueId, TaskId};
use turno_core::issue::IssueDraft;
use turno_core::outcome::{Outcome, PlannedTask, ProposalAnswer, Proposed};
use turno_core::persona::Role;
use turno_core::policy::{AcceptRule, PlanRule};
use turno_core::shift::{IssueAtStart, Scope};
use turno_core::task::{Stage, Task, Work};
use turno_core::units::Span;
use turno_core::view::StageName;

use crate::world::{World, approve, persona};

pub(crate) fn id(text: &str) -> TaskId {
    text.parse().unwrap()
}

pub(crate) fn sha(n: u64) -> CommitId {
    format!("{n:040x}").parse().unwrap()
}

/// What an agent left: a commit of that number that changes these paths.
pub(crate) fn leaving(n: u64, paths: &[&str]) -> LeftBehind {
    LeftBehind::Commit {
        commit: sha(n),
        tree: format!("{n:040x}").parse().unwrap(),
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        guards: vec![],
        essence: turno_core::progress::Essence::Unknown,
    }
}

pub(crate) fn changed() -> AgentEnd {
    AgentEnd::Finished(Outcome::change("did it"))
}

pub(crate) fn planned(key: &str, needs: &[&str], touches: &[&str]) -> PlannedTask {
    let owned = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
    PlannedTask {
        key: key.to_owned(),
        writer: Role::Engineer,
        size: turno_core::outcome::Size::Medium,
        title: format!("part {key}"),
        brief: "do it".to_owned(),
        acceptance: vec!["it works".to_owned()],
        needs: owned(needs),
        touches: owned(touches),
    }
}

pub(crate) fn plan(tasks: Vec<PlannedTask>) -> AgentEnd {
    answering(tasks, Vec::new())
}

pub(crate) fn answering(tasks: Vec<PlannedTask>, answers: Vec<ProposalAnswer>) -> AgentEnd {
    AgentEnd::Finished(Outcome::Plan {
        tasks,
        answers,
        drops: Vec::new(),
    })
}

pub(crate) fn missing(what: &[&str]) -> AgentEnd {
    let missing = what.iter().map(|m| (*m).to_owned()).collect();
    AgentEnd::Finished(Outcome::Acceptance { missing })
}

pub(crate) fn chose(winner: Option<&str>) -> AgentEnd {
    AgentEnd::Finished(Outcome::Choice {
        winner: winner.map(id),
        why: "it is shorter".to_owned(),
    })
}

pub(crate) fn proposal(title: &str) -> Proposed {
    Proposed {
        title: title.to_owned(),
        brief: "it turned out".to_owned(),
        why: "seen".to_owned(),
        touches: vec![],
    }
}

pub(crate) fn starts(commands: &[Command]) -> Vec<&AgentStart> {
    commands
        .iter()
        .filter_map(|c| match c {
            Command::StartAgent(start) => Some(&**start),
            _ => None,
        })
        .collect()
}

pub(crate) fn titled(title: &str) -> IssueDraft {
    IssueDraft {
        title: title.to_owned(),
        ..IssueDraft::default()
    }
}

pub(crate) fn failing() -> CheckVerdict {
    CheckVerdict::Fail {
        extract: "assertion failed".to_owned(),
    }
}

impl World {
    /// Four slots, and a tester and an author besides engineer and reviewer.
    pub(crate) fn team(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(|config| {
            config.slots = 4;
            for agent in config.agents.values_mut() {
                agent.at_once = 9;
            }
            config
                .personas
                .push(persona("tester", Role::Tester, &["claude", "codex"]));
            config
                .personas
                .push(persona("author", Role::Author, &["claude", "codex"]));
            config.policy.test_paths = vec!["tests/**".to_owned()];
            change(config);
        })
    }

    /// A team whose author plans and accepts one issue, which is being planned.
    pub(crate) fn planning(change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::team(|config| {
            config.policy.plan = PlanRule::Author;
            config.policy.accept = AcceptRule::Author;
            change(config);
        });
        world.start_shift(1);
        assert_eq!(world.stage(id("1.0")), StageName::Planning);
        world
    }

    pub(crate) fn file(&mut self, draft: IssueDraft) -> IssueId {
        let issue = self.state.desk.next_issue;
        self.take(Event::IssueAdded { draft });
        issue
    }

    pub(crate) fn drain(&mut self, scope: Scope) -> Vec<Command> {
        let budget = self.budget;
        self.take(Event::ShiftStarted {
            mode: "drain".parse().unwrap(),
            issues: Vec::new(),
            budget,
            scope,
        })
    }

    pub(crate) fn run_again(&mut self) -> Vec<Command> {
        let budget = self.budget;
        let ids: Vec<IssueId> = self.state.issues.keys().copied().collect();
        let issues = ids.into_iter().map(|issue| IssueAtStart {
            issue,
            base: sha(1),
            target: turno_core::following::Target::Unknown,
        });
        let issues = issues.collect();
        self.take(Event::ShiftStarted {
            mode: "again".parse().unwrap(),
            issues,
            budget,
            scope: Scope::Listed,
        })
    }

    pub(crate) fn attempt(&self, id: TaskId) -> AttemptId {
        let task: Task = self.task(id);
        task.run().unwrap_or_else(|| panic!("{:?}", task.stage)).attempt
    }

    pub(crate) fn end(&mut self, id: TaskId, end: AgentEnd, left: LeftBehind) -> Vec<Command> {
        self.end_attempt(self.attempt(id), end, left)
    }

    /// The end of one who leaves nothing.
    pub(crate) fn says(&mut self, id: TaskId, end: AgentEnd) -> Vec<Command> {
        self.end(id, end, LeftBehind::Nothing)
    }

    /// A writer's change, or whatever the task's agent leaves, with a commit of its own.
    pub(crate) fn writes(&mut self, id: TaskId, paths: &[&str]) -> Vec<Command> {
        let n = self.attempt(id).0 + 0x1000;
        self.end(id, changed(), leaving(n, paths))
    }

    pub(crate) fn checks(&mut self, id: TaskId, verdict: &CheckVerdict) -> Vec<Command> {
        self.shows(id, |_| verdict.clone(), None)
    }

    /// The end of a check run: what each check shows, and what new tests show without the change.
    pub(crate) fn shows(
        &mut self,
        id: TaskId,
        verdict: impl Fn(&str) -> CheckVerdict,
        without: Option<CheckVerdict>,
    ) -> Vec<Command> {
        let attempt = self.attempt(id);
        let (commit, tree) = match &self.task(id).stage {
            Stage::Checking { change, .. } => (change.commit.clone(), change.tree.clone()),
            _ => (sha(0x77), format!("{:040x}", 0x77).parse().unwrap()),
        };
        let repo = self.state.issues[&id.issue].draft.repo.clone();
        let report = |verdict: &dyn Fn(&str) -> CheckVerdict| CheckReport {
            commit: commit.clone(),
            tree: tree.clone(),
            results: self
                .state
                .config
                .as_ref()
                .unwrap()
                .checks_of(&repo)
                .iter()
                .map(|check| CheckResult {
                    check: check.name.clone(),
                    command: check.command.clone(),
                    within: check.within.clone(),
                    verdict: verdict(check.name.as_str()),
                    took: Span(1),
                    log: LogRef {
                        path: "out".to_owned(),
                        bytes: 0,
                    },
                    source: turno_core::check::Source::Run,
                })
                .collect(),
        };
        let without = without.map(|w| report(&|_| w.clone()));
        let report = report(&verdict);
        self.take(Event::ChecksEnded {
            attempt,
            report,
            without,
            on_base: None,
        })
    }

    pub(crate) fn green(&mut self, id: TaskId) -> Vec<Command> {
        self.checks(id, &CheckVerdict::Pass)
    }

    pub(crate) fn lands(&mut self, id: TaskId) -> Vec<Command> {
        let attempt = self.attempt(id);
        let commit = sha(attempt.0 + 0x2000);
        let end = LandingEnd::Landed { commit };
        self.take(Event::LandingEnded { attempt, end })
    }

    /// Leads a running task on until it has landed, all being well.
    pub(crate) fn completes(&mut self, id: TaskId) -> Vec<Command> {
        for _ in 0..20 {
            let commands = match &self.task(id).stage {
                Stage::Writing { .. } => self.writes(id, &["src/lib.rs"]),
                Stage::Checking { .. } => self.green(id),
                Stage::Testing { .. } | Stage::Reviewing { .. } => self.says(id, approve()),
                Stage::Landing { .. } => self.lands(id),
                other => panic!("{id} cannot go on from {other:?}"),
            };
            if self.stage(id) == StageName::Landed {
                return commands;
            }
        }
        panic!("{id} does not land")
    }

    /// Parks a task that is being written, for a reason that another plan may get around.
    pub(crate) fn stumbles(&mut self, id: TaskId) -> Vec<Command> {
        let failure = turno_core::failure::Failure::new(turno_core::failure::Cause::Resources, "too big");
        self.says(id, AgentEnd::Failed(failure))
    }

    pub(crate) fn work(&self, id: TaskId) -> Work {
        let task = self.task(id);
        task.work().unwrap_or_else(|| panic!("{:?}", task.stage))
    }
}
