//! Owns what GitHub is asked through its program: always for the repository that was pushed to. Its API is asked, whose
//! answers are the same for every release of the program; what its verbs ask for besides, a forge may not know any more.
//! It must not judge what it says; a request from another repository is not ours.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use turno_core::pull::{Page, Pushed};

use super::address::host_in;
use super::api::{Answer, Api, Ask, part};
use super::{Error, Means, Wanted, page_of};

/// A repository.
#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
    html_url: String,
}

/// A pull request.
#[derive(Debug, Deserialize)]
struct Request {
    number: u64,
    html_url: String,
    head: Side,
    base: Side,
}

/// A branch that a pull request comes from, or goes to.
#[derive(Debug, Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    branch: String,
    /// Whose it is; of a fork that was deleted nobody's.
    repo: Option<Owner>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Owner {
    full_name: String,
}

impl Request {
    /// Whether it comes from that branch of the very repository that it goes to; a fork's may have the same name.
    fn is_from(&self, branch: &str) -> bool {
        self.head.branch == branch && self.head.repo.is_some() && self.head.repo == self.base.repo
    }
}

pub(super) async fn open(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    let mut api = Api {
        program,
        host: wanted.at.map(|at| at.host.clone()),
        means,
    };
    // It may have another name by now, which only a look follows.
    let named = match wanted.at {
        Some(at) => at.path.split('/').map(part).collect::<Vec<_>>().join("/"),
        None => "{owner}/{repo}".to_owned(),
    };
    let repo: Repository = api.ask(&format!("repos/{named}"), Ask::Get).await?.fitting()?;
    api.host = api.host.or_else(|| host_in(&repo.html_url));
    let Pushed { branch, base, .. } = wanted.pushed;
    let (title, body) = (wanted.title, wanted.body);
    let path: Vec<String> = repo.full_name.split('/').map(part).collect();
    let path = format!("repos/{}/pulls", path.join("/"));
    let head = format!(
        "{}:{branch}",
        repo.full_name.split('/').next().unwrap_or_default()
    );
    let listed = format!("{path}?state=open&per_page=100&head={}", part(&head));
    let there = async || -> Result<Option<Request>, Error> {
        let all: Vec<Request> = api.ask(&listed, Ask::Get).await?.fitting()?;
        Ok(all.into_iter().find(|request| request.is_from(branch)))
    };
    if let Some(open) = there().await? {
        let mut wish = json!({"title": title, "body": body});
        if open.base.branch != *base {
            wish["base"] = json!(base);
        }
        let one = format!("{path}/{}", open.number);
        let updated: Request = api.ask(&one, Ask::Patch(wish)).await?.fitting()?;
        return page(&updated);
    }
    let wish = json!({"title": title, "body": body, "head": branch, "base": base});
    let error = match api.ask::<Request>(&path, Ask::Post(wish)).await {
        Ok(Answer::Fits(made)) => return page(&made),
        Ok(Answer::Other(error)) | Err(error) => error,
    };
    // Somebody may have opened it meanwhile, or it was opened and nobody heard of it.
    match there().await {
        Ok(Some(open)) => page(&open),
        Ok(None) | Err(_) => Err(error),
    }
}

fn page(request: &Request) -> Result<Page, Error> {
    page_of(&request.html_url).ok_or_else(|| Error::NoUrl {
        what: "gh api".to_owned(),
        words: request.html_url.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_fork_is_not_ours() {
        let one = |branch: &str, from: &str| -> Request {
            let text = format!(
                r#"{{"number":3,"html_url":"https://github.com/a/b/pull/3","head":{{"ref":"{branch}","repo":{from}}},"base":{{"ref":"main","repo":{{"full_name":"a/b"}}}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert!(one("x", r#"{"full_name":"a/b"}"#).is_from("x"));
        assert!(!one("y", r#"{"full_name":"a/b"}"#).is_from("x"));
        assert!(!one("x", r#"{"full_name":"c/b"}"#).is_from("x"));
        assert!(!one("x", "null").is_from("x"), "of a fork that was deleted");
    }
}
