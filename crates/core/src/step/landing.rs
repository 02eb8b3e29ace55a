//! Owns landing: its start, one at a time, and its four ends.

use super::Turn;
use super::checking::summary;
use crate::command::{Command, LandStart};
use crate::event::LandingEnd;
use crate::failure::{Cause, Failure};
use crate::ids::{AttemptId, CommitId, TaskId};
use crate::issue::IssueStage;
use crate::task::{
    Approved, Because, Consent, Handoff, Note, Progress, Said, Stage, StartFrom, StopWhy, Stopping, Work,
    WriteJob, WriterSession, checks_deadline,
};

impl Turn<'_> {
    pub(super) fn land(&mut self, id: TaskId, approved: Approved) {
        let Some(config) = self.state.config.clone() else {
            return;
        };
        let Some(issue) = self.state.issues.get(&id.issue) else {
            return;
        };
        let Some((base, head)) = issue.integration().map(|(b, h)| (b.clone(), h.clone())) else {
            return;
        };
        let Some(task) = self.state.tasks.get(&id) else {
            return;
        };
        let (title, cost) = (task.spec.title.clone(), task.cost());
        let reruns = config.policy.check_reruns;
        let (checks, repo) = (self.checks_for(id), self.repo_of(id));
        let known_red = self.known_red_at_head(id);
        let run = self.new_run(checks_deadline(checks.iter().map(|c| c.timeout), reruns));
        self.commands.push(Command::Land(Box::new(LandStart {
            attempt: run.attempt,
            task: id,
            repo,
            title,
            approved: approved.clone(),
            base,
            head,
            checks,
            known_red,
            reruns,
            cost,
        })));
        self.set_stage(id, Stage::Landing { approved, run });
    }

    pub(super) fn landing_ended(&mut self, attempt: AttemptId, end: &LandingEnd) {
        let Some(task) = self.task_of(attempt) else { return };
        let Stage::Landing { approved, run } = task.stage.clone() else {
            return;
        };
        let id = task.id;
        // What is on the branch is on the branch, also when a person has changed their mind meanwhile.
        if let LandingEnd::Landed { commit } = end {
            self.head_is(id, commit);
            if let Some(issue) = self.issue(id.issue) {
                issue.plan.red.retain(|c| !task.spec.repairs.contains(c));
            }
            let at = self.now;
            let (commit, handoff) = (commit.clone(), handoff(&task.spec.title, &task.notes, approved));
            return self.set_stage(id, Stage::Landed { commit, at, handoff });
        }
        if let Stopping::Asked {
            why: StopWhy::Discarded,
            ..
        } = run.stopping
        {
            return self.stopped(id, StopWhy::Discarded, Work::Land(approved));
        }
        let tree = approved.proven.change.tree.clone();
        match end {
            LandingEnd::Landed { .. } => {}
            LandingEnd::Raced { head } => {
                self.head_is(id, head);
                let failure = Failure::new(Cause::LandingRaced, format!("it is at {} now", head.short()));
                self.retry(id, Work::Land(approved), &failure);
            }
            LandingEnd::Conflict { hunks, head } => {
                self.head_is(id, head);
                let files: Vec<_> = hunks.iter().map(|h| h.file.as_str()).collect();
                let failure = Failure::new(Cause::Conflict, format!("in {}", files.join(", ")));
                let progress = Progress {
                    tree,
                    failing: std::collections::BTreeSet::new(),
                    findings: hunks
                        .iter()
                        .map(|h| format!("conflict in {} with {}", h.file, head.short()))
                        .collect(),
                };
                let commit = approved.proven.change.commit;
                let frozen = self.task(id).and_then(|t| t.frozen.take()).is_some();
                let because = if frozen {
                    // Tests that came first come first again: nobody else may bring them onto the new head.
                    if let Some(task) = self.task(id) {
                        task.session = WriterSession::Fresh;
                    }
                    Because::TestsFirst
                } else {
                    Because::Conflict {
                        commit,
                        hunks: hunks.clone(),
                    }
                };
                self.send_back(
                    id,
                    WriteJob {
                        from: StartFrom::Head,
                        because,
                    },
                    &failure,
                    progress,
                );
            }
            LandingEnd::NotGreen {
                rebased,
                head,
                report,
            } => {
                self.head_is(id, head);
                let known_red = self.known_red_at_head(id);
                if report.verdict_despite(&known_red) == crate::check::ReportVerdict::Unknown {
                    let failure = Failure::new(Cause::CouldNotCheck, summary(report));
                    return match run.stopping {
                        Stopping::Asked { why, .. } => self.stopped(id, why, Work::Land(approved)),
                        Stopping::No => self.retry(id, Work::Land(approved), &failure),
                    };
                }
                let mut change = approved.proven.change;
                change.commit = rebased.clone();
                change.base = head.clone();
                if let Some(task) = self.task(id) {
                    // The conversation knows another base; the next writer should look afresh.
                    task.session = WriterSession::Fresh;
                    // What others have landed is no change of the frozen tests.
                    if let Some(frozen) = &mut task.frozen {
                        frozen.commit = rebased.clone();
                    }
                }
                self.red(id, &change, report, &known_red);
            }
        }
    }

    fn head_is(&mut self, id: TaskId, at: &CommitId) {
        let Some(issue) = self.issue(id.issue) else { return };
        if let IssueStage::Working { head, .. } | IssueStage::Review { head, .. } = &mut issue.stage {
            *head = at.clone();
        }
    }
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
