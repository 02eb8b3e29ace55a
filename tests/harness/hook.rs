//! Owns a server on this machine that is told things: it keeps what was posted, and answers as a story wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// That all is well.
    Ok,
    /// With this status.
    Status(u16),
    /// Not at all.
    Never,
}

/// Something that was posted.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    posted: Vec<Posted>,
}

/// The server. It goes on until the stories are over.
#[derive(Debug)]
pub(crate) struct Hook {
    port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Hook {
    /// On a free port.
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let posted = Vec::new();
        let kept = Arc::new(Mutex::new(Kept { answer, posted }));
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, kept }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// From now on it answers so.
    pub(crate) fn answers(&self, answer: Answer) {
        self.kept.lock().unwrap().answer = answer;
    }

    /// What was posted so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.kept.lock().unwrap().posted.clone()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(n, _)| n == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, v)| v.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let answer = {
        let mut kept = kept.lock().unwrap();
        kept.posted.push(Posted { path, headers, body });
        kept.answer
    };
    let status = match answer {
        Answer::Ok => 200,
        Answer::Status(status) => status,
        Answer::Never => return std::thread::sleep(Duration::from_secs(60)),
    };
    let mut stream = stream;
    // Who asked may be dead.
    let _gone = write!(
        stream,
        "HTTP/1.1 {status} so\r\nContent-Length: 4\r\nConnection: close\r\n\r\nsaid"
    );
}
