//! Owns sample briefs: one for every reason that a persona can be asked for something. They prove templates before
//! money is spent, and show a person what a persona would be told.

use std::collections::BTreeSet;

use turno_core::brief::{
    AnswerBrief, Ask, Brief, CandidateBrief, HandoffBrief, IssueBrief, ProposalBrief, RemarkBrief, Standing,
    TaskBrief, TaskLine,
};
use turno_core::check::{CheckReport, CheckResult, CheckVerdict, LogRef};
use turno_core::failure::{Cause, Failure};
use turno_core::guard::{GuardKind, Guarded, GuardedBy, GuardedChange};
use turno_core::ids::{AttemptId, CommitId, DecisionId, IssueId, ProposalId, RemarkId, TaskId};
use turno_core::outcome::{Finding, LessonDraft, Proposed, Severity, Verdict};
use turno_core::plan::edit::Origin;
use turno_core::policy::NewTestsRule;
use turno_core::task::{
    Actor, Because, Bounds, ConflictHunk, Handoff, Neighbour, Park, PlanBecause, Proof, Trial,
};
use turno_core::units::Span;

/// One brief for every kind of ask and every reason, with a name for people.
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
    add(
        "write-checks-failed",
        2,
        Some(write(Because::ChecksFailed {
            failing: failing(),
            beside: Vec::new(),
        })),
    );
    let together = |beside| {
        write(Because::ChecksFailed {
            failing: failing(),
            beside,
        })
    };
    add("write-red-together", 2, beside().map(together));
    add("write-findings", 3, sent_back());
    add("write-conflict", 4, conflict());
    let frozen: BTreeSet<String> = ["tests/limit.rs".to_owned()].into();
    let make_pass = Because::MakePass {
        frozen: frozen.clone(),
        failing: failing(),
    };
    add("write-make-pass", 1, Some(write(make_pass)));
    for (name, rule, paths) in [
        ("write-frozen-tests", Bounds::FrozenTests, frozen),
        (
            "write-tests-only",
            Bounds::TestsOnly,
            ["src/limit.rs".to_owned()].into(),
        ),
    ] {
        add(name, 2, Some(write(Because::OutOfBounds { paths, rule })));
    }
    for (name, kind, by) in [
        ("write-refused", GuardKind::Secrets, GuardedBy::Policy),
        (
            "write-not-let-land",
            GuardKind::Ci,
            GuardedBy::Person {
                answer: "CI stays as it is.".to_owned(),
            },
        ),
    ] {
        let found = vec![guarded(kind)];
        let change = GuardedChange::Written;
        add(name, 2, Some(write(Because::Guarded { found, by, change })));
    }
    let decision = DecisionId(4);
    add("write-answered", 2, Some(write(Because::Answered { decision })));
    add("write-remarked", 2, Some(write(Because::Remarked)));
    add("tests-first", 1, Some(write(Because::TestsFirst)));
    add("tests-first-again", 2, Some(write(Because::TestsPassAlready)));
    add("test", 1, test(NewTestsRule::Pass, proof()));
    add(
        "test-fail-on-base",
        1,
        test(NewTestsRule::FailOnBase, Some(Proof::NoChecks)),
    );
    add("review-first", 1, review(Vec::new(), BTreeSet::new()));
    add("review-again", 2, review(vec![finding()], BTreeSet::new()));
    let protected = [".github/workflows/ci.yml".to_owned(), "tests/limit.rs".to_owned()];
    add("review-protected", 1, review(Vec::new(), protected.into()));
    add("review-guarded", 1, guarded_review());
    add("review-without-checks", 1, unchecked());
    add("compare", 1, compare());
    samples.extend(leads());
    for (name, brief) in &mut samples {
        if matches!(*name, "write-answered" | "write-remarked" | "review-protected") {
            surround(brief);
        }
    }
    samples
}

/// Those that are asked for an issue as a whole.
fn leads() -> Vec<(&'static str, Brief)> {
    let stuck: BTreeSet<TaskId> = [task(3)].into();
    let missing = vec!["The limit does not hold over IPv6: `curl -6` is never refused.".to_owned()];
    let invalid = PlanBecause::Invalid {
        errors: vec!["the needs go round in a circle: limit -> page -> limit".to_owned()],
        asked: Box::new(PlanBecause::New),
    };
    let tried = |verdict| {
        let by = actor("tester")?;
        Some(Trial::Tried { by, verdict })
    };
    let approved = Verdict::Approve {
        notes: vec![Finding {
            severity: Severity::Note,
            ..finding()
        }],
    };
    let found = Verdict::Findings {
        findings: vec![finding()],
    };
    let all = [
        ("plan-new", plan(PlanBecause::New)),
        ("plan-invalid", plan(invalid)),
        ("plan-proposals", plan(PlanBecause::Proposals)),
        ("plan-stuck", plan(PlanBecause::Stuck { tasks: stuck })),
        ("plan-missing", plan(PlanBecause::Missing { missing })),
        ("plan-without-checks", unchecked_plan()),
        ("try", tries()),
        ("accept-untried", accept(Some(Trial::Untried))),
        ("accept-approved", accept(tried(approved))),
        ("accept-findings", accept(tried(found))),
    ];
    all.into_iter()
        .filter_map(|(name, ask)| Some((name, ask?)))
        .map(|(name, ask)| {
            let mut brief = brief(1, ask);
            brief.task.id = TaskId::lead(brief.issue.id);
            brief.task.title.clone_from(&brief.issue.title);
            brief.task.brief.clone_from(&brief.issue.body);
            brief.task.touches.clear();
            (name, brief)
        })
        .collect()
}

