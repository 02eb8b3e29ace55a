//! Owns the wire shape of outcomes: one plain JSON object for each kind, its strict schema, and reading it.
//! It must not know any agent. The core's own form of an outcome never leaves Turno.
//!
//! The schemas ask for every property; reading forgives an absent list, because people write these objects
//! by hand in scripts and agents without schema support write them in a fenced block.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use turno_core::outcome::{Finding, Outcome, OutcomeKind, PlannedTask, Severity, Verdict};

use crate::text;

/// Why a value is not the outcome that was asked for. The text is fit to be sent back to the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeError {
    /// Nothing that could be an outcome was found.
    #[error("no JSON object was found in the final answer")]
    Absent,
    /// The object does not have the shape of its schema.
    #[error("at `{at}`: {problem}")]
    Shape {
        /// Path within the object.
        at: String,
        /// What is wrong there.
        problem: String,
    },
    /// The shape is right, and it contradicts itself.
    #[error("{0}")]
    Contradiction(String),
}

/// The word for a kind in texts.
pub fn word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Plan => "plan",
        OutcomeKind::Change => "change",
        OutcomeKind::Verdict => "verdict",
        OutcomeKind::Acceptance => "acceptance",
    }
}

fn strings(description: &str) -> Value {
    json!({ "type": "array", "description": description, "items": { "type": "string" } })
}

fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// A strict object: every property is required and no other is taken, as providers' strict modes demand.
fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties
        .as_object()
        .map(|map| map.keys().collect())
        .unwrap_or_default();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

/// The strict JSON schema of a kind.
pub fn schema(kind: OutcomeKind) -> Value {
    match kind {
        OutcomeKind::Plan => object(&json!({
            "tasks": {
                "type": "array",
                "description": "The tasks that together resolve the issue; at least one.",
                "items": object(&json!({
                    "key": string("A short name within this plan, used by `needs`."),
                    "title": string("One line."),
                    "brief": string("What is to be done, for a writer who has not seen the issue."),
                    "acceptance": strings("What must be true afterwards; each can be checked."),
                    "needs": strings("Keys of the tasks that must be landed first."),
                    "touches": strings("Globs of the paths that it may write; empty for anywhere."),
                })),
            },
        })),
        OutcomeKind::Change => object(&json!({
            "summary": string("What was changed and why, fit for a commit message."),
            "evidence": strings("How you saw that it works: commands and what they showed."),
            "open_questions": strings("What you decided alone or left open."),
        })),
        OutcomeKind::Verdict => object(&json!({
            "verdict": {
                "type": "string",
                "enum": ["approve", "findings"],
                "description": "`findings` if anything major or critical is wrong, else `approve`.",
            },
            "findings": {
                "type": "array",
                "description": "What is wrong. With `approve` only notes may be here.",
                "items": object(&json!({
                    "file": string("Path within the repository."),
                    "line": { "type": "integer", "description": "Counted from 1; 0 for the whole file." },
                    "severity": { "type": "string", "enum": ["note", "major", "critical"] },
                    "what": string("What is wrong."),
                    "how_to_see": string("A command, an input or a line of reasoning that shows it."),
                })),
            },
            "read": strings("What you read to reach the verdict."),
        })),
        OutcomeKind::Acceptance => object(&json!({
            "missing": strings("What is still missing; empty when the issue is done."),
        })),
    }
}

/// Words that ask for a kind, for agents that cannot be given a schema.
pub fn instructions(kind: OutcomeKind) -> String {
    format!(
        "End your final answer with one fenced block that begins with ```json and holds one JSON object, \
         your {}. It must match this JSON schema exactly, with every property present:\n\n```json\n{}\n```\n",
        word(kind),
        schema(kind)
    )
}

/// What to say to an agent whose final answer was no valid outcome. It has one turn to mend it.
pub fn repair_request(kind: OutcomeKind, error: &OutcomeError) -> String {
    format!(
        "Your work is kept, but your final answer cannot be used: {error}.\n\n\
         Give the {} again as one JSON object, through your structured output if you have it, \
         otherwise as the whole of your answer. Do no further work. It must match this JSON schema exactly, \
         with every property present:\n\n{}",
        word(kind),
        schema(kind)
    )
}

