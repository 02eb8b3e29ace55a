//! Nobody gets in at the board who was not let in: through the real binary, at every route of its table.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use turno_board::Entry;

use crate::harness::board::Shown;
use crate::harness::browser::Browser;
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
    let port = board.port();
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
    // A browser may take either address for the name: nobody else can have the other one.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert!(
            TcpListener::bind(("::1", port)).is_err(),
            "somebody else may answer for it"
        );
    }
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

/// A server of somebody else's on this machine, such as an application that an agent has started: it keeps the heads of
/// all requests, and its page asks the board for what it can.
fn neighbour(board: u16) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    let page = format!(
        "<!doctype html><title>an application</title><script>\n\
         const at = ['127.0.0.1', 'localhost'].map(h => `http://${{h}}:{board}/api/board`);\n\
         Promise.all(at.map(u => fetch(u, {{credentials: 'include'}}).then(r => r.text(), () => 'refused')))\n\
         .then(r => document.title = 'read: ' + r.join(' '));</script>"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let length = page.len();
            let answered = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
            // Who went before the answer came asked all the same.
            drop(answered);
            if tell.send(head).is_err() {
                return;
            }
        }
    });
    (port, told)
}

#[test]
fn another_server_of_this_machine_that_the_same_browser_visits_gets_nothing_it_can_use() {
    let project = project();
    let board = Shown::begin(&project);
    let Some(mut browser) = Browser::open(&project.home()) else {
        return;
    };
    browser.go(&board.link);
    browser.until(
        "the board",
        "location.pathname === '/' && document.title.includes('Turno')",
    );
    let (port, told) = neighbour(board.port());
    let mut seen = String::new();
    for host in ["127.0.0.1", "localhost", "other.localhost"] {
        browser.go(&format!("http://{host}:{port}/"));
        browser.until("it has tried", "document.title.startsWith('read:')");
        assert_eq!(browser.eval("document.title"), "read: refused refused");
    }
    while let Ok(head) = told.try_recv() {
        seen.push_str(&head);
    }
    assert!(seen.contains("Host: 127.0.0.1"), "{seen}");
    // The visit has happened; whatever came with it opens nothing, under any name that it can make up.
    assert!(!seen.contains(board.host().split(':').next().unwrap()), "{seen}");
    let received: Vec<&str> = seen
        .lines()
        .filter_map(|l| {
            l.split_once(':')
                .filter(|(n, _)| n.eq_ignore_ascii_case("cookie"))
        })
        .map(|(_, v)| v.trim())
        .collect();
    for name in ["127.0.0.1", "localhost"] {
        let host = format!("{name}:{}", board.port());
        let origin = format!("http://{host}");
        for cookie in received.iter().copied().chain([""]) {
            let headers = [
                ("Host", host.as_str()),
                ("Cookie", cookie),
                ("Origin", origin.as_str()),
                ("Sec-Fetch-Site", "same-origin"),
            ];
            assert_eq!(
                board.bare("GET", "/api/board", &headers, "").code,
                401,
                "{cookie}"
            );
            let filed = board.bare("POST", "/api/issues", &headers, r#"{"title": "stolen"}"#);
            assert_eq!(filed.code, 401, "{cookie}");
        }
    }
    // The person's own page goes on as before.
    browser.go(&board.url);
    browser.until("the board again", "document.querySelector('#shift') !== null");
    board.end();
}

#[test]
fn what_lies_in_place_of_a_transcript_is_not_followed_and_holds_nobody_up() {
    let project = Project::new(&[
        (
            "turno.toml",
            "[checks.test]\ncommand = \"true\"\n[agents.claude]\ndialect = \"script\"\nscript = \"team.yaml\"\n",
        ),
        (
            "team.yaml",
            "sessions:\n  - {persona: reviewer, steps: [{outcome: {verdict: approve}}]}\n  \
             - {steps: [{write: {path: a.txt, text: a}}, {outcome: {summary: done}}]}\n",
        ),
    ]);
    project.issue("One");
    project.turno(&["run", "1", "--policy", "single"]).exits(0);
    let board = Shown::begin(&project);
    let dir = project.state().join("attempts/a1");
    assert!(dir.join("out").is_file(), "{dir:?}");
    let secret = project.home().join("secret");
    fs::write(&secret, "a word that is nobody's business").unwrap();
    let code = |path: &str| board.ask("GET", path, &[], "").code;
    assert_eq!(code("/api/attempts/a1/transcript"), 200);
    for name in ["out", "prompt.md"] {
        fs::remove_file(dir.join(name)).unwrap();
        std::os::unix::fs::symlink(&secret, dir.join(name)).unwrap();
    }
    for path in ["transcript", "prompt", "conversation"] {
        let answer = board.ask("GET", &format!("/api/attempts/a1/{path}"), &[], "");
        assert!(
            !answer.body.contains("nobody's business"),
            "{path}: {}",
            answer.body
        );
    }
    for name in ["out", "prompt.md"] {
        fs::remove_file(dir.join(name)).unwrap();
        nix::unistd::mkfifo(&dir.join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    for path in ["transcript", "prompt", "conversation"] {
        // A board that waited for somebody to write would not answer.
        assert_ne!(code(&format!("/api/attempts/a1/{path}")), 0);
    }
    assert_ne!(code("/attempts/a1"), 0);
    board.end();
}
