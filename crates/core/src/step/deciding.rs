//! Owns questions: written down before anybody waits, answered by a person or by the policy, and what becomes of the
//! task meanwhile. A task whose asker has left its slot waits without one; others go on.

use std::sync::Arc;

use super::Turn;
use crate::command::Command;
use crate::decision::{AnsweredBy, Asker, Decision, DecisionStage, Question, Reply, Told};
use crate::ids::{AttemptId, DecisionId, TaskId};
use crate::policy::{DecisionRule, Nobody};
use crate::task::{AgentRun, Because, Park, Resume, Stage, Work, WriteJob};
use crate::units::{Span, Timestamp};

/// So many questions of one attempt are waited for.
const WAITS: usize = 8;
/// How long an agent has to end its turn once it was told that nobody answers now.
const LEAVE: Span = Span::seconds(120);

/// When the policy decides in a person's place.
pub(super) fn deadline(decision: &Decision) -> Option<Timestamp> {
    match &decision.stage {
        DecisionStage::Waiting { until, .. } => Some(*until),
        DecisionStage::Open | DecisionStage::Answered { .. } | DecisionStage::Withdrawn => None,
    }
}

impl Turn<'_> {
    fn rule(&self) -> DecisionRule {
        self.state
            .config
            .as_ref()
            .map_or_else(DecisionRule::default, |c| c.policy.decisions)
    }

    fn decision(&mut self, id: DecisionId) -> Option<&mut Decision> {
        self.state.decisions.get_mut(&id).map(Arc::make_mut)
    }

    pub(super) fn is_open(&self, id: DecisionId) -> bool {
        self.state.decisions.get(&id).is_some_and(|d| d.is_open())
    }

    fn new_decision(
        &mut self,
        task: TaskId,
        run: &AgentRun,
        question: &Question,
        stage: DecisionStage,
    ) -> DecisionId {
        let id = self.state.desk.next_decision;
        self.state.desk.next_decision = DecisionId(id.0 + 1);
        let decision = Decision {
            id,
            task,
            asker: Asker::Agent {
                actor: run.actor(),
                session: run.session.clone(),
            },
            question: question.clone(),
            asked: self.now,
            stage,
        };
        self.state.decisions.insert(id, Arc::new(decision));
        id
    }

    /// An agent asks in a call, in which it waits.
    pub(super) fn decision_asked(&mut self, attempt: AttemptId, question: &Question, key: &str) {
        let Some(task) = self.task_of(attempt) else { return };
        let Some(run) = task.agent_run() else { return };
        let rule = self.rule();
        let until = self.now + rule.deadline;
        let before = self
            .state
            .decisions
            .values()
            .filter(|d| matches!(&d.asker, Asker::Agent { actor, .. } if actor.attempt == attempt))
            .count();
        // Each wait moves the time limit, so it is not granted without end.
        let nobody = if before < WAITS { rule.nobody } else { Nobody::Park };
        let stage = match nobody {
            Nobody::Park => DecisionStage::Open,
            Nobody::Wait | Nobody::Recommended => DecisionStage::Waiting {
                key: key.to_owned(),
                until,
            },
        };
        let waits = matches!(stage, DecisionStage::Waiting { .. });
        self.new_decision(task.id, run, question, stage);
        if waits {
            // Waiting for a person is not working.
            if let Some(run) = self.task(task.id).and_then(|t| t.run_mut()) {
                run.deadline = run.deadline + rule.deadline;
            }
            self.watch_waits(task.id);
        } else {
            self.send_away(task.id, attempt, key);
        }
    }

    /// Tells an agent that nobody answers now. It has a moment to end its turn.
    fn send_away(&mut self, id: TaskId, attempt: AttemptId, key: &str) {
        self.commands.push(Command::Reply {
            attempt,
            key: key.to_owned(),
            reply: Reply::Parked,
        });
        let leave = self.now + LEAVE;
        if let Some(run) = self.task(id).and_then(|t| t.run_mut())
            && run.attempt == attempt
        {
            run.deadline = run.deadline.min(leave);
        }
    }

    /// An agent ended with a question. It may be the one that it had asked in a call before it was sent away.
    pub(super) fn asked(&mut self, id: TaskId, run: &AgentRun, question: &Question, work: Work) {
        if !self.left_with_question(id, run.run.attempt) {
            self.new_decision(id, run, question, DecisionStage::Open);
        }
        self.wait_for_answer(id, run.run.attempt, work);
    }

    /// The questions of an attempt, oldest first.
    pub(super) fn questions(&self, id: TaskId, attempt: AttemptId) -> impl Iterator<Item = &Arc<Decision>> {
        self.state.decisions.values().filter(move |d| {
            d.task == id && matches!(&d.asker, Asker::Agent { actor, .. } if actor.attempt == attempt)
        })
    }

    /// The question whose answer an ended attempt needs to go on: its oldest open one, else the newest that was
    /// answered after it had been sent away.
    fn pending(&self, id: TaskId, attempt: AttemptId) -> Option<DecisionId> {
        let untold = |d: &&Arc<Decision>| {
            matches!(
                d.stage,
                DecisionStage::Answered {
                    told: Told::Afterwards,
                    ..
                }
            )
        };
        let open = self.questions(id, attempt).find(|d| d.is_open());
        open.or_else(|| self.questions(id, attempt).filter(untold).last())
            .map(|d| d.id)
    }

    /// Whether an attempt ended with a question of its own unanswered, or answered after it had been sent away.
    pub(super) fn left_with_question(&self, id: TaskId, attempt: AttemptId) -> bool {
        self.pending(id, attempt).is_some()
    }

    /// An attempt that asked is over; its task waits until all is answered, or goes on if it is by now.
    pub(super) fn wait_for_answer(&mut self, id: TaskId, attempt: AttemptId, work: Work) {
        let Some(decision) = self.pending(id, attempt) else {
            return;
        };
        let work = with_answer(work, decision);
        let waiting: Vec<DecisionId> = self
            .questions(id, attempt)
            .filter(|d| d.is_open())
            .map(|d| d.id)
            .collect();
        for open in &waiting {
            if let Some(d) = self.decision(*open) {
                d.stage = DecisionStage::Open;
            }
        }
        if waiting.is_empty() {
            return self.go_on(id, decision, work);
        }
        let park = Park::Decision(decision);
        self.set_stage(id, Stage::Parked { work, park });
    }

    /// The same conversation goes on, now with the answer.
    fn go_on(&mut self, id: TaskId, decision: DecisionId, work: Work) {
        let resume = self.state.decisions.get(&decision).and_then(|d| match &d.asker {
            Asker::Agent { actor, session } => session.clone().map(|session| Resume {
                persona: actor.persona.clone(),
                agent: actor.agent.clone(),
                session,
            }),
            Asker::Trial | Asker::Guard { .. } => None,
        });
        let since = self.now;
        if let Some(task) = self.task(id) {
            task.resume = resume;
            task.stage = Stage::Ready { work, since };
        }
    }

    /// A finished attempt needs no answer any more.
    pub(super) fn withdraw(&mut self, id: TaskId, attempt: AttemptId) {
        let open: Vec<DecisionId> = self
            .questions(id, attempt)
            .filter(|d| d.is_open())
            .map(|d| d.id)
            .collect();
        for open in open {
            if let Some(d) = self.decision(open) {
                d.stage = DecisionStage::Withdrawn;
            }
        }
    }

    pub(super) fn decision_answered(&mut self, id: DecisionId, answer: &str) {
        self.answer(id, AnsweredBy::Person, answer);
    }

    fn answer(&mut self, id: DecisionId, by: AnsweredBy, answer: &str) {
        let at = self.now;
        let Some(decision) = self.decision(id).filter(|d| d.is_open()) else {
            return;
        };
        let told = match decision.stage {
            DecisionStage::Waiting { .. } => Told::InTheCall,
            DecisionStage::Open | DecisionStage::Answered { .. } | DecisionStage::Withdrawn => {
                Told::Afterwards
            }
        };
        let answered = DecisionStage::Answered {
            by,
            answer: answer.to_owned(),
            at,
            told,
        };
        let before = std::mem::replace(&mut decision.stage, answered);
        let (task, asker) = (decision.task, decision.asker.clone());
        let actor = match asker {
            Asker::Trial => return self.trial_judged(task.issue, answer),
            Asker::Guard { found, .. } => return self.guard_answered(id, task, found, answer),
            Asker::Agent { actor, .. } => actor,
        };
        if let DecisionStage::Waiting { key, .. } = before {
            self.commands.push(Command::Reply {
                attempt: actor.attempt,
                key,
                reply: Reply::Answer(answer.to_owned()),
            });
            return;
        }
        // One that has not left yet finds the answer when it ends.
        let parked = self.state.tasks.get(&task).and_then(|t| match &t.stage {
            Stage::Parked {
                work,
                park: Park::Decision(waits),
            } if *waits == id => Some(work.clone()),
            Stage::Blocked
            | Stage::Ready { .. }
            | Stage::Writing { .. }
            | Stage::Checking { .. }
            | Stage::Testing { .. }
            | Stage::Reviewing { .. }
            | Stage::Entered { .. }
            | Stage::Comparing { .. }
            | Stage::Surveying { .. }
            | Stage::Planning { .. }
            | Stage::Trying { .. }
            | Stage::Accepting { .. }
            | Stage::Landing { .. }
            | Stage::Backoff { .. }
            | Stage::Parked { .. }
            | Stage::Accepted { .. }
            | Stage::Landed { .. }
            | Stage::Dropped { .. } => None,
        });
        if let Some(work) = parked {
            self.wait_for_answer(task, actor.attempt, work);
        }
    }

    /// Questions whose time is up: the recommended option, or the slot is given up.
    pub(super) fn expire_decisions(&mut self) {
        let nobody = self.rule().nobody;
        let due: Vec<DecisionId> = self
            .state
            .decisions
            .values()
            .filter(|d| deadline(d).is_some_and(|at| at <= self.now))
            .map(|d| d.id)
            .collect();
        for id in due {
            let Some(decision) = self.state.decisions.get(&id).cloned() else {
                continue;
            };
            match (&decision.question.recommended, nobody) {
                (Some(label), Nobody::Recommended) => self.answer(id, AnsweredBy::Policy, label),
                (Some(_) | None, _) => self.give_up_waiting(&decision),
            }
        }
    }

    fn give_up_waiting(&mut self, decision: &Decision) {
        let DecisionStage::Waiting { key, .. } = &decision.stage else {
            return;
        };
        if let Some(open) = self.decision(decision.id) {
            open.stage = DecisionStage::Open;
        }
        if let Asker::Agent { actor, .. } = &decision.asker {
            self.send_away(decision.task, actor.attempt, key);
        }
    }

    /// Whether an attempt still runs, or its task waits for an answer to it.
    fn is_awaited(&self, task: TaskId, attempt: AttemptId) -> bool {
        let Some(task) = self.state.tasks.get(&task) else {
            return false;
        };
        if task.run().is_some_and(|r| r.attempt == attempt) {
            return true;
        }
        let Stage::Parked {
            park: Park::Decision(decision),
            ..
        } = &task.stage
        else {
            return false;
        };
        self.questions(task.id, attempt).any(|d| d.id == *decision)
    }

    /// Nobody waits for an answer about a task that is over, or that has gone on without it.
    pub(super) fn settle_decisions(&mut self) {
        let moot: Vec<DecisionId> = self
            .state
            .decisions
            .values()
            .filter(|d| d.is_open())
            .filter(|d| match &d.asker {
                Asker::Agent { actor, .. } => !self.is_awaited(d.task, actor.attempt),
                Asker::Trial => !self
                    .state
                    .pieces_of(d.task.issue)
                    .any(|t| t.spec.wave > 0 && !t.is_over()),
                Asker::Guard { .. } => !self.waits_for(d.task, d.id),
            })
            .map(|d| d.id)
            .collect();
        for id in moot {
            if let Some(decision) = self.decision(id) {
                decision.stage = DecisionStage::Withdrawn;
            }
        }
    }
}

/// A writer is told that there is an answer, unless it still has evidence to answer itself.
fn with_answer(work: Work, decision: DecisionId) -> Work {
    match work {
        Work::Write(WriteJob {
            from,
            because: Because::New | Because::Interrupted { .. } | Because::Answered { .. },
        }) => Work::Write(WriteJob {
            from,
            because: Because::Answered { decision },
        }),
        Work::Write(_)
        | Work::Check(_)
        | Work::Test(_)
        | Work::Review(_)
        | Work::Compare(_)
        | Work::Land(_)
        | Work::Survey
        | Work::Plan(_)
        | Work::Try
        | Work::Accept(_) => work,
    }
}
