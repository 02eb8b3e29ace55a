//! Dialects translate. A job becomes a launch (argv, environment, first lines of input); a line of output
//! becomes signals; the end of the process becomes an outcome. No process is started here, no file is read,
//! no clock is asked: this crate's `clippy.toml` bans them. One file per dialect.

pub mod dialect;
