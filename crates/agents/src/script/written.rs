//! Owns writing a session down as a script: what a real agent said and left, so that it can be performed again
//! without one. It reads no file and no repository.

use serde_json::{Value, json};
use turno_core::decision::Question;
use turno_core::event::AgentEnd;
use turno_core::ids::{PersonaName, TaskId};
use turno_core::outcome::{Finding, Outcome, ProposalVerdict, Verdict};
use turno_core::units::MicroUsd;

/// One thing of a session, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Words, or the use of a tool in words.
    Said(String),
    /// A file as it was left.
    Wrote {
        /// Its path.
        path: String,
        /// All its text.
        text: String,
    },
    /// Something that only a command can do: a file removed, made executable, or not text.
    Ran(String),
}

/// A session to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// In which role it was.
    pub persona: PersonaName,
    /// For which task.
    pub task: TaskId,
    /// Which attempt of the persona on that task it was.
    pub round: u32,
    /// What was done.
    pub deeds: Vec<Deed>,
    /// What it cost.
    pub cost: MicroUsd,
    /// How it ended.
    pub end: AgentEnd,
}

/// The script with this one session, as YAML.
///
/// # Errors
/// In words, when it cannot be written as YAML.
pub fn script(recording: &Recording) -> Result<String, String> {
    let mut steps: Vec<Value> = recording
        .deeds
        .iter()
        .map(|deed| match deed {
            Deed::Said(text) => json!({ "say": text }),
            Deed::Wrote { path, text } => json!({ "write": { "path": path, "text": text } }),
            Deed::Ran(command) => json!({ "run": { "command": command, "must_pass": true } }),
        })
        .collect();
    if recording.cost > MicroUsd::ZERO {
        steps.push(json!({ "usage": { "micro_usd": recording.cost } }));
    }
    steps.push(match &recording.end {
        AgentEnd::Finished(outcome) => json!({ "outcome": outcome_value(outcome) }),
        AgentEnd::Asked(question) => json!({ "outcome": question_value(question) }),
        AgentEnd::Failed(failure) => json!({ "fail": { "cause": failure.cause, "detail": failure.detail } }),
    });
    let file = json!({
        "sessions": [{
            "persona": recording.persona,
            "task": recording.task.to_string(),
            "round": recording.round,
            "steps": steps,
        }],
    });
    serde_saphyr::to_string(&file).map_err(|e| e.to_string())
}

fn question_value(question: &Question) -> Value {
    json!({
        "kind": "question",
        "question": question.question,
        "options": question.options,
        "recommended": question.recommended,
    })
}

/// An outcome in the wire shape of its schema.
pub fn outcome_value(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Change {
            summary,
            evidence,
            open_questions,
            proposals,
            lessons,
        } => json!({
            "summary": summary, "evidence": evidence, "open_questions": open_questions,
            "proposals": proposals, "lessons": lessons,
        }),
        Outcome::Verdict {
            verdict,
            read,
            protected,
            proposals,
            lessons,
        } => {
            let (word, findings): (&str, &[Finding]) = match verdict {
                Verdict::Approve { notes } => ("approve", notes),
                Verdict::Findings { findings } => ("findings", findings),
            };
            json!({
                "verdict": word, "findings": findings, "read": read, "protected": protected,
                "proposals": proposals, "lessons": lessons,
            })
        }
        Outcome::Plan {
            tasks,
            answers,
            drops,
        } => {
            let answers: Vec<Value> = answers
                .iter()
                .map(|answer| {
                    let (word, becomes) = match &answer.verdict {
                        ProposalVerdict::Accept { key } => ("accept", key.clone()),
                        ProposalVerdict::Merge { into } => ("merge", into.to_string()),
                        ProposalVerdict::Decline => ("decline", String::new()),
                    };
                    json!({
                        "proposal": answer.proposal.to_string(), "verdict": word, "becomes": becomes,
                        "reason": answer.reason,
                    })
                })
                .collect();
            json!({ "tasks": tasks, "answers": answers, "drops": drops })
        }
        Outcome::Acceptance { missing } => json!({ "missing": missing }),
        Outcome::Choice { winner, why } => json!({
            "winner": winner.map_or_else(String::new, |w| w.to_string()), "why": why,
        }),
    }
}

#[cfg(test)]
mod tests {
    use turno_core::outcome::{OutcomeKind, PlannedTask, ProposalAnswer, Size};
    use turno_core::persona::Role;

    use super::*;
    use crate::schema;
    use crate::script::ScriptFile;

    fn outcomes() -> Vec<Outcome> {
        let finding = Finding {
            file: "a.rs".to_owned(),
            line: 3,
            severity: turno_core::outcome::Severity::Major,
            what: "wrong: \"quoted\"".to_owned(),
            how_to_see: "run it\ntwice".to_owned(),
        };
        let task = PlannedTask {
            key: "a".to_owned(),
            writer: Role::Tester,
            size: Size::Large,
            title: "A".to_owned(),
            brief: "- do\n- it".to_owned(),
            acceptance: vec!["yes".to_owned()],
            needs: vec![],
            touches: vec!["src/**".to_owned()],
        };
        let answers = [
            ProposalVerdict::Accept { key: "a".to_owned() },
            ProposalVerdict::Merge {
                into: "1.2".parse().unwrap(),
            },
            ProposalVerdict::Decline,
        ]
        .map(|verdict| ProposalAnswer {
            proposal: "p1".parse().unwrap(),
            verdict,
            reason: "because".to_owned(),
        });
        vec![
            Outcome::change("did: it"),
            Outcome::verdict(Verdict::Approve { notes: vec![] }),
            Outcome::verdict(Verdict::Findings {
                findings: vec![finding],
            }),
            Outcome::Plan {
                tasks: vec![task],
                answers: answers.into(),
                drops: vec![],
            },
            Outcome::Acceptance {
                missing: vec!["x".to_owned()],
            },
            Outcome::Choice {
                winner: "1.2".parse().ok(),
                why: "shorter".to_owned(),
            },
            Outcome::Choice {
                winner: None,
                why: "none".to_owned(),
            },
        ]
    }

    #[test]
    fn every_outcome_is_read_back_as_it_was() {
        for outcome in outcomes() {
            let kind: OutcomeKind = outcome.kind();
            assert_eq!(schema::parse(kind, &outcome_value(&outcome)).unwrap(), outcome);
        }
    }

    #[test]
    fn a_recording_is_a_script_that_can_be_performed() {
        for outcome in outcomes() {
            let recording = Recording {
                persona: "engineer".parse().unwrap(),
                task: "1.2".parse().unwrap(),
                round: 2,
                deeds: vec![
                    Deed::Said("# not a comment: *yes*".to_owned()),
                    Deed::Wrote {
                        path: "a b.txt".to_owned(),
                        text: "tab\there\n\n  spaces \n".to_owned(),
                    },
                    Deed::Ran("rm -- 'old'".to_owned()),
                ],
                cost: MicroUsd(1234),
                end: AgentEnd::Finished(outcome),
            };
            let yaml = script(&recording).unwrap();
            let file = ScriptFile::parse(&yaml).unwrap_or_else(|e| panic!("{e}: {yaml}"));
            assert_eq!(file.sessions[0].steps.len(), 5, "{yaml}");
            assert!(
                format!("{:?}", file.sessions[0].steps).contains("tab\\there\\n\\n  spaces \\n"),
                "{yaml}"
            );
        }
    }
}
