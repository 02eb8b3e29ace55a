//! Owns the MCP server that an agent starts over its standard streams: the tools' names, words and schemas. Each
//! call goes to the coordinator; nothing is known and nothing is decided here.

use std::time::Duration;

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResult, ContentBlock, Implementation, ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt, tool, tool_handler, tool_router};
use serde::Deserialize;
use turno_core::decision::{Choice, Question, Reply};
use turno_core::outcome::{Finding, Proposed, Severity};

use super::{Call, Given, SERVER, Way};

/// How often an agent that waits for an answer is told that it still waits, so that it does not give up.
const STILL_WAITING: Duration = Duration::from_secs(5);

const PARKED: &str = "Nobody answers now. Your question is kept, and so is your work. End your turn now, without \
    further work and without a final result: you will go on in this conversation once there is an answer.";

/// Serves the tools over the standard streams until the agent closes them.
///
/// # Errors
/// When the agent does not speak MCP, or the server breaks.
pub async fn serve(way: Way) -> std::io::Result<()> {
    let running = Server { way }
        .serve(rmcp::transport::stdio())
        .await
        .map_err(std::io::Error::other)?;
    running.waiting().await.map(drop).map_err(std::io::Error::other)
}

struct Server {
    way: Way,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProposeTask {
    /// One line: what is to be done.
    title: String,
    /// What is to be done, so that somebody else can do it without asking you.
    brief: String,
    /// Why the issue needs it.
    why: String,
    /// Globs of the paths that it would write, as far as you know them.
    #[serde(default)]
    touches: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskPerson {
    /// The question, with all that is needed to answer it.
    question: String,
    /// Ways to answer it. A person may also answer in other words.
    #[serde(default)]
    options: Vec<AskOption>,
    /// The label of the option that you would take; empty if you would take none.
    #[serde(default)]
    recommended: String,
}

// Written out where it is used: not every agent follows references within a schema.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct AskOption {
    /// A few words; the answer names it by them.
    label: String,
    /// What choosing it means.
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum How {
    /// Worth a word.
    Note,
    /// Must be mended.
    Major,
    /// Loses data, opens a hole, or breaks what worked.
    Critical,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReportFinding {
    /// Path within the repository.
    file: String,
    /// Line in that file, counted from 1; 0 means the file as a whole.
    #[serde(default)]
    line: u32,
    /// How bad it is.
    severity: How,
    /// What is wrong.
    what: String,
    /// How to see it: a command, an input, a line of reasoning.
    #[serde(default)]
    how_to_see: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteText {
    /// The remark.
    text: String,
}

#[tool_router]
impl Server {
    #[tool(
        description = "What you are to do, as of now: the issue, your task with its acceptance criteria, what the \
        tasks it needs have left, answers to your questions, and who else is at work. Read it again when others \
        may have moved on.",
        annotations(read_only_hint = true)
    )]
    async fn context(&self, context: RequestContext<RoleServer>) -> CallToolResult {
        self.call(Call::Context, context).await
    }

    #[tool(
        description = "Propose a task that the issue needs and that is not yours: the issue's author decides on it. \
        Do not do it yourself."
    )]
    async fn propose_task(
        &self,
        Parameters(task): Parameters<ProposeTask>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        let call = Call::ProposeTask(Proposed {
            title: task.title,
            brief: task.brief,
            why: task.why,
            touches: task.touches,
        });
        self.call(call, context).await
    }

    #[tool(
        description = "Ask a person and wait for the answer. For decisions that are not yours: a choice that the \
        issue leaves open, a risk, something that cannot be undone. One question at a time. If nobody answers now \
        you are told so: then end your turn at once, you will go on later."
    )]
    async fn ask(
        &self,
        Parameters(ask): Parameters<AskPerson>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        let options = ask.options.into_iter().map(|o| Choice {
            label: o.label,
            detail: o.detail,
        });
        let call = Call::Ask(Question {
            question: ask.question,
            options: options.collect(),
            recommended: Some(ask.recommended).filter(|label| !label.trim().is_empty()),
        });
        self.call(call, context).await
    }

    #[tool(
        description = "Report something wrong that you came across and that is not yours to mend. Your own verdict \
        or result still needs its own words."
    )]
    async fn report_finding(
        &self,
        Parameters(finding): Parameters<ReportFinding>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        let call = Call::ReportFinding(Finding {
            file: finding.file,
            line: finding.line,
            severity: match finding.severity {
                How::Note => Severity::Note,
                How::Major => Severity::Major,
                How::Critical => Severity::Critical,
            },
            what: finding.what,
            how_to_see: finding.how_to_see,
        });
        self.call(call, context).await
    }

    #[tool(description = "Write a remark down for those who work on this task after you.")]
    async fn note(
        &self,
        Parameters(note): Parameters<NoteText>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.call(Call::Note(note.text), context).await
    }

    /// Passes a call on and waits; the agent is told that it still waits.
    async fn call(&self, call: Call, context: RequestContext<RoleServer>) -> CallToolResult {
        let given = self.way.call(call);
        tokio::pin!(given);
        let mut tick = tokio::time::interval(STILL_WAITING);
        tick.tick().await;
        let mut waited = 0.0;
        loop {
            tokio::select! {
                given = &mut given => return given.map_or_else(|e| failed(&e.to_string()), shown),
                () = context.ct.cancelled() => return failed("the call was cancelled"),
                _ = tick.tick() => {
                    waited += STILL_WAITING.as_secs_f64();
                    still_waiting(&context, waited).await;
                }
            }
        }
    }
}

/// Tells an agent that asked for it how long it has waited.
async fn still_waiting(context: &RequestContext<RoleServer>, waited: f64) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    let progress = ProgressNotificationParam::new(token, waited).with_message("waiting for an answer");
    if let Err(error) = context.peer.notify_progress(progress).await {
        tracing::debug!(%error, "the agent cannot be told that it still waits");
    }
}

fn shown(given: Given) -> CallToolResult {
    let text = match given {
        Given::Done(text) => text,
        Given::Replied(Reply::Answer(answer)) => format!("The answer: {answer}"),
        Given::Replied(Reply::Parked) => PARKED.to_owned(),
        Given::Refused(why) => return failed(&why),
    };
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn failed(why: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(why)])
}

#[tool_handler]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(SERVER, env!("CARGO_PKG_VERSION")))
            .with_instructions(super::NOTE)
    }
}
