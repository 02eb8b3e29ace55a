//! `turno where`: prints where the state of this workspace is, and what it takes.

use std::process::ExitCode;

use serde::Serialize;
use turno_engine::gc::disk::{self, Use};

use crate::args::Json;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

#[derive(Serialize)]
struct Where<'a> {
    repository: &'a std::path::Path,
    state: &'a std::path::Path,
    /// In bytes on the disk.
    used: Use,
}

pub(crate) fn run(scene: &Scene, verb: &Json) -> Result<ExitCode, Failure> {
    if verb.json {
        print::json(&Where {
            repository: scene.repo.root(),
            state: scene.dirs.root(),
            used: disk::used(&scene.dirs),
        })?;
    } else {
        print::data(&scene.dirs.root().display().to_string());
        let used = disk::used(&scene.dirs);
        let parts = [
            ("attempts", used.attempts),
            ("homes", used.homes),
            ("slots", used.slots),
            ("aside", used.aside),
            ("store", used.store),
        ];
        let parts = parts.map(|(name, bytes)| format!("{name} {}", print::size(bytes)));
        print::note(&format!(
            "{} in all: {}; `turno gc` says what may go",
            print::size(used.total),
            parts.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}
