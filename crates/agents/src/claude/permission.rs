//! Owns which tools Claude Code may use: what is withheld at the start, what is answered when it asks.

use serde_json::{Value, json};
use turno_core::persona::{Access, Tools};

use super::question;
use crate::dialect::{Job, Protected, ToolServer};

/// Tools that change files.
pub(super) const WRITERS: [&str; 4] = ["Edit", "MultiEdit", "NotebookEdit", "Write"];

/// Tools that lead out of the slot, or set up what would outlive the attempt.
const ESCAPES: [&str; 6] = [
    "CronCreate",
    "CronDelete",
    "CronList",
    "EnterWorktree",
    "ExitWorktree",
    "ScheduleWakeup",
];

/// Tools that wait for a person's consent. A question that could be read never comes here.
const QUESTIONS: [&str; 3] = [question::TOOL, "EnterPlanMode", "ExitPlanMode"];

/// The tool through which it gives its outcome.
pub(super) const OUTCOME: &str = "StructuredOutput";

/// Tools that it is not even told of. A user's own settings can allow a tool before we are asked, so the
/// answer to a question alone would be no fence.
pub(super) fn withheld(access: Access) -> Vec<&'static str> {
    let writers = WRITERS.iter().filter(|_| access == Access::Read);
    // The newer versions have no MultiEdit, and warn of a name they do not know.
    let writers = writers.filter(|name| **name != "MultiEdit");
    ESCAPES.iter().chain(writers).copied().collect()
}

/// The built-in tools that it is told of; empty means all.
pub(super) fn offered(tools: &Tools) -> Vec<&str> {
    match tools {
        Tools::ByAccess => Vec::new(),
        Tools::Only(names) => names
            .iter()
            .map(|name| bare(name))
            .filter(|name| !name.starts_with("mcp__"))
            .collect(),
    }
}

/// `Bash` of `Bash(git *)`.
fn bare(name: &str) -> &str {
    name.split('(').next().unwrap_or(name).trim()
}

/// What a role may use.
#[derive(Debug)]
pub(super) struct Rules {
    /// Where it works.
    cwd: String,
    protected: Protected,
    access: Access,
    tools: Tools,
    /// What the names of the tools of Turno's own servers begin with.
    ours: Vec<String>,
}

impl Rules {
    pub(super) fn new(job: &Job) -> Self {
        Self {
            cwd: job.cwd.clone(),
            protected: job.protected.clone(),
            access: job.access,
            tools: job.tools.clone(),
            ours: job.tool_servers.iter().map(prefix).collect(),
        }
    }

    /// The answer to "may I use this tool?".
    pub(super) fn answer(&self, name: &str, input: &Value) -> Value {
        // What a server of Turno's offers was chosen for this job, whatever the role may do to files.
        if self.ours.iter().any(|prefix| name.starts_with(prefix)) {
            return json!({ "behavior": "allow", "updatedInput": input });
        }
        match refusal(self.access, &self.tools, name).or_else(|| self.protects(name, input)) {
            Some(message) => json!({ "behavior": "deny", "message": message }),
            None => json!({ "behavior": "allow", "updatedInput": input }),
        }
    }
}

impl Rules {
    /// Why a call may not write what it is about to write, if it may not.
    pub(super) fn protects(&self, name: &str, input: &Value) -> Option<String> {
        if !WRITERS.contains(&name) {
            return None;
        }
        let written = ["file_path", "notebook_path"]
            .iter()
            .find_map(|key| input.get(key)?.as_str())?;
        let path = below(&self.cwd, written)?;
        self.protected.covers(&path).then(|| {
            format!(
                "{path} is protected, and your task does not name it: leave it as it is, by this tool or by the \
                 shell. If the task cannot be done without it, do the rest and say in `open_questions` of your \
                 structured output what should change there and why."
            )
        })
    }
}

/// A path below a directory, relative to it; none when it lies elsewhere.
fn below(directory: &str, path: &str) -> Option<String> {
    let relative = match path.strip_prefix('/') {
        None => path,
        Some(_) => {
            let rest = path.strip_prefix(directory.trim_end_matches('/'))?;
            rest.strip_prefix('/')?
        }
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What Claude Code puts before the names of a server's tools: it turns odd characters into underscores.
fn prefix(server: &ToolServer) -> String {
    let name = server.name.chars();
    let name: String = name
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    format!("mcp__{name}__")
}

/// Why a call that is too long to be read is refused.
pub(super) const UNREAD: &str = "This one call is too large to be passed on. Do it in several smaller steps.";

/// The answer when the request was too long to be read.
pub(super) fn answer_unread() -> Value {
    json!({
        "behavior": "deny",
        "message": UNREAD,
    })
}

fn refusal(access: Access, tools: &Tools, name: &str) -> Option<String> {
    if QUESTIONS.contains(&name) {
        return Some(
            "Nobody is there to answer. Decide yourself, go on, and put the question and your decision \
             into `open_questions` of your structured output if it has such a list."
                .to_owned(),
        );
    }
    if ESCAPES.contains(&name) {
        return Some(format!(
            "{name} is not available: all work happens here and ends with this session."
        ));
    }
    if access == Access::Read && WRITERS.contains(&name) {
        return Some(
            "You may only read in this role. Do not change files, by this tool or by the shell; put what \
             should change into your structured output."
                .to_owned(),
        );
    }
    match tools {
        Tools::Only(names) if name != OUTCOME && !names.iter().any(|allowed| bare(allowed) == name) => {
            Some(format!("{name} is not among the tools of this role."))
        }
        Tools::Only(_) | Tools::ByAccess => None,
    }
}
