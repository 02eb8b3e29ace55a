//! Owns what opencode may do: the rules it is given at the start, and the answers to what it asks for all the same.
//! The last rule that matches decides.

use serde_json::{Map, Value, json};
use turno_core::decision::{Choice, Question, Reply};
use turno_core::persona::{Access, Tools};

use super::Request;
use super::segment;
use crate::dialect::Job;
use crate::value::{list, text};

/// One rule: a permission, a pattern of what it is about, and what happens.
type Rule = (String, String, &'static str);

/// The rules of a run, the strongest last.
fn ruled(job: &Job) -> Vec<Rule> {
    let rule = |permission: &str, pattern: &str, action| (permission.to_owned(), pattern.to_owned(), action);
    let mut rules = Vec::new();
    if let Tools::Only(names) = &job.tools {
        rules.push(rule("*", "*", "deny"));
        for name in names {
            let (permission, pattern) = permission_of(name);
            rules.push(rule(&permission, pattern, "allow"));
        }
        // Servers of ours are wired in for a reason.
        for server in &job.tool_servers {
            rules.push(rule(&format!("{}_*", server.name), "*", "allow"));
        }
        // It must be able to ask, and to hear that nobody answers.
        rules.push(rule("question", "*", "allow"));
    }
    // What lies outside of the slot is not its business; whether this does, it asks.
    rules.push(rule("external_directory", "*", "ask"));
    if job.access == Access::Read {
        rules.push(rule("edit", "*", "deny"));
    }
    rules
}

/// The permission and the pattern of a tool as a persona names it: `bash` or `bash(git *)`. All tools that change
/// files are under one permission.
fn permission_of(name: &str) -> (String, &str) {
    let (tool, pattern) = match name.split_once('(') {
        Some((tool, rest)) => (tool, rest.trim_end().trim_end_matches(')')),
        None => (name, "*"),
    };
    let tool = tool.trim().to_ascii_lowercase();
    let permission = match tool.as_str() {
        "write" | "patch" | "apply_patch" | "multiedit" => "edit".to_owned(),
        _ => tool,
    };
    (permission, pattern)
}

/// The rules as a session takes them.
pub(super) fn rules(job: &Job) -> Value {
    ruled(job)
        .into_iter()
        .map(|(permission, pattern, action)| {
            json!({ "permission": permission, "pattern": pattern, "action": action })
        })
        .collect()
}

/// The rules as a configuration takes them: sessions of subagents know only these.
pub(super) fn config(job: &Job) -> Value {
    let mut config: Map<String, Value> = Map::new();
    for (permission, pattern, action) in ruled(job) {
        let patterns = config.entry(permission).or_insert_with(|| json!({}));
        patterns[pattern] = json!(action);
    }
    config.into()
}

/// The answer to a permission that is asked for, and in a word what it was.
pub(super) fn reply(id: &str, access: Access, asked: &Value) -> (Request, &'static str) {
    let refusal = match text(asked, "/permission").unwrap_or_default() {
        "external_directory" => Some(
            "Nothing outside of your working directory may be touched. Go on without it, or say in your final \
             answer why it is needed.",
        ),
        "doom_loop" => {
            Some("You have done the same several times. Do something else, or end with your outcome.")
        }
        "edit" if access == Access::Read => {
            Some("You may only read in this role. Put what should change into your final answer.")
        }
        // What the user's own configuration wants to be asked for is a matter of the machine, and this one is
        // watched over otherwise: by the slot, the limits and the checks.
        _ => None,
    };
    match refusal {
        Some(message) => (refused(id, message), "refused"),
        None => (answered(id, &json!({ "reply": "once" })), "granted"),
    }
}

/// The refusal of what could not be read.
pub(super) fn refuse_unread(id: &str) -> Request {
    refused(
        id,
        "This one call is too large to be passed on. Do it in several smaller steps.",
    )
}

fn refused(id: &str, message: &str) -> Request {
    answered(id, &json!({ "reply": "reject", "message": message }))
}

fn answered(id: &str, body: &Value) -> Request {
    Request::post(format!("/permission/{}/reply", segment(id)), body.clone())
}

/// What is asked of a person: one question, or several in one.
pub(super) fn question(asked: &Value) -> Option<Question> {
    let all = list(asked, "/questions");
    let words = |question: &Value| text(question, "/question").unwrap_or_default().to_owned();
    match all {
        [] => None,
        [one] => Some(Question {
            question: words(one),
            options: options(one),
            recommended: None,
        }),
        several => {
            let lines = several.iter().enumerate().map(|(at, question)| {
                let labels: Vec<String> = options(question).into_iter().map(|o| o.label).collect();
                let labels = match labels.is_empty() {
                    true => String::new(),
                    false => format!(" ({})", labels.join(" / ")),
                };
                format!("{}. {}{labels}", at + 1, words(question))
            });
            Some(Question {
                question: lines.collect::<Vec<_>>().join("\n"),
                options: Vec::new(),
                recommended: None,
            })
        }
    }
}

fn options(question: &Value) -> Vec<Choice> {
    list(question, "/options")
        .iter()
        .filter_map(|option| {
            Some(Choice {
                label: text(option, "/label")?.to_owned(),
                detail: text(option, "/description").unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

/// The answer to a question that consists of so many.
pub(super) fn answer(id: &str, count: usize, reply: &Reply) -> Request {
    match reply {
        Reply::Answer(words) => {
            let answers: Vec<[&String; 1]> = (0..count).map(|_| [words]).collect();
            Request::post(
                format!("/question/{}/reply", segment(id)),
                json!({ "answers": answers }),
            )
        }
        // A refused question ends its turn.
        Reply::Parked => Request::post(format!("/question/{}/reject", segment(id)), Value::Null),
    }
}
