//! `turno completions` and `turno man`: generated from the very definitions that parse the command line.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;
use crate::print;

pub(crate) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "turno", &mut text);
    print::data(String::from_utf8_lossy(&text).trim_end());
    ExitCode::SUCCESS
}

/// One page with every verb.
pub(crate) fn man() -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    let command = Args::command();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for verb in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let named = verb.clone().name(format!("turno-{}", verb.get_name()));
        clap_mangen::Man::new(named).render(&mut text)?;
    }
    print::data(String::from_utf8_lossy(&text).trim_end());
    Ok(ExitCode::SUCCESS)
}
