//! What stories share: projects on disk, the binary under test, real agent CLIs and the model server they talk to.

pub(crate) mod board;
pub(crate) mod browser;
pub(crate) mod containers;
pub(crate) mod forge_server;
pub(crate) mod hook;
pub(crate) mod imprint;
pub(crate) mod model_server;
pub(crate) mod processes;
pub(crate) mod project;
pub(crate) mod pty;
pub(crate) mod real_cli;
pub(crate) mod scripted;
pub(crate) mod tmux;
pub(crate) mod tool_client;
