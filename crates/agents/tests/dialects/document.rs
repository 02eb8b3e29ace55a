//! The table of docs/agents.md against what the dialects say of themselves.

use turno_agents::dialect::Support;
use turno_agents::{DialectKind, dialect};

#[expect(clippy::disallowed_methods, reason = "a test reads the document")]
fn document() -> String {
    let path = format!("{}/../../docs/agents.md", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_table_says_what_the_dialects_can() {
    let document = document();
    for kind in DialectKind::ALL {
        let can = dialect(kind).capabilities();
        let all = [
            can.resume,
            can.cost,
            can.schema,
            can.interrupt,
            can.tools,
            can.questions,
            can.nudge,
        ];
        let words = all.map(|support| match support {
            Support::Yes => "yes",
            Support::No => "no",
        });
        let row = format!("| `{kind}` | {} |", words.join(" | "));
        assert!(document.contains(&row), "docs/agents.md does not say: {row}");
    }
}

/// Turno gives an agent no more of the user's environment than it needs: the document tells what.
#[test]
fn the_variables_that_are_passed_on_are_named() {
    let document = document();
    for kind in DialectKind::ALL {
        for name in dialect(kind).needed_env() {
            assert!(document.contains(&format!("`{name}`")), "{kind}: `{name}`");
        }
    }
}
