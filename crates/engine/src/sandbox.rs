//! Owns how attempts and checks are confined on this machine: by which means, with which private home, and what each
//! kind of access may do. The means themselves are `turno-sandbox`'s; nothing is started here.

pub(crate) mod below;
mod contained;
mod homes;
mod hosts;
mod lodging;
mod profiles;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use turno_core::config::Confinement;
use turno_sandbox::bwrap::{self, Starter};
use turno_sandbox::inside::{Inside, Outside};
use turno_sandbox::landlock::{self, Offer};
use turno_sandbox::limits::Limits;
use turno_sandbox::limits::means::Means;
use turno_sandbox::limits::rlimit::Rlimits;
use turno_sandbox::{Nesting, Network, Profile, system};

use crate::config::EnvMap;
use crate::process::{self, Call, End, Input};

use homes::Home;
pub(crate) use homes::{HomeOf, home_of};
pub(crate) use lodging::{Bounds, Guest, Lodged, Tenant};
pub(crate) use profiles::found_places;

/// The hidden verb that puts up the second fence inside.
pub const VERB: &str = "confine";

/// Names the bubblewrap to use; a path that is not there switches it off.
const BWRAP_VAR: &str = "TURNO_BWRAP";

/// How long a try may take.
const TRY: Duration = Duration::from_secs(20);

/// By which means programs are confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Namespaces, with Landlock and seccomp inside.
    Bubblewrap {
        /// The program that makes them.
        bwrap: PathBuf,
        /// Who starts it.
        starter: Starter,
    },
    /// Landlock and seccomp alone.
    Landlock {
        /// Why there are no namespaces.
        why: String,
    },
    /// None: a person has switched it off.
    Off,
}

/// Nothing on this machine confines programs.
#[derive(Debug, thiserror::Error)]
#[error(
    "attempts cannot be confined here, so nothing is started. Namespaces: {namespaces}. Landlock: {landlock}. \
     Install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`) and allow user namespaces, or type \
     --no-sandbox to run agents with all that you may do yourself"
)]
pub struct Nothing {
    /// Why namespaces do not do.
    namespaces: String,
    /// Why Landlock does not do.
    landlock: String,
}

impl Hold {
    /// Tries what this machine offers, best first: each means is used once, with a program that does nothing.
    ///
    /// # Errors
    /// When none holds.
    pub async fn probe(turno: &Path, env: &EnvMap) -> Result<Self, Nothing> {
        let namespaces = match bubblewrap(env) {
            Ok(bwrap) => {
                let starter = if nix::unistd::geteuid().is_root() {
                    Starter::Root
                } else {
                    Starter::User
                };
                let hold = Self::Bubblewrap { bwrap, starter };
                match hold.attempt(turno).await {
                    Ok(()) => return Ok(hold),
                    Err(why) => why,
                }
            }
            Err(why) => why,
        };
        let landlock = match landlock::offer() {
            Offer::Nothing => "this kernel does not enforce it".to_owned(),
            Offer::TooOld { version } => {
                format!("this kernel's version {version} does not hold TCP connections; version 4 does")
            }
            Offer::Enough { .. } => {
                let hold = Self::Landlock {
                    why: namespaces.clone(),
                };
                match hold.attempt(turno).await {
                    Ok(()) => return Ok(hold),
                    Err(why) => why,
                }
            }
        };
        Err(Nothing { namespaces, landlock })
    }

    /// The same for the core and for people.
    pub fn confinement(&self) -> Confinement {
        match self {
            Self::Bubblewrap { .. } => Confinement::Namespaces,
            Self::Landlock { .. } => Confinement::Landlock,
            Self::Off => Confinement::Off,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Bubblewrap { bwrap, starter } => {
                let who = match starter {
                    Starter::User => "",
                    Starter::Root => ", started by root: an ordinary user inside",
                };
                format!(
                    "namespaces by {}{who}, with Landlock and seccomp inside",
                    bwrap.display()
                )
            }
            Self::Landlock { why } => format!("Landlock and seccomp alone, because {why}"),
            Self::Off => "none: switched off by --no-sandbox".to_owned(),
        }
    }

    /// Where a confined program finds its directory for temporary files.
    pub(crate) fn tmp_of(&self, profile: &Profile) -> String {
        match self {
            Self::Bubblewrap { .. } => "/tmp".to_owned(),
            Self::Landlock { .. } | Self::Off => profile.tmp.display().to_string(),
        }
    }

    /// Program and arguments that run `argv` confined.
    ///
    /// # Errors
    /// When the profile cannot be written down.
    pub fn wrap(
        &self,
        turno: &Path,
        profile: Profile,
        rlimits: &Rlimits,
        argv: Vec<String>,
    ) -> Result<Vec<String>, serde_json::Error> {
        let confine = |outside, profile: &Profile| {
            let inside = Inside {
                outside,
                profile: profile.clone(),
                rlimits: rlimits.clone(),
            };
            let mut words = vec![
                turno.display().to_string(),
                VERB.to_owned(),
                serde_json::to_string(&inside)?,
                "--".to_owned(),
            ];
            words.extend(argv.iter().cloned());
            Ok(words)
        };
        match self {
            Self::Off => Ok(argv),
            Self::Landlock { .. } => confine(Outside::Nothing, &profile),
            Self::Bubblewrap { bwrap, starter } => {
                let inner = confine(Outside::Bubblewrap, &profile)?;
                Ok(bwrap::argv(bwrap, &profile, *starter, &inner))
            }
        }
    }

    /// Whether a program that does nothing runs confined; else what was said.
    async fn attempt(&self, turno: &Path) -> Result<(), String> {
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let tmp = tempfile::tempdir().map_err(|e| words(&e))?;
        let profile = Profile {
            places: profiles::program_places(turno, None),
            home: tmp.path().to_owned(),
            tmp: tmp.path().to_owned(),
            cwd: PathBuf::from("/"),
            network: Network::None,
            nesting: Nesting::Closed,
        };
        let rlimits = Rlimits::beside(&Means::probe(), &Limits::none());
        let argv = self
            .wrap(turno, profile, &rlimits, vec!["/bin/true".to_owned()])
            .map_err(|e| words(&e))?;
        let (program, args) = argv.split_first().ok_or("nothing is to be run")?;
        let call = Call {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            cwd: PathBuf::from("/"),
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            input: Input::Nothing,
            output_cap: 1 << 20,
        };
        let finished = process::run_to_end(call, TRY).await.map_err(|e| words(&e))?;
        if finished.end == End::Exited(0) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&finished.stderr);
        let said = said.lines().next().unwrap_or("it said nothing").trim().to_owned();
        Err(format!("a try failed: {said}"))
    }
}

fn bubblewrap(env: &EnvMap) -> Result<PathBuf, String> {
    if let Some(named) = env.get(BWRAP_VAR).filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{BWRAP_VAR} names {named}, which is not there"))
        };
    }
    bwrap::INSTALLED
        .iter()
        .map(PathBuf::from)
        .find(|p| p.is_file())
        .ok_or_else(|| "bubblewrap (bwrap) is not installed".to_owned())
}

/// The toolchains of the user, found once for a shift.
pub(crate) fn toolchains(env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    system::toolchains(env).into_iter().collect()
}
