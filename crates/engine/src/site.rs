//! Owns what attempts on this machine need: repositories and their pools, state directory, configuration,
//! environment.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use turno_core::ids::{AttemptId, CommitId, RepoName, TaskId};
use turno_core::task::StopWhy;
use turno_sandbox::limits::cgroup::BadName;
use turno_sandbox::limits::means::Means;
use turno_sandbox::limits::rlimit::Rlimits;

use crate::attempt::{to_its_end, told_to_stop};
use crate::config::{EnvMap, Loaded, Setup};
use crate::git::Repo;
use crate::known::Known;
use crate::live::Live;
use crate::process::limited::LimitOrders;
use crate::process::supervised::{Start, Supervised};
use crate::process::supervisor::{After, Orders};
use crate::process::{self, tree::MARKER};
use crate::redact::Redaction;
use crate::repos::Repos;
use crate::runner::mouth::{Asked, Ear};
use crate::sandbox::below::{self, Link};
use crate::sandbox::{self, Bounds, Hold, Tenant};
use crate::slots::{self, Prepared, SlotPlace, SlotPool};
use crate::wallet::Wallet;
use crate::workspace::StateDir;

/// How many agents may be started in a second: each start is a burst of work for the machine and the account.
const STARTS_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
/// How long a program has to leave after it was asked, before its tree is killed.
const GRACE_MS: u64 = 3000;
/// How much a supervised program may say.
const OUTPUT_CAP: u64 = 256 << 20;

/// Variables of the user's environment that every program sees: where programs, files and certificates are, and
/// how the network is reached. Nothing that is a secret by its nature.
pub(crate) const BASE_ENV: [&str; 20] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "NVM_DIR",
    "JAVA_HOME",
    "GOPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// One repository's part of a site: its worktrees, and how they are set up.
#[derive(Debug)]
pub struct Ground {
    /// The repository and its worktrees.
    pub pool: SlotPool,
    setup: Setup,
    /// The table of `turno.toml` that the setup is written in.
    table: String,
    /// Where it is noted which place is set up.
    notes: PathBuf,
}

/// What attempts on this machine need.
#[derive(Debug)]
pub struct Site {
    grounds: BTreeMap<RepoName, Ground>,
    /// Where things are kept.
    pub dirs: StateDir,
    /// The `turno` binary itself: it supervises, and performs scripts.
    pub turno: PathBuf,
    /// The configuration of this shift.
    pub config: Arc<Loaded>,
    /// The user's environment.
    pub env: EnvMap,
    /// The live feed.
    pub live: Live,
    /// By which means programs are confined.
    pub hold: Hold,
    /// By which means what they use of the machine is limited.
    pub means: Means,
    /// What checks have shown before.
    pub(crate) known: Known,
    toolchains: Vec<PathBuf>,
    /// What agents are given.
    pub(crate) wallet: Wallet,
    /// What is not written down.
    pub(crate) redaction: Arc<Redaction>,
    pace: DefaultDirectRateLimiter,
}

/// A supervised run, as it is asked for.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// Of which attempt.
    pub(crate) attempt: AttemptId,
    /// Its own directory.
    pub(crate) dir: &'a Path,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// Where it starts.
    pub(crate) cwd: &'a Path,
    /// All of its environment.
    pub(crate) env: BTreeMap<String, String>,
    /// When its whole tree is stopped.
    pub(crate) limit_ms: u64,
    /// What it is held to; none where a person has switched confinement off, or a container holds it.
    pub(crate) bounds: Option<Bounds>,
    /// How long it goes on while nobody coordinates.
    pub(crate) alone: Duration,
    /// What is run when it is over.
    pub(crate) after: After,
}

/// How long what costs nothing to begin anew goes on while nobody coordinates.
pub(crate) const ALONE: Duration = Duration::from_secs(5);

/// Whether a place was set up now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetUp {
    /// Nothing was to be done.
    Before,
    /// It was.
    Done,
}

