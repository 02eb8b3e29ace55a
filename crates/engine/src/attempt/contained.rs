//! Owns a check's run in a container: it is supervised like any other program, and its container is removed however
//! it ends. Of what the end means it knows only where the engine has spoken, and not the check.

use std::collections::BTreeMap;
use std::path::Path;

use turno_core::check::{Check, CheckVerdict, Reach};
use turno_core::container::Container;
use turno_sandbox::Place;
use turno_sandbox::container::{BadPlace, Container as Made, Wire};
use turno_sandbox::limits::{Bound, bytes};

use super::checks::Bench;
use super::to_its_end;
use crate::containers::{self, ATTEMPT_LABEL, Note, Ready, WORKSPACE_LABEL};
use crate::process::supervisor::{After, End, files};
use crate::process::tree::MARKER;
use crate::runner::mouth::Ear;
use crate::sandbox::Tenant;
use crate::site::{ALONE, Run, workspace_mark};
use crate::transcript::end_of;

/// How long a supervisor lets the removal take.
const REMOVAL_MS: u64 = 20_000;

impl Bench<'_> {
    /// Runs a check's command to its end in a container. Nothing of it is there afterwards.
    pub(super) async fn run_contained(
        &self,
        dir: &Path,
        path: &Path,
        check: &Check,
        asked: &Container,
        ear: &mut Ear,
    ) -> Result<Option<End>, String> {
        let site = self.site;
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let ready = containers::find(asked, &site.env).await.map_err(|e| words(&e))?;
        let tenant = Tenant {
            ground: self.ground,
            place: self.place,
            path,
            attempt: self.attempt,
        };
        let mut env = self.inside(check.network);
        let furnished = tenant.furnish(dir, &mut env).await.map_err(|e| words(&e))?;
        let note = containers::note(site, self.attempt, dir, &ready.engine).map_err(|e| words(&e))?;
        let argv = self
            .argv(check, asked, &ready, &note, (path, furnished.places()), &env)
            .map_err(|e| words(&e))?;
        let mut all = containers::client_env(&site.env);
        all.extend(env);
        let run = site.supervise(Run {
            attempt: self.attempt,
            dir,
            argv,
            cwd: path,
            env: all,
            limit_ms: check.timeout.0,
            // The container holds it, and its engine must not be held.
            bounds: None,
            alone: ALONE,
            after: After::Run {
                argv: note.engine.remove(&note.name),
                limit_ms: REMOVAL_MS,
            },
        });
        let ran = match run.await {
            Ok(run) => Ok(to_its_end(run, ear).await),
            Err(error) => Err(words(&error)),
        };
        // The supervisor has removed it, unless it was killed itself or the engine was too busy.
        containers::gone(&note, &site.env).await.map_err(|e| words(&e))?;
        containers::forget(dir);
        furnished.leave();
        ran
    }

    /// What the program inside sees of the environment: the user's programs and files are not there, so nothing that
    /// says where they are.
    fn inside(&self, network: Reach) -> BTreeMap<String, String> {
        let mut env = self.site.base_env(self.task, self.place);
        env.retain(|name, _| {
            let proxy = name.to_ascii_lowercase().ends_with("_proxy");
            name.starts_with("TURNO_") || (proxy && network == Reach::Open)
        });
        env
    }

    fn argv(
        &self,
        check: &Check,
        asked: &Container,
        ready: &Ready,
        note: &Note,
        (cwd, places): (&Path, &[Place]),
        env: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, BadPlace> {
        let made = Made {
            name: &note.name,
            labels: BTreeMap::from([
                (ATTEMPT_LABEL, self.site.marker(self.attempt)),
                (WORKSPACE_LABEL, workspace_mark(&self.site.dirs)),
            ]),
            image: asked.image.as_str(),
            who: ready.who,
            wire: match check.network {
                // The way to named hosts is a program of Turno's, which an image need not be able to run: the
                // configuration refuses it.
                Reach::None | Reach::Hosts => Wire::None,
                Reach::Open => Wire::Engine,
            },
            places,
            cwd,
            env: env.keys().map(String::as_str).chain([MARKER]).collect(),
            limits: &self.site.config.sandbox.limits,
            ceiling: containers::ceiling(),
            command: &check.command,
        };
        ready.engine.run(&made)
    }

    /// What an exit code says where it may be the engine's own, or that of a container which was killed.
    pub(super) fn engine_said(&self, code: i32, dir: &Path) -> Option<CheckVerdict> {
        // Everything that the check itself says goes to the other file.
        let said = end_of(&dir.join(files::ERR), 600);
        let said = said.trim();
        let why = match (code, said) {
            (125..=127, said) if !said.is_empty() => format!("the container could not be started: {said}"),
            (137, _) => {
                let most = match self.site.config.sandbox.limits.memory {
                    Bound::AtMost(most) => {
                        format!(
                            "it used more than its {} of memory: raise limits.memory_mib",
                            bytes(most)
                        )
                    }
                    Bound::Unlimited => "the machine had no memory left".to_owned(),
                };
                format!("it was killed in its container (exit code 137); most likely {most}")
            }
            _ => return None,
        };
        Some(CheckVerdict::CouldNotRun { why })
    }
}
