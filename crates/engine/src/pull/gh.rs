//! Owns how GitHub's program is asked: always for the repository that was pushed to, never for the one that it would
//! find in the checkout. It must not judge what it says; a request from another repository is not ours.

use std::path::Path;

use serde::Deserialize;
use turno_core::pull::{Page, Pushed};

use super::{Error, Means, Wanted, body, no_url, page_of, run, url_in};
use crate::process::Input;

/// One that is open, as `gh pr list` tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GhOpen {
    number: u64,
    url: String,
    #[serde(default)]
    is_cross_repository: Foreign,
}

/// Whether it comes from another repository, whose branch may have the same name.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(from = "bool")]
enum Foreign {
    #[default]
    No,
    Yes,
}

impl From<bool> for Foreign {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

pub(super) async fn open(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    if let Some((number, page)) = there(program, wanted, means).await? {
        let number = number.to_string();
        let args = ["pr", "edit", &number, "--title", wanted.title, "--body-file", "-"];
        asked(program, &args, body(wanted), wanted, means).await?;
        return Ok(page);
    }
    let Pushed { branch, base, .. } = wanted.pushed;
    let args = [
        "pr",
        "create",
        "--head",
        branch,
        "--base",
        base,
        "--title",
        wanted.title,
        "--body-file",
        "-",
    ];
    let said = asked(program, &args, body(wanted), wanted, means).await?;
    match url_in(&said) {
        Some(page) => Ok(page),
        None => match there(program, wanted, means).await? {
            Some((_, page)) => Ok(page),
            None => Err(no_url("gh pr create", &said)),
        },
    }
}

async fn there(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Option<(u64, Page)>, Error> {
    let fields = "number,url,isCrossRepository";
    let args = [
        "pr",
        "list",
        "--head",
        &wanted.pushed.branch,
        "--state",
        "open",
        "--json",
        fields,
    ];
    let said = asked(program, &args, Input::Nothing, wanted, means).await?;
    let open: Vec<GhOpen> = serde_json::from_str(&said).map_err(|_| no_url("gh pr list", &said))?;
    let ours = open.into_iter().find(|o| o.is_cross_repository == Foreign::No);
    ours.map(|o| {
        Ok((
            o.number,
            page_of(&o.url).ok_or_else(|| no_url("gh pr list", &said))?,
        ))
    })
    .transpose()
}

async fn asked(
    program: &Path,
    args: &[&str],
    input: Input,
    wanted: &Wanted<'_>,
    means: &Means<'_>,
) -> Result<String, Error> {
    let repo = wanted.at.map(|at| format!("{}/{}", at.host, at.path));
    let repo = repo.iter().flat_map(|repo| ["--repo", repo.as_str()]);
    let args: Vec<&str> = args.iter().copied().chain(repo).collect();
    run(program.into(), &args, input, means).await
}
