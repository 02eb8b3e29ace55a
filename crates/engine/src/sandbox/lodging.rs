//! Owns what must be there while a confined program runs, and what is done with it afterwards: its private home and
//! temporary directory, the git metadata it is lent, its way to the network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use turno_agents::dialect::Support;
use turno_agents::needs::Needs;
use turno_core::check::Reach;
use turno_core::config::Confinement;
use turno_core::ids::AttemptId;
use turno_core::persona::Access as Role;
use turno_sandbox::net::allow::{Allowed, BadRule};
use turno_sandbox::net::proxy::Seen;
use turno_sandbox::{Access, Nesting, Place, Profile};

use super::below::{self, Link};
use super::profiles::{self, Reached, Seat};
use super::{Home, HomeOf, hosts};
use crate::process::doorman::{self, NetOrders};
use crate::site::{Ground, Site};
use crate::slots::{self, Brought, How, Lent, SlotPlace, TakenBack};

/// Why a program cannot be confined. It is not started then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A host is none.
    #[error("a host of the agent's provider: {0}")]
    Host(#[from] BadRule),
    /// Something of its own cannot be made.
    #[error("the sandbox cannot be furnished: {0}")]
    Io(#[from] std::io::Error),
    /// The slot cannot be lent.
    #[error(transparent)]
    Slots(#[from] slots::Error),
}

/// Where a program works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant<'a> {
    /// The repository's part of the site.
    pub(crate) ground: &'a Ground,
    /// Which slot.
    pub(crate) place: SlotPlace,
    /// The slot's files.
    pub(crate) path: &'a Path,
    /// Of which attempt.
    pub(crate) attempt: AttemptId,
}

/// An agent, as far as its confinement goes.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    /// Whose home it lives in.
    pub(crate) whose: HomeOf<'a>,
    /// What it may do with the slot.
    pub(crate) role: Role,
    /// Globs of the paths that are a tester's own.
    pub(crate) test_paths: &'a [String],
    /// What it needs of the user's machine.
    pub(crate) needs: Needs,
    /// Its arguments, as the user has set them.
    pub(crate) args: &'a [String],
    /// What else it sees: its program, its script, the tools' socket.
    pub(crate) sees: Vec<Place>,
}

/// What a confined program is held to.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// What it may do.
    pub(crate) profile: Profile,
    /// Its way to the network, if it has one of its own.
    pub(crate) net: Option<NetOrders>,
}

/// All that is there for one confined program.
pub(crate) struct Lodged {
    place: SlotPlace,
    lent: Lent,
    dir: PathBuf,
}

/// The names of what is made for a program below its directory.
pub(super) const LENT: &str = "lent";
const TMP: &str = "tmp";
const HOME: &str = "home";

/// A proxy of the user's cannot be reached from there, and its address may hold a password.
fn without_proxies(reach: Reach, env: &mut BTreeMap<String, String>) {
    match reach {
        Reach::Open => {}
        Reach::None | Reach::Hosts => env.retain(|name, _| !name.to_ascii_lowercase().ends_with("_proxy")),
    }
}

impl Tenant<'_> {
    /// Makes room for a program of the project: a check or a setup. `None` where nothing is confined.
    pub(crate) async fn lodge(
        self,
        site: &Site,
        dir: &Path,
        reach: Reach,
        env: &mut BTreeMap<String, String>,
    ) -> Result<Option<(Lodged, Bounds)>, Error> {
        let by = site.hold.confinement();
        if by == Confinement::Off {
            return Ok(None);
        }
        without_proxies(reach, env);
        let allowed = hosts::allowed(&site.config.sandbox.allow, &[], &[])?;
        let (reached, net) = self.reach(site, reach, allowed);
        let home = Home::fresh(&dir.join(HOME), env, by)?;
        let lent = self.lend(dir, env, by).await?;
        env.extend(home.env.clone());
        let seat = self.seat(site, dir, &lent, home, reached)?;
        let profile = profiles::check(seat)?;
        Ok(Some((
            Lodged::new(self.place, lent, dir),
            Bounds { profile, net },
        )))
    }

    /// Makes room for an agent. `None` where nothing is confined.
    pub(crate) async fn take_in(
        self,
        site: &Site,
        dir: &Path,
        guest: Guest<'_>,
        env: &mut BTreeMap<String, String>,
    ) -> Result<Option<(Lodged, Bounds)>, Error> {
        let by = site.hold.confinement();
        if by == Confinement::Off {
            return Ok(None);
        }
        let user = env.clone();
        let home = Home::of_agent(&site.dirs.homes(), &guest.whose, guest.needs.home, &user, by)?;
        let settings: Vec<PathBuf> = home.settings.clone();
        let told = hosts::told(&user, guest.args, &settings);
        without_proxies(site.config.sandbox.agents, env);
        let allowed = hosts::allowed(&site.config.sandbox.allow, guest.needs.hosts, &told)?;
        let (reached, net) = self.reach(site, site.config.sandbox.agents, allowed);
        let lent = self.lend(dir, env, by).await?;
        env.extend(home.env.clone());
        let seat = self.seat(site, dir, &lent, home, reached)?;
        let nesting = match guest.needs.own_sandbox {
            Support::Yes => Nesting::Allowed,
            Support::No => Nesting::Closed,
        };
        let tests = match guest.role {
            Role::Tests => own_paths(self.path, guest.test_paths),
            Role::Read | Role::Write => Vec::new(),
        };
        let profile = profiles::agent(seat, guest.role, &tests, guest.sees, nesting)?;
        Ok(Some((
            Lodged::new(self.place, lent, dir),
            Bounds { profile, net },
        )))
    }

    fn reach(&self, site: &Site, reach: Reach, allowed: Allowed) -> (Reached, Option<NetOrders>) {
        match reach {
            Reach::None => (Reached::Nothing, None),
            Reach::Open => (Reached::All, None),
            Reach::Hosts => {
                let socket = site.dirs.net_socket(self.attempt);
                let forwards = allowed.loopback_ports();
                let orders = NetOrders {
                    socket: socket.clone(),
                    allowed,
                    way: site.config.sandbox.way.clone(),
                };
                (Reached::Hosts { socket, forwards }, Some(orders))
            }
        }
    }

    /// Lends the slot, with what git needs to be told there.
    pub(super) async fn lend(
        &self,
        dir: &Path,
        env: &mut BTreeMap<String, String>,
        by: Confinement,
    ) -> Result<Lent, Error> {
        let pool = &self.ground.pool;
        let lent = match self.place {
            SlotPlace::Slot(_) => pool.lend(self.place, dir).await?,
            // The landing has the place while its checks run.
            SlotPlace::Landing => pool.lend_held(self.place, dir).await?,
        };
        match by {
            Confinement::Namespaces | Confinement::Off => env.extend(lent.env.clone()),
            Confinement::Landlock => env.extend(lent.env_without_covers()?),
        }
        Ok(lent)
    }

    fn seat<'s>(
        &'s self,
        site: &'s Site,
        dir: &Path,
        lent: &Lent,
        home: Home,
        reached: Reached,
    ) -> std::io::Result<Seat<'s>> {
        let git = places_of(lent, site.hold.confinement());
        let tmp = dir.join(TMP);
        std::fs::create_dir_all(&tmp)?;
        Ok(Seat {
            slot: self.path,
            git,
            home,
            tmp,
            toolchains: site.toolchains(),
            setup: &site.config.sandbox,
            turno: &site.turno,
            reached,
        })
    }
}

