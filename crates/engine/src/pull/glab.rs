//! Owns how GitLab's program is asked: always for the repository that was pushed to, never for the one that it would
//! find in the checkout. It must not judge what it says; a request from another project is not ours.

use std::path::Path;

use serde::Deserialize;
use turno_core::pull::{Page, Pushed};

use super::{Error, Means, Wanted, no_url, page_of, run, url_in};
use crate::process::Input;

/// One that is open, as `glab mr list` tells it.
#[derive(Debug, Deserialize)]
struct GlabOpen {
    iid: u64,
    web_url: String,
    source_project_id: u64,
    target_project_id: u64,
}

pub(super) async fn open(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    if let Some((number, page)) = there(program, wanted, means).await? {
        let number = number.to_string();
        let args = [
            "mr",
            "update",
            &number,
            "--title",
            wanted.title,
            "--description",
            wanted.body,
        ];
        asked(program, &args, &["--repo"], wanted, means).await?;
        return Ok(page);
    }
    let Pushed { branch, base, .. } = wanted.pushed;
    let args = [
        "mr",
        "create",
        "--source-branch",
        branch,
        "--target-branch",
        base,
        "--title",
        wanted.title,
        "--description",
        wanted.body,
        "--yes",
    ];
    // Without the second it may take the branch for one of another remote of the checkout.
    let said = asked(program, &args, &["--repo", "--head"], wanted, means).await?;
    match url_in(&said) {
        Some(page) => Ok(page),
        None => match there(program, wanted, means).await? {
            Some((_, page)) => Ok(page),
            None => Err(no_url("glab mr create", &said)),
        },
    }
}

async fn there(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Option<(u64, Page)>, Error> {
    let args = [
        "mr",
        "list",
        "--source-branch",
        &wanted.pushed.branch,
        "--output",
        "json",
    ];
    let said = asked(program, &args, &["--repo"], wanted, means).await?;
    ours(&said).ok_or_else(|| no_url("glab mr list", &said))
}

/// The one of a list that comes from the project itself; the branch of a fork may have the same name. `None` when that
/// is no such list.
fn ours(said: &str) -> Option<Option<(u64, Page)>> {
    let open: Vec<GlabOpen> = serde_json::from_str(said).ok()?;
    let ours = open
        .into_iter()
        .find(|o| o.source_project_id == o.target_project_id);
    match ours {
        None => Some(None),
        Some(o) => Some(Some((o.iid, page_of(&o.web_url)?))),
    }
}

async fn asked(
    program: &Path,
    args: &[&str],
    names: &[&str],
    wanted: &Wanted<'_>,
    means: &Means<'_>,
) -> Result<String, Error> {
    let url = wanted.at.map(|at| format!("https://{}/{}", at.host, at.path));
    let repo = url
        .iter()
        .flat_map(|url| names.iter().flat_map(move |name| [*name, url.as_str()]));
    let args: Vec<&str> = args.iter().copied().chain(repo).collect();
    run(program.into(), &args, Input::Nothing, means).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_fork_is_not_ours() {
        let one = |iid: u64, from: u64| {
            format!(
                r#"{{"iid":{iid},"web_url":"https://gitlab.example/a/b/-/merge_requests/{iid}","source_project_id":{from},"target_project_id":7}}"#
            )
        };
        let (fork, own) = (one(3, 9), one(12, 7));
        assert_eq!(ours(&format!("[{fork}]")), Some(None));
        let found = ours(&format!("[{fork},{own}]")).unwrap().unwrap();
        assert_eq!(found.0, 12);
        let unsaid = r#"[{"iid":1,"web_url":"https://gitlab.example/a/b/-/merge_requests/1"}]"#;
        assert_eq!(ours(unsaid), None, "unknown is not ours");
    }
}
