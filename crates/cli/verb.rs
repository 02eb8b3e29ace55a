//! One file for each verb. Here is only which is which.

mod answer;
mod attach;
mod batch;
mod board;
mod budget;
mod comment;
mod completions;
mod demo;
mod diff;
mod discard;
mod doctor;
mod drain;
mod explain;
mod gc;
pub(crate) mod hidden;
mod init;
mod issue;
mod lessons;
mod log;
mod mcp;
mod notify;
mod pair;
mod persona;
mod plan;
mod pr;
mod preview;
pub(crate) mod promote;
mod qa;
mod record;
mod report;
mod resume;
mod revert;
mod run;
mod salvage;
mod simulate;
mod status;
mod stop;
mod store;
mod tell;
mod top;
mod whereis;

pub(crate) use answer::{answer_hint, question_lines};
pub(crate) use status::{end_words, run_line, shift_line, task_title};

use std::process::ExitCode;

use crate::args::{Args, Verb};
use crate::failure::Failure;
use crate::scene::Scene;

/// Runs a verb.
pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let at = args.directory.as_deref();
    let scene = || Scene::at(at);
    match args.verb {
        Verb::Demo(verb) => demo::run(verb).await,
        Verb::Init(verb) => init::run(&scene()?, &verb),
        Verb::Doctor(verb) => doctor::run(at, &verb).await,
        Verb::Issue(verb) => issue::run(&scene()?, verb).await,
        Verb::Run(verb) => run::run(&scene()?, verb).await,
        Verb::Qa(verb) => qa::run(&scene()?, verb).await,
        Verb::Pair(verb) => pair::run(&scene()?, verb).await,
        Verb::Drain(verb) => drain::run(&scene()?, &verb).await,
        Verb::Batch(verb) => batch::run(&scene()?, verb).await,
        Verb::Simulate(verb) => simulate::run(at, &verb).await,
        Verb::Lessons(verb) => lessons::run(&scene()?, verb).await,
        Verb::Budget(verb) => budget::run(&scene()?, verb).await,
        Verb::Status(verb) => status::run(&scene()?, &verb).await,
        Verb::Board(verb) => board::run(scene()?, &verb).await,
        Verb::Top(verb) => top::run(&scene()?, &verb).await,
        Verb::Plan(verb) => plan::run(&scene()?, verb).await,
        Verb::Mcp => mcp::run(scene()?).await,
        Verb::Log(verb) => log::run(&scene()?, &verb).await,
        Verb::Report(verb) => report::run(&scene()?, &verb).await,
        Verb::Notify(verb) => notify::run(&scene()?, verb).await,
        Verb::Record(verb) => record::run(&scene()?, &verb).await,
        Verb::Explain(verb) => explain::run(&scene()?, &verb).await,
        Verb::Diff(verb) => diff::run(&scene()?, &verb).await,
        Verb::Answer(verb) => answer::run(&scene()?, verb).await,
        Verb::Attach(verb) => attach::run(&scene()?, &verb).await,
        Verb::Preview(verb) => preview::run(&scene()?, &verb).await,
        Verb::Comment(verb) => comment::run(&scene()?, verb).await,
        Verb::Tell(verb) => tell::run(&scene()?, verb).await,
        Verb::Resume(verb) => resume::run(&scene()?, &verb).await,
        Verb::Store(verb) => store::run(&scene()?, verb),
        Verb::Stop(verb) => stop::run(&scene()?, &verb).await,
        Verb::Promote(verb) => promote::run(&scene()?, &verb).await,
        Verb::Pr(verb) => pr::run(&scene()?, &verb).await,
        Verb::Revert(verb) => revert::run(&scene()?, &verb).await,
        Verb::Discard(verb) => discard::run(&scene()?, &verb).await,
        Verb::Salvage(verb) => salvage::run(&scene()?, &verb),
        Verb::Gc(verb) => gc::run(&scene()?, &verb).await,
        Verb::Where(verb) => whereis::run(&scene()?, &verb),
        Verb::Persona(verb) => persona::run(&scene()?, verb).await,
        Verb::Completions { shell } => Ok(completions::completions(shell)),
        Verb::Man => completions::man(),
        Verb::Supervise(_) | Verb::Confine(_) | Verb::Perform(_) | Verb::Bridge(_) | Verb::AgentTools => {
            Err(Failure::bug("hidden verbs are run before this"))
        }
    }
}
