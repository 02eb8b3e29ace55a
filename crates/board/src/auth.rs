//! Owns who may ask: the token of the board, links that let a browser in once, and the sessions that come of them.
//! Secrets are compared in constant time, and only their sums are kept where that is enough.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use turno_engine::workspace::StateDir;
use uuid::Uuid;

use crate::server::Listening;

/// A link is good for so long.
const LINK_AGE: Duration = Duration::from_secs(5 * 60);
/// A session is good for so long.
pub(crate) const SESSION_AGE: Duration = Duration::from_secs(12 * 3600);
/// More sessions than these there are not at once; the oldest goes first.
const SESSIONS: usize = 32;
/// So long is a secret, in hexadecimal digits.
const DIGITS: usize = 64;

type Sum = [u8; 32];

fn sum(secret: &str) -> Sum {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new secret that nobody can guess.
fn secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn is_secret(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The board's token: who has it is the person whose workspace this is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

fn private_dir(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn private_file(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

impl Token {
    /// The token of a workspace, made if there is none. It lies in the state directory, for its user alone.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no token.
    pub fn keep(dirs: &StateDir) -> std::io::Result<Self> {
        let dir = dirs.board();
        private_dir(&dir)?;
        let path = dir.join("token");
        // Written whole beside it first, under a name that nobody can take before: who comes at the same moment reads
        // a token or none.
        if !path.exists() {
            let mut new = tempfile::Builder::new().prefix("token.").tempfile_in(&dir)?;
            new.write_all(secret().as_bytes())?;
            match new.persist_noclobber(&path) {
                Err(failed) if failed.error.kind() != ErrorKind::AlreadyExists => return Err(failed.error),
                Ok(_) | Err(_) => {}
            }
        }
        let mut text = String::new();
        let file = File::open(&path)?;
        file.take(1024).read_to_string(&mut text)?;
        let text = text.trim();
        if is_secret(text) {
            Ok(Self(text.to_owned()))
        } else {
            let why = format!("{} holds no token; remove it to have a new one", path.display());
            Err(std::io::Error::new(ErrorKind::InvalidData, why))
        }
    }

    /// The text of it, for its owner.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The name under which browsers reach the board: one that nobody else can guess. Cookies are kept by name and not
    /// by port, so no other server of this machine is sent the board's.
    pub(crate) fn host(&self) -> String {
        let sum = sum(&format!("the name of the board of {}", self.0));
        format!("turno-{}.localhost", &hex(&sum)[..32])
    }

    fn is(&self, given: &str) -> bool {
        sum(&self.0).ct_eq(&sum(given)).into()
    }
}

/// A link that lets one browser in, once and soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The code in it.
    pub code: String,
}

impl Link {
    /// The whole of it, for a board that listens there.
    pub fn at(&self, at: &Listening) -> String {
        format!("{}/enter?code={}", at.page, self.code)
    }
}

fn links(dirs: &StateDir) -> PathBuf {
    dirs.board().join("links")
}

fn hex(sum: &Sum) -> String {
    sum.iter().map(|b| format!("{b:02x}")).collect()
}

/// Makes a link. It is a file named by the sum of its code, so that whoever reads the directory learns no code.
///
/// # Errors
/// When it cannot be written down.
pub fn mint(dirs: &StateDir) -> std::io::Result<Link> {
    let dir = links(dirs);
    private_dir(&dir)?;
    let link = Link { code: secret() };
    private_file(&dir.join(hex(&sum(&link.code))), "")?;
    Ok(link)
}

/// Uses a link up. Whether it was good: made here, not used before, and young.
fn spend(dirs: &StateDir, code: &str) -> bool {
    if !is_secret(code) {
        return false;
    }
    let path = links(dirs).join(hex(&sum(code)));
    let Ok(made) = std::fs::metadata(&path).and_then(|m| m.modified()) else {
        return false;
    };
    // Only one of those who come at once removes it.
    let first = std::fs::remove_file(&path).is_ok();
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    first && age <= LINK_AGE
}

/// Links that nobody used are removed when they are too old.
pub(crate) fn sweep(dirs: &StateDir) {
    let Ok(entries) = std::fs::read_dir(links(dirs)) else {
        return;
    };
    for entry in entries.flatten() {
        let made = entry.metadata().and_then(|m| m.modified());
        let old = made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > LINK_AGE));
        let name = entry.file_name();
        if old
            && name.to_str().is_some_and(is_secret)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!(%error, "an old link was gone already");
        }
    }
}

/// How somebody has shown who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// By the token.
    Bearer,
    /// By a browser's session.
    Session,
}

