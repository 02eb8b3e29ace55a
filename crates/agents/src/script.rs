//! Owns the `script` dialect: Turno's own program performs a session that somebody wrote, for real and without
//! an account. The written form is in `file`, the lines the performer prints are in `line`; performing is the
//! engine's, nothing is done here.

mod conversation;
pub mod file;
pub mod line;
mod pattern;
pub mod written;

use turno_core::command::Session;

use crate::dialect::{AfterInput, Capabilities, Conversation, Dialect, Job, Launch, LaunchError, Support};
use crate::needs::{self, Needs};

pub use file::{Ask, ScriptError, ScriptFile, ScriptSession, Step, select};
pub use line::{Ended, ScriptLine, Usage};
pub use pattern::{Pattern, Resumed, Round};

/// The performer of scripts.
#[derive(Debug)]
pub struct Script;

/// The performer's verb of Turno's own program. The configured arguments follow it: `--script FILE`.
pub const VERB: &str = "perform";

impl Dialect for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resume: Support::Yes,
            cost: Support::Yes,
            schema: Support::Yes,
            interrupt: Support::No,
            tools: Support::Yes,
            questions: Support::No,
            nudge: Support::No,
        }
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    fn needs(&self, _program: &str) -> Needs {
        needs::NOTHING
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let mut argv = vec![job.program.clone(), VERB.to_owned()];
        argv.extend(job.extra_args.iter().cloned());
        // Each is one argument, so that a title that begins with a dash stays a title.
        argv.push(format!("--persona={}", job.cue.persona));
        argv.push(format!("--task={}", job.cue.task));
        argv.push(format!("--title={}", job.cue.title));
        argv.push(format!("--round={}", job.cue.round));
        if let Session::Resume(id) = &job.session {
            argv.push(format!("--resume={id}"));
        }
        // The performer speaks to the tools' server side itself, so it is given what the server would be.
        let env = job.tool_servers.iter().flat_map(|s| s.env.clone()).collect();
        Ok(Launch {
            argv,
            env,
            files: Vec::new(),
            input: Vec::new(),
            after_input: AfterInput::Close,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(conversation::Talk::new(job))
    }
}
