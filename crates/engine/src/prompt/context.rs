//! Owns the values of the variables of templates: how they come from a brief. All of them are always there; those
//! that do not concern what is asked for are empty. So a template that renders once renders always. Text is bounded
//! and rid of characters that people cannot see. Their names are in `variables.rs`.

use serde_json::{Value, json};
use turno_core::brief::{
    Ask, Brief, CandidateBrief, ProposalBrief, RemarkBrief, Standing, TaskLine, proof_results,
};
use turno_core::check::{CheckResult, CheckVerdict};
use turno_core::guard::{Guarded, GuardedBy};
use turno_core::outcome::{Finding, LessonDraft, Severity, Verdict};
use turno_core::persona::{Access, Persona};
use turno_core::plan::edit::Origin;
use turno_core::policy::NewTestsRule;
use turno_core::remark::said_place;
use turno_core::task::{Because, Bounds, ConflictHunk, Handoff, Neighbour, PlanBecause, Trial};
use turno_core::view::park_phrase;

use crate::config::cause_name;
use crate::prompt::Extras;
use crate::prompt::fence::is_unseen;

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
        "test_paths": lines(&extras.test_paths),
        "handoffs": brief.handoffs.iter().take(MANY).map(|h| json!({
            "task": h.task.to_string(),
            "text": text(&handoff(&h.handoff), EXTRACT),
        })).collect::<Value>(),
        "others": brief.others.iter().take(MANY).map(line).collect::<Value>(),
        "answers": brief.answers.iter().take(MANY).map(|a| json!({
            "question": text(&a.question, LINE),
            "answer": text(&a.answer, LINE),
        })).collect::<Value>(),
        "remarks": brief.remarks.iter().map(remark).collect::<Value>(),
        "lessons": brief.lessons.iter().take(MANY).map(lesson).collect::<Value>(),
        "diff_stat": text(&extras.diff_stat, EXTRACT),
        "ask": ask(&brief.ask),
    })
}

fn ask(ask: &Ask) -> Value {
    let mut all = json!({
        "kind": "", "checks": [], "because": because(&Because::New), "commit": "", "base": "", "results": [],
        "earlier": [], "protected": [], "guards": [], "rule": "", "candidates": [], "room": 0, "tasks": [], "proposals": [],
        "trial": { "kind": "untried", "by": "", "findings": [] },
    });
    match ask {
        Ask::Write { because: why, checks } => {
            all["kind"] = json!(if is_tests_first(why) {
                "tests-first"
            } else {
                "write"
            });
            all["because"] = because(why);
            all["checks"] = json!(lines(checks));
        }
        Ask::Test {
            commit,
            base,
            proof,
            test_paths: _,
            rule,
        } => {
            all["kind"] = json!("test");
            all["commit"] = json!(commit);
            all["base"] = json!(base);
            all["results"] = proof_results(proof).iter().map(result).collect();
            all["rule"] = json!(match rule {
                NewTestsRule::Pass => "pass",
                NewTestsRule::FailOnBase => "fail-on-base",
            });
        }
        Ask::Compare { base, candidates } => {
            all["kind"] = json!("compare");
            all["base"] = json!(base);
            all["candidates"] = candidates.iter().map(candidate).collect();
        }
        Ask::Plan {
            because,
            checks,
            room,
            tasks,
            proposals,
        } => {
            all["kind"] = json!("plan");
            plan_because(&mut all["because"], because);
            all["checks"] = json!(lines(checks));
            all["room"] = json!(room);
            all["tasks"] = tasks.iter().map(line).collect();
            all["proposals"] = proposals.iter().map(proposal).collect();
        }
        Ask::Try { head, base } => {
            all["kind"] = json!("try");
            all["commit"] = json!(head);
            all["base"] = json!(base);
        }
        Ask::Accept {
            head,
            base,
            tasks,
            trial: tried,
        } => {
            all["kind"] = json!("accept");
            all["commit"] = json!(head);
            all["base"] = json!(base);
            all["tasks"] = tasks.iter().map(line).collect();
            all["trial"] = trial(tried);
        }
        Ask::Review {
            commit,
            base,
            proof,
            earlier,
            protected,
            guards,
        } => {
            all["kind"] = json!("review");
            all["commit"] = json!(commit);
            all["base"] = json!(base);
            all["results"] = proof_results(proof).iter().map(result).collect();
            all["earlier"] = findings(earlier);
            all["protected"] = json!(lines(protected));
            all["guards"] = guards.iter().map(guarded).collect();
        }
    }
    all
}

