//! `turno doctor`: proves each thing that a shift needs, and says how to mend what is missing.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use turno_core::ids::{AgentName, RepoName};
use turno_core::room::{Bytes, MAKE_ROOM, Room};
use turno_engine::config::{AgentSetup, EnvMap, EnvValue, Loaded, Overrides, Source};
use turno_engine::git::Checkout;
use turno_engine::person;
use turno_engine::sandbox::Hold;
use turno_engine::secret::{is_named_like_one, is_shaped_like_one};
use turno_engine::wallet::is_open_to_others;

use crate::args::Json;
use crate::exit;
use crate::failure::Failure;
use crate::print;
use crate::scene::{Scene, find_program};

/// What was found of one requirement.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    Good {
        what: String,
        detail: String,
    },
    Warning {
        what: String,
        detail: String,
        mend: String,
    },
    Missing {
        what: String,
        detail: String,
        mend: String,
    },
}

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, what: &str, detail: impl Into<String>) {
        self.0.push(Finding::Good {
            what: what.to_owned(),
            detail: detail.into(),
        });
    }

    fn warn(&mut self, what: &str, detail: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding::Warning {
            what: what.to_owned(),
            detail: detail.into(),
            mend: mend.into(),
        });
    }

    fn missing(&mut self, what: &str, detail: impl Into<String>, mend: impl Into<String>) {
        self.0.push(Finding::Missing {
            what: what.to_owned(),
            detail: detail.into(),
            mend: mend.into(),
        });
    }
}

pub(crate) async fn run(at: Option<&Path>, verb: &Json) -> Result<ExitCode, Failure> {
    let mut found = Findings(Vec::new());
    // Each later proof needs the earlier ones, so the first that is missing ends the list.
    if person::is_root() {
        found.warn("user", person::AS_ROOT, person::AS_ROOT_MEND);
    }
    if let Some(scene) = repository(at, &mut found).await {
        state(&scene, &mut found);
        sandbox(&scene, &mut found).await;
        match scene.config(&Overrides::default()) {
            Err(error) => found.missing("configuration", error.to_string(), "mend the file it names"),
            Ok(config) => {
                disks(&scene, &config, &mut found);
                checks(&config, &mut found);
                containers(&scene, &config, &mut found).await;
                repos(&scene, &config, &mut found);
                agents(&scene, config, &mut found);
            }
        }
    }
    let bad = found.0.iter().any(|f| matches!(f, Finding::Missing { .. }));
    if verb.json {
        print::json(&found.0)?;
    } else {
        found.0.iter().for_each(show);
    }
    Ok(ExitCode::from(if bad { exit::CANNOT_START } else { exit::OK }))
}

fn show(finding: &Finding) {
    let (mark, what, detail, mend) = match finding {
        Finding::Good { what, detail } => (print::green("ok  "), what, detail, None),
        Finding::Warning { what, detail, mend } => (print::bold("note"), what, detail, Some(mend)),
        Finding::Missing { what, detail, mend } => (print::red("no  "), what, detail, Some(mend)),
    };
    print::data(&format!("{mark} {what:<14} {}", print::plain(detail, 300)));
    if let Some(mend) = mend {
        print::data(&format!(
            "                    \u{2192} {}",
            print::plain(mend, 300)
        ));
    }
}

async fn sandbox(scene: &Scene, found: &mut Findings) {
    let turno = match std::env::current_exe() {
        Ok(turno) => turno,
        Err(error) => return found.missing("sandbox", error.to_string(), "start turno by its path"),
    };
    match Hold::probe(&turno, &scene.env).await {
        Ok(hold @ Hold::Bubblewrap { .. }) => found.good("sandbox", hold.words()),
        Ok(hold @ (Hold::Landlock { .. } | Hold::Off)) => found.warn(
            "sandbox",
            hold.words(),
            "install bubblewrap and allow user namespaces: agents get their tools, and see no process but their own",
        ),
        Err(nothing) => found.missing(
            "sandbox",
            nothing.to_string(),
            "install bubblewrap, e.g. `apt install bubblewrap`",
        ),
    }
}

