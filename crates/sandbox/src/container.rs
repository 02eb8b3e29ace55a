//! Owns the words with which podman and docker are told to make a container, to remove it, and to say what there is.
//! It spawns nothing, looks nothing up, and knows no engine but these two.
//!
//! Nothing is inside but what the image brings, the places that are named and the environment that is named. The
//! engine's own socket is never one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits::{CpuWeight, Limits};
use crate::profile::{Access, Place};

/// A program that speaks to a container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// `podman`
    Podman,
    /// `docker`
    Docker,
}

impl Client {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// The name of a container of Turno's. It begins with `turno-`, so that nothing else can be meant by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

/// What is no name of a container of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a container: `turno-`, then letters, digits, `-`, `_` and `.`, 100 at most")]
pub struct BadContainerName(String);

impl ContainerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContainerName {
    type Error = BadContainerName;

    fn try_from(name: String) -> Result<Self, BadContainerName> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match name.strip_prefix("turno-") {
            Some(rest) if !rest.is_empty() && rest.len() <= 100 && rest.chars().all(plain) => Ok(Self(name)),
            Some(_) | None => Err(BadContainerName(name)),
        }
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> Self {
        name.0
    }
}

/// Who the program is inside, so that what it writes in a slot belongs to who runs Turno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The user, who has the same number inside: podman without root maps it.
    Kept,
    /// Root inside, who is the user outside: docker without root.
    RootOfUser,
    /// The same numbers inside and outside: an engine of root's.
    Same {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

/// What it reaches of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A loopback of its own.
    None,
    /// Whatever the engine gives a container that asks for nothing.
    Engine,
}

/// How many of something one may have who runs Turno; nobody may give a container more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Open files of one process.
    pub open_files: u64,
    /// Processes of one user.
    pub processes: u64,
}

/// A container to run one program in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    /// Its name.
    pub name: &'a ContainerName,
    /// What it is found by, besides its name.
    pub labels: BTreeMap<&'a str, String>,
    /// What it is made of. It must be here already.
    pub image: &'a str,
    /// Who the program is.
    pub who: Who,
    /// What it reaches of the network.
    pub wire: Wire,
    /// What it sees besides the image; a later one lies on top of an earlier one.
    pub places: &'a [Place],
    /// Where it starts.
    pub cwd: &'a Path,
    /// The names of the variables that it gets from the environment of the engine's program. Their values are in no
    /// argument, which everybody on the machine can read.
    pub env: BTreeSet<&'a str>,
    /// What it may use.
    pub limits: &'a Limits,
    /// What nobody may go beyond.
    pub ceiling: Ceiling,
    /// A command for the image's shell.
    pub command: &'a str,
}

/// A place that cannot be named to an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` cannot be shown in a container: its path has a colon, or is no UTF-8. Move the repository, or Turno's state",
    .0.display()
)]
pub struct BadPlace(PathBuf);

/// A program for people who know what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// How it is spoken to.
    pub client: Client,
    /// Where it is.
    pub program: PathBuf,
}

impl Engine {
    fn words(&self, words: &[&str]) -> Vec<String> {
        let program = self.program.display().to_string();
        std::iter::once(program)
            .chain(words.iter().map(|w| (*w).to_owned()))
            .collect()
    }

    /// Program and arguments that run a container to its end.
    ///
    /// Nothing is fetched: an image that is not here is fetched by a person, once, and not by whichever attempt comes
    /// first, within its limit and from a name that may mean something else by then.
    ///
    /// # Errors
    /// When a place has a path that the engine would take apart.
    pub fn run(&self, container: &Container<'_>) -> Result<Vec<String>, BadPlace> {
        let mut words = self.words(&["run", "--rm", "--pull=never", "--read-only"]);
        words.push(format!("--name={}", container.name.as_str()));
        for (name, value) in &container.labels {
            words.push(format!("--label={name}={value}"));
        }
        let mut add = |word: &str| words.push(word.to_owned());
        for mount in ["/tmp", "/var/tmp", "/run"] {
            add(&format!("--tmpfs={mount}:rw,exec,nosuid,nodev,mode=1777"));
        }
        for word in [
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            // Otherwise the files of the slot would have to be marked anew for systems that label files.
            "--security-opt=label=disable",
            "--no-healthcheck",
            // What it says is read from its outputs, and written down once.
            "--log-driver=none",
        ] {
            add(word);
        }
        match container.wire {
            Wire::None => add("--network=none"),
            Wire::Engine => {}
        }
        match container.who {
            Who::Kept => add("--userns=keep-id"),
            Who::RootOfUser => add("--user=0:0"),
            Who::Same { uid, gid } => add(&format!("--user={uid}:{gid}")),
        }
        for word in self.limits(container.limits, container.ceiling) {
            add(&word);
        }
        if self.client == Client::Podman {
            // It would hand on the user's proxies, whatever is said of the network.
            add("--http-proxy=false");
        }
        add("--env=HOME=/tmp");
        for name in &container.env {
            add(&format!("--env={name}"));
        }
        for place in container.places {
            add(&format!("--volume={}", volume(place)?));
        }
        add(&format!("--workdir={}", plain(container.cwd)?));
        add("--entrypoint=/bin/sh");
        add(container.image);
        add("-c");
        // Both outputs in the order they were written; what the engine itself has to say stays apart.
        add(&format!("exec 2>&1\n{}", container.command));
        Ok(words)
    }

