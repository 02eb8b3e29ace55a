//! A forge on loopback for the real programs of GitHub and GitLab: a proxy that answers for hosts which are nowhere, as
//! much of their REST APIs as opening a pull request takes, and git over HTTP for one repository. It keeps the pull
//! requests, and is as strict as those forges are.

mod github;
mod gitlab;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::sync::oneshot;

/// The token that is taken.
pub(crate) const TOKEN: &str = "test";
/// The host of the one forge.
pub(crate) const GITHUB: &str = "github.localhost";
/// The host of the other.
pub(crate) const GITLAB: &str = "gitlab.localhost";
/// The repository on both, and the name that it had before.
const REPOSITORY: &str = "a/b";
const BEFORE: &str = "a/old";

/// A running forge; dropping it ends it.
pub(crate) struct ForgeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A pull request, as the forge keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) from: From,
}

/// Whose branch a pull request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Repository,
    Fork,
    DeletedFork,
}

/// What the forge thinks of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Taken,
    Refused,
}

/// What is wanted of an API.
struct Wish<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: Value,
}

/// What an API says.
struct Said {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Said {
    fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl ForgeServer {
    /// Starts it with an empty repository below `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        let bare = dir.join(format!("{REPOSITORY}.git"));
        std::fs::create_dir_all(bare.parent().unwrap()).unwrap();
        for args in [
            &["init", "-q", "--bare", "-b", "main", "."][..],
            &["config", "http.receivepack", "true"],
        ] {
            std::fs::create_dir_all(&bare).unwrap();
            let done = Command::new("git")
                .args(args)
                .current_dir(&bare)
                .status()
                .unwrap();
            assert!(done.success(), "git {args:?}");
        }
        std::os::unix::fs::symlink(&bare, dir.join(format!("{BEFORE}.git"))).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            bare,
            kept: Mutex::new(Kept {
                login: Login::Taken,
                requests: Vec::new(),
                asked: Vec::new(),
            }),
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(listener, served, stopped));
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The proxy that reaches its hosts.
    pub(crate) fn proxy(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The repository on its disk.
    pub(crate) fn bare(&self) -> &Path {
        &self.shared.bare
    }

    /// Lets the token be taken or refused from now on.
    pub(crate) fn login(&self, login: Login) {
        self.shared.kept().login = login;
    }

    /// The open pull requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.kept().requests.clone()
    }

    /// Somebody else opens one.
    pub(crate) fn opens(&self, head: &str, from: From) {
        let mut kept = self.shared.kept();
        let number = kept.next();
        kept.requests.push(Request {
            number,
            title: "theirs".to_owned(),
            body: String::new(),
            head: head.to_owned(),
            base: "main".to_owned(),
            from,
        });
    }

    /// Somebody changes one by hand.
    pub(crate) fn change(&self, number: u64, change: impl FnOnce(&mut Request)) {
        let mut kept = self.shared.kept();
        change(kept.requests.iter_mut().find(|r| r.number == number).unwrap());
    }

    /// What was asked of the APIs, as `POST /repos/a/b/pulls`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.kept().asked.clone()
    }
}

impl Drop for ForgeServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the forge panicked");
        }
    }
}

struct Shared {
    dir: PathBuf,
    bare: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    login: Login,
    requests: Vec<Request>,
    asked: Vec<String>,
}

impl Kept {
    fn next(&self) -> u64 {
        12 + self.requests.len() as u64
    }

    /// Opens one as a forge does; why not, if it does not.
    fn open(
        &mut self,
        shared: &Shared,
        title: &str,
        body: &str,
        head: &str,
        base: &str,
    ) -> Result<Request, String> {
        for branch in [head, base] {
            if !shared.has(branch) {
                return Err(format!("there is no branch {branch}"));
            }
        }
        let ours = |r: &&Request| r.from == From::Repository && r.head == head;
        if let Some(open) = self.requests.iter().find(ours) {
            return Err(format!("already open: {}", open.number));
        }
        let request = Request {
            number: self.next(),
            title: title.to_owned(),
            body: body.to_owned(),
            head: head.to_owned(),
            base: base.to_owned(),
            from: From::Repository,
        };
        self.requests.push(request.clone());
        Ok(request)
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, branch: &str) -> bool {
        let name = format!("refs/heads/{branch}");
        let mut git = Command::new("git");
        git.args(["rev-parse", "-q", "--verify", &name])
            .current_dir(&self.bare);
        git.stdout(Stdio::null()).status().unwrap().success()
    }
}

/// Runs on a thread with a runtime of its own, so that shutting down also ends connections that are kept open.
fn serve(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the forge");
    runtime.block_on(async {
        listener
            .set_nonblocking(true)
            .expect("a listener tokio can drive");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener tokio can drive");
        let router = Router::new().fallback(handle).with_state(shared);
        tokio::select! {
            served = axum::serve(listener, router) => served.expect("the forge keeps serving"),
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = tokio::task::spawn_blocking(move || answer(&shared, &method, &uri, &headers, &body));
    answered.await.expect("the forge does not panic")
}

fn answer(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let host = uri.host().unwrap_or_default();
    if uri.path().contains(".git/") && (host == GITHUB || host == GITLAB) {
        return git(shared, method, uri, headers, body);
    }
    let api = uri.path().strip_prefix("/api/v4");
    let wish = Wish {
        method: method.as_str(),
        path: api.unwrap_or(uri.path()),
        query: uri.query().unwrap_or_default(),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    };
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let mut kept = shared.kept();
    kept.asked.push(format!("{} {}", wish.method, wish.path));
    let token = [format!("token {TOKEN}"), format!("Bearer {TOKEN}")];
    let known = token.iter().any(|t| header("authorization") == t) || header("private-token") == TOKEN;
    let taken = known && kept.login == Login::Taken;
    let said = match (host, api) {
        ("api.github.localhost", None) => github::answer(&mut kept, shared, &wish, taken),
        (GITLAB, Some(_)) => gitlab::answer(&mut kept, shared, &wish, taken),
        _ => Said::new(502, Value::Null),
    };
    let mut response = Response::builder()
        .status(said.status)
        .header("content-type", "application/json; charset=utf-8");
    for (name, value) in &said.headers {
        response = response.header(*name, value);
    }
    response
        .body(Body::from(said.body.to_string()))
        .expect("plain headers")
}

/// Git's own server behind this one.
fn git(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let mut backend = Command::new("git");
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"));
    let mut child = backend
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git has a server");
    let mut input = child.stdin.take().expect("it is piped");
    let body = body.clone();
    // It may end before it has read all; what it says then tells why.
    let writing = std::thread::spawn(move || drop(input.write_all(&body)));
    let out = child.wait_with_output().expect("it ends").stdout;
    writing.join().expect("writing does not panic");
    let end = out
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("it says what it gives");
    let (head, rest) = (
        String::from_utf8_lossy(&out[..end]).into_owned(),
        out[end + 4..].to_vec(),
    );
    let mut response = Response::builder();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            let status = value.split(' ').next().unwrap_or_default();
            response = response.status(StatusCode::from_bytes(status.as_bytes()).expect("a status"));
        } else {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(rest)).expect("plain headers")
}
