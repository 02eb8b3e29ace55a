//! Owns opening and updating a pull request: by the forge's own program, with the user's own login, or by a command of
//! the user's. It must not push, and must not take a word for a deed: what names no address was not opened.

mod address;
mod api;
mod gh;
mod glab;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use turno_core::ids::IssueId;
use turno_core::pull::{Page, PullRequest, Pushed};

pub use address::{Address, address_of};

use crate::config::ForgeChoice;
use crate::git::is_gits_own;
use crate::process::{self, Call, End, Finished, Input};

/// No answer of such a program is longer.
const OUTPUT_CAP: usize = 4 << 20;
/// No address is longer.
const URL: usize = 500;
/// The most characters of a text that every forge takes.
pub const BODY: usize = 60_000;

/// Who opens pull requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forge {
    /// GitHub's program.
    Gh(PathBuf),
    /// GitLab's program.
    Glab(PathBuf),
    /// A command of the user's: it reads JSON and prints JSON.
    Command(Vec<String>),
    /// Nobody: the branch is pushed and that is all.
    Nobody,
}

impl Forge {
    /// Who that is, for people.
    pub fn phrase(&self) -> String {
        match self {
            Self::Gh(_) => "gh".to_owned(),
            Self::Glab(_) => "glab".to_owned(),
            Self::Command(argv) => argv.first().cloned().unwrap_or_default(),
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// Why a pull request was not opened or updated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be run to its end.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// It says no.
    #[error("`{what}` failed with {code}: {words}")]
    Failed {
        /// What was called.
        what: String,
        /// How it ended.
        code: String,
        /// What it said.
        words: String,
    },
    /// It says that all is well and not where.
    #[error("`{what}` ended well and named no pull request, so none is known to be there; it said: {words}")]
    NoUrl {
        /// What was called.
        what: String,
        /// What it said.
        words: String,
    },
}

/// Programs are run with these.
#[derive(Debug, Clone)]
pub struct Means<'a> {
    /// The checkout.
    pub cwd: &'a Path,
    /// The user's environment.
    pub env: &'a BTreeMap<String, String>,
    /// After so long a program is ended.
    pub limit: Duration,
}

/// What is to be there.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// For which issue.
    pub issue: IssueId,
    /// What was pushed.
    pub pushed: &'a Pushed,
    /// To which repository, if the remote's address says it.
    pub at: Option<&'a Address>,
    /// One line.
    pub title: &'a str,
    /// Markdown.
    pub body: &'a str,
    /// What was there before.
    pub known: Option<&'a PullRequest>,
}

/// Who opens pull requests on a remote: whom the configuration names, else the program that is logged in there.
pub async fn forge_of(choice: &ForgeChoice, at: Option<&Address>, means: &Means<'_>) -> Forge {
    let program = |name: &str| find(name, means.env);
    match choice {
        ForgeChoice::Command(argv) => Forge::Command(argv.clone()),
        ForgeChoice::None => Forge::Nobody,
        ForgeChoice::Gh => program("gh").map_or(Forge::Nobody, Forge::Gh),
        ForgeChoice::Glab => program("glab").map_or(Forge::Nobody, Forge::Glab),
        ForgeChoice::Auto => {
            let Some(Address { host, .. }) = at else {
                return Forge::Nobody;
            };
            if let Some(gh) = program("gh")
                && gh_knows(&gh, host, means).await
            {
                return Forge::Gh(gh);
            }
            match program("glab") {
                Some(glab) if glab_knows(&glab, host, means).await => Forge::Glab(glab),
                Some(_) | None => Forge::Nobody,
            }
        }
    }
}

fn find(program: &str, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let runs = |p: &PathBuf| p.is_file() && nix::unistd::access(p, nix::unistd::AccessFlags::X_OK).is_ok();
    let path = env.get("PATH")?;
    // Any other place is one of the checkout, where whoever writes its files would say what runs.
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(runs)
}

/// A token from the environment is given to these programs for every host; it says nothing of one host.
const TOKENS_FOR_ALL: [&str; 6] = [
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITLAB_TOKEN",
    "GITLAB_ACCESS_TOKEN",
    "OAUTH_TOKEN",
    "CI_JOB_TOKEN",
];

/// Whether GitHub's program has a login for a host. One that is refused by now, or whose host cannot be reached, is
/// one: the work then fails and says so, instead of being left out.
async fn gh_knows(program: &Path, host: &str, means: &Means<'_>) -> bool {
    let asked = async |args: &[&str], means: &Means<'_>| {
        run(program.as_os_str().to_owned(), args, Input::Nothing, means)
            .await
            .is_ok()
    };
    let env = stored_only(means.env);
    let stored = Means { env: &env, ..*means };
    asked(&["auth", "token", "--hostname", host], &stored).await
        || asked(&["auth", "status", "--hostname", host], means).await
}

/// The same of GitLab's, some releases of which end well when they know nothing of the host.
async fn glab_knows(program: &Path, host: &str, means: &Means<'_>) -> bool {
    let env = stored_only(means.env);
    let stored = Means { env: &env, ..*means };
    let program = || program.as_os_str().to_owned();
    let args = ["config", "get", "token", "--host", host];
    let token = run(program(), &args, Input::Nothing, &stored).await;
    if token.is_ok_and(|token| !token.trim().is_empty()) {
        return true;
    }
    let args = ["auth", "status", "--hostname", host];
    match finish(program(), &args, Input::Nothing, means).await {
        Ok(Finished {
            end, stdout, stderr, ..
        }) => {
            let unknown = |said: &[u8]| String::from_utf8_lossy(said).contains("not authenticated");
            end == End::Exited(0) && !unknown(&stdout) && !unknown(&stderr)
        }
        Err(_) => false,
    }
}

