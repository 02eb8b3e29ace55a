//! Owns the wire shape of outcomes and of questions: one plain JSON object for each kind, the strict schema of
//! outcomes, and reading both. It must not know any agent. The core's own form of an outcome never leaves Turno.
//!
//! The schemas ask for every property; reading forgives an absent list, because people write these objects
//! by hand in scripts and agents without schema support write them in a fenced block.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use turno_core::decision::{Choice, Question};
use turno_core::event::AgentEnd;
use turno_core::ids::InvalidId;
use turno_core::outcome::{
    Finding, LessonDraft, Outcome, OutcomeKind, PlannedDrop, PlannedTask, ProposalAnswer, ProposalVerdict,
    Proposed, Severity, Size, Verdict,
};
use turno_core::persona::Role;

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
        OutcomeKind::Choice => "choice",
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
                    "needs": strings("Keys of tasks of this plan, or ids of earlier tasks, that must be landed first."),
                    "touches": strings("Globs of the paths that it may write; empty for anywhere."),
                    "writer": {
                        "type": "string",
                        "enum": ["engineer", "tester"],
                        "description": "`tester` where the task is tests alone.",
                    },
                    "size": {
                        "type": "string",
                        "enum": ["small", "medium", "large"],
                        "description": "Minutes, up to half an hour, about an hour.",
                    },
                })),
            },
            "answers": {
                "type": "array",
                "description": "One answer for each proposed task that you were shown.",
                "items": object(&json!({
                    "proposal": string("Its id, like p1."),
                    "verdict": { "type": "string", "enum": ["accept", "merge", "decline"] },
                    "becomes": string(
                        "With `accept` the key of the task of this plan that it becomes, with `merge` the id of the \
                         task that takes it in, else empty."
                    ),
                    "reason": string("Why."),
                })),
            },
            "drops": {
                "type": "array",
                "description": "Parked tasks that are given up because this plan gets around them.",
                "items": object(&json!({
                    "task": string("Its id, like 7.2."),
                    "replaced_by": strings("Keys of the tasks of this plan that do its work."),
                    "reason": string("Why."),
                })),
            },
        })),
        OutcomeKind::Change => object(&json!({
            "summary": string("What was changed and why, fit for a commit message."),
            "evidence": strings("How you saw that it works: commands and what they showed."),
            "open_questions": strings("What you decided alone or left open."),
            "proposals": proposals(),
            "lessons": lessons(),
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
            "protected": strings(
                "Of the protected paths that you were told of, those whose change you looked at and approve."
            ),
            "proposals": proposals(),
            "lessons": lessons(),
        })),
        OutcomeKind::Acceptance => object(&json!({
            "missing": strings("What is still missing; empty when the issue is done."),
        })),
        OutcomeKind::Choice => object(&json!({
            "winner": string("The task id of the best candidate, like 7.2; empty when none is good enough."),
            "why": string("Why this one, or why none."),
        })),
    }
}

fn proposals() -> Value {
    json!({
        "type": "array",
        "description": "Tasks that turned out to be needed and are not yours to do; usually none.",
        "items": object(&json!({
            "title": string("One line."),
            "brief": string("What is to be done."),
            "why": string("Why it is needed."),
            "touches": strings("Globs of the paths it would write, as far as you know."),
        })),
    })
}

fn lessons() -> Value {
    json!({
        "type": "array",
        "description": "What whoever works on these paths next should know; usually none.",
        "items": object(&json!({
            "text": string("The lesson, in one or two sentences."),
            "paths": strings("Globs of the paths it is about."),
            "evidence": string("What showed it."),
        })),
    })
}

/// Words that ask for a kind, for agents that cannot be given a schema.
pub fn instructions(kind: OutcomeKind) -> String {
    format!(
        "End your final answer with one fenced block that begins with ```json and holds one JSON object, \
         your {}. It must match this JSON schema exactly, with every property present:\n\n```json\n{}\n```\n\n\
         If you cannot go on without a person's decision, end with this block instead; the answer reaches you \
         in this same conversation:\n\n```json\n{}\n```\n",
        word(kind),
        schema(kind),
        json!({
            "kind": QUESTION,
            "question": "what is to be decided",
            "options": [{ "label": "one way", "detail": "what it means" }],
            "recommended": "one way",
        })
    )
}

/// The whole prompt of an agent that takes neither a system text nor a schema.
pub fn prompt_with_instructions(system: &str, prompt: &str, kind: OutcomeKind) -> String {
    format!("{system}\n\n{prompt}\n\n{}", instructions(kind))
}

