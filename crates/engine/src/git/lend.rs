//! Owns what a program that must not reach the repository sees of it instead: a configuration with nothing in it
//! that runs a program, leads out or is a secret, and the places where objects are. It must not know about slots.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::guard::is_harmless;
use super::read::reading;
use super::{Error, Place, Repo};

/// An address at which nobody is.
const NOWHERE: &str = "no-push://turno";
/// How deep one object directory may borrow from the next, as in git.
const BORROWED: usize = 6;

/// What is lent as it is: how files are written and shown. Extensions are lent too, but for the one below.
const LENT: [&str; 22] = [
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.symlinks",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.quotepath",
    "core.abbrev",
    "core.whitespace",
    "core.compression",
    "core.bigfilethreshold",
    "diff.algorithm",
    "diff.renames",
    "diff.renamelimit",
    "merge.conflictstyle",
    "merge.renames",
    "i18n.commitencoding",
    "i18n.logoutputencoding",
    "apply.whitespace",
];
/// It would make git read one more file, which the program may write.
const NOT_LENT: &str = "extensions.worktreeconfig";

/// What holds whatever the user's configuration says. The user's hooks are for the user's machine and account: they
/// do not run on commits that are made in a sandbox. Times and owners of files are seen otherwise there.
const FIXED: [(&str, &str); 17] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.splitIndex", "false"),
    ("core.untrackedCache", "false"),
    ("core.checkStat", "minimal"),
    ("core.trustctime", "false"),
    ("core.logAllRefUpdates", "true"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("push.default", "nothing"),
    ("protocol.allow", "never"),
    ("credential.helper", ""),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("rerere.enabled", "false"),
    ("submodule.recurse", "false"),
    ("rebase.updateRefs", "false"),
];

/// The commands of git-lfs, as it installs them itself. Its content in the repository can be read with them.
const LFS: [(&str, &[&str]); 4] = [
    ("clean", &["git-lfs clean -- %f"]),
    ("smudge", &["git-lfs smudge -- %f", "git-lfs smudge --skip -- %f"]),
    (
        "process",
        &["git-lfs filter-process", "git-lfs filter-process --skip"],
    ),
    ("required", &["true", "false"]),
];
/// What stands for any other filter: its command may hold a key, and without it git would commit what the filter
/// is there to change, e.g. to encrypt. Nothing of it is dirty meanwhile: files are looked into only when they
/// have changed. What is changed and cannot be committed is committed by Turno, with the user's own filter.
const NO_FILTER: &str = "echo 'this filter is not available here; leave the file uncommitted' >&2; exit 1";

impl Repo {
    /// Writes the configuration that is lent.
    ///
    /// # Errors
    /// When git cannot read the user's, or the file cannot be written.
    pub(crate) async fn write_lent_config(&self, to: &Path) -> Result<(), Error> {
        let args = ["config", "--list", "--show-scope", "-z"];
        let output = self.git(Place::Shared).args(args).bytes().await?;
        let mut config = reading("a configuration", git2::Config::open(to))?;
        let mut set = |name: &str, value: &str| reading(name, config.set_str(name, value));
        let mut fetches = Vec::new();
        let mut filters: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut fields = output.split(|&b| b == 0);
        while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
            let (Ok(entry), true) = (std::str::from_utf8(entry), scope != b"command") else {
                continue;
            };
            // A name alone means yes.
            let (name, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            let of_a_branch = is_harmless(entry.as_bytes()) && !name.ends_with(".description");
            let extension = name.starts_with("extensions.") && name != NOT_LENT;
            if LENT.contains(&name) || extension || of_a_branch {
                set(name, value)?;
            } else if let Some((remote, variable)) = inside(name, "remote.") {
                match variable {
                    "url" | "pushurl" => {
                        set(&format!("remote.{remote}.url"), NOWHERE)?;
                        set(&format!("remote.{remote}.pushurl"), NOWHERE)?;
                    }
                    "fetch" => fetches.push((name.to_owned(), value.to_owned())),
                    "promisor" | "partialclonefilter" | "tagopt" => set(name, value)?,
                    _ => {}
                }
            } else if let Some((filter, variable)) = inside(name, "filter.") {
                let known = filters.entry(filter.to_owned()).or_default();
                known.insert(variable.to_owned(), value.to_owned());
            }
        }
        for (filter, known) in &filters {
            let lfs = |(n, v): (&String, &String)| {
                LFS.iter()
                    .any(|(name, values)| name == n && values.contains(&v.as_str()))
            };
            if filter == "lfs" && known.iter().all(lfs) {
                for (variable, value) in known {
                    set(&format!("filter.{filter}.{variable}"), value)?;
                }
            } else {
                for (variable, value) in [("clean", NO_FILTER), ("smudge", NO_FILTER), ("required", "true")] {
                    set(&format!("filter.{filter}.{variable}"), value)?;
                }
            }
        }
        for (name, value) in FIXED {
            set(name, value)?;
        }
        for (name, value) in fetches {
            // A pattern that no value meets: it is added to those there are.
            reading(&name, config.set_multivar(&name, "^$", &value))?;
        }
        Ok(())
    }