/// Why a slot is not ready for work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pool could not put it on its commit.
    #[error(transparent)]
    Slots(#[from] slots::Error),
    /// The configured preparation failed.
    #[error("the setup of a new slot failed: {why}. See [{table}] in turno.toml")]
    Setup {
        /// Where it is written.
        table: String,
        /// Why.
        why: String,
    },
    /// The issue is about a repository that is not configured any more.
    #[error("there is no repository `{0}` any more; name it in turno.toml under [repos]")]
    NoSuchRepo(RepoName),
    /// A program of Turno's own could not be run.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// It was told to stop before it was ready.
    #[error("it was stopped: {}", .0.phrase())]
    Stopped(StopWhy),
}

impl Ground {
    /// How its places are set up, in words that differ where that does.
    pub(crate) fn set_up_how(&self) -> String {
        let copied = self.setup.copy.iter().map(|file| {
            // Its content is part of what a check sees, though no commit holds it.
            let bytes = std::fs::read(self.repo().root().join(file)).unwrap_or_default();
            (bytes.len(), crc32c::crc32c(&bytes))
        });
        format!("{:?} {:?}", self.setup, copied.collect::<Vec<_>>())
    }

    /// The repository.
    pub fn repo(&self) -> &Repo {
        self.pool.repo()
    }
}

/// Directories on all disks that a shift writes to: what is kept of attempts, the slots, and the objects of each
/// repository.
pub fn disks<'r>(dirs: &StateDir, repos: impl IntoIterator<Item = &'r Repo>) -> Vec<PathBuf> {
    let own = [
        dirs.root().to_owned(),
        dirs.attempts(),
        dirs.slots(&RepoName::default()),
    ];
    let objects = repos
        .into_iter()
        .filter_map(|repo| repo.object_dirs().into_iter().next());
    own.into_iter().chain(objects).collect()
}

impl Site {
    /// Directories on all disks that attempts write to.
    pub(crate) fn disks(&self) -> Vec<PathBuf> {
        let repos = self.grounds.values().map(Ground::repo);
        disks(&self.dirs, repos)
    }

    /// Opens the pools of all repositories.
    ///
    /// # Errors
    /// When the directory of the slots cannot be used.
    pub fn new(
        repos: &Repos,
        dirs: StateDir,
        turno: PathBuf,
        config: Arc<Loaded>,
        env: EnvMap,
        hold: Hold,
    ) -> Result<Self, slots::Error> {
        let mut grounds = BTreeMap::new();
        for (name, repo) in repos.iter() {
            let (Some(setup), notes) = (config.setup_of(&name), dirs.slots(&name)) else {
                continue;
            };
            let table = if name == RepoName::default() {
                "setup".to_owned()
            } else {
                format!("repos.{name}.setup")
            };
            let ground = Ground {
                pool: SlotPool::open(repo.clone(), &notes)?,
                setup: setup.clone(),
                table,
                notes,
            };
            grounds.insert(name, ground);
        }
        let pace = RateLimiter::direct(Quota::per_second(STARTS_A_SECOND));
        Ok(Self {
            grounds,
            known: Known::open(dirs.known(), config.cache),
            dirs,
            turno,
            config,
            toolchains: sandbox::toolchains(&env),
            env,
            live: Live::default(),
            hold,
            means: Means::probe(),
            wallet: Wallet::default(),
            redaction: Arc::default(),
            pace,
        })
    }

