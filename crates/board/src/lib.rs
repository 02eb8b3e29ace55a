//! The board shows, in a browser and to programs: the state as typed JSON, what happens as it happens, a page. What a
//! person asks for through it is handed to the workspace, which does it as the verbs do. The board decides nothing,
//! keeps no state that is not in the journal, and has no route that runs a command.

mod api;
mod auth;
mod error;
mod fence;
mod heard;
mod metrics;
mod mirror;
mod openapi;
mod pages;
mod routes;
mod server;
mod stream;
#[cfg(test)]
mod tests;
pub mod view;
mod workspace;

pub use auth::{Link, Token, mint};
pub use error::Problem;
pub use openapi::openapi;
pub use routes::{Entry, served};
pub use server::{Board, Error, Listening};
pub use workspace::{
    Diff, Doing, Edit, Left, Planned, PullPlanned, Salvaged, Subject, Unproven, Wish, Workspace,
};
