//! Owns a board that is shown to one story, and how it is asked: over its port, as plain as HTTP can be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::processes::signal;
use super::project::{Done, Project};

/// A board that listens.
pub(crate) struct Shown<'p> {
    project: &'p Project,
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) token: String,
    /// The link that was printed: it lets a browser in, once.
    pub(crate) link: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.head, self.body))
    }
}

impl<'p> Shown<'p> {
    /// Types the verb and waits until it listens.
    pub(crate) fn begin(project: &'p Project) -> Self {
        let mut child = project.start(&["board"]);
        let mut link = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut link).unwrap();
        let url = link.split("/enter").next().unwrap().to_owned();
        assert!(
            url.starts_with("http://turno-") && url.contains(".localhost:"),
            "{link}"
        );
        let token = project
            .turno(&["board", "--token"])
            .exits(0)
            .out
            .trim()
            .to_owned();
        Self {
            project,
            child,
            url,
            token,
            link: link.trim().to_owned(),
        }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The name that it is asked by.
    pub(crate) fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        // The name leads to this machine in every browser, and not everywhere else.
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut request = format!("{method} {path} HTTP/1.0\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            let length = body.len();
            request.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n"
            ));
        }
        write!(stream, "{request}\r\n{body}").unwrap();
        stream
    }

    /// Asks with these headers and no others.
    pub(crate) fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = self.send(method, path, headers, body);
        let mut answer = Vec::new();
        if path.starts_with("/api/events") {
            // A stream has no end: its head is the answer.
            let mut reader = BufReader::new(stream);
            while !answer.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut answer).unwrap() > 0 {}
        } else {
            stream.read_to_end(&mut answer).unwrap();
        }
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            code: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Asks as a program does.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let own = [("Host", self.host()), ("Authorization", bearer.as_str())];
        self.bare(method, path, &[&own[..], headers].concat(), body)
    }

    /// What a route gives, which must be JSON and no error.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &[], "");
        assert_eq!(answer.code, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], &body.to_string())
    }

    /// The live events after a record.
    pub(crate) fn events(&self, after: u64) -> Events {
        let bearer = format!("Bearer {}", self.token);
        let last = after.to_string();
        let headers = [
            ("Host", self.host()),
            ("Authorization", bearer.as_str()),
            ("Last-Event-ID", last.as_str()),
        ];
        Events(BufReader::new(self.send("GET", "/api/events", &headers, "")))
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn end(self) -> Done {
        signal(&self.child, Signal::SIGINT);
        self.ended()
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn ended(self) -> Done {
        self.project.wait(self.child).exits(0)
    }
}

/// Live events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// The number of the next record.
    pub(crate) fn seq(&mut self) -> u64 {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(id) = line.strip_prefix("id: ") {
                return id.trim().parse().unwrap();
            }
        }
    }
}
