//! `turno demo`: an example project, a real shift on it with written agents, the report. No account, no network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use include_dir::{Dir, DirEntry, include_dir};
use turno_core::event::Event;
use turno_core::ids::IssueId;
use turno_core::issue::IssueDraft;
use turno_engine::config::{Confine, Overrides};
use turno_engine::git;

use crate::args::Demo;
use crate::door::Door;
use crate::failure::Failure;
use crate::print;
use crate::scene::Scene;
use crate::screen::Show;

static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/till");

pub(crate) async fn run(verb: Demo) -> Result<ExitCode, Failure> {
    let directory = place(verb.directory)?;
    unpack(&EXAMPLE, &directory)?;
    git::create(&directory, "till: a script that adds up a basket")?;
    let scene = Scene::at(Some(&directory))?;
    let show = if verb.json { Show::Json } else { Show::people() };
    if show != Show::Json {
        print::note(&format!(
            "An example project is in {}",
            print::bold(&directory.display().to_string())
        ));
        print::note(
            "One issue is filed. Two written agents, ada and grace, play author, engineer, reviewer and tester on\ntwo slots: a plan, four tasks (one is discovered on the way), a failing check, a review round, acceptance.\n",
        );
    }
    let issues = file_issues(&scene, &directory).await?;
    let code = super::run::shift(
        &scene,
        scene.config(&Overrides {
            // Its agents are written by Turno itself.
            confine: Confine::WherePossible,
            ..Overrides::default()
        })?,
        super::run::Wanted::listed(issues),
        show,
    )
    .await?;
    if show != Show::Json {
        print::note(&format!("\nLook around: cd {}", directory.display()));
        print::note("             git log --oneline --graph --all");
        print::note("             turno log 1.1; turno explain 1.0; turno diff 1; turno promote 1");
    }
    Ok(code)
}

/// A directory that is new or empty.
fn place(wanted: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let Some(directory) = wanted else {
        let made = tempfile::Builder::new()
            .prefix("turno-demo-")
            .tempdir()
            .map_err(|e| {
                Failure::cannot_start(format!(
                    "cannot make a directory for the example: {e}; name one: turno demo DIR"
                ))
            })?;
        return Ok(made.keep().join("till"));
    };
    let empty = match std::fs::read_dir(&directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if empty {
        Ok(directory)
    } else {
        Err(Failure::usage(format!(
            "{} is not an empty directory, and nothing in it is touched; name another: turno demo DIR",
            directory.display()
        )))
    }
}

fn unpack(from: &Dir<'_>, to: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, e| Failure::cannot_start(format!("cannot write {}: {e}", path.display()));
    std::fs::create_dir_all(to).map_err(|e| failed(to, e))?;
    for entry in from.entries() {
        match entry {
            DirEntry::Dir(dir) => unpack(dir, &to.join(dir.path().file_name().unwrap_or_default()))?,
            DirEntry::File(file) => {
                let path = to.join(file.path().file_name().unwrap_or_default());
                std::fs::write(&path, file.contents()).map_err(|e| failed(&path, e))?;
            }
        }
    }
    Ok(())
}

async fn file_issues(scene: &Scene, directory: &Path) -> Result<Vec<IssueId>, Failure> {
    let text = std::fs::read_to_string(directory.join(".turno/issues.json"))?;
    let drafts: Vec<IssueDraft> = serde_json::from_str(&text)?;
    let mut door = Door::open(scene).await?;
    for draft in drafts {
        door.take(Event::IssueAdded { draft }).await?;
    }
    Ok(door.state().await?.issues.into_keys().collect())
}
