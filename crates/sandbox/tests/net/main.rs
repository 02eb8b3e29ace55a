//! The way of a confined program to the network, over real sockets.

#![expect(clippy::unwrap_used, reason = "all of it is tests, their helpers too")]

mod allow;
mod bridge;
mod harness;
mod life;
mod relay;
mod tunnel;
mod upstream;
