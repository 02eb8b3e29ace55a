//! Owns what a Makefile or a justfile tells. Their targets usually call what an ecosystem's own files tell already,
//! so they only fill in the kinds of check that nothing else has shown.

use crate::detect::{Detected, Kind, Repo};

pub(super) fn make_and_just(repo: &Repo<'_>, found: &mut Detected) {
    let just = ["justfile", "Justfile", ".justfile"];
    let make = ["GNUmakefile", "makefile", "Makefile"];
    for (program, files) in [("just", just), ("make", make)] {
        let Some(file) = repo.first(&files) else { continue };
        let targets = targets(&repo.text(file).unwrap_or_default());
        let wanted: [(&[&str], Kind); 4] = [
            (&["typecheck", "types"], Kind::Types),
            (&["lint"], Kind::Lint),
            (&["build"], Kind::Build),
            (&["test", "check"], Kind::Test),
        ];
        for (names, kind) in wanted {
            let Some(name) = names.iter().find(|n| targets.iter().any(|t| t == *n)) else {
                continue;
            };
            // A build is part of other checks wherever there are some.
            let known = found.covers(kind) || (kind == Kind::Build && !found.checks.is_empty());
            if !known {
                let why = format!("{file}, target `{name}`");
                found.add(program, name, kind, &format!("{program} {name}"), &why);
            }
        }
    }
}

/// The names before a colon at the beginning of a line; assignments are none.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in text.lines() {
        let Some((names, rest)) = line.split_once(':') else {
            continue;
        };
        if line.starts_with([' ', '\t', '#', '.']) || rest.starts_with('=') || names.contains('=') {
            continue;
        }
        targets.extend(
            names
                .split_whitespace()
                .map(|n| n.trim_start_matches('@').to_owned()),
        );
    }
    targets
}
