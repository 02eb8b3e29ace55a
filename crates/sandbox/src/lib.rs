//! What a confined program may do, and how this machine is made to hold it to that: namespaces by bubblewrap,
//! Landlock and seccomp inside them, limits on what it may use, and a way to the network that lets through what is
//! named. It knows nothing of git, tasks or agents, and starts no process: it says how one is to be started.

pub mod bwrap;
pub mod container;
pub mod inside;
pub mod landlock;
pub mod limits;
pub mod net;
pub mod profile;
pub mod seccomp;
pub mod system;

pub use profile::{Access, Nesting, Network, Place, Profile};
