//! placeholder
use crate::args::Demo;
use crate::failure::Failure;
use std::process::ExitCode;
pub(crate) async fn run(_verb: Demo) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
