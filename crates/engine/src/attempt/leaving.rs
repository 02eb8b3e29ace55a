//! Owns the one look into a slot when its agent wants to end its turn: an agent that left something uncommitted is
//! asked once to commit or remove it. It changes nothing and holds nobody for long: what cannot be looked at is let
//! go, because Turno commits the rest of a slot anyway.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use turno_agents::dialect::Parting;
use turno_sandbox::limits::rlimit::Rlimits;
use turno_sandbox::{Network, Profile};

use crate::git::parse_status;
use crate::process::{self, Call, End, Input};
use crate::site::Site;

/// How long a look may take: the agent waits meanwhile, and so does whoever wants to stop it.
const LOOK: Duration = Duration::from_secs(5);
/// So many files are named.
const NAMED: usize = 30;
/// A longer name is cut.
const NAME: usize = 200;
/// More is not read; so much that is uncommitted was not forgotten.
const OUTPUT_CAP: usize = 1 << 20;

/// What git is asked, with nothing that the repository's configuration could make it run.
const STATUS: [&str; 11] = [
    "git",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "status",
    "--porcelain=v2",
    "-z",
    "--no-renames",
    "--untracked-files=normal",
];

/// Whether an agent of this run was asked to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Never,
    Once,
}

/// Where an agent's run ends its turn.
#[derive(Debug)]
pub(super) struct Gate {
    asked: Asked,
    slot: PathBuf,
    env: BTreeMap<String, String>,
    profile: Option<Profile>,
}

impl Gate {
    /// The gate of a run that works in `slot`, with what it sees: git looks with the agent's eyes, because what it
    /// committed is in the repository only later. `profile` is what it is confined to.
    pub(super) fn new(slot: &Path, env: &BTreeMap<String, String>, profile: Option<&Profile>) -> Self {
        let is_git_s = |name: &str| name.starts_with("GIT_") || ["PATH", "HOME"].contains(&name);
        Self {
            asked: Asked::Never,
            slot: slot.to_owned(),
            env: env
                .iter()
                .filter(|(name, _)| is_git_s(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            profile: profile.cloned().map(|profile| Profile {
                network: Network::None,
                ..profile
            }),
        }
    }

    /// The gate of a run that somebody else began: what it sees is not known any more, so it is let go.
    pub(super) fn passed() -> Self {
        Self {
            asked: Asked::Once,
            slot: PathBuf::new(),
            env: BTreeMap::new(),
            profile: None,
        }
    }

    /// Whether the agent may end its turn.
    pub(super) async fn parting(&mut self, site: &Site) -> Parting {
        if self.asked == Asked::Once {
            return Parting::Go;
        }
        match self.uncommitted(site).await {
            Ok(files) if files.is_empty() => Parting::Go,
            Ok(files) => {
                self.asked = Asked::Once;
                Parting::Stay { why: words(&files) }
            }
            Err(why) => {
                tracing::info!(slot = %self.slot.display(), why, "a slot was not looked at before its agent ended");
                Parting::Go
            }
        }
    }

    /// The paths that are not as committed, by the slot's own git, confined as the agent is.
    async fn uncommitted(&self, site: &Site) -> Result<Vec<String>, String> {
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let argv: Vec<String> = STATUS.map(str::to_owned).into();
        let argv = match &self.profile {
            None => argv,
            Some(profile) => {
                let rlimits = Rlimits::beside(&site.means, &site.config.sandbox.limits);
                site.hold
                    .wrap(&site.turno, profile.clone(), &rlimits, argv)
                    .map_err(|e| words(&e))?
            }
        };
        let (program, args) = argv.split_first().ok_or("nothing is to be run")?;
        let call = Call {
            program: program.into(),
            args: args.iter().map(Into::into).collect(),
            cwd: self.slot.clone(),
            env: self.env.iter().map(|(n, v)| (n.into(), v.into())).collect(),
            input: Input::Nothing,
            output_cap: OUTPUT_CAP,
        };
        let finished = process::run_to_end(call, LOOK).await.map_err(|e| words(&e))?;
        if finished.end != End::Exited(0) {
            let said = String::from_utf8_lossy(&finished.stderr);
            return Err(format!("git ended with {:?}: {}", finished.end, said.trim()));
        }
        let changes = parse_status(&finished.stdout)?;
        Ok(changes.iter().map(|c| name(c.path())).collect())
    }
}

/// A path as it is shown to an agent: one line, not too long.
fn name(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.chars()
        .take(NAME)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// What the agent is told.
fn words(files: &[String]) -> String {
    let mut text = String::from("Something in your worktree is not committed:\n");
    for file in files.iter().take(NAMED) {
        text.push_str(&format!("- {file}\n"));
    }
    if let Some(more) = files.len().checked_sub(NAMED).filter(|more| *more > 0) {
        text.push_str(&format!("- and {more} more\n"));
    }
    text.push_str(
        "Commit what belongs to your change, with a message that says why, and remove what does not. Then end again, \
         with your whole structured output. You are told this once.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_thirty_files_are_named() {
        let files: Vec<String> = (0..30).map(|n| format!("file{n}")).collect();
        let text = words(&files);
        assert!(text.contains("- file29\n") && !text.contains(" more"), "{text}");
        let files: Vec<String> = (0..42).map(|n| format!("file{n}")).collect();
        let text = words(&files);
        assert!(
            text.contains("- file29\n- and 12 more\n") && !text.contains("file30"),
            "{text}"
        );
    }

    #[test]
    fn a_name_is_one_short_line() {
        let odd = format!("a\nb\u{1b}[31m{}", "x".repeat(500));
        let shown = name(Path::new(&odd));
        assert!(shown.starts_with("a\u{fffd}b\u{fffd}[31mxx"), "{shown}");
        assert_eq!(shown.chars().count(), NAME);
    }
}