fn plan(because: PlanBecause) -> Option<Ask> {
    let new = matches!(because, PlanBecause::New | PlanBecause::Invalid { .. });
    let proposals = if because == PlanBecause::Proposals {
        vec![ProposalBrief {
            id: ProposalId(1),
            by: "engineer".parse().ok()?,
            during: task(2),
            proposed: Proposed {
                title: "Count tries by network, not by address".to_owned(),
                brief: "Take the first 64 bits of an IPv6 address.".to_owned(),
                why: "One machine has as many addresses as it likes.".to_owned(),
                touches: vec!["src/limit.rs".to_owned()],
            },
        }]
    } else {
        Vec::new()
    };
    Some(Ask::Plan {
        because,
        checks: vec!["cargo test".to_owned()],
        room: if new { 20 } else { 1 },
        tasks: if new { Vec::new() } else { tasks() },
        proposals,
    })
}

fn unchecked_plan() -> Option<Ask> {
    Some(Ask::Plan {
        because: PlanBecause::Proposals,
        checks: Vec::new(),
        room: 0,
        tasks: tasks(),
        proposals: Vec::new(),
    })
}

fn tries() -> Option<Ask> {
    Some(Ask::Try {
        head: commit('c')?,
        base: commit('b')?,
    })
}

fn accept(trial: Option<Trial>) -> Option<Ask> {
    Some(Ask::Accept {
        head: commit('c')?,
        base: commit('b')?,
        tasks: if trial == Some(Trial::Untried) {
            Vec::new()
        } else {
            tasks()
        },
        trial: trial?,
    })
}

/// One task for every standing.
fn tasks() -> Vec<TaskLine> {
    let failure = Failure::new(Cause::ChecksFailed, "test: 1 failed");
    let standings = [
        Standing::Landed { handoff: handoff() },
        Standing::AtWork,
        Standing::Parked {
            why: Park::OutOfTries { failure },
        },
        Standing::Waiting,
        Standing::Dropped {
            why: "the page is there already".to_owned(),
        },
    ];
    let titles = [
        "Keep a count for each address",
        "Refuse the sixth try in a minute",
        "Forget counts after a minute",
        "Say on the page how long to wait",
        "Make a page for refused tries",
    ];
    (1..)
        .zip(standings)
        .zip(titles)
        .map(|((number, standing), title)| TaskLine {
            task: task(number),
            title: title.to_owned(),
            touches: vec!["src/limit.rs".to_owned()],
            standing,
            by: if number == 2 { Origin::Person } else { Origin::Team },
        })
        .collect()
}

fn handoff() -> Handoff {
    Handoff {
        goal: "Keep a count for each address".to_owned(),
        summary: "`Limit::count` gives the number of tries of an address.".to_owned(),
        paths: ["src/limit.rs".to_owned()].into(),
        evidence: vec!["cargo test limit: 4 passed".to_owned()],
        open_questions: vec!["Counts are kept for ever.".to_owned()],
        notes: vec!["The clock is passed in.".to_owned()],
    }
}

/// Everything that may be around a task.
fn surround(brief: &mut Brief) {
    brief.handoffs = vec![HandoffBrief {
        task: task(1),
        handoff: handoff(),
    }];
    brief.others = vec![TaskLine {
        task: task(4),
        title: "Say on the page how long to wait".to_owned(),
        touches: vec!["web/**".to_owned()],
        standing: Standing::AtWork,
        by: Origin::Team,
    }];
    brief.remarks = vec![RemarkBrief {
        id: RemarkId(1),
        finding: finding(),
        commit: None,
    }];
    brief.answers = vec![AnswerBrief {
        question: "Are tries with the right password counted too?".to_owned(),
        answer: "No.".to_owned(),
    }];
    brief.lessons = vec![LessonDraft {
        text: "Times in tests come from `FakeClock`; sleeping makes them flaky.".to_owned(),
        paths: vec!["tests/**".to_owned()],
        evidence: "the review of 3.1".to_owned(),
    }];
}

fn test(rule: NewTestsRule, proof: Option<Proof>) -> Option<Ask> {
    Some(Ask::Test {
        commit: commit('c')?,
        base: commit('b')?,
        proof: proof?,
        test_paths: vec!["tests/**".to_owned()],
        rule,
    })
}

