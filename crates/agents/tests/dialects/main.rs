//! The dialects against recorded output of the real CLIs, and against anything at all.

#![expect(clippy::unwrap_used, reason = "all of it is tests, their helpers too")]

mod acp;
mod anything;
mod claude;
mod codex;
mod command;
mod document;
mod gemini;
mod hooks;
mod launch;
mod opencode;
mod questions;
mod script;
mod stage;
mod wire;
