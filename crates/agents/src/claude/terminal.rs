//! Owns how Claude Code is started for a person: its own screen, in the conversation of the task, without the screens
//! that it shows to somebody who has never used it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use turno_core::command::Session;
use turno_core::persona::Model;

use crate::dialect::{AtTerminal, Before, Begins, HomeSetting, Job};

/// So much of a key's end is how it remembers which one a person has approved.
const KEY_END: usize = 20;

pub(super) fn at_terminal(job: &Job, env: &BTreeMap<String, String>) -> AtTerminal {
    let mut argv = vec![job.program.clone()];
    argv.extend(job.extra_args.iter().cloned());
    if let Model::Named(model) = &job.model {
        argv.extend(["--model".to_owned(), model.clone()]);
    }
    let begins = match &job.session {
        Session::Resume(id) => {
            argv.push(format!("--resume={id}"));
            Begins::GoingOn
        }
        Session::Fresh => {
            argv.extend(["--".to_owned(), job.prompt.clone()]);
            Begins::Anew
        }
    };
    let settings = settings(job, env);
    AtTerminal {
        argv,
        env: super::ENVIRONMENT
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        // Where its directory is elsewhere, so is the file.
        settings: [".claude.json", ".claude/.claude.json"]
            .map(|path| HomeSetting {
                path,
                merged: settings.clone(),
            })
            .into(),
        begins,
        before: Before::Nothing,
    }
}

/// It asks nothing about itself, and the slot is trusted: what it may do there, the sandbox says.
fn settings(job: &Job, env: &BTreeMap<String, String>) -> Value {
    let mut settings = json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "projects": { job.cwd.as_str(): { "hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true } },
    });
    if let Some(key) = env.get("ANTHROPIC_API_KEY") {
        let end = key.chars().count().saturating_sub(KEY_END);
        let end: String = key.chars().skip(end).collect();
        settings["customApiKeyResponses"] = json!({ "approved": [end], "rejected": [] });
    }
    settings
}
