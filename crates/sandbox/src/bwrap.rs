//! Owns the words with which bubblewrap is told to make the namespaces of a profile: an empty root, the system
//! read-only, the places of the profile, nothing else. Whoever ends bubblewrap ends everything inside.

use std::collections::BTreeSet;
use std::path::Path;

use crate::profile::{Access, Nesting, Network, Profile};
use crate::system;

/// Where the proxy's socket is seen.
pub const PROXY_SOCKET: &str = "/run/turno/net.sock";

/// Where bubblewrap is installed. It is not looked for by the search path: what stands there first may have been
/// written by an agent.
pub const INSTALLED: [&str; 4] = [
    "/usr/bin/bwrap",
    "/usr/local/bin/bwrap",
    "/bin/bwrap",
    "/run/current-system/sw/bin/bwrap",
];

/// Who starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// A user like any other.
    User,
    /// Root. Inside it is an ordinary user without any power, but its files are still root's own: what only root may
    /// read or write is covered.
    Root,
}

/// The user that root is inside.
const STAND_IN: &str = "1000";

/// Program and arguments that run `argv` under a profile.
pub fn argv(bwrap: &Path, profile: &Profile, starter: Starter, argv: &[String]) -> Vec<String> {
    let mut words = Words(vec![bwrap.display().to_string()]);
    words.add(&["--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]);
    if starter == Starter::Root {
        words.add(&["--uid", STAND_IN, "--gid", STAND_IN]);
    }
    match profile.network {
        Network::None | Network::Proxy { .. } => {}
        Network::Open => words.add(&["--share-net"]),
    }
    match profile.nesting {
        Nesting::Closed => words.add(&["--unshare-user", "--disable-userns"]),
        Nesting::Allowed => words.add(&["--unshare-user"]),
    }
    for root in system::roots() {
        match root {
            system::Root::Link { at, to } => words.add(&["--symlink", &text(&to), &text(&at)]),
            system::Root::Tree(path) => words.bind("--ro-bind", &path, &path),
        }
    }
    words.add(&["--proc", "/proc", "--dev", "/dev"]);
    if starter == Starter::Root {
        words.add(&["--ro-bind", "/proc/sys", "/proc/sys"]);
        for hidden in system::secret(Path::new("/etc")) {
            if hidden.is_dir() {
                words.add(&["--tmpfs", &text(&hidden)]);
            } else {
                words.bind("--ro-bind", Path::new("/dev/null"), &hidden);
            }
        }
    }
    if profile.network == Network::Open {
        for file in system::resolver() {
            words.bind("--ro-bind", &file, &file);
        }
    }
    if profile.nesting == Nesting::Allowed {
        // A program that makes its own sandbox brings what it needs for it; what is installed here may be too old for
        // that, and would be taken first.
        let installed: BTreeSet<_> = INSTALLED.iter().flat_map(std::fs::canonicalize).collect();
        for program in installed {
            words.bind("--ro-bind", Path::new("/dev/null"), &program);
        }
    }
    words.bind("--bind", &profile.tmp, Path::new("/tmp"));
    words.bind("--bind", &profile.tmp, Path::new("/var/tmp"));
    for place in &profile.places {
        let how = match place.access {
            Access::Read => "--ro-bind",
            Access::Write => "--bind",
        };
        words.bind(how, &place.from, &place.at);
    }
    if let Network::Proxy { socket, .. } = &profile.network {
        words.bind("--ro-bind", socket, Path::new(PROXY_SOCKET));
    }
    words.add(&["--chdir", &text(&profile.cwd), "--"]);
    words.0.extend(argv.iter().cloned());
    words.0
}

struct Words(Vec<String>);

impl Words {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|w| (*w).to_owned()));
    }

    fn bind(&mut self, how: &str, from: &Path, at: &Path) {
        self.add(&[how, &text(from), &text(at)]);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
