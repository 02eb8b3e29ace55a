//! Promotions: an issue is done by one, in review again when it is taken back, and of no weight to others when it is
//! given up.

use turno_core::admit::{Refused, admit};
use turno_core::event::{Discard, Event, LandingEnd};
use turno_core::ids::{IssueId, TaskId};
use turno_core::issue::IssueStage;
use turno_core::promotion::{Assurance, Begun, Fork, Manner, Put, Sameness, assurance};
use turno_core::pull::{Page, Pull, PullRequest, Pushed};

use crate::world::{World, commit};

const ISSUE: IssueId = IssueId(1);

fn task() -> TaskId {
    TaskId {
        issue: ISSUE,
        number: 1,
    }
}

fn landed() -> World {
    let mut world = World::new();
    world.start_shift(1);
    world.bring_to_landing(task(), "a");
    world.end_landing(LandingEnd::Landed { commit: commit("b") });
    world
}

fn promoted(put: Put) -> Event {
    Event::Promoted {
        issue: ISSUE,
        onto: "main".to_owned(),
        commit: commit("d"),
        put,
    }
}

fn put() -> Put {
    Put::Commits {
        manner: Manner::Squash,
        before: commit("c"),
        fork: commit("9"),
        assurance: Assurance::Proven,
    }
}

fn reverted(from: &str) -> Event {
    Event::Reverted {
        issue: ISSUE,
        from: from.to_owned(),
        commit: commit("e"),
    }
}

fn stage(world: &World) -> IssueStage {
    world.state.issues[&ISSUE].stage.clone()
}

#[test]
fn what_is_taken_back_is_in_review_again_and_may_be_promoted_again() {
    let mut world = landed();
    let review = stage(&world);
    assert!(matches!(review, IssueStage::Review { .. }), "{review:?}");
    assert_eq!(
        admit(&world.state, &reverted("main")),
        Err(Refused::NotPromoted(ISSUE))
    );
    world.take(promoted(put()));
    assert!(matches!(stage(&world), IssueStage::Done { .. }));
    assert_eq!(admit(&world.state, &reverted("main")), Ok(()));
    let commands = world.take(reverted("main"));
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(stage(&world), review);
    assert_eq!(world.state.issues[&ISSUE].fork, Fork::At(commit("9")));
    assert_eq!(admit(&world.state, &promoted(put())), Ok(()));
    assert_eq!(
        admit(&world.state, &reverted("main")),
        Err(Refused::NotPromoted(ISSUE))
    );
}

#[test]
fn it_stays_done_when_it_is_taken_back_elsewhere_or_nothing_is_known_of_it() {
    let mut world = landed();
    world.take(promoted(put()));
    world.take(reverted("release"));
    assert!(matches!(stage(&world), IssueStage::Done { .. }));

    let mut world = landed();
    world.take(promoted(Put::Nothing));
    assert_eq!(
        admit(&world.state, &reverted("main")),
        Err(Refused::NothingPut(ISSUE, "main".to_owned()))
    );
    world.take(reverted("main"));
    assert!(matches!(stage(&world), IssueStage::Done { .. }));
}

#[test]
fn another_tree_is_unproven_only_where_there_are_checks() {
    let other = Sameness::Other { behind: 3 };
    let world = landed();
    assert_eq!(assurance(&world.state, ISSUE, Sameness::Same), Assurance::Proven);
    assert_eq!(
        assurance(&world.state, ISSUE, other),
        Assurance::Unproven { behind: 3 }
    );
    let unchecked = World::with(|config| config.checks.clear());
    assert_eq!(assurance(&unchecked.state, ISSUE, other), Assurance::Proven);
}

#[test]
fn an_issue_that_is_given_up_leaves_no_trace_on_another() {
    let mut world = World::new();
    world.start_shift(2);
    let other = TaskId {
        issue: IssueId(2),
        number: 1,
    };
    assert!(world.task(other).run().is_some(), "both are being worked on");
    let of_first = |world: &World| {
        let tasks: Vec<_> = world.state.tasks_of(ISSUE).cloned().collect();
        (
            world.state.issues[&ISSUE].clone(),
            tasks,
            world.state.cost_of(ISSUE),
        )
    };
    let before = of_first(&world);
    world.take(Event::Discarded {
        what: Discard::Issue(other.issue),
    });
    assert_eq!(of_first(&world), before);
}

