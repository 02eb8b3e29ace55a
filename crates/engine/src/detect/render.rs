//! Owns the words of a new `turno.toml`. What it writes must load, which a test holds.

use std::fmt::Write;

use turno_core::ids::AgentName;

use crate::detect::Detected;

/// An agent that was found on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAgent {
    /// Its name in the configuration.
    pub name: AgentName,
    /// What it said of itself, e.g. `2.1.197`.
    pub version: String,
}

/// A commented `turno.toml` for what was found.
pub fn render_turno_toml(detected: &Detected, agents: &[FoundAgent]) -> String {
    let mut text = String::from(HEAD);
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    if detected.checks.is_empty() {
        line("# No checks were found. Nothing lands without one, so name what proves your project:");
        line("# [checks.test]");
        line("# command = \"./run-tests\"");
        line("# timeout = \"10m\"");
    }
    for check in &detected.checks {
        line(&format!("# Seen by {}.", one_line(&check.why)));
        line(&format!("[checks.{}]", check.name));
        line(&format!("command = {}", quoted(&check.command)));
        line(&format!("timeout = \"{}\"", check.timeout));
        line("");
    }
    text.push_str(&setup(detected));
    text.push_str(&who(agents));
    text
}

const HEAD: &str = r#"# How Turno works on this repository. All keys are in docs/configuration.md of Turno.
# What is commented out shows the default.

# How many attempts may run at once, each in a worktree of its own.
# slots = 2

# A shift stops hard when this is spent.
[budget]
shift_usd = 5

# Turno runs these itself, in this order. Nothing lands that they do not pass.

"#;

fn setup(detected: &Detected) -> String {
    let mut text = String::from("\n# What a new worktree needs before anything can run in it.\n");
    let commands: Vec<&str> = detected.setup.iter().map(|s| s.command.as_str()).collect();
    let seen: Vec<&str> = detected.setup.iter().map(|s| s.why.as_str()).collect();
    let command = quoted(&commands.join(" && "));
    let copy: Vec<String> = detected.copy.iter().map(|c| quoted(c)).collect();
    let copy = copy.join(", ");
    if commands.is_empty() {
        text.push_str("# [setup]\n# command = \"npm ci\"\n");
    } else {
        push(
            &mut text,
            format_args!("# Seen by {}.\n[setup]\ncommand = {command}\n", seen.join(", ")),
        );
    }
    text.push_str("# Files that git ignores and that a worktree needs, copied from your checkout. Agents can read them.\n");
    push(&mut text, format_args!("# copy = [{copy}]\n"));
    text
}

fn who(agents: &[FoundAgent]) -> String {
    let mut text = String::from("\n# Who works. claude and codex are known without an entry here.\n");
    if agents.is_empty() {
        text.push_str("# Neither was found on this machine; install one and sign in.\n");
    }
    for agent in agents {
        push(
            &mut text,
            format_args!("# Found: {} {}\n", agent.name, one_line(&agent.version)),
        );
    }
    text.push_str("# [agents.claude]\n# at_once = 2\n# pass_env = [\"ANTHROPIC_API_KEY\"]\n");
    text.push_str("\n# Who plays which persona: `turno persona list`.\n");
    text.push_str("# [personas.engineer]\n# agents = [\"claude\"]\n# budget_usd = 2\n");
    text
}

fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    text.write_fmt(words).unwrap_or_default();
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
