//! Owns the whole table of attacks. It must not say how one is run or seen.

use std::collections::BTreeSet;

use super::attack::{Attack, Who};
use super::{floods, git, network, poison, processes, push, secrets, writes};

/// What every role tries: each is confined by rules of its own.
const CORE: [&str; 22] = [
    "absolute-path",
    "bashrc",
    "main-source",
    "attempts",
    "host-tmp",
    "hook-checkout",
    "config-hooks",
    "branch",
    "delete-tag",
    "turno-ref",
    "ref-file",
    "push-origin",
    "push-path",
    "push-http",
    "read-ssh-key",
    "coordinator-environment",
    "state-asked",
    "tcp",
    "abstract-socket",
    "kill-other",
    "double-fork",
    "people-add",
];

/// Every attack, in the order of the families.
pub(super) fn attacks() -> Vec<Attack> {
    let families = [
        writes::attacks(),
        git::attacks(),
        push::attacks(),
        secrets::attacks(),
        network::attacks(),
        processes::attacks(),
        floods::attacks(),
        poison::attacks(),
    ];
    let mut all = families.concat();
    let others: Vec<Attack> = Who::ALL
        .into_iter()
        .filter(|who| *who != Who::Writer)
        .flat_map(|who| {
            let core = all.iter().filter(|a| CORE.contains(&a.name.as_str()));
            core.map(move |a| a.by(who)).collect::<Vec<_>>()
        })
        .collect();
    all.extend(others);
    all
}

#[test]
fn attacks_have_names_of_their_own_and_there_are_enough() {
    let all = attacks();
    let names: BTreeSet<&str> = all.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two have one name");
    assert!(all.len() >= 60, "{}", all.len());
    for name in CORE {
        assert!(names.contains(name), "there is no {name} any more");
    }
    for family in families() {
        let marked = |a: &&Attack| a.family == family;
        assert!(all.iter().filter(marked).count() >= 5, "{family:?}");
    }
    let pushes = all
        .iter()
        .filter(|a| a.name.starts_with("push-") && a.who == Who::Writer);
    assert!(pushes.count() >= 20);
}

/// The families that have attacks.
pub(super) fn families() -> BTreeSet<super::attack::Family> {
    attacks().into_iter().map(|a| a.family).collect()
}