    /// Where the repository's objects are: its own directory, then those that it borrows from.
    pub(crate) fn object_dirs(&self) -> Vec<PathBuf> {
        let own = self.common_dir().join("objects");
        let own = own.canonicalize().unwrap_or(own);
        let mut dirs = vec![own.clone()];
        let mut wait = vec![(own, 0)];
        while let Some((dir, depth)) = wait.pop() {
            let text = fs::read(dir.join("info/alternates")).unwrap_or_default();
            for line in text
                .split(|&b| b == b'\n')
                .filter(|l| !l.is_empty() && l[0] != b'#')
            {
                let Ok(path) = dir.join(OsString::from_vec(line.to_vec())).canonicalize() else {
                    continue;
                };
                if depth < BORROWED && !dirs.contains(&path) {
                    dirs.push(path.clone());
                    wait.push((path, depth + 1));
                }
            }
        }
        dirs
    }
}

/// The middle and the last part of a name like `remote.origin.url`, if the middle is a plain word.
fn inside<'n>(name: &'n str, first: &str) -> Option<(&'n str, &'n str)> {
    let (middle, last) = name.strip_prefix(first)?.rsplit_once('.')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    (!middle.is_empty() && middle.chars().all(plain)).then_some((middle, last))
}

/// Directories as git reads them from a variable: quoted where a name would end the list.
pub(crate) fn path_list<'p>(dirs: impl IntoIterator<Item = &'p Path>) -> OsString {
    let mut list = Vec::new();
    for dir in dirs {
        if !list.is_empty() {
            list.push(b':');
        }
        list.extend(quoted(dir.as_os_str(), b":\""));
    }
    OsString::from_vec(list)
}

/// Directories as git reads them from `info/alternates`.
pub(crate) fn alternates<'p>(dirs: impl IntoIterator<Item = &'p Path>) -> Vec<u8> {
    let quoted = |dir: &Path| [quoted(dir.as_os_str(), b"\n\"#"), b"\n".to_vec()].concat();
    dirs.into_iter().flat_map(quoted).collect()
}

fn quoted(name: &OsStr, special: &[u8]) -> Vec<u8> {
    let bytes = name.as_bytes();
    if !bytes.iter().any(|b| special.contains(b)) {
        return bytes.to_vec();
    }
    let mut text = vec![b'"'];
    for byte in bytes {
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            other => text.push(*other),
        }
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_with_odd_names_stay_one() {
        let list = path_list([Path::new("/a b"), Path::new("/c:d\"e")]);
        assert_eq!(list, OsString::from("/a b:\"/c:d\\\"e\""));
        assert_eq!(
            alternates([Path::new("/x"), Path::new("/y\nz")]),
            b"/x\n\"/y\\nz\"\n"
        );
    }
}
