//! Owns the container engines of this machine: which is there, whether it has an image, what Turno's containers are
//! called, and that none of them is left. The words it uses are `turno-sandbox`'s. It starts no check: the attempt
//! does, like any other program.
//!
//! A container may be the child of a service, which no process of Turno's is above. So its name is written down
//! before it is made, and it counts as gone when the engine says that there is none of that name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use turno_core::check::Check;
use turno_core::container::{Container, EngineChoice, Within};
use turno_core::ids::AttemptId;
use turno_sandbox::container::{BadContainerName, Ceiling, Client, ContainerName, Engine, Who};

use crate::config::EnvMap;
use crate::process::supervisor::write_whole;
use crate::process::{self, Call, End, Finished, Input};
use crate::site::{Site, marker, workspace_mark};

/// The label that names the attempt.
pub(crate) const ATTEMPT_LABEL: &str = "turno.attempt";
/// The label that names the workspace, so that nobody removes another one's containers.
pub(crate) const WORKSPACE_LABEL: &str = "turno.workspace";

/// Where engines are installed. They are not looked for by the search path: what stands there first may have been
/// written by an agent.
const INSTALLED: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/bin", "/run/current-system/sw/bin"];

/// Variables of the user's that an engine's program needs to find its service, its settings and its images.
const CLIENT_ENV: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
];

/// The file in a run's directory that names its container.
const NOTE: &str = "container.json";
/// How long an engine may take for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a removal is tried.
const TRIES: u8 = 3;

/// Why a container cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}; {}", self.what(), self.mend())]
pub enum Unusable {
    /// No program that would make it.
    NotInstalled(EngineChoice),
    /// There is one, whose service does not answer.
    NoAnswer {
        /// Which.
        client: Client,
        /// What was said.
        said: String,
    },
    /// Its service is on another machine, which has no slots.
    Elsewhere {
        /// Where.
        host: String,
    },
    /// It does not have the image.
    NoImage {
        /// Who.
        client: Client,
        /// Which.
        image: String,
    },
    /// Its program could not be run.
    Process(#[from] process::Error),
    /// A name was wrong.
    Name(#[from] BadContainerName),
    /// It was to be removed, and is there.
    Stays {
        /// Its name.
        name: String,
        /// Who has it.
        client: Client,
        /// What was said.
        said: String,
    },
}

impl Unusable {
    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            Self::NotInstalled(EngineChoice::Any) => "neither podman nor docker is installed".to_owned(),
            Self::NotInstalled(EngineChoice::Podman) => "podman is not installed".to_owned(),
            Self::NotInstalled(EngineChoice::Docker) => "docker is not installed".to_owned(),
            Self::NoAnswer { client, said } => format!("{} does not answer: {said}", client.name()),
            Self::Elsewhere { host } => format!("DOCKER_HOST names a docker elsewhere, {host}"),
            Self::NoImage { client, image } => format!("{} does not have the image {image}", client.name()),
            Self::Process(error) => error.to_string(),
            Self::Name(error) => error.to_string(),
            Self::Stays { name, client, said } => {
                format!("{} did not remove the container {name}: {said}", client.name())
            }
        }
    }

    /// What to do.
    pub fn mend(&self) -> String {
        match self {
            Self::NotInstalled(EngineChoice::Any | EngineChoice::Podman) => {
                "install podman, e.g. `apt install podman`".to_owned()
            }
            Self::NotInstalled(EngineChoice::Docker) => "install docker, or choose podman".to_owned(),
            Self::NoAnswer { client, .. } => format!("see what `{} info` says", client.name()),
            Self::Elsewhere { .. } => "slots are on this machine: use an engine that is, too".to_owned(),
            Self::NoImage { client, image } => format!("fetch it: `{} pull {image}`", client.name()),
            Self::Process(_) => "see whether the engine works by itself".to_owned(),
            Self::Name(_) => "this is a bug in turno".to_owned(),
            Self::Stays { name, client, .. } => format!("remove it: `{} rm --force {name}`", client.name()),
        }
    }
}

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    pub(crate) engine: Engine,
    pub(crate) who: Who,
}

impl Ready {
    /// In words.
    pub fn words(&self) -> String {
        self.engine.program.display().to_string()
    }
}

