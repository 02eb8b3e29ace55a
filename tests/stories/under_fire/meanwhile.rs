//! What a person does to the repository while a shift works on it: the work lands, and what the person did stays.

use std::fs;

use rstest::rstest;

use super::world::{self, all_is_well, imprint, project_with, run, script, tells, writes};
use crate::harness::processes::{ended, until};
use crate::harness::project::Project;

/// Says that it is there and waits for a word.
fn waits(here: &str) -> String {
    format!("touch $HOME/shared/{here}; until test -e $HOME/shared/go-{here}; do sleep 0.02; done")
}

const PRUNE: &[&str] = &[
    "worktree prune --expire=now",
    "reflog expire --expire=now --all",
    "gc -q --prune=now",
];

/// While an agent writes, and again while its work is checked.
#[rstest]
#[case::switches_the_branch(&["switch -q -c other"])]
#[case::commits(&["commit -q --allow-empty -m meanwhile"])]
#[case::deletes_the_branch(&["switch -q -c other", "branch -q -D main"])]
#[case::rewrites_the_branch(&["commit -q --amend --allow-empty -m rewritten"])]
#[case::prunes_and_collects_garbage(PRUNE)]
#[case::deletes_the_branch_and_collects_garbage(
    &["checkout -q --orphan other", "commit -q -m anew", "branch -q -D main", PRUNE[0], PRUNE[1], PRUNE[2]]
)]
#[case::moves_tags(&["tag -f v1 HEAD~1", "tag -d v2", "tag v3"])]
#[case::packs_refs(&["pack-refs --all --prune"])]
fn a_person_who(#[case] commands: &[&str]) {
    let check = format!("{}\n{}", world::CHECK, waits("checks"));
    let project = project_with(world::CONFIG, &check, &[writes(&[run(&waits("writes"))])]);
    project.git(&["commit", "-q", "--allow-empty", "-m", "two"]);
    project.git(&["tag", "v1"]);
    project.git(&["tag", "v2"]);
    let begun = project.git(&["rev-parse", "HEAD"]);
    project.issue("One");
    let child = project.start(&["run", "1"]);
    let mut commands = commands.to_vec();
    for stage in ["writes", "checks"] {
        let shared = project.shared();
        until(stage, || shared.join(stage).exists());
        // At the first stage all of it; then again what can be done again.
        for command in &commands {
            let words: Vec<&str> = command.split(' ').collect();
            project.git(&words);
        }
        commands.retain(|c| PRUNE.contains(c) || c.contains("pack-refs") || c.contains("meanwhile"));
        fs::write(shared.join(format!("go-{stage}")), "").unwrap();
    }
    let before = imprint(&project);
    let done = ended(&project, child).exits(0);
    assert!(!done.err.contains("panicked"), "{}", done.err);
    all_is_well(&project, &before);
    tells(&project.turno(&["explain", "1.1"]).exits(0).out, &["landed as"]);
    // It is on what it began from, and on what the branch has got meanwhile.
    project.git(&["merge-base", "--is-ancestor", &begun, "turno/1/base"]);
    assert_eq!(project.at("turno/1/base", "a.txt"), "a");
    assert_eq!(
        project.git(&["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]),
        ""
    );
    // The next shift works too, on what is there now.
    finishes_another(&project);
}

#[track_caller]
fn finishes_another(project: &Project) {
    fs::write(project.repo().join("script.yaml"), script(&[])).unwrap();
    project.issue("Two");
    project.turno(&["run", "2"]).exits(0);
    assert_eq!(
        project.git(&["rev-parse", "turno/2/base~1"]),
        project.git(&["rev-parse", "HEAD"])
    );
}