#[test]
fn a_promotion_that_was_begun_is_known_until_it_is_done() {
    let mut world = landed();
    let begun = Begun {
        onto: "main".to_owned(),
        commit: commit("d"),
        put: put(),
    };
    let review = stage(&world);
    let event = Event::PromotionBegun {
        issue: ISSUE,
        begun: begun.clone(),
    };
    assert_eq!(admit(&world.state, &event), Ok(()));
    let commands = world.take(event.clone());
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(stage(&world), review, "nothing is promoted yet");
    assert_eq!(world.state.issues[&ISSUE].promotion, Some(begun));
    world.take(promoted(put()));
    assert_eq!(world.state.issues[&ISSUE].promotion, None);
    assert!(admit(&world.state, &event).is_err(), "it is over");
}

fn pushed(head: &str) -> Pushed {
    Pushed {
        remote: "origin".to_owned(),
        branch: "turno/1-it".to_owned(),
        base: "main".to_owned(),
        head: commit(head),
    }
}

#[test]
fn a_pull_request_is_known_from_its_begin_and_leaves_the_issue_in_review() {
    let mut world = landed();
    let review = stage(&world);
    let begun = |head| Event::PullRequestBegun {
        issue: ISSUE,
        pushed: pushed(head),
    };
    let opened = |head| PullRequest {
        pushed: pushed(head),
        page: Page::Opened {
            url: "https://forge.example/1".to_owned(),
            number: Some(1),
        },
    };
    let pull = |world: &World| world.state.issues[&ISSUE].pull.clone();
    let unbegun = World::new();
    assert!(admit(&unbegun.state, &begun("b")).is_err(), "nothing has landed");
    assert_eq!(admit(&world.state, &begun("b")), Ok(()));
    assert!(world.take(begun("b")).is_empty());
    assert_eq!(pull(&world).known(), None);
    assert_eq!(pull(&world).put("origin", "turno/1-it"), [&commit("b")]);
    assert!(
        pull(&world).put("fork", "turno/1-it").is_empty(),
        "another remote"
    );
    world.take(Event::PullRequestOpened {
        issue: ISSUE,
        request: opened("b"),
    });
    assert_eq!(pull(&world), Pull::There(opened("b")));
    // A second one that is not known to have come to anything may have moved the branch already.
    world.take(begun("d"));
    assert_eq!(pull(&world).known(), Some(&opened("b")));
    assert_eq!(
        pull(&world).put("origin", "turno/1-it"),
        [&commit("d"), &commit("b")]
    );
    // Nor is the first forgotten when a third is begun, nor told twice when it is asked for again.
    world.take(begun("e"));
    world.take(begun("d"));
    assert_eq!(
        pull(&world).put("origin", "turno/1-it"),
        [&commit("d"), &commit("e"), &commit("b")]
    );
    let mut told = serde_json::to_value(pull(&world)).unwrap();
    told["begun"].as_object_mut().unwrap().remove("earlier");
    let old: Pull = serde_json::from_value(told).unwrap();
    assert_eq!(old.known(), Some(&opened("b")), "an old one is read");
    assert_eq!(stage(&world), review);
    world.take(promoted(put()));
    assert!(admit(&world.state, &begun("d")).is_err(), "it is over");
    // What was begun before that may be there all the same; nothing else may.
    for known in ["d", "e"] {
        let there = Event::PullRequestOpened {
            issue: ISSUE,
            request: opened(known),
        };
        assert_eq!(admit(&world.state, &there), Ok(()), "{known}");
    }
    let other = Event::PullRequestOpened {
        issue: ISSUE,
        request: opened("f"),
    };
    assert!(admit(&world.state, &other).is_err(), "nobody began that");
    world.take(Event::PullRequestOpened {
        issue: ISSUE,
        request: opened("d"),
    });
    assert_eq!(pull(&world), Pull::There(opened("d")));
}

#[test]
fn a_pull_request_that_was_begun_keeps_its_branch_whatever_the_title_becomes() {
    let mut world = landed();
    let branch = |world: &World| {
        world.state.issues[&ISSUE]
            .pull
            .branch_on("origin")
            .map(str::to_owned)
    };
    assert_eq!(branch(&world), None);
    world.take(Event::PullRequestBegun {
        issue: ISSUE,
        pushed: pushed("b"),
    });
    assert_eq!(branch(&world).as_deref(), Some("turno/1-it"));
    assert_eq!(world.state.issues[&ISSUE].pull.branch_on("fork"), None);
    // Another was begun elsewhere; the first is not forgotten.
    world.take(Event::PullRequestBegun {
        issue: ISSUE,
        pushed: Pushed {
            remote: "fork".to_owned(),
            branch: "turno/1-other".to_owned(),
            ..pushed("b")
        },
    });
    assert_eq!(branch(&world).as_deref(), Some("turno/1-it"));
    assert_eq!(
        world.state.issues[&ISSUE].pull.branch_on("fork"),
        Some("turno/1-other")
    );
}