/// The container of a run, as it is written down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Who makes it.
    pub(crate) engine: Engine,
    /// What it is called.
    pub(crate) name: ContainerName,
}

/// Finds who makes a container that is asked for, and sees that the image is there.
///
/// # Errors
/// When nobody does, or the image is not there.
pub async fn find(asked: &Container, env: &EnvMap) -> Result<Ready, Unusable> {
    let mut first: Option<Unusable> = None;
    for engine in installed(asked.engine, env) {
        match answers(engine, env).await {
            Ok(ready) => {
                has(&ready.engine, asked.image.as_str(), env).await?;
                return Ok(ready);
            }
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or(Unusable::NotInstalled(asked.engine)))
}

/// The engines that are installed, best first.
fn installed(choice: EngineChoice, env: &EnvMap) -> Vec<Engine> {
    let clients = match choice {
        EngineChoice::Any => &[Client::Podman, Client::Docker][..],
        EngineChoice::Podman => &[Client::Podman],
        EngineChoice::Docker => &[Client::Docker],
    };
    let found = |client: &Client| {
        // Names the program to use; a path that is not there switches the engine off.
        let variable = match client {
            Client::Podman => "TURNO_PODMAN",
            Client::Docker => "TURNO_DOCKER",
        };
        let program = match env.get(variable).filter(|v| !v.is_empty()) {
            Some(named) => Some(PathBuf::from(named)).filter(|p| p.is_file()),
            None => INSTALLED
                .iter()
                .map(|dir| Path::new(dir).join(client.name()))
                .find(|p| p.is_file()),
        };
        program.map(|program| Engine {
            client: *client,
            program,
        })
    };
    clients.iter().filter_map(found).collect()
}

async fn answers(engine: Engine, env: &EnvMap) -> Result<Ready, Unusable> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let same = Who::Same {
        uid: uid.as_raw(),
        gid: gid.as_raw(),
    };
    let who = match (engine.client, engine.service()) {
        (Client::Podman, _) if uid.is_root() => same,
        (Client::Podman, _) => Who::Kept,
        (Client::Docker, None) => same,
        (Client::Docker, Some(service)) => {
            if let Some(host) = env.get("DOCKER_HOST").filter(|h| !h.is_empty())
                && !host.starts_with("unix://")
            {
                return Err(Unusable::Elsewhere { host: host.clone() });
            }
            let finished = call(&service, env).await?;
            if finished.end != End::Exited(0) {
                return Err(Unusable::NoAnswer {
                    client: engine.client,
                    said: said(&finished),
                });
            }
            if String::from_utf8_lossy(&finished.stdout).contains("name=rootless") {
                Who::RootOfUser
            } else {
                same
            }
        }
    };
    Ok(Ready { engine, who })
}

async fn has(engine: &Engine, image: &str, env: &EnvMap) -> Result<(), Unusable> {
    let finished = call(&engine.image(image), env).await?;
    if finished.end == End::Exited(0) {
        return Ok(());
    }
    let said = said(&finished);
    let lower = said.to_lowercase();
    // Neither has an exit code for it.
    if ["no such image", "not known", "no such object"]
        .iter()
        .any(|w| lower.contains(w))
    {
        Err(Unusable::NoImage {
            client: engine.client,
            image: image.to_owned(),
        })
    } else {
        Err(Unusable::NoAnswer {
            client: engine.client,
            said,
        })
    }
}

