//! What was found about a change: back to its writer, to a reviewer who must name it, to a person who must let it land.

use rstest::rstest;
use turno_core::brief::Ask;
use turno_core::command::Command;
use turno_core::decision::{AnsweredBy, Asker, DecisionStage};
use turno_core::event::{AgentEnd, Event, LandingEnd, LeftBehind};
use turno_core::failure::Cause;
use turno_core::guard::{self, GuardKind, GuardRule, Guarded, GuardedBy, GuardedChange, History};
use turno_core::ids::DecisionId;
use turno_core::outcome::{Outcome, Verdict};
use turno_core::persona::Role;
use turno_core::policy::{DecisionRule, Nobody, Policy, ReviewRule, TestRule};
use turno_core::shift::ShiftEnd;
use turno_core::task::{Because, Park, Stage, Work};
use turno_core::units::Span;
use turno_core::view::StageName;

use crate::team::{changed, failing, id, leaving, sha, starts};
use crate::world::{World, approve};

const FIRST: DecisionId = DecisionId(1);

fn guarded(kind: GuardKind, file: &str) -> Guarded {
    Guarded {
        kind,
        file: file.to_owned(),
        line: 3,
        what: "it is there".to_owned(),
    }
}

fn guarding(n: u64, paths: &[&str], found: &[Guarded]) -> LeftBehind {
    let mut left = leaving(n, paths);
    if let LeftBehind::Commit { guards, .. } = &mut left {
        *guards = found.to_vec();
    }
    left
}

fn approves(named: &[&str]) -> AgentEnd {
    AgentEnd::Finished(Outcome::Verdict {
        verdict: Verdict::Approve { notes: vec![] },
        read: vec![],
        protected: named.iter().map(|n| (*n).to_owned()).collect(),
        proposals: vec![],
        lessons: vec![],
    })
}

/// 1.1 has delivered a change about which that was found; another issue keeps the shift going.
fn written(review: ReviewRule, found: &[Guarded]) -> (World, Vec<Command>) {
    let mut world = World::team(|config| config.policy.review = review);
    world.start_shift(2);
    let commands = world.end(id("1.1"), changed(), guarding(7, &["src/lib.rs"], found));
    (world, commands)
}

/// The same, approved by everybody but a person.
fn asked(review: ReviewRule) -> World {
    let (mut world, _) = written(review, &[guarded(GuardKind::Ci, ".gitlab-ci.yml")]);
    world.green(id("1.1"));
    if review == ReviewRule::Required {
        world.says(id("1.1"), approve());
    }
    world
}

fn answers(world: &mut World, decision: DecisionId, answer: &str) -> Vec<Command> {
    world.take(Event::DecisionAnswered {
        decision,
        answer: answer.to_owned(),
    })
}

#[track_caller]
fn waits_for(world: &World, decision: DecisionId) {
    let stage = world.task(id("1.1")).stage;
    let waits =
        matches!(&stage, Stage::Parked { work: Work::Land(_), park: Park::Decision(on) } if *on == decision);
    assert!(waits, "{stage:?}");
}

#[test]
fn what_is_refused_goes_back_with_the_evidence_and_comes_again_without_its_history() {
    let secret = guarded(GuardKind::Secrets, "src/key.rs");
    let lock = guarded(GuardKind::Lockfiles, "Cargo.lock");
    let (mut world, commands) = written(ReviewRule::Required, &[lock, secret.clone()]);
    assert_eq!(world.stage(id("1.1")), StageName::Writing);
    assert_eq!(world.task(id("1.1")).tries.get(&Cause::OutOfBounds), Some(&1));
    let start = starts(&commands)[0];
    let Ask::Write { because, .. } = &start.brief.ask else {
        panic!("{:?}", start.brief.ask)
    };
    let expected = Because::Guarded {
        found: vec![secret],
        by: GuardedBy::Policy,
        change: GuardedChange::Written,
    };
    assert_eq!(*because, expected, "what is merely to be approved is not in it");
    let survey = start.survey.as_ref().unwrap();
    assert_eq!((survey.history, &start.from), (History::Afresh, &sha(7)));
    assert_ne!(survey.base, start.from);
    // The same reason holds until a change is delivered.
    let failure = turno_core::failure::Failure::new(Cause::Lost, "gone");
    let commands = world.end(id("1.1"), AgentEnd::Failed(failure), leaving(8, &["src/key.rs"]));
    assert_eq!(
        starts(&commands)[0].survey.as_ref().unwrap().history,
        History::Afresh
    );
    world.writes(id("1.1"), &["src/key.rs"]);
    assert_eq!(world.stage(id("1.1")), StageName::Checking);
    let commands = world.checks(id("1.1"), &failing());
    assert_eq!(
        starts(&commands)[0].survey.as_ref().unwrap().history,
        History::Kept,
        "it is clean now"
    );
}

