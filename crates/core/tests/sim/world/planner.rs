//! Owns the plans that authors give in a world: sound ones, and each way in which one can be wrong.

use turno_core::brief::{ProposalBrief, Standing, TaskLine};
use turno_core::ids::TaskId;
use turno_core::outcome::{Outcome, PlannedDrop, PlannedTask, ProposalAnswer, ProposalVerdict};
use turno_core::persona::Role;
use turno_core::task::PlanBecause;

use super::super::plan::Fault;
use super::World;

const TOUCHES: [&str; 4] = ["src/a/**", "src/b/**", "src/**", "docs/**"];

impl World {
    pub(super) fn plan_of(
        &mut self,
        lead: TaskId,
        because: &PlanBecause,
        room: u16,
        there: &[TaskLine],
        proposals: &[ProposalBrief],
    ) -> Outcome {
        if matches!(because, PlanBecause::Invalid { .. }) {
            self.tally.count("plans sent back");
        }
        match turno_core::plan::asked(because) {
            PlanBecause::Proposals => self.tally.count("plans for proposals"),
            PlanBecause::Stuck { .. } => self.tally.count("plans for stuck tasks"),
            PlanBecause::Missing { .. } => self.tally.count("plans for what is missing"),
            PlanBecause::New | PlanBecause::Invalid { .. } => {}
        }
        let must = matches!(
            turno_core::plan::asked(because),
            PlanBecause::New | PlanBecause::Missing { .. }
        );
        let many = self.rng.between(u64::from(must), 3).min(u64::from(room));
        let mut tasks: Vec<PlannedTask> = (0..many).map(|n| self.planned(n, there)).collect();
        let mut answers = self.answers(&tasks, there, proposals);
        let mut drops = self.drops(because, there, &tasks);
        // Some authors never learn.
        let often = if self.plan.seed.is_multiple_of(3) { 100 } else { 40 };
        if self.strikes(Fault::BadPlans, often) {
            self.spoil(lead, room, &mut tasks, &mut answers, &mut drops);
        }
        Outcome::Plan {
            tasks,
            answers,
            drops,
        }
    }

    fn planned(&mut self, n: u64, there: &[TaskLine]) -> PlannedTask {
        let mut needs: Vec<String> = (0..n)
            .filter(|_| self.rng.chance(30))
            .map(|m| format!("k{m}"))
            .collect();
        // Also on tasks that another plan made, some of which this plan may give up.
        let known: Vec<TaskId> = there
            .iter()
            .filter(|t| !matches!(t.standing, Standing::Dropped { .. }))
            .map(|t| t.task)
            .collect();
        if !known.is_empty() && self.rng.chance(25) {
            needs.push(self.rng.pick(&known).to_string());
        }
        let writer = if self.rng.chance(15) {
            Role::Tester
        } else {
            Role::Engineer
        };
        PlannedTask {
            key: format!("k{n}"),
            writer,
            size: turno_core::outcome::Size::Medium,
            title: format!("part {n}"),
            brief: "do it".to_owned(),
            acceptance: vec!["it works".to_owned()],
            needs,
            touches: if self.rng.chance(70) {
                vec![self.rng.pick(&TOUCHES).to_owned()]
            } else {
                Vec::new()
            },
        }
    }

    fn answers(
        &mut self,
        tasks: &[PlannedTask],
        there: &[TaskLine],
        proposals: &[ProposalBrief],
    ) -> Vec<ProposalAnswer> {
        let waiting: Vec<TaskId> = there
            .iter()
            .filter(|t| t.standing == Standing::Waiting)
            .map(|t| t.task)
            .collect();
        let mut given = Vec::new();
        for proposal in proposals {
            let verdict = if !tasks.is_empty() && self.rng.chance(50) {
                self.tally.count("proposals accepted");
                ProposalVerdict::Accept {
                    key: self.rng.pick(tasks).key,
                }
            } else if !waiting.is_empty() && self.rng.chance(50) {
                self.tally.count("proposals merged");
                ProposalVerdict::Merge {
                    into: self.rng.pick(&waiting),
                }
            } else {
                self.tally.count("proposals declined");
                ProposalVerdict::Decline
            };
            given.push(ProposalAnswer {
                proposal: proposal.id,
                verdict,
                reason: "so be it".to_owned(),
            });
        }
        given
    }

    fn drops(
        &mut self,
        because: &PlanBecause,
        there: &[TaskLine],
        tasks: &[PlannedTask],
    ) -> Vec<PlannedDrop> {
        let PlanBecause::Stuck { tasks: stuck } = turno_core::plan::asked(because) else {
            return Vec::new();
        };
        let parked = |id: &TaskId| {
            there
                .iter()
                .any(|t| t.task == *id && matches!(t.standing, Standing::Parked { .. }))
        };
        let mut drops = Vec::new();
        for task in stuck.iter().filter(|t| parked(t)) {
            if self.rng.chance(70) {
                self.tally.count("stuck tasks replaced");
                drops.push(PlannedDrop {
                    task: *task,
                    replaced_by: tasks.iter().take(1).map(|t| t.key.clone()).collect(),
                    reason: "another way".to_owned(),
                });
            }
        }
        drops
    }

    /// Makes a plan wrong in one way.
    fn spoil(
        &mut self,
        lead: TaskId,
        room: u16,
        tasks: &mut Vec<PlannedTask>,
        answers: &mut Vec<ProposalAnswer>,
        drops: &mut Vec<PlannedDrop>,
    ) {
        let way = self.rng.below(7);
        let Some(first) = tasks.first_mut() else {
            return answers.clear();
        };
        match way {
            0 => {
                let key = first.key.clone();
                first.needs.push("z".to_owned());
                let mut second = first.clone();
                second.key = "z".to_owned();
                second.needs = vec![key];
                tasks.push(second);
                self.tally.count("plans with a circle");
            }
            1 => first.needs.push("nobody".to_owned()),
            2 => first.acceptance.clear(),
            3 => {
                for n in 0..=room {
                    let mut more = tasks[0].clone();
                    more.key = format!("more{n}");
                    more.needs.clear();
                    tasks.push(more);
                }
                self.tally.count("plans that are too large");
            }
            4 => first.touches.push("../elsewhere".to_owned()),
            5 => answers.clear(),
            _ => drops.push(PlannedDrop {
                task: lead,
                replaced_by: Vec::new(),
                reason: "no".to_owned(),
            }),
        }
    }
}