/// The environment in which an engine's program works.
pub(crate) fn client_env(env: &EnvMap) -> BTreeMap<String, String> {
    let named = env.iter().filter(|(n, _)| CLIENT_ENV.contains(&n.as_str()));
    named.map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// What nobody whom we start may have more of.
pub(crate) fn ceiling() -> Ceiling {
    let hard = |resource, most: u64| getrlimit(resource).map_or(most, |(_, hard)| hard.min(most));
    let numbers = std::fs::read_to_string("/proc/sys/kernel/pid_max");
    let numbers = numbers.ok().and_then(|n| n.trim().parse().ok()).unwrap_or(32_768);
    Ceiling {
        open_files: hard(Resource::RLIMIT_NOFILE, 1 << 20),
        processes: hard(Resource::RLIMIT_NPROC, numbers),
    }
}

/// Names the container of a run in this directory, and writes it down.
pub(crate) fn note(site: &Site, attempt: AttemptId, dir: &Path, engine: &Engine) -> Result<Note, Unusable> {
    let sum = crc32c::crc32c(dir.as_os_str().as_encoded_bytes());
    let note = Note {
        engine: engine.clone(),
        name: format!("turno-{}-{sum:08x}", marker(&site.dirs, attempt)).try_into()?,
    };
    let odd = |why: String| process::Error::Output {
        program: dir.join(NOTE).display().to_string(),
        why,
    };
    let bytes = serde_json::to_vec(&note).map_err(|e| odd(e.to_string()))?;
    std::fs::create_dir_all(dir).map_err(|e| odd(e.to_string()))?;
    write_whole(&dir.join(NOTE), &bytes).map_err(|e| odd(e.to_string()))?;
    Ok(note)
}

/// Sees that no container of this name is there, and removes it if one is.
pub(crate) async fn gone(note: &Note, env: &EnvMap) -> Result<(), Unusable> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let listed = call(&note.engine.named(&note.name), env).await?;
        if listed.end == End::Exited(0) {
            if !names(&listed.stdout).contains(note.name.as_str()) {
                return Ok(());
            }
            let removed = call(&note.engine.remove(&note.name), env).await?;
            last = said(&removed);
        } else {
            last = said(&listed);
        }
    }
    // The last removal may have been the one.
    let listed = call(&note.engine.named(&note.name), env).await?;
    if listed.end == End::Exited(0) && !names(&listed.stdout).contains(note.name.as_str()) {
        return Ok(());
    }
    Err(Unusable::Stays {
        name: note.name.as_str().to_owned(),
        client: note.engine.client,
        said: last,
    })
}

/// The same for the run in this directory, if it had a container. What cannot be removed stays written down.
pub(crate) async fn clear(dir: &Path, env: &EnvMap) {
    let path = dir.join(NOTE);
    let Ok(bytes) = std::fs::read(&path) else { return };
    let cleared = match serde_json::from_slice::<Note>(&bytes) {
        Ok(note) => gone(&note, env).await.map_err(|e| e.to_string()),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    };
    match cleared {
        Ok(()) => forget(dir),
        Err(why) => tracing::error!(%why, "a container may be left behind"),
    }
}

/// Takes the note of a container that is gone away.
pub(crate) fn forget(dir: &Path) {
    if let Err(error) = std::fs::remove_file(dir.join(NOTE)) {
        tracing::debug!(dir = %dir.display(), %error, "the note of a container stays");
    }
}

/// Before anything begins: removes the containers of this workspace that are left, whose attempts are all over.
pub async fn sweep(site: &Site) {
    let core = &site.config.core;
    let all = core
        .checks
        .iter()
        .chain(core.repos.values().flat_map(|r| &r.checks));
    let mut engines: Vec<Engine> = Vec::new();
    for check in all {
        let Some(asked) = container_of(check) else {
            continue;
        };
        for engine in installed(asked.engine, &site.env) {
            if !engines.contains(&engine) {
                engines.push(engine);
            }
        }
    }
    for engine in engines {
        let listed = call(
            &engine.labelled(WORKSPACE_LABEL, &workspace_mark(&site.dirs)),
            &site.env,
        )
        .await;
        let listed = match listed {
            Ok(listed) if listed.end == End::Exited(0) => listed,
            // It is not used then: each check says so for itself.
            Ok(_) | Err(_) => continue,
        };
        for name in names(&listed.stdout) {
            let Ok(name) = ContainerName::try_from(name) else {
                continue;
            };
            tracing::warn!(name = name.as_str(), "a container that was left is removed");
            let note = Note {
                engine: engine.clone(),
                name,
            };
            if let Err(error) = gone(&note, &site.env).await {
                tracing::error!(%error, "a container is left behind");
            }
        }
    }
}

/// The container of a check, if it has one.
pub fn container_of(check: &Check) -> Option<&Container> {
    match &check.within {
        Within::Sandbox => None,
        Within::Container(container) => Some(container),
    }
}

