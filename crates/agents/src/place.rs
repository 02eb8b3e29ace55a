//! Owns where a path lies, told by its words alone: no disk is asked.

use std::path::{Component, Path};

/// Whether a path lies within a directory, by its words alone. One that climbs with `..` does not.
pub(crate) fn is_within(directory: &str, path: &str) -> bool {
    let path = Path::new(path);
    let climbs = path.components().any(|part| part == Component::ParentDir);
    !climbs && (path.is_relative() || path.starts_with(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/slot", true)]
    #[case("/slot/a/b.rs", true)]
    #[case("a/b.rs", true)]
    #[case("/slot2/a", false)]
    #[case("/slot/../etc/passwd", false)]
    #[case("../x", false)]
    #[case("/etc/passwd", false)]
    fn a_path_lies_within_or_not(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(is_within("/slot", path), expected);
    }
}
