//! `turno completions` and `turno man`: generated from the very definitions that parse the command line.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::Failure;

pub(crate) fn completions(shell: Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Args::command(), "turno", &mut std::io::stdout());
    ExitCode::SUCCESS
}

/// One page with every verb.
pub(crate) fn man() -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let command = Args::command();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for verb in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let named = verb.clone().name(format!("turno-{}", verb.get_name()));
        clap_mangen::Man::new(named).render(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}