#[test]
fn what_is_refused_again_and_again_waits_for_a_person() {
    let (mut world, _) = written(ReviewRule::Required, &[guarded(GuardKind::Links, "out")]);
    for n in 8..11 {
        world.end(
            id("1.1"),
            changed(),
            guarding(n, &["out"], &[guarded(GuardKind::Links, "out")]),
        );
    }
    let stage = world.task(id("1.1")).stage;
    assert!(
        matches!(&stage, Stage::Parked { park: Park::OutOfTries { failure }, .. } if failure.cause == Cause::OutOfBounds),
        "{stage:?}"
    );
}

#[rstest]
#[case::unnamed(&[], StageName::Writing)]
#[case::another(&["src/lib.rs"], StageName::Writing)]
#[case::named(&["Cargo.lock"], StageName::Landing)]
fn what_needs_a_reviewer_is_told_and_must_be_named(
    #[case] named: &[&str],
    #[case] next: StageName,
    #[values(ReviewRule::Off, ReviewRule::Required)] review: ReviewRule,
) {
    let lock = guarded(GuardKind::Lockfiles, "Cargo.lock");
    let (mut world, _) = written(review, std::slice::from_ref(&lock));
    let commands = world.green(id("1.1"));
    let Ask::Review {
        protected, guards, ..
    } = &starts(&commands)[0].brief.ask
    else {
        panic!("review is forced")
    };
    assert_eq!(
        (protected.iter().map(String::as_str).collect::<Vec<_>>(), guards),
        (vec!["Cargo.lock"], &vec![lock])
    );
    world.says(id("1.1"), approves(named));
    assert_eq!(world.stage(id("1.1")), next);
    if next == StageName::Writing {
        let Work::Write(job) = world.work(id("1.1")) else {
            panic!()
        };
        let Because::Findings { findings, .. } = job.because else {
            panic!("{:?}", job.because)
        };
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("Cargo.lock", 3));
        assert!(findings[0].what.contains("it is there"), "{findings:?}");
    }
}

#[test]
fn what_needs_a_person_lands_after_the_answer_only() {
    for review in [ReviewRule::Required, ReviewRule::Off] {
        let mut world = asked(review);
        waits_for(&world, FIRST);
        let decision = world.state.decisions[&FIRST].clone();
        assert!(matches!(&decision.asker, Asker::Guard { commit, .. } if *commit == sha(7)));
        assert!(decision.question.question.contains(".gitlab-ci.yml:3"));
        let labels: Vec<&str> = decision
            .question
            .options
            .iter()
            .map(|o| o.label.as_str())
            .collect();
        assert_eq!(labels, ["let it land", "send it back"]);
        answers(&mut world, FIRST, "Let it land ");
        assert_eq!(world.stage(id("1.1")), StageName::Landing);
        world.lands(id("1.1"));
        assert_eq!(world.stage(id("1.1")), StageName::Landed);
    }
}

#[rstest]
#[case("send it back")]
#[case("no, CI stays as it is")]
#[case("let it land?")]
fn any_other_answer_gives_it_back_in_the_persons_words(#[case] answer: &str) {
    let mut world = asked(ReviewRule::Required);
    answers(&mut world, FIRST, answer);
    let Stage::Writing { job, .. } = world.task(id("1.1")).stage else {
        panic!("{:?}", world.task(id("1.1")).stage)
    };
    let by_person = matches!(
        &job.because,
        Because::Guarded { by: GuardedBy::Person { answer: said }, found, .. } if said == answer && found.len() == 1
    );
    assert!(by_person, "{job:?}");
}

#[test]
fn a_persons_word_is_for_one_commit() {
    let mut world = asked(ReviewRule::Off);
    answers(&mut world, FIRST, "let it land");
    world.end_landing(LandingEnd::Raced { head: sha(0x99) });
    assert_eq!(
        world.stage(id("1.1")),
        StageName::Landing,
        "the same commit is not asked about twice"
    );
    world.end_landing(LandingEnd::Conflict {
        hunks: vec![],
        head: sha(0x9a),
    });
    world.end(
        id("1.1"),
        changed(),
        guarding(9, &["src/lib.rs"], &[guarded(GuardKind::Ci, ".gitlab-ci.yml")]),
    );
    world.green(id("1.1"));
    waits_for(&world, DecisionId(2));
}

