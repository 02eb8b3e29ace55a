//! A small world for flow tests: two slots, an engineer, a reviewer, one check, and short words for events.

use turno_core::State;
use turno_core::check::{Check, CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::command::Command;
use turno_core::config::{AgentLimits, Budgets, Config, Confinement};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind};
use turno_core::failure::Cause;
use turno_core::ids::{AttemptId, CommitId, Seq, TaskId, TreeId};
use turno_core::issue::{IssueDraft, Priority};
use turno_core::ledger::{Allowance, Tariff};
use turno_core::outcome::{Finding, Outcome, Severity, Verdict};
use turno_core::persona::{Access, Effort, Model, Persona, Role, Tools};
use turno_core::policy::{Policy, ReviewRule, TryRow, UncheckedRule};
use turno_core::progress::Essence;
use turno_core::record::Record;
use turno_core::shift::{IssueAtStart, ShiftEnd, ShiftStage};
use turno_core::task::{Stage, Task};
use turno_core::units::{CostBasis, MicroUsd, Span, Spend, Timestamp, Tokens};
use turno_core::view::StageName;

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) budget: MicroUsd,
    /// Everything that was taken in.
    pub(crate) journal: Vec<Record>,
}

/// A commit named by one hex digit.
pub(crate) fn commit(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

/// A tree named by one hex digit.
pub(crate) fn tree(digit: &str) -> TreeId {
    digit.repeat(40).parse().unwrap()
}

pub(crate) fn left(digit: &str) -> LeftBehind {
    LeftBehind::Commit {
        commit: commit(digit),
        tree: tree(digit),
        paths: ["src/lib.rs".to_owned()].into(),
        guards: vec![],
        essence: Essence::Unknown,
    }
}

pub(crate) fn wrote(digit: &str) -> (AgentEnd, LeftBehind) {
    let outcome = Outcome::Change {
        summary: "did it".to_owned(),
        evidence: vec![],
        open_questions: vec![],
        proposals: vec![],
        lessons: vec![],
    };
    (AgentEnd::Finished(outcome), left(digit))
}

pub(crate) fn approve() -> AgentEnd {
    AgentEnd::Finished(Outcome::Verdict {
        verdict: Verdict::Approve { notes: vec![] },
        read: vec![],
        protected: vec![],
        proposals: vec![],
        lessons: vec![],
    })
}

pub(crate) fn finding(what: &str) -> AgentEnd {
    let finding = Finding {
        file: "x.rs".to_owned(),
        line: 1,
        severity: Severity::Major,
        what: what.to_owned(),
        how_to_see: String::new(),
    };
    AgentEnd::Finished(Outcome::Verdict {
        verdict: Verdict::Findings {
            findings: vec![finding],
        },
        read: vec![],
        protected: vec![],
        proposals: vec![],
        lessons: vec![],
    })
}

fn report(verdict: CheckVerdict) -> CheckReport {
    let log = LogRef {
        path: "out".to_owned(),
        bytes: 0,
    };
    let result = CheckResult {
        command: "make test".to_owned(),
        within: turno_core::container::Within::Sandbox,
        check: "test".parse().unwrap(),
        verdict,
        took: Span(1),
        log,
        source: turno_core::check::Source::Run,
    };
    CheckReport {
        commit: commit("0"),
        tree: tree("0"),
        results: vec![result],
    }
}

pub(crate) fn checks_green() -> CheckReport {
    report(CheckVerdict::Pass)
}

pub(crate) fn checks_red(extract: &str) -> CheckReport {
    report(CheckVerdict::Fail {
        extract: extract.to_owned(),
    })
}

pub(crate) fn spend(micros: u64) -> Spend {
    Spend {
        cost: MicroUsd(micros),
        basis: CostBasis::Estimated,
        tokens: Tokens::default(),
        turns: 0,
        counted: None,
    }
}

pub(crate) fn persona(name: &str, role: Role, agents: &[&str]) -> Persona {
    Persona {
        name: name.parse().unwrap(),
        description: String::new(),
        role,
        agents: agents.iter().map(|a| a.parse().unwrap()).collect(),
        model: Model::AgentDefault,
        effort: Effort::AgentDefault,
        access: if role == Role::Reviewer {
            Access::Read
        } else {
            Access::Write
        },
        tools: Tools::ByAccess,
        budget: MicroUsd(2_000_000),
        wall_clock: Span(600_000),
        at_once: turno_core::persona::AtOnce::NoLimit,
        prompt: String::new(),
    }
}

fn config() -> Config {
    let rows = Cause::ALL
        .into_iter()
        .map(|cause| {
            let tries = if matches!(cause, Cause::SignIn | Cause::Resources) {
                0
            } else {
                3
            };
            (cause, TryRow::new(cause, tries, Span(0)))
        })
        .collect();
    Config {
        policy: Policy {
            name: "feature-dev".parse().unwrap(),
            description: String::new(),
            review: ReviewRule::Required,
            unchecked: UncheckedRule::Refuse,
            check_reruns: 0,
            silence: Span(60_000),
            least_start: MicroUsd(20_000),
            longest_wait: Span(60_000),
            rows,
            ..Policy::new("feature-dev".parse().unwrap())
        },
        personas: vec![
            persona("engineer", Role::Engineer, &["claude", "codex"]),
            persona("reviewer", Role::Reviewer, &["claude", "codex"]),
        ],
        agents: ["claude", "codex"]
            .into_iter()
            .map(|n| {
                (
                    n.parse().unwrap(),
                    AgentLimits {
                        at_once: 2,
                        tariff: Tariff::Metered,
                        allowance: Allowance::NONE,
                        hears: turno_core::liveness::Hears::Nothing,
                    },
                )
            })
            .collect(),
        checks: vec![Check {
            name: "test".parse().unwrap(),
            command: "make test".to_owned(),
            timeout: Span(1000),
            network: turno_core::check::Reach::None,
            within: turno_core::container::Within::Sandbox,
        }],
        slots: 2,
        repos: std::collections::BTreeMap::new(),
        urgent_slots: 0,
        confinement: Confinement::Off,
        budgets: Budgets::default(),
        disk_wait: Span::seconds(3600),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let mut world = Self {
            state: State::default(),
            now: Timestamp(1000),
            budget: MicroUsd(10_000_000),
            journal: Vec::new(),
        };
        world.take(Event::ConfigLoaded {
            config: Box::new(config),
        });
        world
    }

    pub(crate) fn take(&mut self, event: Event) -> Vec<Command> {
        self.now = self.now + Span(1);
        let seq = Seq(self.journal.len() as u64 + 1);
        let record = Record::of(&mut self.state, seq, self.now, event);
        let commands = record.commands.clone();
        self.journal.push(record);
        commands
    }

    /// Files so many issues and starts a shift on them.
    pub(crate) fn start_shift(&mut self, issues: u32) -> Vec<Command> {
        for n in 0..issues {
            let draft = IssueDraft {
                title: format!("issue {n}"),
                body: String::new(),
                acceptance: vec![],
                priority: Priority::Normal,
                labels: vec![],
                ..IssueDraft::default()
            };
            self.take(Event::IssueAdded { draft });
        }
        let issues = self
            .state
            .issues
            .keys()
            .map(|i| IssueAtStart {
                issue: *i,
                base: commit("9"),
                target: turno_core::following::Target::Unknown,
            })
            .collect();
        let budget = self.budget;
        self.take(Event::ShiftStarted {
            mode: "feature-dev".parse().unwrap(),
            issues,
            budget,
            scope: turno_core::shift::Scope::Listed,
        })
    }

    pub(crate) fn task(&self, id: TaskId) -> Task {
        Task::clone(&self.state.tasks[&id])
    }

    pub(crate) fn stage(&self, id: TaskId) -> StageName {
        StageName::of(&self.state.tasks[&id].stage)
    }

    pub(crate) fn ended(&self) -> Option<ShiftEnd> {
        match self.state.shifts.values().next_back()?.stage {
            ShiftStage::Ended { end, .. } => Some(end),
            _ => None,
        }
    }

    pub(crate) fn last_attempt(&self) -> AttemptId {
        AttemptId(self.state.desk.next_attempt.0 - 1)
    }

    pub(crate) fn open_session(&mut self, name: &str) {
        let attempt = self.last_attempt();
        self.take(Event::SessionOpened {
            attempt,
            session: name.parse().unwrap(),
        });
    }

    pub(crate) fn spend(&mut self, micros: u64) -> Vec<Command> {
        let attempt = self.last_attempt();
        self.take(Event::Metered {
            attempt,
            spend: spend(micros),
        })
    }

    pub(crate) fn end_attempt(
        &mut self,
        attempt: AttemptId,
        end: AgentEnd,
        left: LeftBehind,
    ) -> Vec<Command> {
        let run = self
            .state
            .task_of(attempt)
            .and_then(|t| self.task(t).agent_run().cloned());
        let spend = run.map_or(Spend::NOTHING, |r| r.spend);
        let transcript = LogRef {
            path: "out".to_owned(),
            bytes: 0,
        };
        self.take(Event::AgentEnded {
            attempt,
            end,
            spend,
            left,
            transcript,
        })
    }

    pub(crate) fn end_agent(&mut self, end: AgentEnd, left: LeftBehind) -> Vec<Command> {
        self.end_attempt(self.last_attempt(), end, left)
    }

    pub(crate) fn end_writer(&mut self, (end, left): (AgentEnd, LeftBehind)) -> Vec<Command> {
        self.end_agent(end, left)
    }

    pub(crate) fn end_reviewer(&mut self, end: AgentEnd) -> Vec<Command> {
        self.end_agent(end, LeftBehind::Nothing)
    }

    /// Ends the last attempt's checks with this result, at the tree that was checked.
    pub(crate) fn end_checks(&mut self, mut report: CheckReport) -> Vec<Command> {
        let task = self.state.task_of(self.last_attempt()).unwrap();
        if let Stage::Checking { change, .. } = &self.state.tasks[&task].stage {
            report.tree = change.tree.clone();
        }
        self.end_checks_exactly(report)
    }

    pub(crate) fn end_checks_exactly(&mut self, report: CheckReport) -> Vec<Command> {
        let attempt = self.last_attempt();
        self.take(Event::ChecksEnded {
            attempt,
            report,
            without: None,
            on_base: None,
        })
    }

    pub(crate) fn end_landing(&mut self, end: LandingEnd) -> Vec<Command> {
        let attempt = self.state.landing().unwrap().run().unwrap().attempt;
        self.take(Event::LandingEnded { attempt, end })
    }

    /// Writes, checks and reviews a task up to its landing.
    pub(crate) fn bring_to_landing(&mut self, id: TaskId, digit: &str) {
        let running = |world: &Self| world.task(id).run().unwrap().attempt;
        let (end, left) = wrote(digit);
        self.end_attempt(running(self), end, left);
        self.bring_on(id, digit);
    }

    /// Checks and reviews what was written.
    pub(crate) fn bring_on(&mut self, id: TaskId, digit: &str) {
        let running = |world: &Self| world.task(id).run().unwrap().attempt;
        let attempt = running(self);
        let mut report = checks_green();
        report.tree = tree(digit);
        self.take(Event::ChecksEnded {
            attempt,
            report,
            without: None,
            on_base: None,
        });
        self.end_attempt(running(self), approve(), LeftBehind::Nothing);
    }
}