#[derive(Debug)]
struct Session {
    sum: Sum,
    since: Instant,
}

/// Who has been let in.
#[derive(Debug)]
pub(crate) struct Gate {
    token: Token,
    dirs: StateDir,
    sessions: Mutex<Vec<Session>>,
}

impl Gate {
    pub(crate) fn new(token: Token, dirs: StateDir) -> Self {
        Self {
            token,
            dirs,
            sessions: Mutex::default(),
        }
    }

    /// Lets a browser in by the code of a link. Gives the secret of its session.
    pub(crate) fn enter(&self, code: &str) -> Option<String> {
        if !spend(&self.dirs, code) {
            return None;
        }
        let secret = secret();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|s| s.since.elapsed() < SESSION_AGE);
        if sessions.len() >= SESSIONS {
            sessions.remove(0);
        }
        sessions.push(Session {
            sum: sum(&secret),
            since: Instant::now(),
        });
        Some(secret)
    }

    pub(crate) fn knows_token(&self, given: &str) -> bool {
        self.token.is(given)
    }

    pub(crate) fn knows_session(&self, given: &str) -> bool {
        let given = sum(given);
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = false;
        for session in sessions.iter().filter(|s| s.since.elapsed() < SESSION_AGE) {
            found |= bool::from(session.sum.ct_eq(&given));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn dirs(dir: &tempfile::TempDir) -> StateDir {
        StateDir::at(dir.path().to_owned(), Path::new("/a"))
    }

    #[test]
    fn the_token_stays_the_same_and_is_its_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(&dir);
        let token = Token::keep(&dirs).unwrap();
        assert_eq!(token, Token::keep(&dirs).unwrap());
        assert!(is_secret(token.text()));
        let mode = |p: PathBuf| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dirs.board().join("token")), 0o600);
        assert_eq!(mode(dirs.board()), 0o700);
        std::fs::write(dirs.board().join("token"), "short").unwrap();
        assert!(Token::keep(&dirs).is_err());
    }

    #[test]
    fn a_name_that_was_taken_beforehand_keeps_no_token_from_being_made() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(&dir);
        private_dir(&dirs.board()).unwrap();
        let taken = dirs.board().join(format!("token.{}", std::process::id()));
        std::os::unix::fs::symlink("/nowhere/at/all", &taken).unwrap();
        let token = Token::keep(&dirs).unwrap();
        assert!(is_secret(token.text()));
        assert!(taken.symlink_metadata().unwrap().is_symlink(), "it was another's");
        let left = std::fs::read_dir(dirs.board()).unwrap().count();
        assert_eq!(left, 2, "nothing is left beside it");
    }

    #[test]
    fn the_boards_name_is_one_label_that_tells_nothing_of_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::keep(&dirs(&dir)).unwrap();
        let host = token.host();
        let label = host.strip_suffix(".localhost").unwrap();
        assert!(label.len() < 63 && !label.contains('.'), "{host}");
        assert_eq!(host, token.host());
        let random = label.strip_prefix("turno-").unwrap();
        assert!(!token.text().contains(random));
        assert!(!hex(&sum(token.text())).contains(random));
    }

    #[test]
    fn a_link_lets_in_once_and_soon() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(&dir);
        let gate = Gate::new(Token::keep(&dirs).unwrap(), dirs.clone());
        let link = mint(&dirs).unwrap();
        assert!(gate.enter(&secret()).is_none());
        let session = gate.enter(&link.code).unwrap();
        assert!(gate.enter(&link.code).is_none(), "used twice");
        assert!(gate.knows_session(&session));
        assert!(!gate.knows_session(&secret()));
        assert!(!gate.knows_token(&session));

        let late = mint(&dirs).unwrap();
        let path = links(&dirs).join(hex(&sum(&late.code)));
        let long_ago = SystemTime::now() - LINK_AGE - Duration::from_secs(1);
        File::open(&path).unwrap().set_modified(long_ago).unwrap();
        assert!(gate.enter(&late.code).is_none(), "used late");
        assert!(gate.enter("../token").is_none());
    }

    #[test]
    fn old_links_are_swept_and_young_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = dirs(&dir);
        let (old, young) = (mint(&dirs).unwrap(), mint(&dirs).unwrap());
        let path = |link: &Link| links(&dirs).join(hex(&sum(&link.code)));
        let long_ago = SystemTime::now() - LINK_AGE - Duration::from_secs(1);
        File::open(path(&old)).unwrap().set_modified(long_ago).unwrap();
        sweep(&dirs);
        assert!(!path(&old).exists() && path(&young).exists());
    }
}