fn compare() -> Option<Ask> {
    let candidate = |number, digit, proof| {
        Some(CandidateBrief {
            task: task(number),
            commit: commit(digit)?,
            proof,
            paths: ["src/limit.rs".to_owned(), "tests/limit.rs".to_owned()].into(),
        })
    };
    Some(Ask::Compare {
        base: commit('b')?,
        candidates: vec![
            candidate(2, 'c', proof()?)?,
            CandidateBrief {
                paths: BTreeSet::new(),
                ..candidate(3, 'd', Proof::NoChecks)?
            },
        ],
    })
}

fn task(number: u16) -> TaskId {
    TaskId {
        issue: IssueId(7),
        number,
    }
}

fn actor(persona: &str) -> Option<Actor> {
    Some(Actor {
        persona: persona.parse().ok()?,
        agent: "codex".parse().ok()?,
        attempt: AttemptId(12),
    })
}

fn failing() -> Vec<CheckResult> {
    results().into_iter().flatten().collect()
}

fn write(because: Because) -> Ask {
    let checks = vec!["cargo clippy -- -D warnings".to_owned(), "cargo test".to_owned()];
    Ask::Write { because, checks }
}

fn sent_back() -> Option<Ask> {
    let by = actor("reviewer")?;
    let findings = vec![finding()];
    Some(write(Because::Findings { by, findings }))
}

fn conflict() -> Option<Ask> {
    let hunks = vec![ConflictHunk {
        file: "src/limit.rs".to_owned(),
        text: "<<<<<<< landed\nlet most = 10;\n=======\nlet most = 5;\n>>>>>>> yours".to_owned(),
    }];
    let commit = commit('c')?;
    let beside = beside()?;
    Some(write(Because::Conflict {
        commit,
        hunks,
        beside,
    }))
}

fn beside() -> Option<Vec<Neighbour>> {
    Some(vec![Neighbour {
        task: "1.1".parse().ok()?,
        goal: "Raise the limit".to_owned(),
        summary: "The limit is 10 now.".to_owned(),
    }])
}

fn review(earlier: Vec<Finding>, protected: BTreeSet<String>) -> Option<Ask> {
    Some(Ask::Review {
        commit: commit('c')?,
        base: commit('b')?,
        proof: proof()?,
        earlier,
        protected,
        guards: Vec::new(),
    })
}

fn guarded_review() -> Option<Ask> {
    let mut ask = review(Vec::new(), ["Cargo.lock".to_owned()].into())?;
    if let Ask::Review { guards, .. } = &mut ask {
        *guards = vec![guarded(GuardKind::Lockfiles), guarded(GuardKind::Ci)];
    }
    Some(ask)
}

fn guarded(kind: GuardKind) -> Guarded {
    let (file, line, what) = match kind {
        GuardKind::Secrets => ("src/limit.rs", 12, "a Stripe key, beginning with `sk_l`"),
        GuardKind::Lockfiles => ("Cargo.lock", 0, "the versions of dependencies: it is changed"),
        GuardKind::Paths
        | GuardKind::Ci
        | GuardKind::Hooks
        | GuardKind::CheckSettings
        | GuardKind::Licence
        | GuardKind::AgentFiles
        | GuardKind::Tests
        | GuardKind::Binaries
        | GuardKind::BigFiles
        | GuardKind::Links
        | GuardKind::Submodules
        | GuardKind::Executables
        | GuardKind::HiddenText
        | GuardKind::Unseen => (".github/workflows/ci.yml", 0, "what CI runs: it is changed"),
    };
    Guarded {
        kind,
        file: file.to_owned(),
        line,
        what: what.to_owned(),
    }
}

/// Every check passed.
fn proof() -> Option<Proof> {
    let mut results = failing();
    for result in &mut results {
        result.verdict = CheckVerdict::Pass;
    }
    Some(Proof::Checked(CheckReport {
        commit: commit('c')?,
        tree: "d".repeat(40).parse().ok()?,
        results,
    }))
}

fn unchecked() -> Option<Ask> {
    Some(Ask::Review {
        commit: commit('c')?,
        base: commit('b')?,
        proof: Proof::NoChecks,
        earlier: Vec::new(),
        protected: BTreeSet::new(),
        guards: Vec::new(),
    })
}

fn commit(digit: char) -> Option<CommitId> {
    digit.to_string().repeat(40).parse().ok()
}

fn results() -> [Option<CheckResult>; 2] {
    let result = |name: &str, verdict| {
        Some(CheckResult {
            command: String::new(),
            within: turno_core::container::Within::Sandbox,
            check: name.parse().ok()?,
            verdict,
            took: Span::seconds(12),
            log: LogRef {
                path: format!("attempts/9/{name}.log"),
                bytes: 812,
            },
            source: turno_core::check::Source::Run,
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
            id: task(2),
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
        handoffs: Vec::new(),
        others: Vec::new(),
        answers: Vec::new(),
        remarks: Vec::new(),
        lessons: Vec::new(),
    }
}
