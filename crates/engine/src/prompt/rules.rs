//! Owns the word on a project's own rules: which files of instructions it has. It reads none of them.

use std::path::Path;

/// Files in which projects keep their rules for those who work on them.
const FILES: [&str; 4] = ["AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md", ".cursorrules"];

/// A note that names the files of rules at the top of a worktree; none where there are none.
pub fn house_rules(top: &Path) -> Option<String> {
    let there: Vec<&str> = FILES.into_iter().filter(|f| top.join(f).is_file()).collect();
    let (last, first) = there.split_last()?;
    let names = if first.is_empty() {
        (*last).to_owned()
    } else {
        format!("{} and {last}", first.join(", "))
    };
    Some(format!(
        "Read {names} first: these are the project's rules for how its code is written and proven."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_are_there_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(house_rules(dir.path()), None);
        std::fs::create_dir(dir.path().join("CONTRIBUTING.md")).unwrap();
        assert_eq!(house_rules(dir.path()), None, "a directory holds no rules");
        std::fs::write(dir.path().join("CLAUDE.md"), "").unwrap();
        let one = house_rules(dir.path()).unwrap();
        assert!(one.starts_with("Read CLAUDE.md first: "), "{one}");
        std::fs::write(dir.path().join("AGENTS.md"), "").unwrap();
        std::fs::write(dir.path().join(".cursorrules"), "").unwrap();
        let all = house_rules(dir.path()).unwrap();
        assert!(
            all.starts_with("Read AGENTS.md, CLAUDE.md and .cursorrules first: "),
            "{all}"
        );
    }
}
