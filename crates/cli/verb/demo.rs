//! placeholder
use std::process::ExitCode;
use crate::args::Demo;
use crate::failure::Failure;
pub(crate) async fn run(_verb: Demo) -> Result<ExitCode, Failure> { Ok(ExitCode::SUCCESS) }
