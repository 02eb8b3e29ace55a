//! Changes that wait for a slow landing land together, and two of them that break each other are told apart.

use crate::harness::processes::nothing_runs;
use crate::harness::project::Project;

/// In landings the check is slow, so that the others wait meanwhile.
const CONFIG: &str = r#"
slots = 6
[checks.test]
command = "if test \"$TURNO_SLOT\" = landing; then sleep 2; fi; ! { grep -rqs first-half src && grep -rqs second-half src; }"
[agents.ada]
dialect = "script"
script = "batch.yaml"
at_once = 6
[personas.engineer]
agents = ["ada"]
"#;

/// Items 2 and 3 are green alone. Who comes back does it otherwise.
const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    task: "Port src/m2.js"
    round: 1
    steps: [{run: "echo first-half >> src/m2.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    task: "Port src/m3.js"
    round: 1
    steps: [{run: "echo second-half >> src/m3.js"}, {outcome: {summary: ported}}]
  - persona: engineer
    steps: [{run: "echo ported $TURNO_TASK > src/m${TURNO_TASK#*.}.js"}, {outcome: {summary: ported}}]
"#;

#[test]
fn two_changes_that_are_green_alone_do_not_break_the_branch() {
    let mut files = vec![
        ("turno.toml".to_owned(), CONFIG.to_owned()),
        ("batch.yaml".to_owned(), SCRIPT.to_owned()),
        ("port.md".to_owned(), "Port {{ item }}\n\nPort it.\n".to_owned()),
        (
            ".turno/policies/batch.toml".to_owned(),
            "review = \"off\"\n[rows.checks-failed]\ntries = 2\nwait = \"0s\"\n".to_owned(),
        ),
    ];
    files.extend((1..=6).map(|n| (format!("src/m{n}.js"), format!("module {n}\n"))));
    let pairs: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let project = Project::new(&pairs);
    let batch = [
        "batch",
        "--template",
        "port.md",
        "--items",
        "src/*.js",
        "--group",
        "6",
    ];
    let done = project.turno(&batch).exits(0);
    nothing_runs(&project);

    let at = |n: u8| project.at("turno/1/base", &format!("src/m{n}.js"));
    for n in [1, 4, 5, 6] {
        assert_eq!(at(n), format!("ported 1.{n}"), "{}", done.out);
    }
    let halves = (at(2).contains("first-half"), at(3).contains("second-half"));
    assert!(halves == (true, false) || halves == (false, true), "{halves:?}");
    let ends: Vec<_> = project
        .journal()
        .into_iter()
        .filter_map(|r| r["event"].get("landing-ended").cloned())
        .collect();
    let together = ends.iter().filter(|e| e["end"].get("together").is_some()).count();
    assert!(together > 0, "all landed alone: {ends:?}");
    let back = if halves.0 { "1.3" } else { "1.2" };
    let story = project.turno(&["explain", back]).exits(0).out;
    assert!(story.contains("test failed"), "{story}");
}
