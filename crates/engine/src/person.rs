//! Owns the change from root to an ordinary user: Turno starts itself again as the user that a person has named, before
//! anything is opened. It must not ask a repository who that is, and goes on as root only where nobody was named.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, User, access, geteuid};

use crate::config::env::{BECAME, HOME};
use crate::config::{self, EnvMap, Source, WorkUser, work_user};
use crate::process::{Role, become_program};

/// As whom Turno goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// An ordinary user.
    Ordinary,
    /// Root, because nobody has named a user.
    Root,
}

/// What running as root means, for people.
pub const AS_ROOT: &str = "it runs as root: agents and checks are ordinary users inside the sandbox, but what they \
     write is root's outside, and without namespaces nothing but Landlock holds them";

/// How root has it otherwise, for people.
pub const AS_ROOT_MEND: &str = "name an ordinary user that owns the repository: TURNO_USER=NAME, --user NAME, or \
     [sandbox] user = \"NAME\" in root's own ~/.config/turno/turno.toml";

/// Why Turno does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What root has written down cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// There is no such user.
    #[error(
        "user = {name} (from {from}): this machine has no such user. Make it (`useradd --create-home {name}`), or name another"
    )]
    NoSuchUser {
        /// The name.
        name: String,
        /// Who says so.
        from: Source,
    },
    /// It is root again.
    #[error(
        "user = {name} (from {from}): that is root itself. Name an ordinary user that owns the repository"
    )]
    IsRoot {
        /// The name.
        name: String,
        /// Who says so.
        from: Source,
    },
    /// It has no home.
    #[error(
        "the user {name} has no home: {} is no directory. Agents keep their logins there and Turno its state; make \
         it, or name another user",
        home.display()
    )]
    NoHome {
        /// The name.
        name: String,
        /// Where it should be.
        home: PathBuf,
    },
    /// The list of users cannot be read.
    #[error("the machine's list of users cannot be read: {0}")]
    Unreadable(#[from] nix::Error),
    /// Only root may.
    #[error("--user {wanted}: you are {own}, and only root can become another user. Leave the flag out")]
    NotRoot {
        /// Who was asked for.
        wanted: String,
        /// Who it is.
        own: String,
    },
    /// The change did not work.
    #[error("Turno has become another user and is root all the same; is {} set by hand? Take it out", BECAME.name)]
    StillRoot,
    /// The program cannot be started as that user.
    #[error(
        "{} cannot be started as {name}: {source}. It and the directories above it must be readable for everybody; \
         one below /root is not: copy it, e.g. to /usr/local/bin",
        program.display()
    )]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// As whom.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A place cannot be entered.
    #[error("{name}, the user that Turno became, may not look into {}: give it the right, or move the repository", path.display())]
    NotReadable {
        /// Who.
        name: String,
        /// Where.
        path: PathBuf,
    },
    /// The repository cannot be written.
    #[error(
        "{name}, the user that Turno became, may not write {}, which belongs to {owner}. Give it the repository: \
         chown -R {name} {}",
        path.display(), top.display()
    )]
    NotWritable {
        /// Who.
        name: String,
        /// What.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// The top of the repository.
        top: PathBuf,
    },
}

/// Sees to it that Turno runs as the user that root has named: starts it again as that user, and then looks whether
/// that one may work there. Called before anything is opened, while there is one thread.
///
/// # Errors
/// When root has named somebody that Turno cannot become, or who cannot work at `directory`.
pub fn settle(env: &EnvMap, flag: Option<&str>, directory: Option<&Path>) -> Result<Standing, Error> {
    let own = geteuid();
    if !own.is_root() {
        if let Some(name) = flag {
            is_own(name, own)?;
        }
        if BECAME.of(env) == Some(own.to_string().as_str()) {
            may_work(&name_of(own), directory)?;
        }
        return Ok(Standing::Ordinary);
    }
    if BECAME.of(env).is_some() {
        return Err(Error::StillRoot);
    }
    match work_user(env, flag)? {
        None => Ok(Standing::Root),
        Some(wanted) => Err(become_user(&known(wanted)?)),
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The flag names who it is anyway, as it does after the change.
fn is_own(wanted: &str, own: Uid) -> Result<(), Error> {
    match User::from_name(wanted)? {
        Some(user) if user.uid == own => Ok(()),
        Some(_) | None => Err(Error::NotRoot {
            wanted: wanted.to_owned(),
            own: name_of(own),
        }),
    }
}

/// The user that was named, if it is one that Turno can become.
fn known(wanted: WorkUser) -> Result<User, Error> {
    let WorkUser { name, from } = wanted;
    let Some(user) = User::from_name(&name)? else {
        return Err(Error::NoSuchUser { name, from });
    };
    if user.uid.is_root() {
        return Err(Error::IsRoot { name, from });
    }
    if !user.dir.is_dir() {
        return Err(Error::NoHome { name, home: user.dir });
    }
    Ok(user)
}

/// Starts Turno again in the place of this process. What comes back is why it could not.
fn become_user(user: &User) -> Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(source) => {
            return Error::NotStarted {
                program: PathBuf::from("turno"),
                name: user.name.clone(),
                source,
            };
        }
    };
    let role = Role {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    };
    let args = std::env::args_os().skip(1);
    let source = become_program(
        &program,
        args,
        env_of(user, std::env::vars_os()).into_iter(),
        &role,
    );
    Error::NotStarted {
        program,
        name: user.name.clone(),
        source,
    }
}

/// Root's environment as the user's: with its home and name, and without what leads to root's own directories.
fn env_of(user: &User, env: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let is_roots = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("XDG_") || [HOME.name, "USER", "LOGNAME", "MAIL", BECAME.name].contains(&&*name)
    };
    let own = [
        (HOME.name, user.dir.clone().into_os_string()),
        ("USER", user.name.clone().into()),
        ("LOGNAME", user.name.clone().into()),
        (BECAME.name, user.uid.to_string().into()),
    ];
    env.filter(|(name, _)| !is_roots(name))
        .chain(own.map(|(name, value)| (name.into(), value)))
        .collect()
}

/// Whether the user may work where the verb was typed. What Turno opens later says its own errors; these are the ones
/// that a change of user brings.
fn may_work(name: &str, directory: Option<&Path>) -> Result<(), Error> {
    let here = match directory {
        Some(directory) => std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
        // Where it cannot be told, whoever opens it says so.
        None => match std::env::current_dir() {
            Ok(here) => here,
            Err(_) => return Ok(()),
        },
    };
    // What is not there at all is not a matter of rights.
    if access(&here, AccessFlags::R_OK | AccessFlags::X_OK) == Err(nix::errno::Errno::EACCES) {
        return Err(Error::NotReadable {
            name: name.to_owned(),
            path: here,
        });
    }
    let Some(top) = here.ancestors().find(|dir| dir.join(".git").exists()) else {
        return Ok(());
    };
    for path in [top.to_owned(), top.join(".git")] {
        if access(&path, AccessFlags::W_OK).is_err() {
            let owner = std::fs::metadata(&path).map_or_else(
                |_| "somebody else".to_owned(),
                |found| name_of(Uid::from_raw(found.uid())),
            );
            return Err(Error::NotWritable {
                name: name.to_owned(),
                path,
                owner,
                top: top.to_owned(),
            });
        }
    }
    Ok(())
}

/// A user's name, or its number where it has none.
fn name_of(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => uid.to_string(),
    }
}
