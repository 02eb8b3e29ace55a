//! The same for what a person's verb does while nobody coordinates: typed again, it comes to the same end, and a branch
//! of the person's moves once or not at all.

use rstest::rstest;
use serde_json::Value;
use turno_engine::crash_point::{CrashPoint, Deed, LISTENS, Moment};

use super::{Story, left};
use crate::harness::imprint::Imprint;
use crate::harness::processes::{nothing_runs, until};
use crate::harness::project::Project;
use crate::stories::remarks;

/// Killed at a point of a deed.
fn dies(project: &Project, verb: &[&str], deed: Deed, moment: Moment) {
    let point = CrashPoint { moment, deed, nth: 1 };
    project.dies(verb, point, || {});
}

/// Every moment of a deed, each in a project of its own.
fn each(deed: Deed, project: impl Fn() -> Project, story: impl Fn(&Project, Moment)) {
    at(deed.moments(), project, story);
}

/// The same at some of them.
fn at(moments: &[Moment], project: impl Fn() -> Project, story: impl Fn(&Project, Moment)) {
    if !LISTENS {
        return;
    }
    for moment in moments {
        let project = project();
        story(&project, *moment);
        left::is_sound(&project, &project.journal());
        nothing_runs(&project);
    }
}

fn filed() -> Project {
    Story::Alone.project(Deed::IssueAdd)
}

/// Issue 1 has landed.
fn landed() -> Project {
    let project = filed();
    project.turno(&["run", "1"]).exits(0);
    project
}

/// What is told of an issue.
fn issue(project: &Project, id: &str) -> Value {
    project.turno(&["issue", "show", id, "--json"]).exits(0).json()["view"].clone()
}

fn is_committed(moment: Moment) -> bool {
    match moment {
        Moment::BeforeCommit => false,
        Moment::AfterCommit | Moment::AfterEffect => true,
    }
}

#[rstest]
#[case::add(Deed::IssueAdd, &["issue", "add", "Another"])]
#[case::edit(Deed::IssueEdit, &["issue", "edit", "1", "--title", "Renamed"])]
#[case::budget(Deed::BudgetSet, &["budget", "set", "issue", "1", "--usd", "3"])]
#[case::close(Deed::IssueClose, &["issue", "close", "1"])]
#[case::plan(Deed::PlanEdit, &["plan", "add", "1", "--title", "Another part"])]
fn what_is_asked_for_is_there_or_not_at_all(#[case] deed: Deed, #[case] verb: &[&str]) {
    let begun: fn() -> Project = if deed == Deed::PlanEdit { landed } else { filed };
    each(deed, begun, |project, moment| {
        let before = Imprint::of(&[&project.repo()], &[]);
        let is_done = || match deed {
            Deed::IssueAdd => project.turno(&["issue", "list"]).exits(0).out.contains("Another"),
            Deed::BudgetSet => project.turno(&["budget", "show"]).exits(0).out.contains("$3.00"),
            Deed::PlanEdit => project
                .turno(&["plan", "1"])
                .exits(0)
                .out
                .contains("Another part"),
            Deed::IssueEdit => issue(project, "1")["title"] == "Renamed",
            _ => issue(project, "1")["stage"].get("closed").is_some(),
        };
        dies(project, verb, deed, moment);
        assert_eq!(is_done(), is_committed(moment), "{moment:?}");
        if !is_done() {
            project.turno(verb).exits(0);
            assert!(is_done());
        }
        before.same(&Imprint::of(&[&project.repo()], &[]));
    });
}

#[rstest]
#[case(Deed::Answer)]
fn an_answer_is_heard_once(#[case] deed: Deed) {
    let asked = || {
        let project = Story::SentAway.project(deed);
        project.turno(&["run", "1"]).exits(1);
        project
    };
    each(deed, asked, |project, moment| {
        dies(project, &["answer", "d1", "tabs"], deed, moment);
        let again = project.turno(&["answer", "d1", "tabs"]);
        assert_eq!(again.code == 0, !is_committed(moment), "{}", again.err);
        project.turno(&["run", "1"]).exits(0);
        assert_eq!(project.at("turno/1/base", "a.txt"), "tabs");
    });
}

/// An agent outlived its coordinator.
fn orphaned() -> Project {
    let project = remarks::project();
    let mut child = project.start(&["run", "1"]);
    until("the engineer is at work", || {
        project.shared().join("starts").exists()
    });
    child.kill().unwrap();
    project.wait(child);
    project
}