/// Whether tests are asked for before what they test.
pub(super) fn is_tests_first(because: &Because) -> bool {
    match because {
        Because::TestsFirst | Because::TestsPassAlready => true,
        Because::New
        | Because::Interrupted { .. }
        | Because::ChecksFailed { .. }
        | Because::Findings { .. }
        | Because::Conflict { .. }
        | Because::MakePass { .. }
        | Because::OutOfBounds { .. }
        | Because::Guarded { .. }
        | Because::Answered { .. }
        | Because::Remarked => false,
    }
}

fn because(because: &Because) -> Value {
    let mut all = json!({
        "kind": "new", "cause": "", "phrase": "", "detail": "", "failing": [], "by": "", "findings": [],
        "commit": "", "hunks": [], "paths": [], "rule": "", "errors": [], "stuck": [], "missing": [],
        "found": [], "beside": [],
    });
    match because {
        Because::New => {}
        Because::Interrupted { failure } => {
            all["kind"] = json!("interrupted");
            all["cause"] = json!(cause_name(failure.cause));
            all["phrase"] = json!(failure.cause.phrase());
            all["detail"] = json!(text(&failure.detail, LINE));
        }
        Because::ChecksFailed { failing, beside } => {
            all["kind"] = json!("checks-failed");
            all["beside"] = beside.iter().take(MANY).map(neighbour).collect();
            all["failing"] = failing.iter().take(MANY).map(result).collect();
        }
        Because::Findings { by, findings: found } => {
            all["kind"] = json!("findings");
            all["by"] = json!(by.persona);
            all["findings"] = findings(found);
        }
        Because::Conflict {
            commit,
            hunks,
            beside,
        } => {
            all["kind"] = json!("conflict");
            all["beside"] = beside.iter().take(MANY).map(neighbour).collect();
            all["commit"] = json!(commit);
            all["hunks"] = hunks.iter().take(MANY).map(hunk).collect();
        }
        Because::TestsFirst => all["kind"] = json!("tests-first"),
        Because::TestsPassAlready => all["kind"] = json!("tests-pass-already"),
        Because::MakePass { frozen, failing } => {
            all["kind"] = json!("make-pass");
            all["paths"] = json!(lines(frozen));
            all["failing"] = failing.iter().take(MANY).map(result).collect();
        }
        Because::OutOfBounds { paths, rule } => {
            all["kind"] = json!("out-of-bounds");
            all["paths"] = json!(lines(paths));
            all["rule"] = json!(match rule {
                Bounds::FrozenTests => "frozen-tests",
                Bounds::TestsOnly => "tests-only",
            });
        }
        Because::Guarded { found, by, .. } => {
            all["kind"] = json!("guarded");
            all["found"] = found.iter().map(guarded).collect();
            match by {
                GuardedBy::Policy => all["rule"] = json!("policy"),
                GuardedBy::Person { answer } => {
                    all["rule"] = json!("person");
                    all["detail"] = json!(text(answer, LINE));
                }
            }
        }
        // The answer is with the others, in `answers`.
        Because::Answered { .. } => all["kind"] = json!("answered"),
        // So are the words, in `remarks`.
        Because::Remarked => all["kind"] = json!("remarked"),
    }
    all
}

fn plan_because(all: &mut Value, because: &PlanBecause) {
    match because {
        PlanBecause::New => {}
        // What was wrong is said beside the reason why the plan was asked for in the first place.
        PlanBecause::Invalid { errors, asked } => {
            plan_because(all, asked);
            all["errors"] = json!(lines(errors));
        }
        PlanBecause::Proposals => all["kind"] = json!("proposals"),
        PlanBecause::Stuck { tasks } => {
            all["kind"] = json!("stuck");
            all["stuck"] = tasks.iter().map(ToString::to_string).collect();
        }
        PlanBecause::Missing { missing } => {
            all["kind"] = json!("missing");
            all["missing"] = json!(lines(missing));
        }
    }
}

fn candidate(candidate: &CandidateBrief) -> Value {
    json!({
        "task": candidate.task.to_string(),
        "commit": candidate.commit,
        "paths": lines(&candidate.paths),
        "results": proof_results(&candidate.proof).iter().map(result).collect::<Value>(),
    })
}

