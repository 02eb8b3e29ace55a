//! Nobody gets in at the board who was not let in: through the real binary, at every route of its table.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use turno_board::Entry;

use crate::harness::board::Shown;
use crate::harness::project::Project;

fn project() -> Project {
    let project = Project::new(&[("turno.toml", "[checks.test]\ncommand = \"true\"\n")]);
    project.issue("One");
    project
}

/// A path of the table with something in place of what is open in it.
fn filled(path: &str) -> String {
    path.replace("{name}", "board.css")
        .replace("{identifier}", "1")
        .replace("tasks/{id}", "tasks/1.1")
        .replace("{id}", "1")
}

#[test]
fn every_route_wants_to_know_who_asks_for_whom_and_from_where() {
    let project = project();
    let board = Shown::begin(&project);
    let (host, bearer) = (board.host(), format!("Bearer {}", board.token));
    let wrong = format!("Bearer {}", "0".repeat(64));
    let link = project.turno(&["board", "--link"]).exits(0).out;
    let path = link.trim().strip_prefix(board.url.as_str()).unwrap();
    let entered = board.bare("GET", path, &[("Host", host)], "");
    let cookie = entered
        .head
        .lines()
        .find_map(|l| l.strip_prefix("set-cookie: "))
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(
        board.bare("GET", path, &[("Host", host)], "").code,
        403,
        "a link is good once"
    );
    let guarded = || {
        let all = turno_board::served().into_iter();
        all.filter(|(_, _, entry)| *entry == Entry::Token)
            .map(|(method, path, _)| (method, filled(path)))
    };
    for (method, path) in guarded() {
        let code = |headers: &[(&str, &str)]| board.bare(method, &path, headers, "{}").code;
        assert_eq!(code(&[("Host", host)]), 401, "{method} {path}");
        assert_eq!(
            code(&[("Host", host), ("Authorization", &wrong)]),
            401,
            "{method} {path}"
        );
        let foreign = [("Host", "evil.example"), ("Authorization", bearer.as_str())];
        assert_eq!(code(&foreign), 403, "{method} {path}");
        let page = [
            ("Host", host),
            ("Cookie", cookie),
            ("Origin", "http://evil.example"),
        ];
        assert_eq!(code(&page), 403, "{method} {path}");
        if method != "GET" {
            assert_eq!(
                code(&[("Host", host), ("Cookie", cookie)]),
                403,
                "{method} {path}"
            );
        }
    }
    // What was refused was not done.
    assert_eq!(board.get("/api/board")["seq"], 1);
    for (method, path) in guarded() {
        let own = [("Host", host), ("Cookie", cookie), ("Origin", board.url.as_str())];
        let code = board.bare(method, &path, &own, "{}").code;
        assert!(!matches!(code, 401 | 403), "{method} {path}: {code}");
    }
    board.end();
}

#[test]
fn it_listens_on_this_machine_alone_and_its_secrets_are_its_users() {
    let project = project();
    let board = Shown::begin(&project);
    let port: u16 = board.url.rsplit(':').next().unwrap().parse().unwrap();
    let listening = fs::read_to_string("/proc/net/tcp").unwrap();
    let listening: Vec<&str> = listening
        .lines()
        .filter_map(|l| l.split_whitespace().nth(1))
        .filter(|at| at.ends_with(&format!(":{port:04X}")))
        .collect();
    assert!(
        listening.iter().any(|at| at.starts_with("0100007F")),
        "{listening:?}"
    );
    let beyond = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let all = listening.join(" ") + &beyond;
    assert!(!all.contains(&format!("00000000:{port:04X}")), "{all}");

    let dir = project.state().join("board");
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("token"), 0o600);
    assert_eq!(mode("sock"), 0o600);
    assert_eq!(mode(""), 0o700);
    let ask = |headers: &str| {
        let mut stream = UnixStream::connect(dir.join("sock")).unwrap();
        write!(
            stream,
            "GET /api/board HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("").contains(" 401 "), "{}", ask(""));
    let bearer = format!("Authorization: Bearer {}\r\n", board.token);
    assert!(ask(&bearer).contains(" 200 "), "{}", ask(&bearer));
    let token = project.turno(&["board", "--token"]).exits(0).out;
    assert_eq!(token.trim(), board.token);
    // No secret is in what it prints, but the one link.
    let done = board.end();
    assert!(!done.err.contains(&token.trim().to_owned()), "{}", done.err);
}
