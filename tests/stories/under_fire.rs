//! Slots and git under fire: what agents leave behind, what people do to the repository meanwhile, odd repositories,
//! crashes in the middle of a checkout and disks that fill. The table of all cases is `docs/under-fire.md`.

mod agents;
mod crash;
mod disk;
mod many;
mod meanwhile;
mod repositories;
mod world;

use std::collections::BTreeSet;
use std::path::Path;

/// Names of tests and cases in a source file: `function` or `function::case`.
fn told_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut cases, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[case::") {
            let name = rest.split(['(', ']']).next().unwrap();
            cases.push(name.to_owned());
        }
        is_test |= line == "#[test]" || line == "#[rstest]";
        let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) else {
            continue;
        };
        let function = rest.split('(').next().unwrap();
        if cases.is_empty() {
            found.insert(function.to_owned());
        }
        found.extend(cases.drain(..).map(|case| format!("{function}::{case}")));
        is_test = false;
    }
    found
}

/// Every case has its row in the table, and every row has its case.
#[test]
fn the_table_names_every_case() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases = BTreeSet::new();
    for entry in std::fs::read_dir(top.join("tests/stories/under_fire")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let told = told_in(&std::fs::read_to_string(&path).unwrap());
        cases.extend(told.into_iter().map(|name| format!("{file}::{name}")));
    }
    let page = std::fs::read_to_string(top.join("docs/under-fire.md")).unwrap();
    let rows: BTreeSet<String> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.trim_end_matches(" |").rsplit("| ").next())
        .filter_map(|cell| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned()))
        .collect();
    let (missing, unknown): (Vec<_>, Vec<_>) = (
        cases.difference(&rows).collect(),
        rows.difference(&cases).collect(),
    );
    assert!(
        missing.is_empty(),
        "docs/under-fire.md has no row for {missing:#?}"
    );
    let elsewhere = |name: &&&String| name.starts_with("elsewhere::");
    let unknown: Vec<_> = unknown.iter().filter(|n| !elsewhere(n)).collect();
    assert!(
        unknown.is_empty(),
        "docs/under-fire.md names what is not there: {unknown:#?}"
    );
}
