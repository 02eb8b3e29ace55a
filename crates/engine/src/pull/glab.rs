//! Owns what GitLab is asked through its program: always for the project that was pushed to. Its API is asked: the
//! flags of its verbs differ from release to release. It must not judge what it says; a request from another project is
//! not ours.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;
use turno_core::pull::{Page, Pushed};

use super::address::host_in;
use super::api::{Answer, Api, Ask, part};
use super::{Error, Means, Wanted, page_of};

/// A project.
#[derive(Debug, Deserialize)]
struct Project {
    id: u64,
    web_url: String,
}

/// A merge request.
#[derive(Debug, Deserialize)]
struct Request {
    iid: u64,
    web_url: String,
    source_branch: String,
    target_branch: String,
    /// Of a fork that was deleted nobody's.
    source_project_id: Option<u64>,
    target_project_id: u64,
}

impl Request {
    /// Whether it comes from that branch of the very project that it goes to; a fork's may have the same name.
    fn is_from(&self, branch: &str) -> bool {
        self.source_branch == branch && self.source_project_id == Some(self.target_project_id)
    }
}

pub(super) async fn open(program: &Path, wanted: &Wanted<'_>, means: &Means<'_>) -> Result<Page, Error> {
    let mut api = Api {
        program,
        host: wanted.at.map(|at| at.host.clone()),
        means,
    };
    let named = wanted
        .at
        .map_or_else(|| ":fullpath".to_owned(), |at| part(&at.path));
    let project: Project = api.ask(&format!("projects/{named}"), Ask::Get).await?.fitting()?;
    api.host = api.host.or_else(|| host_in(&project.web_url));
    let Pushed { branch, base, .. } = wanted.pushed;
    let (title, body) = (wanted.title, wanted.body);
    let path = format!("projects/{}/merge_requests", project.id);
    let listed = format!("{path}?state=opened&per_page=100&source_branch={}", part(branch));
    let there = async || -> Result<Option<Request>, Error> {
        let all: Vec<Request> = api.ask(&listed, Ask::Get).await?.fitting()?;
        Ok(all.into_iter().find(|request| request.is_from(branch)))
    };
    if let Some(open) = there().await? {
        let mut wish = json!({"title": title, "description": body});
        if open.target_branch != *base {
            wish["target_branch"] = json!(base);
        }
        let one = format!("{path}/{}", open.iid);
        let updated: Request = api.ask(&one, Ask::Put(wish)).await?.fitting()?;
        return page(&updated);
    }
    let wish = json!({"title": title, "description": body, "source_branch": branch, "target_branch": base});
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
    page_of(&request.web_url).ok_or_else(|| Error::NoUrl {
        what: "glab api".to_owned(),
        words: request.web_url.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_fork_is_not_ours() {
        let one = |branch: &str, from: &str| -> Request {
            let text = format!(
                r#"{{"iid":3,"web_url":"https://gitlab.example/a/b/-/merge_requests/3","source_branch":"{branch}","target_branch":"main","source_project_id":{from},"target_project_id":7}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert!(one("x", "7").is_from("x"));
        assert!(!one("y", "7").is_from("x"));
        assert!(!one("x", "9").is_from("x"));
        assert!(!one("x", "null").is_from("x"), "of a fork that was deleted");
    }
}
