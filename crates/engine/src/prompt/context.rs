//! Owns the variables of templates: their names, their words, and how they come from a brief. All of them are
//! always there; those that do not concern what is asked for are empty. So a template that renders once renders
//! always. Text is bounded and rid of characters that people cannot see.

use serde_json::{Value, json};
use turno_core::brief::{Ask, Brief, proof_results};
use turno_core::check::{CheckResult, CheckVerdict};
use turno_core::outcome::{Finding, Severity};
use turno_core::persona::{Access, Persona};
use turno_core::task::{Because, ConflictHunk};

use crate::config::cause_name;
use crate::prompt::Extras;

/// A variable that a template may use. `[]` in its path stands for one element of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its path, with dots.
    pub path: &'static str,
    /// What it is, in one line.
    pub doc: &'static str,
}

const fn var(path: &'static str, doc: &'static str) -> Variable {
    Variable { path, doc }
}

/// All variables, in the order people read them.
pub const VARIABLES: &[Variable] = &[
    var("persona.name", "the persona's name"),
    var("persona.role", "author, engineer, reviewer or tester"),
    var("persona.access", "what it may do to files: read, tests or write"),
    var("persona.budget", "what one attempt may spend, like $2.00"),
    var("persona.wall_clock", "how long one attempt may take, like 45m"),
    var("issue.id", "the issue's id, like 7"),
    var("issue.title", "one line, from outside"),
    var("issue.body", "the issue in the person's words, from outside"),
    var("task.id", "the task's id, like 7.2"),
    var("task.title", "one line, from outside"),
    var("task.brief", "what is to be done, from outside"),
    var("task.acceptance", "a list: what must be true afterwards"),
    var(
        "task.touches",
        "a list of path globs that may be written; empty means anywhere",
    ),
    var("round", "which attempt on this task it is, counted from 1"),
    var(
        "notes",
        "a list: facts about the slot, like the ports that are its own",
    ),
    var(
        "diff_stat",
        "for a review: what changed, as `git diff --stat` shows it",
    ),
    var("ask.kind", "write or review"),
    var(
        "ask.checks",
        "for writing: a list of the commands that will be run on the change",
    ),
    var(
        "ask.because.kind",
        "for writing, why: new, interrupted, checks-failed, findings or conflict",
    ),
    var("ask.because.cause", "interrupted: the cause, like wall-clock"),
    var("ask.because.phrase", "interrupted: the cause in words"),
    var("ask.because.detail", "interrupted: what exactly, from outside"),
    var(
        "ask.because.failing",
        "checks-failed: a list of the checks that were not green",
    ),
    var("ask.because.failing[].name", "the check's name"),
    var("ask.because.failing[].verdict", "failed or could-not-run"),
    var(
        "ask.because.failing[].output",
        "the useful part of its output, or why it could not run",
    ),
    var("ask.because.by", "findings: the persona that sent it back"),
    var("ask.because.findings", "findings: a list of what is to be mended"),
    var("ask.because.findings[].file", "the file"),
    var(
        "ask.because.findings[].line",
        "the line; 0 means the file as a whole",
    ),
    var("ask.because.findings[].place", "file and line, like src/lib.rs:7"),
    var("ask.because.findings[].severity", "note, major or critical"),
    var("ask.because.findings[].what", "what is wrong"),
    var("ask.because.findings[].how_to_see", "how to see it; may be empty"),
    var("ask.because.commit", "conflict: the commit that does not apply"),
    var("ask.because.hunks", "conflict: a list of the places"),
    var("ask.because.hunks[].file", "the file"),
    var(
        "ask.because.hunks[].text",
        "the conflicting part with its markers",
    ),
    var("ask.commit", "for a review: the commit to judge"),
    var("ask.base", "for a review: the commit to compare it with"),
    var(
        "ask.results",
        "for a review: a list of what the checks showed; empty when there are none",
    ),
    var("ask.results[].name", "the check's name"),
    var("ask.results[].verdict", "passed, flaky, failed or could-not-run"),
    var("ask.results[].took", "how long it took, like 12s"),
    var(
        "ask.earlier",
        "for a review: a list of findings of earlier rounds, with the same parts as above",
    ),
    var("ask.earlier[].file", "the file"),
    var("ask.earlier[].line", "the line; 0 means the file as a whole"),
    var("ask.earlier[].place", "file and line, like src/lib.rs:7"),
    var("ask.earlier[].severity", "note, major or critical"),
    var("ask.earlier[].what", "what was wrong"),
    var("ask.earlier[].how_to_see", "how to see it; may be empty"),
];

const BODY: usize = 40_000;
const EXTRACT: usize = 6_000;
const HUNK: usize = 4_000;
const LINE: usize = 2_000;
const MANY: usize = 30;

