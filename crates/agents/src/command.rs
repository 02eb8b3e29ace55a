//! Owns the `command` dialect: any program that reads a prompt from its standard input, works in its directory
//! and prints plain text. It must end its text with its outcome in a fenced block. The least that an agent can
//! be: it names no session, no cost and no tool, and hears nothing after its prompt.

use std::collections::BTreeMap;

use turno_core::decision::Reply;
use turno_core::event::AgentEnd;
use turno_core::failure::{Cause, Failure};
use turno_core::outcome::OutcomeKind;
use turno_core::units::Spend;

use crate::dialect::{
    AfterInput, Capabilities, Conversation, Dialect, Exit, Job, Launch, LaunchError, Line, Signal, Support,
};
use crate::needs::{self, Needs};
use crate::schema;
use crate::text;
use crate::words::Words;

/// Any program.
#[derive(Debug)]
pub struct Command;

impl Dialect for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resume: Support::No,
            cost: Support::No,
            schema: Support::No,
            interrupt: Support::No,
            tools: Support::No,
            questions: Support::No,
            nudge: Support::No,
        }
    }

    /// A program that is not known must not be run to see what it does with a flag.
    fn version_args(&self) -> &'static [&'static str] {
        &[]
    }

    fn needs(&self, program: &str) -> Needs {
        needs::by_name(program)
    }

    fn needed_env(&self) -> &'static [&'static str] {
        &[]
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let mut argv = vec![job.program.clone()];
        argv.extend(job.extra_args.iter().cloned());
        let prompt = schema::prompt_with_instructions(&job.system, &job.prompt, job.outcome);
        Ok(Launch {
            argv,
            env: BTreeMap::new(),
            files: Vec::new(),
            input: prompt.lines().map(str::to_owned).collect(),
            after_input: AfterInput::Close,
        })
    }

    fn converse(&self, job: &Job) -> Box<dyn Conversation> {
        Box::new(Talk {
            kind: job.outcome,
            words: Words::default(),
            said: Said::Nothing,
        })
    }
}

/// One run of a program.
#[derive(Debug)]
struct Talk {
    kind: OutcomeKind,
    words: Words,
    said: Said,
}

/// Whether it has answered: its whole run is one answer to its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
}

impl Conversation for Talk {
    fn line(&mut self, line: Line<'_>) -> Vec<Signal> {
        match line {
            Line::Whole(line) => {
                self.words.push(line);
                self.words.push("\n");
                if line.trim().is_empty() {
                    return Vec::new();
                }
                let mut signals = vec![Signal::Text(line.to_owned())];
                if self.said == Said::Nothing {
                    self.said = Said::Something;
                    signals.push(Signal::Spent(Spend {
                        turns: 1,
                        ..Spend::NOTHING
                    }));
                }
                signals
            }
            Line::Cut(line) => {
                // What came before may be answered by what was lost, so none of it is the final answer.
                self.words.clear();
                vec![Signal::Notice(text::line(&format!(
                    "a line too long to read: {line}"
                )))]
            }
        }
    }

    fn interrupt(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn answer(&mut self, _key: &str, _reply: &Reply) -> Vec<String> {
        Vec::new()
    }

    /// An exit code is the only way it has to say that it failed; that it did well, only its outcome says.
    fn end(self: Box<Self>, exit: Exit, stderr: &str) -> AgentEnd {
        let failure = match exit {
            Exit::Code(0) => match schema::end_of_words(self.kind, self.words.text()) {
                Ok(end) => return end,
                Err(error) => Failure::new(Cause::NoOutcome, error.to_string()),
            },
            exit => Failure::new(Cause::Agent, format!("it ended with {exit}")),
        };
        AgentEnd::Failed(match text::last_words(stderr) {
            last if last.is_empty() => failure,
            last => Failure::new(failure.cause, format!("{}: {last}", failure.detail)),
        })
    }
}
