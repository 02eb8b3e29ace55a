//! An issue's branch keeps up with the user's branch that it began on: when it is brought along, what waits meanwhile,
//! and what each end leads to.

use turno_core::command::{Command, FollowStart};
use turno_core::event::{Discard, Event, FollowEnd, LandingEnd, LostAttempt, StopHow};
use turno_core::failure::{Cause, Failure};
use turno_core::following::{CannotFollow, FollowHow, Following, Keeping, Target};
use turno_core::ids::{AttemptId, CommitId, IssueId, ShiftId, TaskId};
use turno_core::issue::{Issue, IssueDraft, IssueStage};
use turno_core::next_deadline;
use turno_core::policy::FollowRule;
use turno_core::promotion::Fork;
use turno_core::report::{Report, report};
use turno_core::shift::{IssueAtStart, Scope, ShiftEnd};
use turno_core::step::{Waiting, waiting};
use turno_core::task::StopWhy;
use turno_core::view::{self, StageName};

use crate::world::{World, checks_red, commit, wrote};

const ISSUE: IssueId = IssueId(1);
const TASK: TaskId = TaskId {
    issue: ISSUE,
    number: 1,
};

/// A world whose issues begin on `main` at commit 9.
fn begun(issues: u32) -> World {
    begun_with(issues, FollowRule::Merge)
}

fn begun_with(issues: u32, follow: FollowRule) -> World {
    let mut world = World::with(|config| config.policy.landing.follow = follow);
    file(&mut world, issues);
    start(&mut world);
    world
}

fn file(world: &mut World, issues: u32) {
    for n in 0..issues {
        let draft = IssueDraft {
            title: format!("issue {n}"),
            ..IssueDraft::default()
        };
        world.take(Event::IssueAdded { draft });
    }
}

fn start(world: &mut World) -> Vec<Command> {
    let at_start = |issue: &IssueId| IssueAtStart {
        issue: *issue,
        base: commit("9"),
        target: Target::Branch("main".to_owned()),
    };
    let issues = world.state.issues.keys().map(at_start).collect();
    let budget = world.budget;
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues,
        budget,
        scope: Scope::Listed,
    })
}

fn moved(world: &mut World, issue: IssueId, digit: &str) -> Vec<Command> {
    let tip = commit(digit);
    world.take(Event::TargetMoved { issue, tip })
}

fn issue(world: &World) -> &Issue {
    &world.state.issues[&ISSUE]
}

fn keeping(world: &World) -> &Keeping {
    match &issue(world).following {
        Following::Branch { keeping, .. } => keeping,
        Following::Nothing => panic!("it follows nothing"),
    }
}

fn head(world: &World) -> CommitId {
    issue(world).integration().unwrap().1.clone()
}

fn follows(commands: &[Command]) -> Option<&FollowStart> {
    commands.iter().find_map(|c| match c {
        Command::Follow(start) => Some(&**start),
        _ => None,
    })
}

fn follower(world: &World) -> AttemptId {
    world
        .state
        .following()
        .expect("nothing is brought along")
        .following
        .run()
        .unwrap()
        .attempt
}

fn end(world: &mut World, end: FollowEnd) -> Vec<Command> {
    let attempt = follower(world);
    world.take(Event::FollowEnded { attempt, end })
}

fn lands(world: &mut World, task: TaskId, as_commit: &str) -> Vec<Command> {
    world.bring_to_landing(task, "5");
    assert_eq!(world.stage(task), StageName::Landing);
    let commit = commit(as_commit);
    world.end_landing(LandingEnd::Landed { commit })
}

/// The same, while the target of the issue moves.
fn lands_meanwhile(world: &mut World, task: TaskId, as_commit: &str, tip: &str) -> Vec<Command> {
    world.bring_to_landing(task, "5");
    let meanwhile = moved(world, task.issue, tip);
    assert!(
        follows(&meanwhile).is_none(),
        "one thing at a time is landed or followed"
    );
    let commit = commit(as_commit);
    world.end_landing(LandingEnd::Landed { commit })
}

/// An issue whose one task has landed, while its target moved to commit 7: it is brought along before its review.
fn at_the_last_moment() -> (World, Vec<Command>) {
    let mut world = begun(1);
    let commands = lands_meanwhile(&mut world, TASK, "a", "7");
    (world, commands)
}