/// A person puts another issue into the shift while nobody coordinates: whoever goes on begins it, once.
#[rstest]
#[case(Deed::IssueJoin)]
fn what_is_put_into_a_shift_is_begun_once(#[case] deed: Deed) {
    let orphaned = || {
        let project = orphaned();
        project.issue("Greet again");
        project
    };
    each(deed, orphaned, |project, moment| {
        let count = |what: &str| {
            let journal = project.journal();
            journal.iter().filter(|r| r["event"].get(what).is_some()).count()
        };
        dies(project, &["issue", "start", "2"], deed, moment);
        assert_eq!(
            count("issue-joined"),
            usize::from(is_committed(moment)),
            "{moment:?}"
        );
        if !is_committed(moment) {
            project.turno(&["issue", "start", "2"]).exits(0);
        }
        let again = project.turno(&["issue", "start", "2"]).exits(2);
        assert!(again.err.contains("in shift S1 already"), "{}", again.err);
        remarks::go(project, "go-write");
        project.turno(&["resume"]).exits(0);
        assert_eq!((count("issue-joined"), count("shift-started")), (1, 1));
        assert_eq!(project.at("turno/2/base", "greet.txt"), "hello");
    });
}

/// A person speaks while nobody coordinates.
#[rstest]
#[case::comment(Deed::Comment, &["comment", "1.1", "in French"])]
#[case::say(Deed::Say, &["tell", "1.1", "in French"])]
fn what_is_said_is_recorded_once(#[case] deed: Deed, #[case] verb: &[&str]) {
    each(deed, orphaned, |project, moment| {
        dies(project, verb, deed, moment);
        let said = || {
            let journal = project.journal();
            let told = |r: &&Value| ["commented", "told"].iter().any(|k| r["event"].get(k).is_some());
            journal.iter().filter(told).count()
        };
        assert_eq!(said(), usize::from(is_committed(moment)), "{moment:?}");
        if said() == 0 {
            project.turno(verb).exits(0);
        }
        remarks::go(project, "go-write");
        project.turno(&["resume"]).exits(0);
        assert_eq!(said(), 1);
        let heeded = project
            .journal()
            .iter()
            .any(|r| r.to_string().contains("\"heeded\""));
        assert!(heeded, "its next turn was given the words");
    });
}

#[rstest]
#[case(Deed::Discard)]
fn an_issue_is_given_up_with_all_its_branches(#[case] deed: Deed) {
    each(deed, landed, |project, moment| {
        let refs = |below: &str| project.git(&["for-each-ref", "--format=%(objectname)", below]);
        let mut had: Vec<String> = refs("refs/heads/turno/1").lines().map(str::to_owned).collect();
        assert!(had.len() > 1, "{had:?}");
        dies(project, &["discard", "1"], deed, moment);
        let closed = issue(project, "1")["stage"].get("closed").is_some();
        assert_eq!(closed, is_committed(moment));
        project.turno(&["discard", "1"]).exits(0);
        assert_eq!(refs("refs/heads/turno/1"), "");
        let mut kept: Vec<String> = refs("refs/turno/salvage").lines().map(str::to_owned).collect();
        had.sort();
        kept.sort();
        had.dedup();
        kept.dedup();
        assert_eq!(kept, had, "each commit is kept");
        project.turno(&["discard", "1"]).exits(2);
    });
}

/// How many commits of Turno's the branch has for issue 1, by a trailer of theirs.
fn put(project: &Project, trailer: &str) -> usize {
    let format = format!("--format=%(trailers:key={trailer},valueonly)");
    let log = project.git(&["log", &format, "main"]);
    log.lines().filter(|l| !l.trim().is_empty()).count()
}

#[rstest]
#[case::squash(Deed::Promote, "--squash", Deed::Promote.moments())]
// Before the branch moves they are all the same.
#[case::merge(Deed::Promote, "--merge", &[Moment::AfterEffect])]
#[case::rebase(Deed::Promote, "--rebase", &[Moment::AfterEffect])]
fn a_promotion_is_made_once_and_can_be_taken_back(
    #[case] deed: Deed,
    #[case] manner: &str,
    #[case] moments: &[Moment],
) {
    at(moments, landed, |project, moment| {
        let main = || project.git(&["rev-parse", "main"]);
        let before = main();
        dies(project, &["promote", "1", manner], deed, moment);
        match moment {
            Moment::BeforeCommit | Moment::AfterCommit => assert_eq!(main(), before, "it is not begun"),
            Moment::AfterEffect => assert_ne!(main(), before),
        }
        let moved = main();
        // Whoever looks next sees it as it is.
        let seen = project.turno(&["status"]).exits(0);
        assert_eq!(
            seen.err.contains("main got it already"),
            moment == Moment::AfterEffect,
            "{}",
            seen.err
        );
        if moment == Moment::AfterEffect {
            project.turno(&["promote", "1", manner]).exits(2);
            assert_eq!(main(), moved, "nothing is put twice");
        } else {
            project.turno(&["promote", "1", manner]).exits(0);
        }
        assert_eq!(
            project.git(&[
                "rev-list",
                "--count",
                &format!("{before}..main"),
                "--first-parent"
            ]),
            "1"
        );
        assert_eq!(project.at("main", "a.txt"), "tabs");
        assert!(issue(project, "1")["stage"].get("done").is_some());
        project.turno(&["revert", "1"]).exits(0);
        assert_eq!(
            project.git(&["rev-parse", "main^{tree}"]),
            project.git(&["rev-parse", &format!("{before}^{{tree}}")])
        );
        assert_eq!(project.git(&["status", "--porcelain"]), "");
    });
}