fn line(line: &TaskLine) -> Value {
    let mut words = Words::default();
    words.say(&line.title);
    words.list("May write", &line.touches);
    let standing = match &line.standing {
        Standing::Waiting => "not begun",
        Standing::AtWork => "at work",
        Standing::Parked { why } => {
            words.say(&park_phrase(why));
            "parked"
        }
        Standing::Landed { handoff } => {
            words.handoff(handoff);
            "landed"
        }
        Standing::Dropped { why } => {
            words.say(&format!("Dropped: {why}"));
            "dropped"
        }
    };
    match line.by {
        Origin::Person => {
            words.say("A person put it into the plan, or changed it. It stays as that person wants it.");
        }
        Origin::Team => {}
    }
    json!({ "task": line.task.to_string(), "standing": standing, "text": text(&words.0, HUNK) })
}

fn proposal(proposal: &ProposalBrief) -> Value {
    let mut words = Words::default();
    words.say(&proposal.proposed.title);
    words.say(&proposal.proposed.brief);
    words.say(&format!("Why: {}", proposal.proposed.why));
    words.list("Would write", &proposal.proposed.touches);
    json!({
        "id": proposal.id.to_string(),
        "by": proposal.by,
        "during": proposal.during.to_string(),
        "text": text(&words.0, HUNK),
    })
}

fn lesson(lesson: &LessonDraft) -> Value {
    let mut words = Words::default();
    words.say(&lesson.text);
    words.list("Paths", &lesson.paths);
    words.say(&format!("Seen: {}", lesson.evidence));
    json!({ "text": text(&words.0, LINE) })
}

fn handoff(handoff: &Handoff) -> String {
    let mut words = Words::default();
    words.say(&format!("Goal: {}", handoff.goal));
    words.handoff(handoff);
    words.list("Evidence", &handoff.evidence);
    words.0
}

/// Several pieces of text from outside, made one.
#[derive(Default)]
struct Words(String);

impl Words {
    /// A paragraph; nothing where there is nothing to say.
    fn say(&mut self, words: &str) {
        let words = words.trim();
        if words.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str("\n\n");
        }
        self.0.push_str(words);
    }

    fn list<'a>(&mut self, what: &str, items: impl IntoIterator<Item = &'a String>) {
        let items: Vec<String> = items.into_iter().map(|i| format!("- {}", one_line(i))).collect();
        if !items.is_empty() {
            self.say(&format!("{what}:\n{}", items.join("\n")));
        }
    }

    /// What the next ones need of it: the evidence is for those who build on it.
    fn handoff(&mut self, handoff: &Handoff) {
        self.say(&handoff.summary);
        self.list("Changed", &handoff.paths);
        self.list("Left open", &handoff.open_questions);
        self.list("Noted on the way", &handoff.notes);
    }
}

fn trial(trial: &Trial) -> Value {
    let (kind, by, found) = match trial {
        Trial::Untried => ("untried", "", &[][..]),
        Trial::Tried { by, verdict } => match verdict {
            Verdict::Approve { notes } => ("approved", by.persona.as_str(), notes.as_slice()),
            Verdict::Findings { findings } => ("findings", by.persona.as_str(), findings.as_slice()),
        },
    };
    json!({ "kind": kind, "by": by, "findings": findings(found) })
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

fn remark(remark: &RemarkBrief) -> Value {
    let place = said_place(&remark.finding).map_or_else(String::new, |place| one_line(&place));
    json!({
        "place": place,
        "commit": remark.commit.as_ref().map_or("", |c| c.as_str()),
        "words": text(&remark.finding.what, BODY),
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

fn guarded(guarded: &Guarded) -> Value {
    json!({
        "kind": guarded.kind.name(),
        "place": one_line(&guarded.place()),
        "what": text(&guarded.what, LINE),
        "mend": guarded.kind.mend(),
    })
}

fn neighbour(of: &Neighbour) -> Value {
    json!({ "task": of.task, "goal": text(&of.goal, LINE), "summary": text(&of.summary, LINE) })
}

fn hunk(hunk: &ConflictHunk) -> Value {
    json!({ "file": one_line(&hunk.file), "text": text(&hunk.text, HUNK) })
}

fn lines<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    lines.into_iter().map(|l| one_line(l)).collect()
}

fn one_line(line: &str) -> String {
    cut(&clean(line).replace(['\n', '\t'], " "), LINE)
}

fn text(text: &str, most: usize) -> String {
    cut(&clean(text), most)
}

/// Leaves out what a person does not see and an agent does.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_unseen(*c)).collect()
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
            clean("a\u{0}\u{1b}[31m\u{200b}b\u{202e}c\u{e0041}\td\u{feff}\r\n"),
            "a[31mbc\td\n"
        );
    }
}
