//! `turno init`: looks at the project and writes a commented turno.toml. It never overwrites.

use std::io::Write;
use std::process::ExitCode;

use turno_engine::config::Overrides;
use turno_engine::detect::{FoundAgent, detect, render_turno_toml};

use super::doctor::version_of;
use crate::args::Init;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;

pub(crate) fn run(scene: &Scene, verb: &Init) -> Result<ExitCode, Failure> {
    let path = scene.repo.root().join("turno.toml");
    let detected = detect(scene.repo.root());
    let found = agents(scene);
    let text = render_turno_toml(&detected, &found);
    if verb.dry_run {
        print::data(&text);
        return Ok(ExitCode::SUCCESS);
    }
    let mut file = match std::fs::File::create_new(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::usage(format!(
                "{} exists already and is left as it is; `turno init --dry-run` prints what would be written",
                path.display()
            )));
        }
        Err(error) => {
            return Err(Failure::cannot_start(format!(
                "cannot write {}: {error}",
                path.display()
            )));
        }
    };
    file.write_all(text.as_bytes())
        .map_err(|e| Failure::cannot_start(format!("cannot write {}: {e}", path.display())))?;
    print::data(&format!("wrote {}", path.display()));
    for check in &detected.checks {
        print::note(&format!(
            "  check {:<10} {}  ({})",
            check.name, check.command, check.why
        ));
    }
    if detected.checks.is_empty() {
        print::warning("no checks were found; nothing lands without one, so name what proves your project");
    }
    for agent in &found {
        print::note(&format!("  agent {:<10} {}", agent.name, agent.version));
    }
    if found.is_empty() {
        print::warning("no agent CLI was found; install claude or codex");
    }
    print::note("look it over, then `turno doctor`");
    Ok(ExitCode::SUCCESS)
}

fn agents(scene: &Scene) -> Vec<FoundAgent> {
    let Ok(config) = scene.config(&Overrides::default()) else {
        return Vec::new();
    };
    config
        .agents
        .iter()
        .filter_map(|(name, setup)| {
            let version = version_of(setup, &scene.env).ok()?;
            Some(FoundAgent {
                name: name.clone(),
                version,
            })
        })
        .collect()
}
