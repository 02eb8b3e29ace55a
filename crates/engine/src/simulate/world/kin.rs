//! Owns how prone each task of a simulated night is: drawn when it is first asked for, and kept, so that what happened
//! once to a task is likelier to happen to it again. A task may be as prone as the others of its issue.

use std::rc::Rc;

use turno_core::command::AgentStart;
use turno_core::ids::{IssueId, TaskId};

use super::super::Stuck;
use super::super::odds::{AtTask, NightProne};
use super::World;

/// Whose proneness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Issue(IssueId),
    Task(TaskId),
}

/// Which check is red: one that is known, by its place, or one of all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Which {
    Known(usize),
    Others,
}

impl World<'_> {
    /// Whoever is started, at this task.
    pub(super) fn at_task(&mut self, start: &AgentStart) -> Result<Rc<AtTask>, Stuck> {
        let Some((place, habit)) = self.odds.habit(&start.persona, &start.agent) else {
            return Err(Stuck::Nobody(start.persona.clone()));
        };
        let habit = Rc::clone(habit);
        let own = (Whose::Task(start.task), place);
        if let Some(there) = self.prone.get(&own) {
            return Ok(Rc::clone(there));
        }
        let drawn = if self.dice.happens(self.model.kinship.as_issue) {
            let kin = (Whose::Issue(start.task.issue), place);
            let dice = &mut self.dice;
            let of_issue = self.prone.entry(kin);
            Rc::clone(of_issue.or_insert_with(|| Rc::new(AtTask::of(&habit, dice))))
        } else {
            Rc::new(AtTask::of(&habit, &mut self.dice))
        };
        self.prone.insert(own, Rc::clone(&drawn));
        Ok(drawn)
    }

    /// Whether a check is red on a change for this task.
    pub(super) fn is_red(&mut self, task: TaskId, which: Which, red: NightProne) -> bool {
        let chance = self.red_at(task, which, red);
        self.dice.happens(chance)
    }

    fn red_at(&mut self, task: TaskId, which: Which, red: NightProne) -> f64 {
        let own = (Whose::Task(task), which);
        if let Some(there) = self.red.get(&own) {
            return *there;
        }
        let drawn = if self.dice.happens(self.model.kinship.as_issue) {
            let kin = (Whose::Issue(task.issue), which);
            let dice = &mut self.dice;
            *self.red.entry(kin).or_insert_with(|| red.at_task(dice))
        } else {
            red.at_task(&mut self.dice)
        };
        self.red.insert(own, drawn);
        drawn
    }
}