fn stored_only(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = env
        .iter()
        .filter(|(name, _)| !TOKENS_FOR_ALL.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Opens the pull request, or brings the one that is there up to date.
///
/// # Errors
/// When the program fails, does not end, or names no pull request.
pub async fn open(forge: &Forge, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    match forge {
        Forge::Gh(program) => gh::open(program, wanted, means).await,
        Forge::Glab(program) => glab::open(program, wanted, means).await,
        Forge::Command(argv) => command(argv, wanted, means).await,
        // What was opened once follows its branch.
        Forge::Nobody => Ok(wanted.known.map(|k| k.page.clone()).unwrap_or_default()),
    }
}

/// What a command of the user's reads.
#[derive(Debug, Serialize)]
struct Told<'a> {
    issue: IssueId,
    title: &'a str,
    body: &'a str,
    remote: &'a str,
    branch: &'a str,
    base: &'a str,
    head: String,
    /// The address of the one that is known to be there.
    url: Option<&'a str>,
}

/// What it prints.
#[derive(Debug, Deserialize)]
struct Printed {
    url: String,
    number: Option<u64>,
}

async fn command(argv: &[String], wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    let Some((program, args)) = argv.split_first() else {
        return Ok(Page::Branch);
    };
    let url = match wanted.known.map(|k| &k.page) {
        Some(Page::Opened { url, .. }) => Some(url.as_str()),
        Some(Page::Branch) | None => None,
    };
    let told = Told {
        issue: wanted.issue,
        title: wanted.title,
        body: wanted.body,
        remote: &wanted.pushed.remote,
        branch: &wanted.pushed.branch,
        base: &wanted.pushed.base,
        head: wanted.pushed.head.to_string(),
        url,
    };
    let told = serde_json::to_vec(&told).unwrap_or_default();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let said = run(program.into(), &args, Input::Bytes(told), means).await?;
    let no = || no_url(program, &said);
    let printed: Printed = serde_json::from_str(said.trim()).map_err(|_| no())?;
    match (page_of(&printed.url).ok_or_else(no)?, printed.number) {
        (Page::Opened { url, .. }, Some(number)) => Ok(Page::Opened {
            url,
            number: Some(number),
        }),
        (page, _) => Ok(page),
    }
}

fn no_url(what: &str, said: &str) -> Error {
    Error::NoUrl {
        what: what.to_owned(),
        words: tail(said),
    }
}

fn tail(text: &str) -> String {
    let text: Vec<char> = text.trim().chars().collect();
    text[text.len().saturating_sub(500)..].iter().collect()
}

fn page_of(url: &str) -> Option<Page> {
    let plain = url.len() <= URL && url.bytes().all(|b| b.is_ascii_graphic());
    let web = url.starts_with("https://") || url.starts_with("http://");
    let number = url
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .and_then(|n| n.parse().ok());
    (plain && web).then(|| Page::Opened {
        url: url.to_owned(),
        number,
    })
}

async fn run(program: OsString, args: &[&str], input: Input, means: &Means<'_>) -> Result<String, Error> {
    let what = [
        program.to_string_lossy().as_ref(),
        args.first().copied().unwrap_or_default(),
        args.get(1).copied().unwrap_or_default(),
    ]
    .join(" ");
    let finished = finish(program, args, input, means).await?;
    let code = match finished.end {
        End::Exited(0) => return Ok(String::from_utf8_lossy(&finished.stdout).into_owned()),
        End::Exited(code) => format!("exit code {code}"),
        End::Signalled(signal) => format!("signal {signal}"),
    };
    let words = tail(&String::from_utf8_lossy(&finished.stderr));
    Err(Error::Failed { what, code, words })
}

async fn finish(
    program: OsString,
    args: &[&str],
    input: Input,
    means: &Means<'_>,
) -> Result<Finished, process::Error> {
    let own = [
        ("GH_PROMPT_DISABLED", "1"),
        ("GH_NO_UPDATE_NOTIFIER", "1"),
        ("GLAB_CHECK_UPDATE", "false"),
        ("NO_PROMPT", "1"),
        ("NO_COLOR", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ];
    // By these an answer that is to be read would be painted.
    let painted = ["GH_FORCE_TTY", "CLICOLOR_FORCE"];
    let users = means.env.iter();
    let users = users.filter(|(name, _)| !is_gits_own(name) && !painted.contains(&name.as_str()));
    let users = users.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let call = Call {
        program,
        args: args.iter().map(OsString::from).collect(),
        cwd: means.cwd.to_owned(),
        env: users.chain(own.map(|(n, v)| (n.into(), v.into()))).collect(),
        input,
        output_cap: OUTPUT_CAP,
    };
    process::run_to_end(call, means.limit).await
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_of_the_checkout_is_nobodys() {
        let dir = std::env::current_dir().unwrap();
        let made = tempfile::tempdir_in(&dir).unwrap();
        let gh = made.path().join("gh");
        fs::write(&gh, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
        let found = |path: &Path| {
            let path = path.to_str().unwrap().to_owned();
            find("gh", &BTreeMap::from([("PATH".to_owned(), path)]))
        };
        assert_eq!(found(made.path()), Some(gh));
        assert_eq!(found(made.path().strip_prefix(&dir).unwrap()), None);
    }

    #[test]
    fn only_an_address_is_taken_for_one() {
        assert_eq!(page_of("failed"), None);
        assert_eq!(
            page_of("https://github.com/a/b/pull/12"),
            Some(Page::Opened {
                url: "https://github.com/a/b/pull/12".to_owned(),
                number: Some(12)
            })
        );
        assert_eq!(page_of("https://\u{202e}x"), None);
        assert_eq!(page_of("javascript:alert(1)"), None);
    }
}