/// A live coordinator took the record that it was begun; the verb died, and is typed again.
#[test]
fn a_promotion_beside_a_coordinator_is_made_once() {
    if !LISTENS {
        return;
    }
    let project = landed();
    project.issue("Wait for it");
    let child = project.start(&["run", "2"]);
    until("the other one is at work", || {
        super::starts(&project, "engineer").len() > 1
    });
    dies(&project, &["promote", "1"], Deed::Promote, Moment::AfterEffect);
    let moved = project.git(&["rev-parse", "main"]);
    let again = project.turno(&["promote", "1"]).exits(0);
    assert!(again.out.contains("main got it already"), "{}", again.out);
    assert_eq!(project.git(&["rev-parse", "main"]), moved);
    std::fs::write(project.shared().join("go"), "").unwrap();
    crate::harness::processes::ended(&project, child).exits(0);
    project.turno(&["revert", "1"]).exits(0);
    assert_eq!(put(&project, "Turno-Reverts"), 1);
}

/// What was promoted before a user went back is not taken for done.
#[test]
fn a_promotion_that_a_user_has_undone_is_made_again() {
    if !LISTENS {
        return;
    }
    let project = landed();
    let before = project.git(&["rev-parse", "main"]);
    dies(&project, &["promote", "1"], Deed::Promote, Moment::AfterEffect);
    project.git(&["reset", "-q", "--hard", &before]);
    let done = project.turno(&["promote", "1"]).exits(0);
    assert!(done.out.contains("got one commit"), "{}", done.out);
    assert_eq!(put(&project, "Turno-Issue"), 1);
}

#[rstest]
#[case(Deed::Revert)]
fn a_promotion_is_taken_back_once(#[case] deed: Deed) {
    let promoted = || {
        let project = landed();
        project.turno(&["promote", "1"]).exits(0);
        project
    };
    each(deed, promoted, |project, moment| {
        dies(project, &["revert", "1"], deed, moment);
        let again = project.turno(&["revert", "1"]);
        // Once the record is there, there is nothing left to take back.
        assert_eq!(again.code == 0, moment != Moment::AfterCommit, "{}", again.err);
        assert_eq!(put(project, "Turno-Reverts"), 1);
        assert!(!project.repo().join("a.txt").exists());
        assert!(issue(project, "1")["stage"].get("review").is_some());
        project.turno(&["promote", "1", "--unproven"]).exits(0);
        assert_eq!(project.at("main", "a.txt"), "tabs");
    });
}

#[rstest]
#[case(Deed::Restore)]
fn salvage_is_written_out_or_told_to_be_half(#[case] deed: Deed) {
    let discarded = || {
        let project = landed();
        project.turno(&["discard", "1"]).exits(0);
        project
    };
    each(deed, discarded, |project, moment| {
        let listed = project.turno(&["salvage", "list", "--json"]).exits(0).json();
        let all = listed.as_array().unwrap();
        let name = all[0]["name"].as_str().unwrap();
        let to = |dir: &str| project.home().join(dir).to_str().unwrap().to_owned();
        dies(
            project,
            &["salvage", "restore", name, "--to", &to("out")],
            deed,
            moment,
        );
        // It is never gone over: a person names another place where something lies already.
        let again = project.turno(&["salvage", "restore", name, "--to", &to("out")]);
        assert_eq!(again.code == 0, moment == Moment::BeforeCommit, "{}", again.err);
        project
            .turno(&["salvage", "restore", name, "--to", &to("other")])
            .exits(0);
        let text = std::fs::read_to_string(project.home().join("other/a.txt")).unwrap();
        assert_eq!(text, "tabs\n");
        let after = project.turno(&["salvage", "list", "--json"]).exits(0).json();
        assert_eq!(after, listed, "what is salvaged stays");
    });
}

#[rstest]
#[case(Deed::Collect)]
fn what_is_freed_is_freed_in_the_end(#[case] deed: Deed) {
    let promoted = || {
        let project = landed();
        project.turno(&["promote", "1"]).exits(0);
        project
    };
    let gc = ["gc", "--yes", "--older-than", "0s"];
    each(deed, promoted, |project, moment| {
        let before = Imprint::of(&[&project.repo()], &[]);
        dies(project, &gc, deed, moment);
        project.turno(&["status"]).exits(0);
        project.turno(&gc).exits(0);
        let left = project
            .turno(&["gc", "--older-than", "0s", "--json"])
            .exits(0)
            .json();
        assert_eq!(left["removals"].as_array().map(Vec::len), Some(0), "{left:#}");
        before.same(&Imprint::of(&[&project.repo()], &[]));
    });
}
