//! Rules of the house that no compiler holds: one file for each outside thing, files that open with what they
//! own and stay small enough to hold in the head.

use std::path::{Path, PathBuf};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory, as a path within the repository.
fn sources(dir: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&top().join(dir), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|p| p.strip_prefix(top()).unwrap().to_owned())
        .collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(top().join(path)).unwrap()
}

/// The code of a file: without its unit tests and without comments.
fn code(path: &Path) -> String {
    let text = text(path);
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What only some files may name.
const OWNERS: [(&str, &[&str]); 18] = [
    ("sled::", &["crates/engine/src/store/index.rs"]),
    ("git2::", &["crates/engine/src/git.rs", "crates/engine/src/git/"]),
    ("process::Command", &["crates/engine/src/process.rs"]),
    (
        "hyper_util::",
        &[
            "crates/engine/src/bridge.rs",
            "crates/engine/src/traces.rs",
            "crates/board/src/server.rs",
            "crates/sandbox/src/net/proxy/",
        ],
    ),
    ("ureq::", &["crates/engine/src/notify/post.rs"]),
    ("hmac::", &["crates/engine/src/notify/shape.rs"]),
    ("sse_stream::", &["crates/engine/src/bridge.rs"]),
    (
        "base64::",
        &[
            "crates/engine/src/bridge.rs",
            "crates/engine/src/redact/",
            "crates/sandbox/src/net/proxy/upstream.rs",
            "crates/board/src/pages/shifts.rs",
            "crates/cli/verb/report/html.rs",
        ],
    ),
    (
        "rmcp::",
        &[
            "crates/engine/src/tools.rs",
            "crates/engine/src/tools/",
            "crates/cli/verb/mcp.rs",
            "crates/cli/verb/mcp/",
        ],
    ),
    (
        "regex::",
        &[
            "crates/engine/src/change/secrets.rs",
            "crates/engine/src/change/tests.rs",
            "crates/engine/src/redact/shapes.rs",
        ],
    ),
    (
        "landlock::",
        &[
            "crates/sandbox/src/landlock.rs",
            "crates/sandbox/src/inside.rs",
            "crates/engine/src/sandbox.rs",
        ],
    ),
    ("seccompiler::", &["crates/sandbox/src/seccomp.rs"]),
    (
        "UnixListener",
        &[
            "crates/engine/src/socket.rs",
            "crates/board/src/server.rs",
            "crates/engine/src/process/wire.rs",
            "crates/sandbox/src/net/proxy.rs",
        ],
    ),
    (
        "fastrand::",
        &[
            "crates/engine/src/simulate/dice.rs",
            "crates/engine/src/runner/mouth/shared.rs",
        ],
    ),
    ("indicatif::", &["crates/cli/screen.rs"]),
    ("ratatui::", &["crates/cli/verb/top.rs", "crates/cli/verb/top/"]),
    ("crossterm::", &["crates/cli/verb/top.rs", "crates/cli/verb/top/"]),
    ("writeln!(anstream", &["crates/cli/print.rs"]),
];

#[test]
fn each_outside_thing_has_one_owner() {
    let mut wrong = Vec::new();
    for path in sources("crates") {
        if path.components().any(|c| c.as_os_str() == "tests") {
            continue;
        }
        let code = code(&path);
        for (word, owners) in OWNERS {
            let allowed = owners.iter().any(|o| path.to_str().unwrap().starts_with(o));
            if code.contains(word) && !allowed {
                wrong.push(format!(
                    "{} names {word}, which belongs to {}",
                    path.display(),
                    owners.join(", ")
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_owner_is_there_and_names_what_it_owns() {
    for (word, owners) in OWNERS {
        let named = sources("crates")
            .iter()
            .filter(|p| owners.iter().any(|o| p.to_str().unwrap().starts_with(o)))
            .any(|p| code(p).contains(word));
        assert!(named, "nobody names {word} any more: take the rule out");
    }
}

#[test]
fn every_file_opens_with_what_it_owns_and_is_small() {
    let mut wrong = Vec::new();
    let files = ["crates", "tests", "benches"].into_iter().flat_map(sources);
    for path in files {
        let text = text(&path);
        let is_part_of_tests = path.ends_with("store/tests.rs");
        if !text.starts_with("//!") && !is_part_of_tests {
            wrong.push(format!("{} does not open with //!", path.display()));
        }
        let lines = text.lines().count();
        if lines > 650 {
            wrong.push(format!(
                "{} has {lines} lines: is there a noun in it that wants its own file?",
                path.display()
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn pure_crates_depend_on_nothing_that_acts() {
    for (name, allowed) in [
        ("core", &["globset", "serde", "thiserror", "unicode-width"][..]),
        (
            "agents",
            &[
                "serde",
                "serde-saphyr",
                "serde_json",
                "serde_path_to_error",
                "thiserror",
                "turno-core",
            ][..],
        ),
    ] {
        let manifest = std::fs::read_to_string(top().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        let section = manifest
            .split("[dependencies]")
            .nth(1)
            .unwrap()
            .split("\n[")
            .next()
            .unwrap();
        for line in section
            .lines()
            .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        {
            let crate_name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&crate_name), "{name} depends on {crate_name}");
        }
    }
}
