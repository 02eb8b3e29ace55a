//! Owns which parts of this machine every confined program sees: the system's own directories, and the toolchains that
//! the user's search path leads to. Of the user's home it names no more than these.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// A part of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A link, e.g. `/bin` to `usr/bin`.
    Link {
        /// Where it is.
        at: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// A directory with all below it.
    Tree(PathBuf),
}

/// What belongs to the system rather than to a user or to what runs.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/etc",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/var/lib/alternatives",
];

/// Directories in a home in which well-known tools keep what they have fetched. Read, never written.
const IN_HOME: [&str; 8] = [
    ".rustup",
    ".nvm/versions",
    ".m2/repository",
    ".gradle/caches",
    "go/pkg/mod",
    ".pyenv",
    ".sdkman/candidates",
    ".volta",
];

/// What of a cargo home is no credential.
const IN_CARGO: [&str; 5] = ["bin", "registry", "git", "config.toml", "env"];

/// The system's own directories, as they are on this machine.
pub fn roots() -> Vec<Root> {
    let mut roots = Vec::new();
    for name in SYSTEM {
        let at = PathBuf::from(name);
        match fs::symlink_metadata(&at) {
            Ok(meta) if meta.is_symlink() => {
                if let Ok(to) = fs::read_link(&at) {
                    roots.push(Root::Link { at, to });
                }
            }
            Ok(_) => roots.push(Root::Tree(at)),
            Err(_) => {}
        }
    }
    roots
}

/// How far down a directory of the system is looked through for secrets.
const DEPTH: u8 = 3;

/// What below a directory an ordinary user could not read. Root could, also without any power.
pub fn secret(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sift(directory, DEPTH, &mut |path, kind| {
        if kind == Kind::Secret {
            found.push(path);
        }
    });
    found
}

/// The largest parts of a directory in which there is nothing that an ordinary user could not read.
pub fn public(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sift(directory, DEPTH, &mut |path, kind| {
        if kind == Kind::Public {
            found.push(path);
        }
    });
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Secret,
}

/// Tells apart what everybody may read from what not, entry by entry.
fn sift(directory: &Path, depth: u8, tell: &mut dyn FnMut(PathBuf, Kind)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if meta.permissions().mode() & 0o004 == 0 {
            tell(path, Kind::Secret);
        } else if meta.is_dir() && depth > 0 {
            let mut below = Vec::new();
            sift(&path, depth - 1, &mut |path, kind| below.push((path, kind)));
            if below.iter().all(|(_, kind)| *kind == Kind::Public) {
                tell(path, Kind::Public);
            } else {
                for (path, kind) in below {
                    tell(path, kind);
                }
            }
        } else {
            tell(path, Kind::Public);
        }
    }
}

/// What names are looked up with where the network is open, if that lies outside the system's directories.
pub fn resolver() -> Vec<PathBuf> {
    fs::canonicalize("/etc/resolv.conf")
        .ok()
        .filter(|p| !is_system(p) && p.is_file())
        .into_iter()
        .collect()
}

/// Whether a directory is the root, or one of the system's own.
pub fn holds(directory: &Path) -> bool {
    directory == Path::new("/") || is_system(directory)
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|root| path.starts_with(root))
}

/// The toolchains that an environment leads to: where its search path and its well-known variables point, as far as it
/// is not in the system's directories.
pub fn toolchains(env: &BTreeMap<String, String>) -> BTreeSet<PathBuf> {
    let home = env.get("HOME").map(PathBuf::from).filter(|h| h.is_absolute());
    let mut found = BTreeSet::new();
    let path = env.get("PATH").map(String::as_str).unwrap_or_default();
    for directory in std::env::split_paths(path).filter(|d| d.is_absolute() && d.is_dir()) {
        found.extend(tree_of(&directory, home.as_deref()));
        found.extend(led_to(&directory, home.as_deref()));
    }
    let below = |name: &str| env.get(name).map(PathBuf::from).filter(|p| p.is_absolute());
    for name in ["RUSTUP_HOME", "JAVA_HOME", "GOROOT", "VIRTUAL_ENV", "PYENV_ROOT"] {
        found.extend(below(name));
    }
    found.extend(below("NVM_DIR").map(|d| d.join("versions")));
    found.extend(below("GOPATH").map(|d| d.join("pkg/mod")));
    let cargo = below("CARGO_HOME").or_else(|| home.as_ref().map(|h| h.join(".cargo")));
    if let Some(cargo) = &cargo {
        found.extend(IN_CARGO.iter().map(|part| cargo.join(part)));
    }
    if let Some(home) = &home {
        found.extend(IN_HOME.iter().map(|part| home.join(part)));
    }
    found
        .into_iter()
        .filter(|p| p.exists() && !is_system(p) && !is_too_much(p, home.as_deref()))
        // A cargo home holds its registry's password beside its programs.
        .filter(|p| cargo.as_ref() != Some(p))
        .collect()
}

