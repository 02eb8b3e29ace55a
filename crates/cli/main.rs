//! The `turno` binary: parse, run one verb, turn its end into an exit code. Data goes to standard output,
//! everything else to standard error.

mod args;
mod door;
mod exit;
mod failure;
mod picture;
mod print;
mod scene;
mod screen;
mod verb;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Verb};
use failure::Failure;
use turno_engine::{crash_point, person};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(told) => return not_understood(&told),
    };
    // The hidden verbs run inside an attempt and must stay small: no threads for them, no logging.
    match &args.verb {
        Verb::Supervise(verb) => return verb::hidden::supervise(verb),
        Verb::Confine(verb) => return verb::hidden::confine(verb),
        Verb::Perform(verb) => return verb::hidden::perform(verb),
        Verb::Bridge(verb) => return verb::hidden::bridge(verb),
        Verb::AgentTools => return verb::hidden::agent_tools(),
        // They open nothing.
        Verb::Completions { .. } | Verb::Man => {}
        // Before anything is opened, and before there is a second thread.
        _ => {
            let settled = person::settle(
                &scene::user_env(),
                args.user.as_deref(),
                args.directory.as_deref(),
            );
            if let Err(error) = settled {
                return Failure::from(error).show();
            }
        }
    }
    crash_point::arm(&scene::user_env());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::bug(format!("no runtime: {error}")).show(),
    };
    let done = runtime.block_on(verb::run(args));
    // What a verb started it has waited for; nothing is left to wait for here.
    runtime.shutdown_background();
    done.unwrap_or_else(|failure| failure.show())
}

/// What was typed makes no sense, or help was asked for. What was typed may have come from anywhere, and stands in the
/// message as it is: then the message is made harmless, without its colours.
fn not_understood(told: &clap::Error) -> ExitCode {
    let plain = told.render().to_string();
    if plain == print::harmless(&plain) {
        // Nobody who reads is no error.
        drop(told.print());
    } else {
        print::note(print::harmless(&plain).trim_end());
    }
    u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}