async fn repository(at: Option<&Path>, found: &mut Findings) -> Option<Scene> {
    let scene = match Scene::at(at) {
        Ok(scene) => scene,
        Err(error) => {
            found.missing(
                "repository",
                error.to_string(),
                "go to a git repository with at least one commit",
            );
            return None;
        }
    };
    match scene.repo.git_version().await {
        Ok(version) => found.good("git", version),
        Err(error) => found.missing("git", error.to_string(), "install git 2.40 or later"),
    }
    let root = scene.repo.root().display().to_string();
    match scene.repo.checkout_state().await {
        Ok(Checkout::Clean) => found.good("repository", root),
        Ok(Checkout::Dirty { files }) => found.warn(
            "repository",
            format!("{root} has {} uncommitted change(s)", files.len()),
            "nothing to mend: they stay as they are and are not part of any work",
        ),
        Err(error) => found.missing("repository", error.to_string(), "see what git status says"),
    }
    Some(scene)
}

fn state(scene: &Scene, found: &mut Findings) {
    let root = scene.dirs.root();
    match scene.dirs.lock() {
        Ok(_lock) => {
            let space = nix::sys::statvfs::statvfs(root)
                .map(|s| s.blocks_available().saturating_mul(s.fragment_size()));
            match space {
                Ok(free) => found.good("state", format!("{} ({} free)", root.display(), Bytes(free))),
                Err(error) => found.warn("state", error.to_string(), "see whether the disk is mounted"),
            }
        }
        Err(turno_engine::workspace::Error::Taken { holder, .. }) => {
            found.good("state", format!("{} is in use by pid {holder}", root.display()));
        }
        Err(error) => found.missing("state", error.to_string(), "make it writable"),
    }
}

/// Whether a shift would start anything with the room there is.
fn disks(scene: &Scene, config: &Loaded, found: &mut Findings) {
    // A repository that is not in order is told of by itself.
    let repos = scene.repos(config);
    let repos = repos.iter().flat_map(|r| r.iter().map(|(_, repo)| repo));
    let places = turno_engine::site::disks(&scene.dirs, repos);
    let tight = turno_engine::room::tight(&places, config.disk, &Room::Enough);
    for tight in &tight {
        let detail = format!("{}: nothing is started", tight.phrase());
        found.warn("disk", detail, MAKE_ROOM);
    }
    if tight.is_empty() {
        let (free, files) = (config.disk.free, config.disk.files);
        let detail = format!("room above the floor of {free} and {files} files");
        found.good("disk", detail);
    }
}

fn checks(config: &Loaded, found: &mut Findings) {
    if config.core.checks.is_empty() {
        found.missing(
            "checks",
            "none are configured, so nothing can be proven and nothing lands",
            "`turno init` detects them, or name one in turno.toml under [checks.NAME]",
        );
        return;
    }
    for check in &config.core.checks {
        found.good(
            "check",
            format!("{}: {} (limit {})", check.name, check.command, check.timeout),
        );
    }
}

/// Who makes the containers that checks are run in, and whether their images are here.
async fn containers(scene: &Scene, config: &Loaded, found: &mut Findings) {
    let further = config.core.repos.values().flat_map(|r| &r.checks);
    for check in config.core.checks.iter().chain(further) {
        let Some(asked) = turno_engine::containers::container_of(check) else {
            continue;
        };
        match turno_engine::containers::find(asked, &scene.env).await {
            Ok(ready) => found.good(
                "container",
                format!("{}: {} has {}", check.name, ready.words(), asked.image),
            ),
            Err(error) => found.missing(
                "container",
                format!("{}: {}", check.name, error.what()),
                error.mend(),
            ),
        }
    }
}

