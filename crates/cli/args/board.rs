//! Owns the words of the verb that shows the board. Types only, no logic.

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct Board {
    /// Listen on this port of this machine; 0 for a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Print a new link to the board that listens already. It is good once, for five minutes.
    #[arg(long, conflicts_with = "port")]
    pub(crate) link: bool,
    /// Print the token that programs send as `Authorization: Bearer`.
    #[arg(long, conflicts_with_all = ["port", "link"])]
    pub(crate) token: bool,
}