/// The value of `kind` that marks a question.
const QUESTION: &str = "question";

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
        (OutcomeKind::Choice, "winner"),
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
    #[serde(default)]
    answers: Vec<WireAnswer>,
    #[serde(default)]
    drops: Vec<PlannedDrop>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum WireDecision {
    Accept,
    Merge,
    Decline,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAnswer {
    proposal: String,
    verdict: WireDecision,
    #[serde(default)]
    becomes: String,
    #[serde(default)]
    reason: String,
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
    #[serde(default)]
    writer: Role,
    #[serde(default)]
    size: Size,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChoice {
    winner: String,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireChange {
    summary: String,
    #[serde(default)]
    evidence: Vec<String>,
    #[serde(default)]
    open_questions: Vec<String>,
    #[serde(default)]
    proposals: Vec<Proposed>,
    #[serde(default)]
    lessons: Vec<LessonDraft>,
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
    #[serde(default)]
    protected: Vec<String>,
    #[serde(default)]
    proposals: Vec<Proposed>,
    #[serde(default)]
    lessons: Vec<LessonDraft>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireQuestion {
    question: String,
    #[serde(default)]
    options: Vec<Choice>,
    #[serde(default)]
    recommended: Option<String>,
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
        OutcomeKind::Choice => choice(read(value)?),
    }
}

/// Reads the final words of an agent: the whole text as JSON, else its last fenced block.
///
/// # Errors
/// When there is no JSON object in it, or it is no outcome of the kind asked for.
pub fn parse_text(kind: OutcomeKind, words: &str) -> Result<Outcome, OutcomeError> {
    parse(kind, &object_in(words)?)
}

/// What the final words of an agent mean: its outcome, or the question that it cannot go on without.
///
/// # Errors
/// When there is no JSON object in them, or it is neither a question nor an outcome of the kind asked for.
pub fn end_of_words(kind: OutcomeKind, words: &str) -> Result<AgentEnd, OutcomeError> {
    let value = object_in(words)?;
    match question(&value) {
        Some(question) => Ok(AgentEnd::Asked(question?)),
        None => parse(kind, &value).map(AgentEnd::Finished),
    }
}

/// The question in the final words of an agent whose outcome comes another way.
pub fn question_in_words(words: &str) -> Option<Question> {
    question(&object_in(words).ok()?)?.ok()
}

/// Reads a value as a question; `None` when it does not claim to be one.
pub fn question(value: &Value) -> Option<Result<Question, OutcomeError>> {
    let mut fields = value.as_object()?.clone();
    if fields.shift_remove("kind")?.as_str() != Some(QUESTION) {
        return None;
    }
    Some(read(&Value::Object(fields)).and_then(asked))
}

fn asked(wire: WireQuestion) -> Result<Question, OutcomeError> {
    if is_blank(&wire.question) {
        return contradiction("the `question` must not be empty");
    }
    if wire.options.iter().any(|option| is_blank(&option.label)) {
        return contradiction("every option of a question needs a label");
    }
    let recommended = wire.recommended.filter(|label| !is_blank(label));
    if let Some(label) = &recommended
        && !wire.options.iter().any(|option| option.label == *label)
    {
        return contradiction(format!("`{label}` is recommended, but it is none of the options"));
    }
    Ok(Question {
        question: wire.question,
        options: wire.options,
        recommended,
    })
}

/// The JSON object in final words: the whole text, else its last fenced block.
fn object_in(words: &str) -> Result<Value, OutcomeError> {
    if let Ok(value @ Value::Object(_)) = serde_json::from_str(words.trim()) {
        return Ok(value);
    }
    let block = text::last_fenced_json(words).ok_or(OutcomeError::Absent)?;
    serde_json::from_str(&block).map_err(|error| OutcomeError::Shape {
        at: ".".to_owned(),
        problem: format!("the fenced block is not valid JSON: {error}"),
    })
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

/// Whether a plan is sound is the core's to say; here only its shape counts.
fn plan(wire: WirePlan) -> Result<Outcome, OutcomeError> {
    let tasks = wire.tasks.into_iter().map(|task| PlannedTask {
        key: task.key,
        writer: task.writer,
        size: task.size,
        title: task.title,
        brief: task.brief,
        acceptance: task.acceptance,
        needs: task.needs,
        touches: task.touches,
    });
    let answers: Result<Vec<_>, _> = wire.answers.into_iter().map(answer).collect();
    Ok(Outcome::Plan {
        tasks: tasks.collect(),
        answers: answers?,
        drops: wire.drops,
    })
}

fn answer(wire: WireAnswer) -> Result<ProposalAnswer, OutcomeError> {
    let wrong =
        |error: InvalidId| OutcomeError::Contradiction(format!("in an answer to a proposal: {error}"));
    let verdict = match wire.verdict {
        WireDecision::Accept => ProposalVerdict::Accept { key: wire.becomes },
        WireDecision::Merge => ProposalVerdict::Merge {
            into: wire.becomes.trim().parse().map_err(wrong)?,
        },
        WireDecision::Decline => ProposalVerdict::Decline,
    };
    Ok(ProposalAnswer {
        proposal: wire.proposal.trim().parse().map_err(wrong)?,
        verdict,
        reason: wire.reason,
    })
}

fn choice(wire: WireChoice) -> Result<Outcome, OutcomeError> {
    let winner = match wire.winner.trim() {
        "" => None,
        id => Some(
            id.parse()
                .map_err(|error: InvalidId| OutcomeError::Contradiction(format!("the winner: {error}")))?,
        ),
    };
    Ok(Outcome::Choice {
        winner,
        why: wire.why,
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
        proposals: wire.proposals,
        lessons: wire.lessons,
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
        protected: wire.protected,
        proposals: wire.proposals,
        lessons: wire.lessons,
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