    /// The same with what agents are given. Without it no agent is started.
    #[must_use]
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.redaction = Arc::new(wallet.redaction());
        self.wallet = wallet;
        self
    }

    /// A repository's part of it.
    ///
    /// # Errors
    /// When no repository of that name is configured.
    pub fn ground(&self, repo: &RepoName) -> Result<&Ground, Error> {
        self.grounds
            .get(repo)
            .ok_or_else(|| Error::NoSuchRepo(repo.clone()))
    }

    /// Waits for the next agent's turn to be started.
    pub(crate) async fn pace(&self) {
        self.pace.until_ready().await;
    }

    /// The marker that every process of an attempt carries; no other workspace has the same.
    pub fn marker(&self, attempt: AttemptId) -> String {
        marker(&self.dirs, attempt)
    }

    /// What every program sees.
    pub(crate) fn base_env(&self, task: TaskId, place: SlotPlace) -> BTreeMap<String, String> {
        let lower: BTreeSet<String> = BASE_ENV
            .iter()
            .map(|n| n.to_lowercase())
            .filter(|n| n.ends_with("_proxy"))
            .collect();
        let mut env: BTreeMap<String, String> = self
            .env
            .iter()
            .filter(|(name, _)| BASE_ENV.contains(&name.as_str()) || lower.contains(*name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        env.insert("TURNO_TASK".to_owned(), task.to_string());
        env.insert("TURNO_SLOT".to_owned(), place.to_string());
        if let SlotPlace::Slot(id) = place {
            // Twenty ports of its own, so that two slots can run the same server.
            env.insert(
                "TURNO_PORT".to_owned(),
                (20_000 + u32::from(id.0) * 20).to_string(),
            );
        }
        env
    }

    /// The user's toolchains.
    pub(crate) fn toolchains(&self) -> &[PathBuf] {
        &self.toolchains
    }

    /// What a run of an attempt is held to, and how. More than one run of an attempt may be there: an agent, its checks.
    /// Each has a directory of its own, and places that it may write to.
    pub(crate) fn limits_of(
        &self,
        attempt: AttemptId,
        dir: &Path,
        disk_roots: Vec<PathBuf>,
    ) -> Result<LimitOrders, BadName> {
        let sum = crc32c::crc32c(dir.as_os_str().as_encoded_bytes());
        Ok(LimitOrders {
            limits: self.config.sandbox.limits.clone(),
            means: self.means.clone(),
            group: format!("turno-{}-{sum:08x}", self.marker(attempt)).try_into()?,
            disk_roots,
        })
    }

    /// Starts a supervised program in a directory of its own, confined to a profile where programs are confined.
    pub(crate) async fn supervise(&self, run: Run<'_>) -> Result<Supervised, process::Error> {
        let Run {
            attempt,
            dir,
            argv,
            cwd,
            mut env,
            limit_ms,
            bounds,
            alone,
            after,
        } = run;
        let (profile, net) = bounds.map_or((None, None), |b| (Some(b.profile), b.net));
        let odd = |why: String| process::Error::Output {
            program: dir.display().to_string(),
            why,
        };
        let grows = match &profile {
            Some(profile) => profile.grows().map(Path::to_owned).collect(),
            None => vec![cwd.to_owned()],
        };
        let limits = self
            .limits_of(attempt, dir, grows)
            .map_err(|e| odd(e.to_string()))?;
        let argv = match profile {
            None => argv,
            Some(profile) => {
                env.insert("TMPDIR".to_owned(), self.hold.tmp_of(&profile));
                let rlimits = Rlimits::beside(&self.means, &self.config.sandbox.limits);
                self.hold
                    .wrap(&self.turno, profile, &rlimits, argv)
                    .map_err(|e| odd(e.to_string()))?
            }
        };
        std::fs::create_dir_all(dir).map_err(|e| process::Error::Output {
            program: dir.display().to_string(),
            why: e.to_string(),
        })?;
        let orders = Orders {
            argv,
            cwd: cwd.to_owned(),
            grace_ms: GRACE_MS,
            limit_ms,
            output_cap: OUTPUT_CAP,
            alone_ms: u64::try_from(alone.as_millis()).unwrap_or(u64::MAX),
            limits: Some(limits),
            after,
        };
        Supervised::start(Start {
            turno: &self.turno,
            dir,
            orders,
            env,
            marker: self.marker(attempt),
            redaction: &self.redaction,
            net,
        })
        .await
    }

    /// Puts a place on a commit and makes it ready for work: files copied, setup run when it is new.
    pub(crate) async fn prepare(
        &self,
        ground: &Ground,
        attempt: AttemptId,
        task: TaskId,
        place: SlotPlace,
        commit: &CommitId,
        ear: &mut Ear,
    ) -> Result<Prepared, Error> {
        // The git steps may be broken off anywhere: the next use of the place finishes them.
        let prepared = tokio::select! {
            biased;
            why = told_to_stop(ear) => return Err(Error::Stopped(why)),
            prepared = ground.pool.prepare(place, commit) => prepared?,
        };
        let set_up = self.set_up(ground, attempt, task, place, &prepared.path, ear);
        if set_up.await? == SetUp::Done {
            // What git does not ignore would pass for the agent's work, or a reader's.
            ground.pool.discard(place, commit).await?;
        }
        Ok(prepared)
    }

    /// Runs the configured setup, once for each place and each wording of it.
    pub(crate) async fn set_up(
        &self,
        ground: &Ground,
        attempt: AttemptId,
        task: TaskId,
        place: SlotPlace,
        path: &Path,
        ear: &mut Ear,
    ) -> Result<SetUp, Error> {
        let setup = &ground.setup;
        let wrong = |why: String| Error::Setup {
            table: ground.table.clone(),
            why,
        };
        let mut done = SetUp::Before;
        for file in &setup.copy {
            let copied = copy_into(ground.repo().root(), path, file).map_err(wrong)?;
            if copied == SetUp::Done {
                done = SetUp::Done;
            }
        }
        let Some(command) = &setup.command else {
            return Ok(done);
        };
        let inode =
            std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?);
        let wanted = format!("{inode} {command}");
        let note = ground.notes.join(format!("{place}.setup"));
        if std::fs::read_to_string(&note).is_ok_and(|noted| noted == wanted) {
            return Ok(done);
        }
        let dir = self.dirs.attempt(attempt).join("setup");
        let mut env = self.base_env(task, place);
        let tenant = Tenant {
            ground,
            place,
            path,
            attempt,
        };
        let lodged = tenant
            .lodge(self, &dir, setup.network, &mut env)
            .await
            .map_err(|e| wrong(e.to_string()))?;
        let (lodged, bounds) = lodged.unzip();
        let run = self.supervise(Run {
            attempt,
            dir: &dir,
            argv: shell(command),
            cwd: path,
            env,
            limit_ms: setup.timeout.0,
            bounds,
            alone: ALONE,
            after: After::Nothing,
        });
        let run = run.await?;
        let end = to_its_end(run, ear).await;
        if let Some(lodged) = lodged {
            lodged.leave();
        }
        if let Asked::Stop(why) = *ear.borrow() {
            return Err(Error::Stopped(why));
        }
        use crate::process::supervisor::{End, ExitKind, files};
        if end != Some(End::Exited(ExitKind::Code(0))) {
            let said = crate::transcript::end_of(&dir.join(files::OUT), 2000);
            return Err(wrong(format!("`{command}` ended with {end:?}: {said}")));
        }
        std::fs::write(&note, wanted).map_err(|e| wrong(e.to_string()))?;
        Ok(SetUp::Done)
    }
}

