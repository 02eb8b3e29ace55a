//! GitHub's part of the forge.

use serde_json::{Value, json};

use super::{BEFORE, From, GITHUB, Kept, REPOSITORY, Request, Said, Shared, Wish};

pub(super) fn answer(kept: &mut Kept, shared: &Shared, wish: &Wish<'_>, taken: bool) -> Said {
    if !taken {
        return Said::new(401, json!({"message": "Bad credentials", "status": "401"}));
    }
    if let ("GET", "/") = (wish.method, wish.path) {
        return Said::new(200, json!({})).with("X-Oauth-Scopes", "repo, read:org, gist");
    }
    if wish.path == "/graphql" {
        return graphql(&wish.body);
    }
    let Some(rest) = wish.path.strip_prefix("/repos/") else {
        return missing();
    };
    if wish.method == "GET" && rest == BEFORE {
        let to = format!("http://api.{GITHUB}/repos/{REPOSITORY}");
        return Said::new(301, json!({"message": "Moved Permanently", "url": to})).with("location", to);
    }
    let Some(rest) = rest.strip_prefix(REPOSITORY) else {
        return missing();
    };
    let text = |name: &str| wish.body[name].as_str().unwrap_or_default().to_owned();
    let number = |rest: &str| rest.strip_prefix("/pulls/").and_then(|n| n.parse::<u64>().ok());
    match (wish.method, rest) {
        ("GET", "") => Said::new(
            200,
            json!({"full_name": REPOSITORY, "html_url": format!("http://{GITHUB}/{REPOSITORY}"), "default_branch": "main"}),
        ),
        ("GET", "/pulls") => {
            // Without an owner the filter is passed over, as it is there: all are told.
            let all = kept.requests.iter();
            let owned = wish.query.split('&').find_map(|q| q.strip_prefix("head=a%3A"));
            let all = all.filter(|r| match (owned, r.from) {
                (Some(head), From::Repository) => head.replace("%2F", "/") == r.head,
                (Some(_), From::Fork | From::DeletedFork) => false,
                (None, _) => true,
            });
            Said::new(200, all.map(told).collect())
        }
        ("POST", "/pulls") => {
            match kept.open(
                shared,
                &text("title"),
                &text("body"),
                &text("head"),
                &text("base"),
            ) {
                Ok(opened) => Said::new(201, told(&opened)),
                Err(why) => Said::new(
                    422,
                    json!({"message": "Validation Failed", "errors": [{"resource": "PullRequest", "code": "custom", "message": why}]}),
                ),
            }
        }
        ("PATCH", rest) => match kept.requests.iter_mut().find(|r| Some(r.number) == number(rest)) {
            Some(request) => {
                let change = |to: &mut String, name: &str| {
                    if let Some(text) = wish.body[name].as_str() {
                        text.clone_into(to);
                    }
                };
                change(&mut request.title, "title");
                change(&mut request.body, "body");
                change(&mut request.base, "base");
                Said::new(200, told(request))
            }
            None => missing(),
        },
        _ => missing(),
    }
}

fn missing() -> Said {
    Said::new(404, json!({"message": "Not Found", "status": "404"}))
}

/// Whose token it is. What is gone from GitHub is refused, by whichever release it is asked for.
fn graphql(body: &Value) -> Said {
    let query = body["query"].as_str().unwrap_or_default();
    if query.contains("projectCards") {
        let why = "Projects (classic) is being deprecated in favor of the new Projects experience";
        return Said::new(200, json!({"data": null, "errors": [{"message": why}]}));
    }
    Said::new(200, json!({"data": {"viewer": {"login": "me"}}}))
}

fn told(request: &Request) -> Value {
    let Request {
        number,
        title,
        body,
        head,
        base,
        from,
    } = request;
    let repo = |name: &str| json!({"full_name": name});
    let whose = match from {
        From::Repository => repo(REPOSITORY),
        From::Fork => repo("stranger/b"),
        From::DeletedFork => Value::Null,
    };
    json!({
        "number": number,
        "html_url": format!("http://{GITHUB}/{REPOSITORY}/pull/{number}"),
        "title": title,
        "body": body,
        "state": "open",
        "head": {"ref": head, "repo": whose},
        "base": {"ref": base, "repo": repo(REPOSITORY)},
    })
}