fn repos(scene: &Scene, config: &Loaded, found: &mut Findings) {
    let repos = match scene.repos(config) {
        Ok(repos) => repos,
        Err(error) => {
            found.missing(
                "repositories",
                error.to_string(),
                "mend it in turno.toml under [repos]",
            );
            return;
        }
    };
    for (name, repo) in repos.iter().filter(|(name, _)| *name != RepoName::default()) {
        let root = repo.root().display();
        match config.core.checks_of(&name) {
            [] => found.warn(
                "repository",
                format!("{name}: {root} has no checks, so nothing of it lands"),
                format!("name one in turno.toml under [repos.{name}.checks.NAME]"),
            ),
            checks => {
                let names: Vec<&str> = checks.iter().map(|c| c.name.as_str()).collect();
                found.good(
                    "repository",
                    format!("{name}: {root}, checks: {}", names.join(", ")),
                );
            }
        }
    }
}

fn agents(scene: &Scene, config: Loaded, found: &mut Findings) {
    let present = scene.agents_present(&config);
    for (name, setup) in &config.agents {
        match version_of(setup, &scene.env) {
            Ok(version) => found.good("agent", format!("{name}: {version}")),
            Err(why) => found.warn(
                "agent",
                format!("{name}: {why}"),
                format!("install it, or set program in turno.toml under [agents.{name}]"),
            ),
        }
        if let Err(error) = setup.has_its_variables(&scene.env) {
            found.missing(
                "agent",
                error.to_string(),
                "export it, or remove it from turno.toml",
            );
        }
        secrets(&config, name, setup, found);
    }
    match config.with_agents_present(&present) {
        Ok(config) => {
            for entry in &config.personas {
                let agents: Vec<_> = entry.persona.agents.iter().map(ToString::to_string).collect();
                found.good(
                    "persona",
                    format!("{}: {}", entry.persona.name, agents.join(", ")),
                );
            }
        }
        Err(error) => found.missing(
            "personas",
            error.to_string(),
            "install an agent that may play them",
        ),
    }
}

/// How values are written that nobody else should read. No command is run here: the shift does that.
fn secrets(config: &Loaded, name: &AgentName, setup: &AgentSetup, found: &mut Findings) {
    for (variable, value) in &setup.env {
        let key = format!("agents.{name}.env.{variable}");
        match value {
            EnvValue::Text(text) if is_named_like_one(variable) || is_shaped_like_one(text) => {
                if let Source::RepoFile { file, line } = config.source(&key) {
                    found.warn(
                        "secret",
                        format!("{key} looks like a secret, and {file} (line {line}) belongs in git"),
                        format!(
                            "give the old value up, and write it by reference: {variable} = \"${variable}\" for a variable of yours, {{ file = \"~/path\" }} or {{ command = \"pass show name\" }}"
                        ),
                    );
                }
            }
            EnvValue::FromFile(path) => match is_open_to_others(path) {
                Ok(true) => found.warn(
                    "secret",
                    format!("{key}: {} may be read by others", path.display()),
                    format!("chmod 600 {}", path.display()),
                ),
                Ok(false) => {}
                Err(error) => found.missing(
                    "secret",
                    format!("{key}: {}: {error}", path.display()),
                    "make the file, or name another",
                ),
            },
            EnvValue::Text(_) | EnvValue::FromUser(_) | EnvValue::FromCommand(_) => {}
        }
    }
}

/// What an agent's program says of its version.
pub(crate) fn version_of(setup: &AgentSetup, env: &EnvMap) -> Result<String, String> {
    let Some(program) = setup.dialect.program() else {
        return Ok(format!("turno {} performs its script", env!("CARGO_PKG_VERSION")));
    };
    let path = find_program(program, env).ok_or_else(|| format!("`{program}` is not found"))?;
    let args = turno_agents::dialect(setup.dialect.kind()).version_args();
    if args.is_empty() {
        return Ok(format!(
            "{} is there; its version is not asked for",
            path.display()
        ));
    }
    turno_engine::process::version(&path, args, env)
}