fn names(listed: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(listed);
    text.split(['\n', ',']).map(|n| n.trim().to_owned()).collect()
}

fn said(finished: &Finished) -> String {
    let said = String::from_utf8_lossy(&finished.stderr);
    let line = said.lines().rfind(|l| !l.trim().is_empty());
    line.unwrap_or("it said nothing").trim().to_owned()
}

async fn call(words: &[String], env: &EnvMap) -> Result<Finished, process::Error> {
    let (program, args) = words
        .split_first()
        .map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    let call = Call {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        cwd: PathBuf::from("/"),
        env: client_env(env)
            .into_iter()
            .map(|(n, v)| (n.into(), v.into()))
            .collect(),
        input: Input::Nothing,
        output_cap: 1 << 20,
    };
    process::run_to_end(call, ANSWER).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(engine: EngineChoice) -> Container {
        Container {
            image: "postgres:16".to_owned().try_into().unwrap(),
            engine,
        }
    }

    /// An engine's program that answers by its first words.
    fn stand_in(dir: &Path, name: &str, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn env(podman: &str, docker: &str) -> EnvMap {
        let pairs = [
            ("PATH", "/usr/bin:/bin"),
            ("TURNO_PODMAN", podman),
            ("TURNO_DOCKER", docker),
        ];
        pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into()
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_says_what_to_install() {
        for (choice, expected) in [
            (EngineChoice::Any, "neither podman nor docker is installed"),
            (EngineChoice::Podman, "podman is not installed"),
            (EngineChoice::Docker, "docker is not installed"),
        ] {
            let error = find(&asked(choice), &env("/none", "/none")).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains(expected) && text.contains("install"), "{text}");
        }
    }

    #[tokio::test]
    async fn podman_comes_first_and_docker_when_podman_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let podman = stand_in(dir.path(), "podman", "exit 0");
        let docker = stand_in(dir.path(), "docker", "echo '[\"name=rootless\"]'");
        let ready = find(&asked(EngineChoice::Any), &env(&podman, &docker))
            .await
            .unwrap();
        assert_eq!(ready.engine.client, Client::Podman);
        let ready = find(&asked(EngineChoice::Any), &env("/none", &docker))
            .await
            .unwrap();
        assert_eq!(
            (ready.engine.client, ready.who),
            (Client::Docker, Who::RootOfUser)
        );
    }

    #[tokio::test]
    async fn a_missing_image_and_a_dead_service_are_not_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let none = stand_in(
            dir.path(),
            "podman",
            "echo 'Error: postgres:16: image not known' >&2; exit 125",
        );
        let dead = stand_in(
            dir.path(),
            "docker",
            "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
        );
        let error = find(&asked(EngineChoice::Any), &env(&none, "/none"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("`podman pull postgres:16`"), "{error}");
        let error = find(&asked(EngineChoice::Any), &env("/none", &dead))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("docker does not answer"), "{error}");
        let mut far = env("/none", &dead);
        far.insert("DOCKER_HOST".to_owned(), "tcp://far:2375".to_owned());
        let error = find(&asked(EngineChoice::Docker), &far).await.unwrap_err();
        assert!(error.to_string().contains("tcp://far:2375"), "{error}");
    }

    #[tokio::test]
    async fn what_the_engine_does_not_remove_is_not_gone() {
        let dir = tempfile::tempdir().unwrap();
        let note = |script: &str| Note {
            engine: Engine {
                client: Client::Podman,
                program: stand_in(dir.path(), "podman", script).into(),
            },
            name: "turno-1-a2-0".to_owned().try_into().unwrap(),
        };
        let env = env("", "");
        let stays = note("[ $1 = ps ] && echo turno-1-a2-0; [ $1 = ps ] || { echo busy >&2; exit 1; }");
        let error = gone(&stays, &env).await.unwrap_err();
        assert!(error.to_string().contains("busy"), "{error}");
        // An engine that says nothing is not one that has nothing.
        assert!(gone(&note("exit 1"), &env).await.is_err());
        gone(&note("[ $1 = ps ] && echo turno-1-a2-01"), &env)
            .await
            .unwrap();
    }
}