/// The parts of the machine that a program needs for itself: where it lies, and where its name leads.
pub fn program(program: &Path, home: Option<&Path>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in [program.to_owned()].into_iter().chain(program.canonicalize()) {
        if is_system(&path) {
            continue;
        }
        found.insert(package_of(&path, home));
        found.insert(path);
    }
    found.retain(|p| p.exists());
    found
}

/// The tree that a directory of programs belongs to: `~/.tool` for `~/.tool/bin`.
fn tree_of(directory: &Path, home: Option<&Path>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([directory.to_owned()]);
    if ends_in_programs(directory)
        && let Some(parent) = directory.parent()
        && !is_too_much(parent, home)
    {
        found.insert(parent.to_owned());
    }
    if let Ok(real) = directory.canonicalize()
        && real != directory
    {
        found.extend(tree_of(&real, home));
    }
    found
}

/// Where the links in a directory of programs lead.
fn led_to(directory: &Path, home: Option<&Path>) -> BTreeSet<PathBuf> {
    if is_system(directory) {
        return BTreeSet::new();
    }
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_symlink()))
        .filter_map(|e| e.path().canonicalize().ok())
        .filter(|p| !is_system(p) && !p.starts_with(directory))
        .map(|p| package_of(&p, home))
        .collect()
}

/// What belongs together with a program: its package, or the file alone.
fn package_of(program: &Path, home: Option<&Path>) -> PathBuf {
    let mut upto = PathBuf::new();
    for part in program.components() {
        upto.push(part);
        if part == Component::Normal("node_modules".as_ref()) {
            return upto;
        }
    }
    match program.parent() {
        Some(directory) if ends_in_programs(directory) => match directory.parent() {
            Some(tree) if !is_too_much(tree, home) => tree.to_owned(),
            Some(_) | None => program.to_owned(),
        },
        Some(_) | None => program.to_owned(),
    }
}

fn ends_in_programs(directory: &Path) -> bool {
    ["bin", "sbin", "shims"]
        .iter()
        .any(|name| directory.ends_with(name))
}

/// A directory that holds more than a toolchain: a home, what is above one, and where everybody puts things.
fn is_too_much(directory: &Path, home: Option<&Path>) -> bool {
    let shared = [".local", ".config", ".local/share", ".cache"];
    let of_home = home.is_some_and(|home| {
        home.starts_with(directory) || shared.iter().any(|name| directory == home.join(name))
    });
    of_home || directory.components().count() < 3 || directory == Path::new("/home")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home with toolchains and things that are nobody's business.
    fn home() -> (tempfile::TempDir, BTreeMap<String, String>) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("home/kim");
        for path in [
            ".cargo/bin",
            ".cargo/registry",
            ".rustup/toolchains",
            ".local/bin",
            ".local/share/keyrings",
            ".local/share/tool/versions",
            ".tool/bin",
            "bin",
            ".ssh",
        ] {
            fs::create_dir_all(home.join(path)).unwrap();
        }
        fs::write(home.join(".cargo/credentials.toml"), "token").unwrap();
        fs::write(home.join(".local/share/tool/versions/1.2"), "").unwrap();
        std::os::unix::fs::symlink("../share/tool/versions/1.2", home.join(".local/bin/tool")).unwrap();
        let path = [".cargo/bin", ".local/bin", ".tool/bin", "bin"]
            .map(|p| home.join(p).display().to_string())
            .join(":");
        let env = [
            ("HOME".to_owned(), home.display().to_string()),
            ("PATH".to_owned(), format!("/usr/bin:/bin:{path}:relative")),
        ];
        (dir, env.into())
    }

    #[test]
    fn toolchains_are_seen_and_the_rest_of_the_home_is_not() {
        let (_dir, env) = home();
        let home = PathBuf::from(&env["HOME"]);
        let found: Vec<String> = toolchains(&env)
            .iter()
            .map(|p| p.strip_prefix(&home).unwrap().display().to_string())
            .collect();
        let wanted = [
            ".cargo/bin",
            ".cargo/registry",
            ".local/bin",
            ".local/share/tool/versions/1.2",
            ".rustup",
            ".tool",
            ".tool/bin",
            "bin",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_program_brings_its_package() {
        let home = Path::new("/home/kim");
        for (program, package) in [
            (
                "/home/kim/app/node_modules/tool/bin/tool.js",
                "/home/kim/app/node_modules",
            ),
            ("/home/kim/.tool/bin/tool", "/home/kim/.tool"),
            ("/home/kim/.local/bin/tool", "/home/kim/.local/bin/tool"),
            ("/home/kim/tool", "/home/kim/tool"),
            ("/srv/tools/bin/tool", "/srv/tools"),
        ] {
            assert_eq!(package_of(Path::new(program), Some(home)), Path::new(package));
        }
    }
}