    fn limits(&self, limits: &Limits, ceiling: Ceiling) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(bytes) = limits.memory.number() {
            words.push(format!("--memory={bytes}b"));
        }
        if let Some(count) = limits.processes.number() {
            words.push(format!("--pids-limit={count}"));
        }
        if limits.cpu_weight != CpuWeight::NORMAL {
            // The engines count in shares, of which 1024 are normal.
            let shares = u32::from(limits.cpu_weight.number()) * 1024 / 100;
            words.push(format!("--cpu-shares={}", shares.max(2)));
        }
        if let Some(bytes) = limits.file_size.number() {
            words.push(format!("--ulimit=fsize={bytes}:{bytes}"));
        }
        let files = limits
            .open_files
            .number()
            .map_or(ceiling.open_files, |n| n.min(ceiling.open_files));
        words.push(format!("--ulimit=nofile={files}:{files}"));
        if self.client == Client::Podman {
            // Its own choice is more than some machines allow, and then nothing starts.
            let processes = ceiling.processes;
            words.push(format!("--ulimit=nproc={processes}:{processes}"));
        }
        words
    }

    /// Removes a container, with its volumes, whatever state it is in. That it is gone is to be asked for: docker
    /// fails where there is nothing to remove.
    pub fn remove(&self, name: &ContainerName) -> Vec<String> {
        match self.client {
            Client::Podman => self.words(&[
                "rm",
                "--force",
                "--ignore",
                "--time=0",
                "--volumes",
                name.as_str(),
            ]),
            Client::Docker => self.words(&["rm", "--force", "--volumes", name.as_str()]),
        }
    }

    /// Says on one line each the names of all containers, running or not, that carry a label.
    pub fn labelled(&self, label: &str, value: &str) -> Vec<String> {
        let filter = format!("label={label}={value}");
        self.words(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"])
    }

    /// Says the names of all containers with this name in theirs.
    pub fn named(&self, name: &ContainerName) -> Vec<String> {
        let filter = format!("name={}", name.as_str());
        self.words(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"])
    }

    /// Succeeds when an image is here.
    pub fn image(&self, image: &str) -> Vec<String> {
        self.words(&["image", "inspect", "--format", "{{.Id}}", image])
    }

    /// Says, where the engine is a service, what it is protected by; fails when the service does not answer.
    pub fn service(&self) -> Option<Vec<String>> {
        match self.client {
            Client::Podman => None,
            Client::Docker => Some(self.words(&["info", "--format", "{{json .SecurityOptions}}"])),
        }
    }
}

fn volume(place: &Place) -> Result<String, BadPlace> {
    let (from, at) = (plain(&place.from)?, plain(&place.at)?);
    Ok(match place.access {
        Access::Read => format!("{from}:{at}:ro"),
        Access::Write => format!("{from}:{at}"),
    })
}

fn plain(path: &Path) -> Result<&str, BadPlace> {
    path.to_str()
        .filter(|p| p.starts_with('/') && !p.contains(':'))
        .ok_or_else(|| BadPlace(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Bound;

    fn engine(client: Client) -> Engine {
        Engine {
            client,
            program: format!("/usr/bin/{}", client.name()).into(),
        }
    }

    fn words(client: Client, change: impl FnOnce(&mut Container<'_>)) -> Vec<String> {
        let name = ContainerName::try_from("turno-12-a7-0f".to_owned()).unwrap();
        let limits = Limits {
            memory: Bound::AtMost(1 << 30),
            processes: Bound::AtMost(64),
            open_files: Bound::AtMost(1 << 20),
            cpu_weight: 50.try_into().unwrap(),
            ..Limits::none()
        };
        let places = [Place::write("/slots/1"), Place::read("/repo/.git")];
        let mut container = Container {
            name: &name,
            labels: BTreeMap::from([("turno.attempt", "12-a7".to_owned())]),
            image: "postgres:16",
            who: Who::Same { uid: 1000, gid: 100 },
            wire: Wire::None,
            places: &places,
            cwd: Path::new("/slots/1"),
            env: BTreeSet::from(["TURNO_TASK"]),
            limits: &limits,
            ceiling: Ceiling {
                open_files: 4096,
                processes: 500,
            },
            command: "make db",
        };
        change(&mut container);
        engine(client).run(&container).unwrap()
    }

    #[track_caller]
    fn has(words: &[String], expected: &[&str]) {
        for word in expected {
            assert!(words.iter().any(|w| w == word), "{word} is not in {words:#?}");
        }
    }

    #[test]
    fn a_container_has_nothing_that_it_was_not_given() {
        for client in [Client::Podman, Client::Docker] {
            let words = words(client, |_| {});
            has(
                &words,
                &[
                    "--rm",
                    "--pull=never",
                    "--read-only",
                    "--network=none",
                    "--cap-drop=all",
                    "--security-opt=no-new-privileges",
                    "--name=turno-12-a7-0f",
                    "--label=turno.attempt=12-a7",
                    "--user=1000:100",
                    "--memory=1073741824b",
                    "--pids-limit=64",
                    "--cpu-shares=512",
                    "--ulimit=nofile=4096:4096",
                    "--env=TURNO_TASK",
                    "--volume=/slots/1:/slots/1",
                    "--volume=/repo/.git:/repo/.git:ro",
                    "--workdir=/slots/1",
                ],
            );
            assert!(
                !words
                    .iter()
                    .any(|w| w.contains("--privileged") || w.contains(".sock"))
            );
            let end = ["--entrypoint=/bin/sh", "postgres:16", "-c", "exec 2>&1\nmake db"];
            assert!(words.ends_with(&end.map(str::to_owned)), "{words:#?}");
        }
    }

    #[test]
    fn only_podman_is_told_what_only_podman_knows() {
        let special = ["--http-proxy=false", "--ulimit=nproc=500:500"];
        has(&words(Client::Podman, |_| {}), &special);
        let docker = words(Client::Docker, |_| {});
        assert!(
            docker.iter().all(|w| !special.contains(&w.as_str())),
            "{docker:#?}"
        );
    }

    #[test]
    fn the_network_and_the_user_are_the_ones_asked_for() {
        let open = words(Client::Podman, |c| {
            c.wire = Wire::Engine;
            c.who = Who::Kept;
        });
        assert!(!open.iter().any(|w| w.starts_with("--network")), "{open:#?}");
        has(&open, &["--userns=keep-id"]);
        has(
            &words(Client::Docker, |c| c.who = Who::RootOfUser),
            &["--user=0:0"],
        );
    }

    #[test]
    fn a_path_that_the_engine_would_take_apart_is_refused() {
        let name = ContainerName::try_from("turno-1".to_owned()).unwrap();
        for odd in ["/a:/etc", "relative"] {
            let places = [Place::write(odd)];
            let container = Container {
                name: &name,
                labels: BTreeMap::new(),
                image: "x",
                who: Who::Kept,
                wire: Wire::None,
                places: &places,
                cwd: Path::new("/"),
                env: BTreeSet::new(),
                limits: &Limits::none(),
                ceiling: Ceiling {
                    open_files: 1,
                    processes: 1,
                },
                command: "true",
            };
            assert!(engine(Client::Podman).run(&container).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_name_means_nothing_but_a_container_of_ours() {
        for bad in ["", "turno-", "x", "--all", "turno-a b", "turno-ä", "turno-a/b"] {
            assert!(ContainerName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let name = ContainerName::try_from("turno-1f-a2-3.x".to_owned()).unwrap();
        for client in [Client::Podman, Client::Docker] {
            let words = engine(client).remove(&name);
            assert_eq!(words.last().map(String::as_str), Some("turno-1f-a2-3.x"));
            assert!(words.iter().any(|w| w == "--force"), "{words:#?}");
        }
    }
}
