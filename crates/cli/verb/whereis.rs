//! `turno where`: prints where the state of this workspace is.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::Json;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

#[derive(Serialize)]
struct Where<'a> {
    repository: &'a std::path::Path,
    state: &'a std::path::Path,
}

pub(crate) fn run(scene: &Scene, verb: &Json) -> Result<ExitCode, Failure> {
    if verb.json {
        print::json(&Where {
            repository: scene.repo.root(),
            state: scene.dirs.root(),
        })?;
    } else {
        print::data(&scene.dirs.root().display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}