#[test]
fn before_its_review_a_branch_is_brought_along() {
    let (mut world, commands) = at_the_last_moment();
    let start = follows(&commands).expect("it is brought along");
    assert_eq!(start.onto, commit("7"));
    assert_eq!(
        (&start.base, &start.head, &start.since),
        (&commit("9"), &commit("a"), &Some(commit("9")))
    );
    assert_eq!((start.how, start.branch.as_str()), (FollowHow::Merge, "main"));
    assert_eq!(start.checks.len(), 1);
    assert_eq!(world.ended(), None, "the shift waits for it");
    assert!(matches!(issue(&world).stage, IssueStage::Working { .. }));
    let seen = view::status(&world.state);
    assert_eq!(seen.running[0].stage, StageName::Following);

    end(&mut world, FollowEnd::Followed { head: commit("b") });
    let stage = IssueStage::Review {
        base: commit("7"),
        head: commit("b"),
    };
    assert_eq!(issue(&world).stage, stage);
    assert_eq!(*keeping(&world), Keeping::Level);
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn it_is_brought_along_as_soon_as_nobody_is_at_its_head() {
    let mut world = begun(1);
    let commands = moved(&mut world, ISSUE, "7");
    assert!(follows(&commands).is_none(), "a writer is at its head");
    let commands = world.end_writer(wrote("5"));
    assert!(follows(&commands).is_some());
    assert_eq!(
        world.stage(TASK),
        StageName::Checking,
        "which holds no check back"
    );
    // A green and approved change waits for the place of landings.
    world.bring_on(TASK, "5");
    let why = waiting(&world.state, &world.task(TASK));
    assert_eq!(why, Some(Waiting::Following(ISSUE)));
    end(&mut world, FollowEnd::Followed { head: commit("7") });
    assert_eq!(world.stage(TASK), StageName::Landing);
}

#[test]
fn a_branch_whose_target_stays_is_not_brought_along() {
    let mut world = begun(1);
    let commands = lands(&mut world, TASK, "a");
    assert!(follows(&commands).is_none());
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn what_begins_at_the_head_waits_and_begins_on_the_new_one() {
    let mut world = World::with(|config| config.slots = 1);
    file(&mut world, 2);
    start(&mut world);
    // The second issue has no slot yet, so nobody is at its head.
    let second = IssueId(2);
    let commands = moved(&mut world, second, "7");
    assert_eq!(follows(&commands).map(|s| s.issue), Some(second));
    world.bring_to_landing(TASK, "5");
    let landing = TaskId {
        issue: second,
        number: 1,
    };
    let why = |world: &World, task| waiting(&world.state, &world.task(task));
    assert_eq!(why(&world, TASK), Some(Waiting::Following(second)));
    assert_eq!(why(&world, landing), Some(Waiting::Following(second)));
    let commands = end(&mut world, FollowEnd::Followed { head: commit("7") });
    let from = commands.iter().find_map(|c| match c {
        Command::StartAgent(start) if start.task == landing => Some(start.from.clone()),
        _ => None,
    });
    assert_eq!(from, Some(commit("7")));
    assert_eq!(world.stage(TASK), StageName::Landing);
}

#[test]
fn a_conflict_is_an_alarm_that_stops_nothing_and_is_not_met_again() {
    let (mut world, _) = at_the_last_moment();
    let files = vec!["src/lib.rs".to_owned()];
    let commands = end(
        &mut world,
        FollowEnd::Conflict {
            files: files.clone(),
            head: commit("a"),
        },
    );
    assert!(follows(&commands).is_none());
    let (branch, alarm) = issue(&world).following.alarm().unwrap();
    assert_eq!(
        (branch, &alarm.tip, &alarm.head),
        ("main", &commit("7"), &commit("a"))
    );
    assert_eq!(alarm.why, CannotFollow::Conflict { files });
    let phrase = issue(&world).following.alarm_phrase().unwrap();
    assert!(phrase.contains("conflict in src/lib.rs"), "{phrase}");
    assert!(matches!(issue(&world).stage, IssueStage::Review { .. }));
    assert_eq!(head(&world), commit("a"));
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn it_is_tried_again_when_one_of_the_two_has_moved() {
    let mut world = World::with(|config| config.slots = 1);
    file(&mut world, 2);
    start(&mut world);
    let second = IssueId(2);
    moved(&mut world, second, "7");
    let files = vec!["a".to_owned()];
    let commands = end(
        &mut world,
        FollowEnd::Conflict {
            files,
            head: commit("9"),
        },
    );
    assert!(follows(&commands).is_none());
    assert!(
        follows(&world.take(Event::TimePassed)).is_none(),
        "neither has moved"
    );
    let commands = moved(&mut world, second, "8");
    assert_eq!(follows(&commands).map(|s| s.onto.clone()), Some(commit("8")));
}

#[test]
fn red_is_an_alarm_that_names_the_check() {
    let (mut world, _) = at_the_last_moment();
    let report = checks_red("broken");
    let head = commit("a");
    end(&mut world, FollowEnd::NotGreen { report, head });
    let phrase = issue(&world).following.alarm_phrase().unwrap();
    assert!(phrase.contains("test is red with both together"), "{phrase}");
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn a_rewritten_target_is_an_alarm() {
    let (mut world, _) = at_the_last_moment();
    let (lost, head) = (commit("9"), commit("a"));
    end(&mut world, FollowEnd::Rewritten { lost, head });
    let phrase = issue(&world).following.alarm_phrase().unwrap();
    assert!(phrase.contains("was rewritten"), "{phrase}");
}

#[test]
fn a_race_is_tried_again_on_the_head_that_was_found() {
    let (mut world, _) = at_the_last_moment();
    let commands = end(&mut world, FollowEnd::Raced { head: commit("c") });
    assert_eq!(follows(&commands).map(|s| s.head.clone()), Some(commit("c")));
}

#[test]
fn a_target_that_moves_on_meanwhile_is_followed_once_more() {
    let (mut world, _) = at_the_last_moment();
    assert!(follows(&moved(&mut world, ISSUE, "8")).is_none(), "one at a time");
    let commands = end(&mut world, FollowEnd::Followed { head: commit("b") });
    let start = follows(&commands).unwrap();
    assert_eq!((&start.onto, &start.base), (&commit("8"), &commit("7")));
}

#[test]
fn a_rule_says_how_and_whether() {
    let mut world = begun_with(1, FollowRule::Off);
    assert!(follows(&lands_meanwhile(&mut world, TASK, "a", "7")).is_none());
    assert_eq!(world.ended(), Some(ShiftEnd::Done));

    let mut world = begun_with(1, FollowRule::Rebase);
    let commands = lands_meanwhile(&mut world, TASK, "a", "7");
    assert_eq!(follows(&commands).unwrap().how, FollowHow::Rebase);
}

#[test]
fn an_issue_that_stands_on_others_is_merged_whatever_the_rule() {
    let mut world = World::with(|config| config.policy.landing.follow = FollowRule::Rebase);
    file(&mut world, 1);
    let draft = IssueDraft {
        title: "on the first".to_owned(),
        needs: [ISSUE].into(),
        ..IssueDraft::default()
    };
    world.take(Event::IssueAdded { draft });
    start(&mut world);
    let second = IssueId(2);
    lands(&mut world, TASK, "a");
    world.take(Event::IssueOpened {
        issue: second,
        base: commit("a"),
        target: Target::Branch("main".to_owned()),
    });
    let task = TaskId {
        issue: second,
        number: 1,
    };
    let commands = lands_meanwhile(&mut world, task, "b", "7");
    let start = follows(&commands).unwrap();
    assert_eq!((start.how, &start.since), (FollowHow::Merge, &None));
    end(&mut world, FollowEnd::Followed { head: commit("c") });
    let base = world.state.issues[&second].integration().unwrap().0.clone();
    assert_eq!(base, commit("a"), "what it stands on is still not its own");
}

#[test]
fn nothing_is_followed_that_is_counted_from_a_promotion_taken_back() {
    let mut world = begun(1);
    moved(&mut world, ISSUE, "7");
    let issue = world.state.issues.get_mut(&ISSUE).unwrap();
    std::sync::Arc::make_mut(issue).fork = Fork::At(commit("9"));
    assert!(follows(&lands(&mut world, TASK, "a")).is_none());
}

#[test]
fn an_issue_of_an_older_record_follows_nothing() {
    let mut world = World::new();
    world.start_shift(1);
    assert_eq!(issue(&world).following, Following::Nothing);
    moved(&mut world, ISSUE, "7");
    assert!(follows(&lands(&mut world, TASK, "a")).is_none());
    let text = serde_json::to_value(issue(&world)).unwrap();
    let mut old = text;
    old.as_object_mut().unwrap().remove("following");
    let read: Issue = serde_json::from_value(old).unwrap();
    assert_eq!(read, *issue(&world));
}

#[test]
fn a_failure_is_an_alarm_until_a_shift_takes_the_issue_up_again() {
    let mut world = begun(1);
    moved(&mut world, ISSUE, "7");
    world.end_writer(wrote("5"));
    let attempt = follower(&world);
    let failure = Failure::new(Cause::Workspace, "turno/1/base is checked out");
    let commands = world.take(Event::AttemptFailed { attempt, failure });
    assert!(follows(&commands).is_none());
    let phrase = issue(&world).following.alarm_phrase().unwrap();
    assert!(phrase.contains("is checked out"), "{phrase}");
    world.take(Event::StopAsked { how: StopHow::Now });
    let attempt = world.task(TASK).run().unwrap().attempt;
    let failure = Failure::new(Cause::Stopped, "killed");
    world.take(Event::AttemptFailed { attempt, failure });
    assert!(world.ended().is_some());
    assert!(
        issue(&world).following.alarm().is_some(),
        "it is told between shifts too"
    );
    assert!(follows(&start(&mut world)).is_some());
}

#[test]
fn it_is_stopped_at_its_deadline() {
    let (mut world, _) = at_the_last_moment();
    let attempt = follower(&world);
    let deadline = next_deadline(&world.state).unwrap();
    world.now = deadline;
    let commands = world.take(Event::TimePassed);
    let why = StopWhy::WallClock;
    assert!(commands.contains(&Command::StopAttempt { attempt, why }));
    assert!(next_deadline(&world.state).is_none_or(|d| d > world.now));
    let failure = Failure::new(Cause::Stopped, "killed");
    world.take(Event::AttemptFailed { attempt, failure });
    assert!(issue(&world).following.alarm().is_some());
    assert_eq!(world.ended(), Some(ShiftEnd::Done));
}

#[test]
fn a_stop_ends_it_and_leaves_no_alarm() {
    let (mut world, _) = at_the_last_moment();
    let attempt = follower(&world);
    let commands = world.take(Event::StopAsked { how: StopHow::Now });
    let why = StopWhy::Asked;
    assert!(commands.contains(&Command::StopAttempt { attempt, why }));
    assert_eq!(world.ended(), None, "it has not ended yet");
    let failure = Failure::new(Cause::Stopped, "killed");
    world.take(Event::AttemptFailed { attempt, failure });
    assert_eq!(*keeping(&world), Keeping::Behind);
    assert!(world.ended().is_some());
}

#[test]
fn a_drain_lets_it_come_to_its_end() {
    let (mut world, _) = at_the_last_moment();
    let commands = world.take(Event::StopAsked { how: StopHow::Drain });
    assert!(commands.is_empty());
    end(&mut world, FollowEnd::Followed { head: commit("b") });
    assert_eq!(head(&world), commit("b"));
}

#[test]
fn a_discard_ends_it_and_what_it_answers_changes_nothing() {
    let (mut world, _) = at_the_last_moment();
    let attempt = follower(&world);
    let what = Discard::Issue(ISSUE);
    let commands = world.take(Event::Discarded { what });
    let why = StopWhy::Discarded;
    assert!(commands.contains(&Command::StopAttempt { attempt, why }));
    assert!(matches!(issue(&world).stage, IssueStage::Closed { .. }));
    assert_eq!(world.ended(), None);
    end(&mut world, FollowEnd::Followed { head: commit("b") });
    assert!(matches!(issue(&world).stage, IssueStage::Closed { .. }));
    assert_eq!(world.state.following(), None);
    assert!(world.ended().is_some());
}

#[test]
fn a_coordinator_that_died_during_it_begins_it_again() {
    let (mut world, _) = at_the_last_moment();
    let before = follower(&world);
    let lost = vec![LostAttempt {
        attempt: before,
        spend: turno_core::units::Spend::NOTHING,
        left: turno_core::event::LeftBehind::Nothing,
        worked: None,
    }];
    let adopted = [].into();
    let commands = world.take(Event::Restarted { lost, adopted });
    assert!(follows(&commands).is_some());
    assert_ne!(follower(&world), before);
    // What the dead one might still say is stale.
    let end = FollowEnd::Followed { head: commit("d") };
    let attempt = before;
    world.take(Event::FollowEnded { attempt, end });
    assert_eq!(head(&world), commit("a"));
}

#[test]
fn an_issue_that_is_promoted_meanwhile_is_left_alone() {
    let (mut world, _) = at_the_last_moment();
    let attempt = follower(&world);
    let commands = world.take(Event::Promoted {
        issue: ISSUE,
        onto: "main".to_owned(),
        commit: commit("f"),
        put: turno_core::promotion::Put::Nothing,
    });
    let why = StopWhy::Asked;
    assert!(commands.contains(&Command::StopAttempt { attempt, why }));
    let failure = Failure::new(Cause::Stopped, "killed");
    world.take(Event::AttemptFailed { attempt, failure });
    assert!(issue(&world).following.alarm().is_none());
    assert!(world.ended().is_some());
}

#[test]
fn a_shift_that_takes_an_issue_up_again_brings_it_along_first() {
    let mut world = begun(1);
    let (end, left) = wrote("5");
    world.take(Event::StopAsked { how: StopHow::Now });
    world.end_attempt(world.last_attempt(), end, left);
    assert!(world.ended().is_some());
    // Between two shifts nothing is brought along; what was seen is not forgotten.
    assert!(follows(&moved(&mut world, ISSUE, "7")).is_none());
    let commands = start(&mut world);
    assert_eq!(follows(&commands).map(|s| s.onto.clone()), Some(commit("7")));
}

#[test]
fn an_issue_whose_need_was_discarded_begins_without_it() {
    let mut world = begun(1);
    let mut draft = IssueDraft {
        title: "on the first".to_owned(),
        needs: [ISSUE].into(),
        ..IssueDraft::default()
    };
    world.take(Event::IssueAdded { draft: draft.clone() });
    let opens = |commands: &[Command]| {
        commands.iter().find_map(|c| match c {
            Command::OpenIssue { on, .. } => Some(on.clone()),
            _ => None,
        })
    };
    let first = world.take(Event::Discarded {
        what: Discard::Issue(ISSUE),
    });
    assert_eq!(opens(&first), None);
    world.end_writer(wrote("5"));
    assert!(world.ended().is_some());
    draft.needs.clear();
    let second = IssueId(2);
    world.take(Event::IssueEdited { issue: second, draft });
    // It begins where the user's branch is, on nothing of the first.
    let budget = world.budget;
    world.take(Event::ShiftStarted {
        mode: "feature-dev".parse().unwrap(),
        issues: vec![IssueAtStart {
            issue: second,
            base: commit("7"),
            target: Target::Branch("main".to_owned()),
        }],
        budget,
        scope: Scope::Listed,
    });
    let stage = IssueStage::Working {
        base: commit("7"),
        head: commit("7"),
    };
    assert_eq!(world.state.issues[&second].stage, stage);
}

#[test]
fn a_report_tells_the_alarm_and_counts_what_the_checks_showed() {
    let (mut world, _) = at_the_last_moment();
    let before = report(&world.journal, ShiftId(1)).unwrap();
    assert_eq!(before.issues[0].alarm, None);
    let runs = |r: &Report| r.checks.iter().map(|c| (c.runs, c.red)).collect::<Vec<_>>();
    let [(ran, red)] = runs(&before)[..] else {
        panic!("{:?}", before.checks)
    };
    let checks = checks_red("broken");
    let head = commit("a");
    end(&mut world, FollowEnd::NotGreen { report: checks, head });
    let after = report(&world.journal, ShiftId(1)).unwrap();
    assert_eq!(runs(&after), [(ran + 1, red + 1)]);
    let alarm = after.issues[0].alarm.as_ref().unwrap();
    assert_eq!((alarm.branch.as_str(), &alarm.head), ("main", &commit("a")));
    assert!(alarm.why.contains("test is red with both together"), "{alarm:?}");
}
