//! An agent that nothing confines types a person's verbs: the coordinator knows whose process it is, and refuses.

use std::fs;

use crate::harness::project::Project;

const CONFIG: &str = r#"
policy = "single"
[checks.test]
command = "true"
[agents.actor]
dialect = "script"
script = "script.yaml"
"#;

/// Types each of a person's verbs as it is, and one more without any variable of the attempt's, in a session of its
/// own.
const TYPES: &str = r#"
cd '@REPO@'
export TURNO_STATE_DIR='@STATE@'
for verb in 'issue add sneaked' 'lessons add --path a.txt sneaked' 'answer d1 yes' 'promote 1 --onto release' 'discard 1' 'stop' 'status'; do
    '@TURNO@' $verb; echo "code $?"
done >> "$HOME/shared/said" 2>&1
env -i HOME="$HOME" PATH="$PATH" TURNO_STATE_DIR="$TURNO_STATE_DIR" setsid --wait '@TURNO@' issue add sneaked >> "$HOME/shared/said" 2>&1
echo "code $?" >> "$HOME/shared/said"
"#;

#[test]
fn an_unconfined_agent_that_types_a_persons_verbs_is_refused() {
    let script = r#"
sessions:
  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}
  - steps:
      - run: 'sh "$HOME/shared/types"'
      - write: {path: a.txt, text: "a\n"}
      - outcome: {summary: it is done}
"#;
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", script)])
        .env("TURNO_AGENT", "actor")
        .unconfined();
    project.git(&["branch", "release"]);
    let types = TYPES
        .replace("@REPO@", project.repo().to_str().unwrap())
        .replace("@STATE@", project.state().to_str().unwrap())
        .replace("@TURNO@", env!("CARGO_BIN_EXE_turno"));
    fs::write(project.shared().join("types"), types).unwrap();
    let id = project.issue("be honest").to_string();
    project.turno(&["run", &id]).exits(0);

    let said = fs::read_to_string(project.shared().join("said")).unwrap();
    let refusals = said.matches("an attempt of this workspace asks").count();
    assert_eq!(refusals, said.matches("code ").count(), "{said}");
    assert!(refusals == 8 && !said.contains("code 0"), "{said}");
    let journal: String = project.journal().iter().map(ToString::to_string).collect();
    for never in ["sneaked", "stop-asked", "discarded", "promoted"] {
        assert!(!journal.contains(never), "{never}");
    }
}
