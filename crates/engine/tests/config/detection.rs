//! What `turno init` finds in a project, and that the file it writes loads.

use std::fs;

use rstest::rstest;
use turno_engine::config::{self, Loaded};
use turno_engine::detect::{FoundAgent, detect, render_turno_toml};

use crate::repo;

#[rstest]
#[case::nothing("nothing", &[])]
#[case::cargo("cargo", &[("Cargo.toml", "[package]\nname = 'x'")])]
#[case::cargo_strict("cargo_strict", &[
    ("Cargo.toml", "[workspace]\n[workspace.lints.clippy]\n"), ("rustfmt.toml", ""), (".config/nextest.toml", ""),
])]
#[case::cargo_by_ci("cargo_by_ci", &[
    ("Cargo.toml", "[package]"), (".github/workflows/ci.yml", "- run: cargo fmt --check\n- run: cargo clippy"),
])]
#[case::npm("npm", &[
    ("package.json", r#"{"scripts":{"test":"vitest run","lint":"eslint .","build":"tsc","typecheck":"tsc --noEmit"}}"#),
    ("package-lock.json", "{}"), (".env", "X=1"),
])]
#[case::npm_without_tests("npm_without_tests", &[
    ("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1","start":"node ."}}"#),
])]
#[case::pnpm("pnpm", &[("package.json", r#"{"scripts":{"test:ci":"jest","test":"jest --watch"}}"#), ("pnpm-lock.yaml", "")])]
#[case::yarn_berry("yarn_berry", &[
    ("package.json", r#"{"packageManager":"yarn@4.1.0","scripts":{"test":"jest"}}"#), ("yarn.lock", ""),
])]
#[case::python("python", &[("pyproject.toml", "[tool.ruff]\n[tool.mypy]\n[tool.pytest.ini_options]\n"), ("uv.lock", "")])]
#[case::python_bare("python_bare", &[("setup.cfg", "[mypy]\n"), ("tests/test_x.py", "")])]
#[case::go("go", &[("go.mod", "module x")])]
#[case::make("make", &[("Makefile", "CC := gcc\n.PHONY: test\nbuild: a.c\n\tcc a.c\ntest: build\n\t./a\nlint:\n\techo\n")])]
#[case::just("just", &[("justfile", "default:\n  just --list\n@check: build\n  ./check\nbuild:\n  make\n")])]
#[case::make_beside_cargo("make_beside_cargo", &[("Cargo.toml", "[package]"), ("Makefile", "test:\n\tcargo test\nlint:\n\tx\n")])]
#[case::two("two", &[("Cargo.toml", "[package]"), ("package.json", r#"{"scripts":{"test":"jest"}}"#)])]
fn checks_are_detected_and_the_file_loads(#[case] name: &str, #[case] files: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let detected = detect(dir.path());
    let agents = [FoundAgent {
        name: "claude".parse().unwrap(),
        version: "2.1.197\n(Claude Code)".to_owned(),
    }];
    let text = render_turno_toml(&detected, &agents);
    insta::assert_snapshot!(format!("turno_toml_{name}"), text);
    let loaded: Loaded = config::build(&repo(&text)).unwrap();
    let commands: Vec<&str> = loaded.core.checks.iter().map(|c| c.command.as_str()).collect();
    let expected: Vec<&str> = detected.checks.iter().map(|c| c.command.as_str()).collect();
    assert_eq!(commands, expected);
    let uncommented: Vec<&str> = text
        .lines()
        .map(|l| l.strip_prefix("# ").filter(|l| is_code(l)).unwrap_or(l))
        .collect();
    let again = config::build(&repo(&uncommented.join("\n")));
    assert!(
        again.is_ok(),
        "what is commented out must load too: {}\n{}",
        again.unwrap_err(),
        uncommented.join("\n")
    );
}

/// Whether a comment is a setting that is commented out.
fn is_code(line: &str) -> bool {
    line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
}
