//! Stories through the shipped binary: what a person types, on real repositories, with real processes. One test
//! binary; each story has a file in `stories/`, what they share is in `harness/`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story may panic and print; its parts are used within this binary only"
)]

mod harness;
mod house;
mod stories;
