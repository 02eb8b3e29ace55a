//! The same for a person's stay with a task: whoever is killed at one of its records, the person's own turno or the
//! coordinator beside it, what was written in the slot lands.

use rstest::rstest;
use turno_engine::crash_point::{CrashPoint, Deed, LISTENS, Moment};

use super::{Story, acknowledged, left, starts};
use crate::harness::processes::{alive, ended, until};
use crate::harness::project::Project;
use crate::harness::tmux::{Tmux, is_there};

const SIZE: (u16, u16) = (120, 40);

fn types(terminal: &Tmux, line: &str) {
    terminal.keys(&["-l", line]);
    terminal.keys(&["Enter"]);
}

/// Task 1.1 was begun and stopped; nobody coordinates.
fn stopped() -> Project {
    let project = Story::Hangs.project(Deed::Attach).env("SHELL", "/bin/sh");
    let child = project.start(&["run", "1"]);
    until("the engineer is at work", || {
        !starts(&project, "engineer").is_empty()
    });
    project.turno(&["stop"]).exits(0);
    ended(&project, child).exits(130);
    project
}

/// A person who writes a file and leaves.
fn works(person: &Tmux) {
    person.shows(&["is opened in slot"]);
    types(person, "echo by hand > hand.txt; exit");
}

/// The shift that comes next brings it to its end.
#[track_caller]
fn lands(project: &Project, verb: &[&str], files: &[(&str, &str)]) {
    project.turno(verb).exits(0);
    for (file, text) in files {
        assert_eq!(project.at("turno/1/base", file), *text, "{file}");
    }
    left::is_sound(project, &project.journal());
    until("nothing runs", || alive(project).is_empty());
}

const BY_HAND: (&str, &str) = ("hand.txt", "by hand");
const BY_AGENT: (&str, &str) = ("a.txt", "tabs");

/// Nothing was written before the screen is there; what was written on it is where the next writer begins.
#[rstest]
#[case(Deed::Attach)]
fn the_stay_of_one_who_is_killed_is_cleared_up(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterEffect)] moment: Moment,
) {
    if !LISTENS || !is_there() {
        return;
    }
    let project = stopped();
    let point = CrashPoint { moment, deed, nth: 1 };
    let person = Tmux::dying(&project, "person", SIZE, "attach 1.1", point);
    let mut files = vec![BY_AGENT];
    if moment == Moment::AfterEffect {
        works(&person);
        files.push(BY_HAND);
    }
    person.shows(&["LEFT 137"]);
    drop(person);
    lands(&project, &["run", "1"], &files);
}

/// What was handed in is a candidate, and nobody writes it again; what was not is where the next writer begins.
#[rstest]
#[case(Deed::GiveBack)]
fn what_a_person_hands_in_is_there(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit)] moment: Moment,
) {
    if !LISTENS || !is_there() {
        return;
    }
    let project = stopped();
    let point = CrashPoint { moment, deed, nth: 1 };
    let person = Tmux::dying(&project, "person", SIZE, "attach 1.1", point);
    works(&person);
    person.shows(&["LEFT 137"]);
    drop(person);
    let (files, engineers) = match moment {
        Moment::BeforeCommit => (vec![BY_HAND, BY_AGENT], 2),
        Moment::AfterCommit | Moment::AfterEffect => (vec![BY_HAND], 1),
    };
    lands(&project, &["run", "1"], &files);
    assert_eq!(starts(&project, "engineer").len(), engineers);
}

#[rstest]
#[case(Deed::Release)]
fn what_is_kept_aside_is_given_back_once(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit)] moment: Moment,
) {
    if !LISTENS || !is_there() {
        return;
    }
    let project = stopped();
    let person = Tmux::turno(&project, "person", SIZE, "attach 1.1 --park");
    works(&person);
    person.shows(&["LEFT 0"]);
    drop(person);
    let release = ["attach", "1.1", "--release"];
    project.dies(&release, CrashPoint { moment, deed, nth: 1 }, || {});
    let again = project.turno(&release);
    assert_eq!(again.code == 0, moment == Moment::BeforeCommit, "{}", again.err);
    lands(&project, &["run", "1"], &[BY_HAND]);
}

/// It is the coordinator that dies, as it is told. Whoever was told nothing for sure tells it to the next.
#[rstest]
#[case::attach(Deed::Attach)]
#[case::give_back(Deed::GiveBack)]
fn a_coordinator_that_dies_of_a_person_loses_nothing_of_theirs(
    #[case] deed: Deed,
    #[values(Moment::BeforeCommit, Moment::AfterCommit)] moment: Moment,
) {
    if !LISTENS || !is_there() {
        return;
    }
    let project = Story::Orphan.project(deed).env("SHELL", "/bin/sh");
    let mut person = None;
    project.dies(&["run", "1"], CrashPoint { moment, deed, nth: 1 }, || {
        if person.is_none() && !starts(&project, "engineer").is_empty() {
            let at = Tmux::turno(&project, "person", SIZE, "attach 1.1 --now");
            if deed == Deed::GiveBack {
                works(&at);
            }
            person = Some(at);
        }
    });
    let promised = acknowledged(&project);
    let person = person.unwrap();
    let files = match deed {
        Deed::GiveBack => {
            person.shows(&["its candidate is", "LEFT 0"]);
            vec![BY_HAND]
        }
        _ => {
            person.shows(&["LEFT "]);
            vec![BY_AGENT]
        }
    };
    drop(person);
    std::fs::write(project.shared().join("go"), "").unwrap();
    lands(&project, &["resume"], &files);
    assert!(project.journal().len() >= promised, "what was committed is there");
}
