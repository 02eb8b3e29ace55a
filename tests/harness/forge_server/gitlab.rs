//! GitLab's part of the forge.

use serde_json::{Value, json};

use super::{BEFORE, From, GITLAB, Kept, REPOSITORY, Request, Said, Shared, Wish};

/// The project's number.
const PROJECT: u64 = 7;

pub(super) fn answer(kept: &mut Kept, shared: &Shared, wish: &Wish<'_>, taken: bool) -> Said {
    if !taken {
        return Said::new(401, json!({"message": "401 Unauthorized"}));
    }
    let text = |name: &str| wish.body[name].as_str().unwrap_or_default().to_owned();
    let named = |name: &str| format!("/projects/{}", name.replace('/', "%2F"));
    let requests = format!("/projects/{PROJECT}/merge_requests");
    match (wish.method, wish.path) {
        ("GET", "/user") => Said::new(200, json!({"id": 1, "username": "me"})),
        // It knows a project by the name that it had before, too.
        ("GET", path) if path == named(REPOSITORY) || path == named(BEFORE) => Said::new(
            200,
            json!({"id": PROJECT, "web_url": format!("http://{GITLAB}/{REPOSITORY}"), "default_branch": "main"}),
        ),
        ("GET", path) if path == requests => {
            let head = wish
                .query
                .split('&')
                .find_map(|q| q.strip_prefix("source_branch="));
            let head = head.unwrap_or_default().replace("%2F", "/");
            Said::new(
                200,
                kept.requests
                    .iter()
                    .filter(|r| r.head == head)
                    .map(told)
                    .collect(),
            )
        }
        ("POST", path) if path == requests => {
            let (head, base) = (text("source_branch"), text("target_branch"));
            match kept.open(shared, &text("title"), &text("description"), &head, &base) {
                Ok(opened) => Said::new(201, told(&opened)),
                Err(why) => Said::new(409, json!({"message": [why]})),
            }
        }
        ("PUT", path) => {
            let number = path
                .strip_prefix(&format!("{requests}/"))
                .and_then(|n| n.parse::<u64>().ok());
            match kept.requests.iter_mut().find(|r| Some(r.number) == number) {
                Some(request) => {
                    let change = |to: &mut String, name: &str| {
                        if let Some(text) = wish.body[name].as_str() {
                            text.clone_into(to);
                        }
                    };
                    change(&mut request.title, "title");
                    change(&mut request.body, "description");
                    change(&mut request.base, "target_branch");
                    Said::new(200, told(request))
                }
                None => missing(),
            }
        }
        _ => missing(),
    }
}

fn missing() -> Said {
    Said::new(404, json!({"message": "404 Not found"}))
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
    let whose = match from {
        From::Repository => json!(PROJECT),
        From::Fork => json!(9),
        From::DeletedFork => Value::Null,
    };
    json!({
        "id": 1000 + number,
        "iid": number,
        "web_url": format!("http://{GITLAB}/{REPOSITORY}/-/merge_requests/{number}"),
        "title": title,
        "description": body,
        "state": "opened",
        "source_branch": head,
        "target_branch": base,
        "source_project_id": whose,
        "target_project_id": PROJECT,
    })
}
