//! Owns what comes from outside the attempts: people, crashes, events that are delivered again.

use std::collections::BTreeSet;

use turno_core::admit::admit;
use turno_core::decision::{Asker, DecisionStage};
use turno_core::event::{Discard, Event, LeftBehind, LostAttempt, StopHow};
use turno_core::holding::{Brought, Leaving};
use turno_core::ids::AttemptId;
use turno_core::ledger::{Allowance, AllowanceChange};
use turno_core::outcome::{PlannedTask, Size};
use turno_core::persona::Role;
use turno_core::plan::edit::{Dependants, PlanEdit, Running, TaskChange};
use turno_core::pull::{Page, Pull, PullRequest, Pushed};
use turno_core::remark::{Subject, finding};
use turno_core::room::{Lack, Tight};
use turno_core::units::{MicroUsd, Span};

use super::super::cast::spend;
use super::super::plan::Fault;
use super::{Coordinator, Fate, NOBODY, World};

impl World {
    /// A person hears of each new question, and answers soon, late or never.
    pub(super) fn consider_questions(&mut self) {
        let new: Vec<_> = self
            .state
            .decisions
            .values()
            .filter(|d| d.is_open() && !self.judged.contains(&d.id))
            .cloned()
            .collect();
        for decision in new {
            self.judged.insert(decision.id);
            self.tally.count(match (&decision.asker, &decision.stage) {
                (Asker::Trial, _) => "questions: trial",
                (Asker::Guard { .. }, _) => "questions: guard",
                (_, DecisionStage::Waiting { .. }) => "questions: waiting",
                _ => "questions: parked",
            });
            if self.strikes(Fault::NeverAnswers, 50) {
                continue;
            }
            let answer = match decision.asker {
                Asker::Trial if self.rng.chance(30) => "stop",
                Asker::Guard { .. } if self.rng.chance(70) => "let it land",
                _ => "go on",
            };
            let at = if self.rng.chance(40) {
                self.rng.between(1, 60)
            } else {
                self.rng.between(500, 6000)
            };
            let event = Event::DecisionAnswered {
                decision: decision.id,
                answer: answer.to_owned(),
            };
            self.later(at, NOBODY, Fate::Person(event));
        }
    }

    /// Between two shifts everything that people had in mind is done.
    pub(super) fn people_come_back(&mut self) -> Result<(), String> {
        let kept = std::mem::take(&mut self.fates);
        for ((at, _), (_, fate)) in kept {
            if let Fate::Person(event) = fate {
                self.now = self.now.max(at);
                self.take(event)?;
            }
        }
        Ok(())
    }

    /// The coordinator dies and begins again: state from the journal alone.
    fn crash(&mut self) -> Result<(), String> {
        self.tally.count("restarts");
        let mut redone = self.first.clone();
        for record in &self.journal {
            record.redo(&mut redone);
        }
        if redone != self.state {
            return Err("the journal does not give the state".to_owned());
        }
        self.state = redone;
        if self.rng.chance(30) {
            self.coordinator = Coordinator::Dead;
            self.ask_nobody()?;
            self.coordinator = Coordinator::Alive;
        }
        let (mut lost, mut adopted) = (Vec::new(), BTreeSet::new());
        for attempt in self.hands.live.keys().copied().collect::<Vec<_>>() {
            if self.agents.contains(&attempt) && self.rng.chance(50) {
                adopted.insert(attempt);
                continue;
            }
            if self.rng.chance(70) {
                let cost = self.spent.get(&attempt).copied().unwrap_or(0);
                let left = if self.rng.chance(50) {
                    LeftBehind::Nothing
                } else {
                    self.left(["src/lib.rs".to_owned()].into())
                };
                lost.push(LostAttempt {
                    attempt,
                    spend: spend(cost),
                    left,
                    worked: (cost % 2 == 0).then_some(Span(cost % 5000)),
                });
            }
        }
        let opening = self
            .fates
            .values()
            .any(|(_, f)| matches!(f, Fate::Done(Event::IssueOpened { .. })));
        if opening {
            self.tally.count("openings lost");
        }
        self.fates
            .retain(|_, (a, f)| matches!(f, Fate::Person(_)) || adopted.contains(a));
        self.take(Event::Restarted { lost, adopted })
    }

    /// A person says something while no coordinator lives: it is recorded, and nobody does what follows.
    fn ask_nobody(&mut self) -> Result<(), String> {
        self.tally.count("said to a dead coordinator");
        let said = self.fates.iter().find_map(|(key, (_, fate))| match fate {
            Fate::Person(event) => Some((*key, event.clone())),
            _ => None,
        });
        match said {
            Some((key, event)) => {
                self.fates.remove(&key);
                self.take(event)
            }
            None => self.raise_a_budget(),
        }
    }

