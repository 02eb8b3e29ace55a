//! Real git, real worktrees: the slot pool, landing and promotion against a repository whose owner has hooks,
//! a stash, uncommitted work, a second worktree and a configuration that would break every naive call.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod claiming;
mod collecting;
mod following;
mod guarding;
mod hostile;
mod landing;
mod landing_together;
mod lending;
mod opening;
mod overlay;
mod planting;
mod preflighting;
mod preparing;
mod promoting;
mod reverting;
mod surveying;
mod world;