/// The values of all variables.
pub(super) fn build(persona: &Persona, brief: &Brief, extras: &Extras) -> Value {
    json!({
        "persona": {
            "name": persona.name,
            "role": persona.role,
            "access": match persona.access {
                Access::Read => "read",
                Access::Tests => "tests",
                Access::Write => "write",
            },
            "budget": persona.budget.to_string(),
            "wall_clock": persona.wall_clock.to_string(),
        },
        "issue": {
            "id": brief.issue.id.to_string(),
            "title": one_line(&brief.issue.title),
            "body": text(&brief.issue.body, BODY),
        },
        "task": {
            "id": brief.task.id.to_string(),
            "title": one_line(&brief.task.title),
            "brief": text(&brief.task.brief, BODY),
            "acceptance": lines(&brief.task.acceptance),
            "touches": lines(&brief.task.touches),
        },
        "round": brief.round,
        "notes": lines(&extras.notes),
        "diff_stat": text(&extras.diff_stat, EXTRACT),
        "ask": ask(&brief.ask),
    })
}

fn ask(ask: &Ask) -> Value {
    let mut all = json!({
        "kind": "", "checks": [], "because": because(&Because::New),
        "commit": "", "base": "", "results": [], "earlier": [],
    });
    match ask {
        Ask::Write { because: why, checks } => {
            all["kind"] = json!("write");
            all["because"] = because(why);
            all["checks"] = json!(lines(checks));
        }
        Ask::Review {
            commit,
            base,
            proof,
            earlier,
        } => {
            all["kind"] = json!("review");
            all["commit"] = json!(commit);
            all["base"] = json!(base);
            all["results"] = proof_results(proof).iter().map(result).collect();
            all["earlier"] = findings(earlier);
        }
    }
    all
}

fn because(because: &Because) -> Value {
    let mut all = json!({
        "kind": "new", "cause": "", "phrase": "", "detail": "", "failing": [], "by": "", "findings": [],
        "commit": "", "hunks": [],
    });
    match because {
        Because::New => {}
        Because::Interrupted { failure } => {
            all["kind"] = json!("interrupted");
            all["cause"] = json!(cause_name(failure.cause));
            all["phrase"] = json!(failure.cause.phrase());
            all["detail"] = json!(text(&failure.detail, LINE));
        }
        Because::ChecksFailed { failing } => {
            all["kind"] = json!("checks-failed");
            all["failing"] = failing.iter().take(MANY).map(result).collect();
        }
        Because::Findings { by, findings: found } => {
            all["kind"] = json!("findings");
            all["by"] = json!(by.persona);
            all["findings"] = findings(found);
        }
        Because::Conflict { commit, hunks } => {
            all["kind"] = json!("conflict");
            all["commit"] = json!(commit);
            all["hunks"] = hunks.iter().take(MANY).map(hunk).collect();
        }
    }
    all
}

fn result(result: &CheckResult) -> Value {
    let (verdict, output) = match &result.verdict {
        CheckVerdict::Pass => ("passed", ""),
        CheckVerdict::Flaky => ("flaky", ""),
        CheckVerdict::Fail { extract } => ("failed", extract.as_str()),
        CheckVerdict::CouldNotRun { why } => ("could-not-run", why.as_str()),
    };
    json!({
        "name": result.check,
        "verdict": verdict,
        "output": text(output, EXTRACT),
        "took": result.took.to_string(),
    })
}

fn findings(findings: &[Finding]) -> Value {
    findings.iter().take(MANY).map(finding).collect()
}

fn finding(finding: &Finding) -> Value {
    let file = one_line(&finding.file);
    let place = match finding.line {
        0 => file.clone(),
        line => format!("{file}:{line}"),
    };
    json!({
        "file": file,
        "line": finding.line,
        "place": place,
        "severity": match finding.severity {
            Severity::Note => "note",
            Severity::Major => "major",
            Severity::Critical => "critical",
        },
        "what": text(&finding.what, LINE),
        "how_to_see": text(&finding.how_to_see, LINE),
    })
}

fn hunk(hunk: &ConflictHunk) -> Value {
    json!({ "file": one_line(&hunk.file), "text": text(&hunk.text, HUNK) })
}

fn lines(lines: &[String]) -> Vec<String> {
    lines.iter().map(|l| one_line(l)).collect()
}

fn one_line(line: &str) -> String {
    cut(&clean(line).replace(['\n', '\t'], " "), LINE)
}

fn text(text: &str, most: usize) -> String {
    cut(&clean(text), most)
}

/// Leaves out what a person does not see and an agent does: control characters, direction marks and tag letters.
fn clean(text: &str) -> String {
    let unseen = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().filter(|c| !unseen(*c)).collect()
}

/// At most `most` characters of a text: its beginning and its end, with the sum of what is left out between them.
pub fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let (head, tail) = (most / 3, most - most / 3);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!(
        "{start}\n[... {} characters left out ...]\n{end}",
        length - head - tail
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_ends() {
        assert_eq!(cut("abcdefghij", 6), "ab\n[... 4 characters left out ...]\nghij");
        assert_eq!(cut("abc", 3), "abc");
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        assert_eq!(
            clean("a\u{0}\u{1b}[31mb\u{202e}c\u{e0041}\td\r\n"),
            "a[31mbc\td\n"
        );
    }
}