/// Which kind a value claims to be: by its `kind`, else by the property that only that kind has.
pub fn kind_of(value: &Value) -> Option<OutcomeKind> {
    let kinds = [
        (OutcomeKind::Plan, "tasks"),
        (OutcomeKind::Change, "summary"),
        (OutcomeKind::Verdict, "verdict"),
        (OutcomeKind::Acceptance, "missing"),
    ];
    let object = value.as_object()?;
    match object.get("kind").and_then(Value::as_str) {
        Some(name) => kinds
            .into_iter()
            .map(|(kind, _)| kind)
            .find(|kind| word(*kind) == name),
        None => kinds
            .into_iter()
            .find(|(_, key)| object.contains_key(*key))
            .map(|(kind, _)| kind),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePlan {
    tasks: Vec<WireTask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTask {
    key: String,
    title: String,
    brief: String,
    acceptance: Vec<String>,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    touches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChange {
    summary: String,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    open_questions: Vec<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum WireWord {
    Approve,
    Findings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVerdict {
    verdict: WireWord,
    #[serde(default)]
    findings: Vec<WireFinding>,
    #[serde(default)]
    read: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFinding {
    file: String,
    #[serde(default)]
    line: u32,
    severity: Severity,
    what: String,
    #[serde(default)]
    how_to_see: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAcceptance {
    missing: Vec<String>,
}

/// Reads a value as an outcome of the kind asked for.
///
/// # Errors
/// When the shape is another one, or the outcome contradicts itself.
pub fn parse(kind: OutcomeKind, value: &Value) -> Result<Outcome, OutcomeError> {
    match kind {
        OutcomeKind::Plan => plan(read(value)?),
        OutcomeKind::Change => change(read(value)?),
        OutcomeKind::Verdict => verdict(read(value)?),
        OutcomeKind::Acceptance => acceptance(read(value)?),
    }
}

/// Reads the final words of an agent: the whole text as JSON, else its last fenced block.
///
/// # Errors
/// When there is no JSON object in it, or it is no outcome of the kind asked for.
pub fn parse_text(kind: OutcomeKind, words: &str) -> Result<Outcome, OutcomeError> {
    if let Ok(value @ Value::Object(_)) = serde_json::from_str(words.trim()) {
        return parse(kind, &value);
    }
    let block = text::last_fenced_json(words).ok_or(OutcomeError::Absent)?;
    let value: Value = serde_json::from_str(&block).map_err(|error| OutcomeError::Shape {
        at: ".".to_owned(),
        problem: format!("the fenced block is not valid JSON: {error}"),
    })?;
    parse(kind, &value)
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, OutcomeError> {
    serde_path_to_error::deserialize(value).map_err(|error| OutcomeError::Shape {
        at: error.path().to_string(),
        problem: error.inner().to_string(),
    })
}

fn contradiction<T>(problem: impl Into<String>) -> Result<T, OutcomeError> {
    Err(OutcomeError::Contradiction(problem.into()))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn plan(wire: WirePlan) -> Result<Outcome, OutcomeError> {
    if wire.tasks.is_empty() {
        return contradiction("a plan needs at least one task");
    }
    let keys: Vec<String> = wire.tasks.iter().map(|task| task.key.clone()).collect();
    for (index, task) in wire.tasks.iter().enumerate() {
        if is_blank(&task.key) || is_blank(&task.title) {
            return contradiction(format!("task {} of the plan needs a key and a title", index + 1));
        }
        if keys[..index].contains(&task.key) {
            return contradiction(format!("two tasks of the plan have the key `{}`", task.key));
        }
        if let Some(need) = task.needs.iter().find(|need| !keys.contains(need)) {
            return contradiction(format!(
                "task `{}` needs `{need}`, which is no task of the plan",
                task.key
            ));
        }
    }
    let tasks = wire.tasks.into_iter().map(|task| PlannedTask {
        key: task.key,
        title: task.title,
        brief: task.brief,
        acceptance: task.acceptance,
        needs: task.needs,
        touches: task.touches,
    });
    Ok(Outcome::Plan {
        tasks: tasks.collect(),
    })
}

fn change(wire: WireChange) -> Result<Outcome, OutcomeError> {
    if is_blank(&wire.summary) {
        return contradiction("the `summary` of a change must not be empty");
    }
    Ok(Outcome::Change {
        summary: wire.summary,
        evidence: wire.evidence,
        open_questions: wire.open_questions,
    })
}

fn verdict(wire: WireVerdict) -> Result<Outcome, OutcomeError> {
    if wire.findings.iter().any(|finding| is_blank(&finding.what)) {
        return contradiction("every finding must say in `what` what is wrong");
    }
    let findings: Vec<Finding> = wire
        .findings
        .into_iter()
        .map(|finding| Finding {
            file: finding.file,
            line: finding.line,
            severity: finding.severity,
            what: finding.what,
            how_to_see: finding.how_to_see,
        })
        .collect();
    let grave = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
        .count();
    let verdict = match wire.verdict {
        WireWord::Approve if grave > 0 => {
            return contradiction(format!(
                "the verdict is `approve`, but {grave} of its findings are major or critical: \
                 say `findings`, or call them notes if they need not be mended"
            ));
        }
        WireWord::Approve => Verdict::Approve { notes: findings },
        WireWord::Findings if findings.is_empty() => {
            return contradiction(
                "the verdict is `findings`, but the list is empty: name what is wrong, or say `approve`",
            );
        }
        WireWord::Findings => Verdict::Findings { findings },
    };
    Ok(Outcome::Verdict {
        verdict,
        read: wire.read,
    })
}

fn acceptance(wire: WireAcceptance) -> Result<Outcome, OutcomeError> {
    if wire.missing.iter().any(|missing| is_blank(missing)) {
        return contradiction("an entry of `missing` is empty: say what is missing, or leave it out");
    }
    Ok(Outcome::Acceptance {
        missing: wire.missing,
    })
}