    /// A person doubles one of the limits that something was used of.
    fn raise_a_budget(&mut self) -> Result<(), String> {
        let limited: Vec<_> = self
            .state
            .accounts
            .keys()
            .map(|level| (level.clone(), self.state.limit(level)))
            .filter(|(_, limit)| !limit.is_none())
            .collect();
        // After the last shift it would only make ready what nobody is there to start.
        if limited.is_empty() || self.state.shift().is_none() {
            return Ok(());
        }
        let (level, limit) = self.rng.pick(&limited);
        let event = Event::BudgetSet {
            allowance: AllowanceChange::from(Allowance {
                usd: limit.usd.map(|n| n + n),
                tokens: limit.tokens.map(|n| n * 2),
                wall: limit.wall.map(|n| Span(n.0 * 2)),
                turns: limit.turns.map(|n| n * 2),
            }),
            level,
        };
        if admit(&self.state, &event).is_ok() {
            self.tally.count("budgets raised");
            self.take(event)?;
        }
        Ok(())
    }

    /// A person asks for a pull request while a shift runs; every other time it dies before it can say what came of it.
    fn ask_for_a_pull(&mut self) -> Result<(), String> {
        let landed = self.state.issues.values().find_map(|issue| {
            let (base, head) = issue.integration()?;
            (base != head).then(|| (issue.id, head.clone(), issue.pull.clone()))
        });
        let Some((issue, head, pull)) = landed else {
            return Ok(());
        };
        let pushed = Pushed {
            remote: "origin".to_owned(),
            branch: format!("turno/{issue}-it"),
            base: "main".to_owned(),
            head,
        };
        self.tally.count("pull requests begun");
        self.take(Event::PullRequestBegun {
            issue,
            pushed: pushed.clone(),
        })?;
        match pull {
            Pull::Nothing => Ok(()),
            Pull::Begun { .. } | Pull::There(_) => {
                let page = Page::Branch;
                let request = PullRequest { pushed, page };
                self.take(Event::PullRequestOpened { issue, request })
            }
        }
    }

    /// A disk fills, and a person makes room after a while, perhaps after the shift has given up.
    fn fill_a_disk(&mut self) -> Result<(), String> {
        self.tally.count("disks filled");
        let at = self.rng.between(1, 4000);
        let tight = Vec::new();
        self.later(at, NOBODY, Fate::Person(Event::RoomSeen { tight }));
        let tight = vec![Tight {
            at: "/state".to_owned(),
            lack: Lack::Files { free: 0, floor: 1 },
        }];
        self.take(Event::RoomSeen { tight })
    }

    /// A person takes a task for themselves, and comes back after a while, with or without something; or is found gone.
    fn attach_to_something(&mut self) -> Result<(), String> {
        let wanted: Vec<Event> = (self.state.tasks.keys())
            .map(|task| Event::TaskTaken { task: *task })
            .filter(|event| admit(&self.state, event).is_ok())
            .collect();
        if wanted.is_empty() || self.state.shift().is_none() {
            return Ok(());
        }
        let taken = self.rng.pick(&wanted);
        let Event::TaskTaken { task } = taken else {
            return Ok(());
        };
        self.tally.count("tasks taken");
        self.take(taken)?;
        let Some(visit) = self.state.tasks.get(&task).and_then(|t| t.hold.visit()) else {
            return Err(format!("{task} was taken, and nobody is attached"));
        };
        let attempt = visit.attempt;
        let leaving = if self.rng.chance(80) {
            Leaving::GoesOn
        } else {
            Leaving::Lost
        };
        let at = self.rng.between(1, 4000);
        let back = Event::TaskGivenBack {
            task,
            attempt,
            brought: Brought::Nothing,
            leaving,
        };
        self.later(at, NOBODY, Fate::Person(back));
        Ok(())
    }

    /// A person says something about a task or an issue, or to an agent that runs.
    fn speak(&mut self) -> Result<(), String> {
        let tasks: Vec<_> = self.state.tasks.keys().copied().collect();
        if tasks.is_empty() || self.state.shift().is_none() {
            return Ok(());
        }
        let id = self.rng.pick(&tasks);
        let running = self.state.tasks[&id].agent_run().map(|r| r.run.attempt);
        let event = match running {
            Some(attempt) if self.rng.chance(60) => Event::Told {
                attempt,
                words: "more".to_owned(),
            },
            Some(_) | None => Event::Commented {
                on: if self.rng.chance(10) {
                    Subject::Issue(id.issue)
                } else {
                    Subject::Task(id)
                },
                finding: finding("src/lib.rs", 1, "more"),
                commit: None,
            },
        };
        if admit(&self.state, &event).is_ok() {
            self.tally.count("said by people");
            self.take(event)?;
        }
        Ok(())
    }

