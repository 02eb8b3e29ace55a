//! Owns the plans of simulated authors. They are sound: what an author does wrong is among its failures.

use turno_core::brief::{ProposalBrief, Standing, TaskLine};
use turno_core::outcome::{Outcome, PlannedTask, ProposalAnswer, ProposalVerdict, Size};
use turno_core::persona::Role;
use turno_core::plan;
use turno_core::task::PlanBecause;

use super::super::model::Split;
use super::World;

impl World<'_> {
    pub(super) fn plan(
        &mut self,
        because: &PlanBecause,
        room: u16,
        there: &[TaskLine],
        proposals: &[ProposalBrief],
    ) -> Outcome {
        let many = match plan::asked(because) {
            PlanBecause::New => self.pieces(),
            PlanBecause::Missing { .. } => 1,
            // What is stuck stays stuck: that another plan helps is not assumed.
            PlanBecause::Stuck { .. } | PlanBecause::Proposals | PlanBecause::Invalid { .. } => 0,
        };
        let first = there.iter().filter(|t| t.standing != Standing::Waiting).count();
        let tasks = (0..many.min(room)).map(|n| self.planned(n, first)).collect();
        let answers = proposals
            .iter()
            .map(|p| ProposalAnswer {
                proposal: p.id,
                verdict: ProposalVerdict::Decline,
                reason: "simulated".to_owned(),
            })
            .collect();
        Outcome::Plan {
            tasks,
            answers,
            drops: Vec::new(),
        }
    }

    /// Into how many tasks an issue is split.
    fn pieces(&mut self) -> u16 {
        match &self.model.split {
            Split::Between(least, most) => self.dice.between(*least, *most),
            Split::Seen(seen) => {
                let at = self.dice.below(seen.len());
                seen.get(at).copied().unwrap_or(1).max(1)
            }
        }
    }

    fn planned(&mut self, n: u16, before: usize) -> PlannedTask {
        let needs = if n > 0 && self.dice.happens(self.model.needs) {
            let other = self.dice.between(0, n - 1);
            vec![format!("k{other}")]
        } else {
            Vec::new()
        };
        let part = self.dice.between(1, self.model.parts);
        PlannedTask {
            key: format!("k{n}"),
            writer: Role::Engineer,
            size: Size::Medium,
            title: format!("part {}", before + usize::from(n)),
            brief: "simulated".to_owned(),
            acceptance: vec!["simulated".to_owned()],
            needs,
            touches: vec![format!("part{part}/**")],
        }
    }
}
