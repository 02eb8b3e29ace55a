//! Owns the person's own editor: it is started in their terminal, in front of them, and ends when they end it. It knows
//! nothing of what is edited.

use std::io;
use std::path::Path;
use std::process::ExitStatus;

use super::in_front;
use crate::config::EnvMap;

/// Opens a file in an editor, as `$EDITOR` names it with its arguments, and waits until the person is done.
///
/// # Errors
/// When it cannot be started.
pub fn edit(editor: &str, file: &Path, env: &EnvMap) -> io::Result<ExitStatus> {
    let mut words = editor.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| io::Error::other("no editor is named"))?;
    in_front(program)
        .args(words)
        .arg(file)
        .env_clear()
        .envs(env)
        .status()
}