    pub(super) fn noise(&mut self) -> Result<(), String> {
        if self.strikes(Fault::Attached, 2) {
            self.attach_to_something()?;
        }
        if self.strikes(Fault::Stale, 10) && !self.old.is_empty() {
            let old = self.rng.pick(&self.old.clone());
            // An ending that was delivered once may come again; a fact about a live attempt may not be invented.
            let settled = old.attempt().is_some_and(|a| !self.hands.live.contains_key(&a));
            // A look that was answered once may be answered again, and late.
            if settled || matches!(old, Event::Foreseen { .. }) {
                self.take(old)?;
            }
        }
        if self.strikes(Fault::Stale, 3) {
            let attempt = AttemptId(self.rng.below(1_000_000) + 500_000);
            self.take(Event::Metered {
                attempt,
                spend: turno_core::units::Spend {
                    cost: MicroUsd(1_000_000_000),
                    ..spend(0)
                },
            })?;
        }
        if self.strikes(Fault::TargetMoves, 4) {
            self.move_a_target()?;
        }
        if self.strikes(Fault::DiskFills, 3) {
            self.fill_a_disk()?;
        }
        if self.strikes(Fault::Crashes, 3) {
            self.crash()?;
        }
        if self.strikes(Fault::ClockJumps, 4) {
            self.jump()?;
        }
        if self.strikes(Fault::Stops, 1) {
            let how = self.rng.pick(&[StopHow::Drain, StopHow::Now]);
            self.take(Event::StopAsked { how })?;
        }
        if self.strikes(Fault::Budgets, 4) {
            self.raise_a_budget()?;
            self.ask_for_a_pull()?;
        }
        if self.strikes(Fault::Speaks, 2) {
            self.speak()?;
        }
        if self.strikes(Fault::Discards, 1) {
            let ids: Vec<_> = self.state.tasks.keys().copied().collect();
            if ids.is_empty() {
                return Ok(());
            }
            let id = self.rng.pick(&ids);
            let what = if self.rng.chance(30) {
                Discard::Issue(id.issue)
            } else {
                Discard::Task(id)
            };
            self.take(Event::Discarded { what })?;
        }
        if self.strikes(Fault::PlanEdits, 4) {
            self.edit_a_plan()?;
        }
        Ok(())
    }

    /// A person changes the plan of an issue, now and then one that they saw before it changed.
    fn edit_a_plan(&mut self) -> Result<(), String> {
        let ids: Vec<_> = self.state.tasks.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let task = self.rng.pick(&ids);
        let version = self.state.issues[&task.issue].plan.version;
        let running = self.rng.pick(&[Running::Finish, Running::Stop]);
        // No two requests have the same words.
        let number = self.journal.len();
        let new = |key: &str, needs: Vec<String>| PlannedTask {
            key: key.to_owned(),
            writer: Role::Engineer,
            size: Size::Small,
            title: format!("{key} of a person, {number}"),
            brief: "as a person wants it".to_owned(),
            acceptance: vec![],
            needs,
            touches: vec!["src/**".to_owned()],
        };
        let edit = match self.rng.between(0, 5) {
            0 => PlanEdit::Add(Box::new(new("one", vec![task.to_string()]))),
            1 => PlanEdit::Add(Box::new(new("one", vec![]))),
            2 => PlanEdit::Split {
                task,
                into: vec![new("one", vec!["two".to_owned()]), new("two", vec![])],
                running,
            },
            3 => PlanEdit::Drop {
                task,
                dependants: self.rng.pick(&[Dependants::Keep, Dependants::Rewire]),
            },
            4 => PlanEdit::Order(vec![task]),
            _ => PlanEdit::Change {
                task,
                to: Box::new(TaskChange {
                    brief: Some(format!("other words, {number}")),
                    ..TaskChange::default()
                }),
                running,
            },
        };
        let version = if self.rng.chance(10) {
            version.next()
        } else {
            version
        };
        let event = Event::PlanEdited {
            issue: task.issue,
            version,
            edits: vec![edit],
        };
        match admit(&self.state, &event) {
            Ok(()) => {
                self.tally.count("plans edited");
                if let Event::PlanEdited { edits, .. } = &event
                    && let [PlanEdit::Change { task, .. }] = edits[..]
                {
                    self.tally.count("tasks reworded");
                    self.reworded.insert(task, self.state.desk.next_attempt);
                }
            }
            Err(_) => self.tally.count("plan edits refused"),
        }
        self.take(event)
    }
}
