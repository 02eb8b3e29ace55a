//! The dialects against recorded output of the real CLIs, and against anything at all.

#![expect(clippy::unwrap_used, reason = "all of it is tests, their helpers too")]

mod anything;
mod claude;
mod codex;
mod launch;
mod script;
mod stage;
mod wire;