/// A shell command, with both outputs in one file in the order they were written.
pub(crate) fn shell(command: &str) -> Vec<String> {
    vec![
        "/bin/sh".to_owned(),
        "-c".to_owned(),
        format!("exec 2>&1\n{command}"),
    ]
}

/// The marker of an attempt in a state directory.
pub fn marker(dirs: &StateDir, attempt: AttemptId) -> String {
    debug_assert_eq!(MARKER, "TURNO_ATTEMPT");
    format!("{}{attempt}", marks(dirs.root()))
}

/// How the markers of all attempts of a workspace begin, by its state directory.
pub(crate) fn marks(state: &Path) -> String {
    let sum = crc32c::crc32c(state.as_os_str().as_encoded_bytes());
    format!("{sum:08x}-")
}

/// What tells one state directory from others, on this machine.
pub(crate) fn workspace_mark(dirs: &StateDir) -> String {
    marks(dirs.root()).trim_end_matches('-').to_owned()
}

fn copy_into(from: &Path, to: &Path, file: &str) -> Result<SetUp, String> {
    let inside = Path::new(file)
        .components()
        .all(|c| matches!(c, std::path::Component::Normal(_)));
    if !inside {
        return Err(format!("`{file}` in copy is no path below the repository"));
    }
    let (source, target) = (from.join(file), to.join(file));
    // A link counts as there, wherever it leads: nothing is written through it, nor through one on the way.
    if !source.is_file() || std::fs::symlink_metadata(&target).is_ok() {
        return Ok(SetUp::Before);
    }
    let parent = Path::new(file).parent().unwrap_or(Path::new(""));
    let copied = below::make(to, parent, Link::Refused).and_then(|_| std::fs::copy(&source, &target));
    copied
        .map(|_| SetUp::Done)
        .map_err(|e| format!("cannot copy {file}: {e}"))
}
