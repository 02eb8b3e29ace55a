//! A project of size: a crate of three hundred modules with its own build and tests. The engineer changes
//! several files and breaks a test first; it is sent back with the test's name, mends it, and it lands.

use std::fmt::Write;

use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

const MODULES: usize = 300;

const CONFIG: &str = r#"
slots = 2
policy = "single"
[checks.test]
command = "cargo test --offline --quiet"
timeout = "5m"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

const SCRIPT: &str = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - persona: engineer
    round: 1
    steps:
      - edit: {path: src/m017.rs, find: "n + 17", replace: "n + 1_017"}
      - edit: {path: src/m123.rs, find: "n + 123", replace: "n + 1_123"}
      - edit: {path: src/m299.rs, find: "n + 299", replace: "n + 1_299"}
      - write: {path: src/extra.rs, text: "//! More.\n\npub fn more() -> u64 {\n    crate::m017::step(1)\n}\n"}
      - edit: {path: src/lib.rs, find: "pub mod m000;", replace: "pub mod extra;\npub mod m000;"}
      - outcome: {summary: every third step is longer}
  - persona: engineer
    steps:
      - run: {command: "sed -i 's/assert_eq!(step(1), \\([0-9]*\\))/assert_eq!(step(1), 1000 + \\1)/' src/m017.rs src/m123.rs src/m299.rs", must_pass: true}
      - outcome: {summary: the tests expect the longer steps}
"#;

fn files() -> Vec<(String, String)> {
    let mut lib = String::from("//! Many modules.\n\n");
    let mut files = Vec::new();
    for n in 0..MODULES {
        writeln!(lib, "pub mod m{n:03};").unwrap();
        let sum = n + 1;
        let text = format!(
            "//! Module {n}.\n\npub fn step(n: u64) -> u64 {{\n    n + {n}\n}}\n\n\
             #[cfg(test)]\nmod tests {{\n    use super::*;\n\n    #[test]\n    fn steps() {{\n        \
             assert_eq!(step(1), {sum});\n    }}\n}}\n"
        );
        files.push((format!("src/m{n:03}.rs"), text));
    }
    files.push(("src/lib.rs".to_owned(), lib));
    let rest = [
        (
            "Cargo.toml",
            "[package]\nname = \"many\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        ),
        (".gitignore", "/target\n"),
        ("turno.toml", CONFIG),
        ("script.yaml", SCRIPT),
    ];
    files.extend(rest.map(|(path, text)| (path.to_owned(), text.to_owned())));
    files
}

#[test]
fn a_broken_test_among_three_hundred_modules_is_mended_and_landed() {
    let files = files();
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let project = Project::new(&files).with_rust().env("TURNO_AGENT", "actor");
    project.issue("Longer steps");
    let done = project.turno(&["run", "1"]).exits(0);
    assert!(done.out.contains("all landed"), "{}", done.out);
    nothing_runs(&project);
    let told = project.turno(&["explain", "1.1"]).exits(0).out;
    for part in [
        "test failed",
        "to mend the checks: test",
        "test passed",
        "landed as",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    // The second writer was given what the check had said, by the names of the tests.
    let prompts: Vec<String> = ["a1", "a3"]
        .map(|a| std::fs::read_to_string(project.state().join("attempts").join(a).join("prompt.md")).unwrap())
        .into();
    assert!(!prompts[0].contains("m123::tests::steps"));
    assert!(prompts[1].contains("m123::tests::steps"), "{}", prompts[1]);
    let stat = project.turno(&["diff", "1", "--stat"]).exits(0).out;
    for file in [
        "src/m017.rs",
        "src/m123.rs",
        "src/m299.rs",
        "src/extra.rs",
        "src/lib.rs",
    ] {
        assert!(stat.contains(file), "{file} is missing in {stat}");
    }
    assert!(!stat.contains("target"), "{stat}");
    project.turno(&["promote", "1"]).exits(0);
    assert!(project.repo().join("src/extra.rs").exists());
    assert_eq!(project.git(&["status", "--porcelain"]), "");
    assert!(
        !project.repo().join("target").exists(),
        "nothing was built in the user's checkout"
    );
}