impl Lodged {
    fn new(place: SlotPlace, lent: Lent, dir: &Path) -> Self {
        Self {
            place,
            lent,
            dir: dir.to_owned(),
        }
    }

    /// An agent that an earlier coordinator took in; `None` when it was not confined.
    ///
    /// # Errors
    /// When the note of what it was lent cannot be read.
    pub(crate) fn before(
        ground: &Ground,
        place: SlotPlace,
        dir: &Path,
    ) -> Result<Option<Self>, slots::Error> {
        let lent = ground.pool.lent_before(dir)?;
        Ok(lent.map(|lent| Self::new(place, lent, dir)))
    }

    /// After a check: what it did to git's metadata is nobody's work.
    pub(crate) fn leave(self) {
        clear(&self.dir, &[LENT, TMP, HOME]);
    }

    /// After an agent: its commits are taken over into the repository, and what it asked of the network is told.
    pub(crate) async fn take_back(self, ground: &Ground) -> (Result<TakenBack, slots::Error>, Option<Seen>) {
        let seen = doorman::seen(&self.dir);
        let taken = ground.pool.take_back(self.place, &self.lent).await;
        clear(&self.dir, &[TMP]);
        match &taken {
            // What was not taken is kept where it is.
            Ok(TakenBack {
                head: Brought::Refused { .. },
                ..
            })
            | Err(_) => {}
            Ok(TakenBack {
                head: Brought::Unmoved | Brought::At(_),
                ..
            }) => clear(&self.dir, &[LENT]),
        }
        (taken, seen)
    }
}

/// The git metadata that is lent with a slot.
pub(super) fn places_of(lent: &Lent, by: Confinement) -> Vec<Place> {
    let read = match by {
        Confinement::Namespaces | Confinement::Off => lent.read_only.clone(),
        Confinement::Landlock => lent.read_only_without_covers(),
    };
    let mut git: Vec<Place> = read.iter().map(Place::read).collect();
    for cover in &lent.cover {
        let access = match cover.how {
            How::ReadOnly => Access::Read,
            How::Writable => Access::Write,
        };
        git.push(Place::cover(&cover.from, &cover.shown_at, access));
    }
    git
}

/// Removes what Turno made for a program and nobody needs any more.
pub(super) fn clear(dir: &Path, names: &[&str]) {
    for name in names {
        if let Err(error) = std::fs::remove_dir_all(dir.join(name))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(dir = %dir.display(), name, %error, "what was made for a program stays");
        }
    }
}

/// The parts of a slot that are a tester's own: what the globs name without their patterns. A directory that is not
/// there yet is made; git does not see it while it is empty.
fn own_paths(slot: &Path, globs: &[String]) -> Vec<PathBuf> {
    let mut own: Vec<PathBuf> = Vec::new();
    for glob in globs {
        let mut path = slot.to_owned();
        let mut parts = glob.split('/').peekable();
        while let Some(part) = parts.peek() {
            if part.contains(['*', '?', '[', '{', '\\']) || *part == ".." || *part == ".git" {
                break;
            }
            path.push(part);
            parts.next();
        }
        // A pattern from the first part on may be anywhere: what is written elsewhere is found afterwards.
        if path == slot {
            return vec![slot.to_owned()];
        }
        let is_directory = parts.peek().is_some();
        if is_directory
            && let Ok(inside) = path.strip_prefix(slot)
            && let Err(error) = below::make(slot, inside, Link::Refused)
        {
            tracing::warn!(path = %path.display(), %error, "a tester's directory cannot be made");
        }
        let real = path.canonicalize();
        let inside = slot
            .canonicalize()
            .is_ok_and(|slot| real.is_ok_and(|r| r.starts_with(slot)));
        if inside {
            own.push(path);
        }
    }
    own
}
