//! File edits in the patch language of the codex CLI, and in shell where the language cannot express them.

/// A patch that writes the whole file, or `None` when its text does not end in a newline, which patches
/// always add.
pub(super) fn add(path: &str, text: &str) -> Option<String> {
    let lines = text.strip_suffix('\n')?;
    let added: String = lines.split('\n').map(|line| format!("+{line}\n")).collect();
    Some(format!(
        "*** Begin Patch\n*** Add File: {path}\n{added}*** End Patch"
    ))
}

/// A patch that replaces the first occurrence of `find`. Patches replace whole lines, so the lines around
/// the occurrence are taken from `present`, the file as it is now; without it `find` counts as whole lines.
pub(super) fn update(path: &str, present: Option<&str>, find: &str, replace: &str) -> String {
    let (old, new) = present
        .and_then(|text| whole_lines(text, find, replace))
        .unwrap_or_else(|| {
            (
                find.trim_end_matches('\n').to_owned(),
                replace.trim_end_matches('\n').to_owned(),
            )
        });
    let prefixed = |sign: char, text: &str| -> String {
        text.split('\n').map(|line| format!("{sign}{line}\n")).collect()
    };
    let (removed, added) = (prefixed('-', &old), prefixed('+', &new));
    format!("*** Begin Patch\n*** Update File: {path}\n@@\n{removed}{added}*** End Patch")
}

fn whole_lines(text: &str, find: &str, replace: &str) -> Option<(String, String)> {
    let at = text.find(find)?;
    let end = at + find.len();
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let old = text[line_start..line_end].to_owned();
    let new = format!("{}{replace}{}", &text[line_start..at], &text[end..line_end]);
    match (old.strip_suffix('\n'), new.strip_suffix('\n')) {
        (Some(old), Some(new)) => Some((old.to_owned(), new.to_owned())),
        (Some(old), None) => Some((old.to_owned(), new)),
        _ => Some((old, new)),
    }
}

/// A shell command that applies a patch through the CLI's own `apply_patch`.
pub(super) fn shell_apply(patch: &str) -> String {
    format!("apply_patch <<'END_OF_PATCH'\n{patch}\nEND_OF_PATCH")
}

/// A shell command that writes exactly this text.
pub(super) fn shell_write(path: &str, text: &str) -> String {
    let path = quoted(path);
    format!(
        "mkdir -p \"$(dirname {path})\" && printf '%s' {} > {path}",
        quoted(text)
    )
}

/// `text` as one word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