#[test]
fn a_question_about_a_change_outlives_the_shift_and_no_policy_answers_it() {
    let mut world = World::team(|config| {
        config.policy.decisions = DecisionRule {
            nobody: Nobody::Recommended,
            deadline: Span::seconds(1),
        };
    });
    world.start_shift(1);
    let found = [guarded(GuardKind::Submodules, "dep")];
    world.end(id("1.1"), changed(), guarding(7, &["dep"], &found));
    world.green(id("1.1"));
    world.says(id("1.1"), approve());
    assert_eq!(world.ended(), Some(ShiftEnd::NeedsPerson));
    world.now = world.now + Span::seconds(3600);
    world.take(Event::TimePassed);
    world.run_again();
    waits_for(&world, FIRST);
    assert!(world.state.decisions[&FIRST].is_open());
    answers(&mut world, FIRST, "let it land");
    let by = matches!(
        world.state.decisions[&FIRST].stage,
        DecisionStage::Answered {
            by: AnsweredBy::Person,
            ..
        }
    );
    assert!(by);
    world.run_again();
    assert_eq!(
        world.stage(id("1.1")),
        StageName::Landing,
        "it is not asked again"
    );
}

/// Rules may become harder while a change waits to be landed.
#[test]
fn what_lands_is_held_against_the_policy_of_then() {
    let mut world = World::team(|config| {
        config.policy.guards = [(GuardKind::Licence, GuardRule::Allow)].into();
    });
    world.start_shift(2);
    let found = [guarded(GuardKind::Licence, "LICENSE")];
    for (n, task) in ["1.1", "2.1"].into_iter().enumerate() {
        world.end(id(task), changed(), guarding(7 + n as u64, &["LICENSE"], &found));
        world.green(id(task));
        world.says(id(task), approve());
    }
    assert_eq!(world.stage(id("2.1")), StageName::Ready, "one lands at a time");
    let mut config = (**world.state.config.as_ref().unwrap()).clone();
    config.policy.guards = [(GuardKind::Licence, GuardRule::Refuse)].into();
    world.take(Event::ConfigLoaded {
        config: Box::new(config),
    });
    assert_eq!(world.stage(id("1.1")), StageName::Landing, "what runs, runs");
    assert_eq!(world.stage(id("2.1")), StageName::Writing);
}

#[test]
fn a_tester_is_held_to_it_too() {
    let mut world = World::team(|config| config.policy.tests = TestRule::EachChange);
    world.start_shift(1);
    world.writes(id("1.1"), &["src/lib.rs"]);
    world.green(id("1.1"));
    let secret = [guarded(GuardKind::Secrets, "tests/a.rs")];
    world.end(id("1.1"), approve(), guarding(8, &["tests/a.rs"], &secret));
    assert_eq!(
        world.stage(id("1.1")),
        StageName::Testing,
        "without what it wrote"
    );
    assert_eq!(world.task(id("1.1")).tries.get(&Cause::OutOfBounds), Some(&1));
    // What it adds in the second round is found as part of the whole.
    let lock = [guarded(GuardKind::Binaries, "tests/a.bin")];
    world.end(id("1.1"), approve(), guarding(9, &["tests/a.bin"], &lock));
    world.green(id("1.1"));
    world.says(id("1.1"), approve());
    assert_eq!(world.stage(id("1.1")), StageName::Writing, "nobody named it");
}

#[test]
fn tests_that_come_first_go_back_to_their_tester() {
    let mut world = World::team(|config| config.policy.tests = TestRule::First);
    world.start_shift(1);
    let hidden = [guarded(GuardKind::HiddenText, "tests/a.rs")];
    let commands = world.end(id("1.1"), changed(), guarding(8, &["tests/a.rs"], &hidden));
    let start = starts(&commands)[0];
    let role = world
        .state
        .config
        .as_ref()
        .unwrap()
        .persona(&start.persona)
        .unwrap()
        .role;
    assert_eq!(role, Role::Tester);
    world.writes(id("1.1"), &["tests/a.rs"]);
    world.checks(id("1.1"), &failing());
    assert!(
        world.task(id("1.1")).frozen.is_some(),
        "they are still tests that come first"
    );
}

#[test]
fn every_kind_has_a_rule_and_what_was_not_seen_is_never_clean() {
    let mut policy = Policy::new("x".parse().unwrap());
    let of = |policy: &Policy, kind| guard::rule(policy, kind);
    assert_eq!(of(&policy, GuardKind::Secrets), GuardRule::Refuse);
    assert_eq!(of(&policy, GuardKind::Ci), GuardRule::Person);
    assert_eq!(of(&policy, GuardKind::Tests), GuardRule::Reviewer);
    policy.guards = GuardKind::ALL.map(|k| (k, GuardRule::Allow)).into();
    for kind in GuardKind::ALL {
        let expected = if kind == GuardKind::Unseen {
            GuardRule::Reviewer
        } else {
            GuardRule::Allow
        };
        assert_eq!(of(&policy, kind), expected, "{kind}");
    }
}
