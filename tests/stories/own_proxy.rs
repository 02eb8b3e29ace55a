//! A machine behind an HTTP proxy with a password: what is allowed is reached through it, and its password is nowhere.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;

use crate::harness::project::Project;

const CONFIG: &str = "\
policy = \"single\"
[checks.test]
command = \"grep -q carried got.txt\"
[network]
allow = [\"api.example:80\"]
[agents.actor]
dialect = \"script\"
script = \"script.yaml\"
";

/// It asks by what it finds in its environment, and looks for what it should not find there.
const SCRIPT: &str = r#"
sessions:
  - persona: engineer
    steps:
      - run: 'curl -sS --max-time 20 http://api.example/hello > got.txt'
      - run: 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" > seen.txt; env >> seen.txt'
      - outcome: {summary: fetches it}
  - persona: reviewer
    steps:
      - outcome: {verdict: approve}
"#;

const PASSWORD: &str = "open-sesame-1001";

/// A proxy that carries one request, and gives what was asked of it.
fn once() -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut asked = head(&near);
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .unwrap();
        asked.extend(head(&near));
        near.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ncarried\n")
            .unwrap();
        asked
    });
    (port, serving)
}

fn head(from: &TcpStream) -> Vec<String> {
    // Nobody says more than a head before it is answered.
    let lines = BufReader::new(from).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect()
}

/// Files below a directory that hold a text.
fn holding(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            holding(&path, text, found);
        } else if kind.is_file() && String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn an_allowed_host_is_reached_through_the_persons_own_proxy() {
    let (port, serving) = once();
    let project = Project::new(&[("turno.toml", CONFIG), ("script.yaml", SCRIPT)])
        .env("HTTPS_PROXY", format!("http://ann:{PASSWORD}@127.0.0.1:{port}"));
    project.issue("Fetch it");
    let done = project.turno(&["run", "1", "--agent", "actor"]).exits(0);
    let asked = serving.join().unwrap();
    assert_eq!(asked[0], "CONNECT api.example:80 HTTP/1.1");
    assert!(
        asked
            .iter()
            .any(|line| line.starts_with("Proxy-Authorization: Basic ")),
        "{asked:?}"
    );
    assert!(
        asked.contains(&"GET /hello HTTP/1.1".to_owned()),
        "what the agent asked went through it: {asked:?}"
    );
    assert_eq!(project.at("turno/1/base", "got.txt"), "carried");
    let seen = project.at("turno/1/base", "seen.txt");
    assert!(seen.contains("PATH="), "it looked: {seen}");
    assert!(
        !seen.contains(PASSWORD),
        "the password was in the sandbox: {seen}"
    );
    let explained = project.turno(&["explain", "1.1"]).exits(0).out;
    assert!(explained.contains("api.example"), "{explained}");
    let mut found = Vec::new();
    holding(&project.state(), PASSWORD, &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert!(!format!("{}{}", done.out, done.err).contains(PASSWORD));
}
