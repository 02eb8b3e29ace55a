//! Owns sample briefs: one for every reason that a persona can be asked for something. They prove templates before
//! money is spent, and show a person what a persona would be told.

use turno_core::brief::{Ask, Brief, IssueBrief, TaskBrief};
use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::failure::{Cause, Failure};
use turno_core::ids::{AttemptId, IssueId, TaskId};
use turno_core::outcome::{Finding, Severity};
use turno_core::task::{Actor, Because, ConflictHunk, Proof};
use turno_core::units::Span;

/// One brief for every kind of ask, with a name for people.
pub fn samples() -> Vec<(&'static str, Brief)> {
    let mut samples = Vec::new();
    let mut add = |name, round, ask: Option<Ask>| {
        if let Some(ask) = ask {
            samples.push((name, brief(round, ask)));
        }
    };
    add("write-new", 1, Some(write(Because::New)));
    let silent = Failure::new(Cause::WallClock, "stopped after 45m");
    add(
        "write-interrupted",
        2,
        Some(write(Because::Interrupted { failure: silent })),
    );
    let nothing = Failure::new(Cause::NoChange, "the tree is what it was");
    add(
        "write-no-change",
        2,
        Some(write(Because::Interrupted { failure: nothing })),
    );
    let failing = results().into_iter().flatten().collect();
    add(
        "write-checks-failed",
        2,
        Some(write(Because::ChecksFailed { failing })),
    );
    add("write-findings", 3, sent_back());
    add("write-conflict", 4, conflict());
    add("review-first", 1, review(Vec::new()));
    add("review-again", 2, review(vec![finding()]));
    add("review-without-checks", 1, unchecked());
    samples
}

fn write(because: Because) -> Ask {
    let checks = vec!["cargo clippy -- -D warnings".to_owned(), "cargo test".to_owned()];
    Ask::Write { because, checks }
}

fn sent_back() -> Option<Ask> {
    let by = Actor {
        persona: "reviewer".parse().ok()?,
        agent: "codex".parse().ok()?,
        attempt: AttemptId(12),
    };
    let findings = vec![finding()];
    Some(write(Because::Findings { by, findings }))
}

fn conflict() -> Option<Ask> {
    let hunks = vec![ConflictHunk {
        file: "src/limit.rs".to_owned(),
        text: "<<<<<<< landed\nlet most = 10;\n=======\nlet most = 5;\n>>>>>>> yours".to_owned(),
    }];
    let commit = commit('c')?;
    Some(write(Because::Conflict { commit, hunks }))
}

fn review(earlier: Vec<Finding>) -> Option<Ask> {
    let tree = "d".repeat(40).parse().ok()?;
    let mut results: Vec<CheckResult> = results().into_iter().flatten().collect();
    for result in &mut results {
        result.verdict = CheckVerdict::Pass;
    }
    let commit = commit('c')?;
    let report = CheckReport {
        commit: commit.clone(),
        tree,
        results,
    };
    Some(Ask::Review {
        commit,
        base: self::commit('b')?,
        proof: Proof::Checked(report),
        earlier,
    })
}

fn unchecked() -> Option<Ask> {
    Some(Ask::Review {
        commit: commit('c')?,
        base: commit('b')?,
        proof: Proof::NoChecks,
        earlier: Vec::new(),
    })
}

fn commit(digit: char) -> Option<turno_core::ids::CommitId> {
    digit.to_string().repeat(40).parse().ok()
}

fn results() -> [Option<CheckResult>; 2] {
    let result = |name: &str, verdict| {
        Some(CheckResult {
            command: String::new(),
            check: name.parse().ok()?,
            verdict,
            took: Span::seconds(12),
            log: LogRef {
                path: format!("attempts/9/{name}.log"),
                bytes: 812,
            },
        })
    };
    let extract = "---- limit::refuses_the_sixth stdout ----\nassertion failed: limit.allows(6)".to_owned();
    let why = "stopped after 10m".to_owned();
    [
        result("test", CheckVerdict::Fail { extract }),
        result("e2e", CheckVerdict::CouldNotRun { why }),
    ]
}

fn finding() -> Finding {
    Finding {
        file: "src/limit.rs".to_owned(),
        line: 7,
        severity: Severity::Major,
        what: "The count is not reset after the minute is over.".to_owned(),
        how_to_see: "Five requests, wait 61 s, one more: it is refused.".to_owned(),
    }
}

fn brief(round: u32, ask: Ask) -> Brief {
    Brief {
        issue: IssueBrief {
            id: IssueId(7),
            title: "Limit sign-in attempts".to_owned(),
            body: "Anyone can try passwords for ever.\n\nAllow 5 tries a minute per address.".to_owned(),
        },
        task: TaskBrief {
            id: TaskId {
                issue: IssueId(7),
                number: 2,
            },
            title: "Refuse the sixth try in a minute".to_owned(),
            brief: "Count tries per address and answer 429 from the sixth on.".to_owned(),
            acceptance: vec![
                "The sixth try within a minute is answered with 429.".to_owned(),
                "After a minute the address may try again.".to_owned(),
            ],
            touches: vec!["src/**".to_owned(), "tests/**".to_owned()],
        },
        round,
        ask,
    }
}
