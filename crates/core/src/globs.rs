//! Owns path globs: whether one matches a path, and whether two can match the same path. A glob that names a
//! directory stands for everything below it. Paths are relative to the repository and use `/`.

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// Whether any of the globs matches a path, or a directory above it. A glob that is not valid matches nothing.
pub fn matches(globs: &[String], path: &str) -> bool {
    globs
        .iter()
        .filter_map(|glob| matcher(glob))
        .any(|glob| glob.is_match(path) || above(path).any(|dir| glob.is_match(dir)))
}

/// Globs made ready, for many paths.
#[derive(Debug, Clone)]
pub struct Globs(GlobSet);

impl Globs {
    /// A glob that is not valid matches nothing.
    pub fn new(globs: &[String]) -> Self {
        let mut set = GlobSetBuilder::new();
        for glob in globs.iter().filter_map(|glob| builder(glob).build().ok()) {
            set.add(glob);
        }
        Self(set.build().unwrap_or_default())
    }

    /// Whether any of them matches a path, or a directory above it.
    pub fn matches(&self, path: &str) -> bool {
        self.0.is_match(path) || above(path).any(|dir| self.0.is_match(dir))
    }
}

/// Why a glob is not valid, if it is not.
///
/// # Errors
/// In words.
pub fn check(glob: &str) -> Result<(), String> {
    if glob.trim().is_empty() {
        return Err("an empty glob matches nothing".to_owned());
    }
    if glob.starts_with('/') || glob.split('/').any(|part| part == "..") {
        return Err(format!("`{glob}` leads out of the repository"));
    }
    builder(glob).build().map(|_| ()).map_err(|e| e.to_string())
}

/// Whether two lists of globs can match the same path. Errs on the side of yes. An empty list says nothing of where
/// somebody writes, so it overlaps with none.
pub fn overlap(a: &[String], b: &[String]) -> bool {
    a.iter().any(|a| {
        b.iter().any(|b| {
            if spans(a) || spans(b) {
                let (a, b) = (before_braces(a), before_braces(b));
                return a.starts_with(b) || b.starts_with(a);
            }
            let (a, b): (Vec<&str>, Vec<&str>) = (parts(a), parts(b));
            meet(&a, &b)
        })
    })
}

/// Whether the alternatives of a glob reach over directories, so that it cannot be taken apart at its slashes.
fn spans(glob: &str) -> bool {
    glob.split('{').skip(1).any(|rest| {
        let inner = rest.split_once('}').map_or(rest, |(inner, _)| inner);
        inner.contains('/')
    })
}

/// What a glob says before its first wildcard.
fn before_braces(glob: &str) -> &str {
    let glob = glob.trim_start_matches("./");
    glob.find(['*', '?', '[', '{']).map_or(glob, |at| &glob[..at])
}

fn builder(glob: &str) -> GlobBuilder<'_> {
    let mut builder = GlobBuilder::new(glob.trim_start_matches("./").trim_end_matches('/'));
    builder.literal_separator(true);
    builder
}

fn matcher(glob: &str) -> Option<GlobMatcher> {
    builder(glob).build().ok().map(|g| g.compile_matcher())
}

fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn parts(glob: &str) -> Vec<&str> {
    glob.split('/').filter(|p| !p.is_empty() && *p != ".").collect()
}

fn meet(a: &[&str], b: &[&str]) -> bool {
    match (a.split_first(), b.split_first()) {
        // One names a directory above the other.
        (None, _) | (_, None) => true,
        (Some((&"**", rest)), Some((_, after))) => meet(rest, b) || meet(a, after),
        (Some((_, after)), Some((&"**", rest))) => meet(a, rest) || meet(after, b),
        (Some((x, rest)), Some((y, after))) => segments_meet(x, y) && meet(rest, after),
    }
}

/// Literal beginnings and ends must agree; what lies between may be anything.
fn segments_meet(x: &str, y: &str) -> bool {
    const WILD: [char; 6] = ['*', '?', '[', '{', ']', '}'];
    if !x.contains(WILD) && !y.contains(WILD) {
        return x == y;
    }
    let head = |s: &str| s.find(WILD).map_or(s.to_owned(), |at| s[..at].to_owned());
    let tail = |s: &str| s.rfind(WILD).map_or(s.to_owned(), |at| s[at + 1..].to_owned());
    let (hx, hy, tx, ty) = (head(x), head(y), tail(x), tail(y));
    (hx.starts_with(&hy) || hy.starts_with(&hx)) && (tx.ends_with(&ty) || ty.ends_with(&tx))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Globs, check, matches, overlap};

    #[rstest]
    #[case("src/*.rs", "src/lib.rs", true)]
    #[case("src/*.rs", "src/a/lib.rs", false)]
    #[case("src/**", "src/a/lib.rs", true)]
    #[case("src", "src/a/lib.rs", true)]
    #[case("src/", "src/a/lib.rs", true)]
    #[case("**/*_test.go", "a/b/c_test.go", true)]
    #[case("**/tests/**", "crates/x/tests/a.rs", true)]
    #[case("tests/**", "tests", false)]
    #[case("[", "[", false)]
    fn a_glob_matches_paths_and_what_lies_below(#[case] glob: &str, #[case] path: &str, #[case] yes: bool) {
        assert_eq!(matches(&[glob.to_owned()], path), yes);
        assert_eq!(Globs::new(&[glob.to_owned()]).matches(path), yes);
    }

    #[rstest]
    #[case("src/a.rs", "src/a.rs", true)]
    #[case("src/a.rs", "src/b.rs", false)]
    #[case("src/*.rs", "src/b.rs", true)]
    #[case("src/*.rs", "src/b.md", false)]
    #[case("src/**", "src/x/y.rs", true)]
    #[case("src/**", "docs/x.md", false)]
    #[case("**/*.md", "docs/x.md", true)]
    #[case("src", "src/x/y.rs", true)]
    #[case("a/**/z.rs", "a/b/c/z.rs", true)]
    #[case("a/**/z.rs", "b/**", false)]
    #[case("src/{a/b,c}.rs", "src/c.rs", true)]
    #[case("src/{a/b,c}.rs", "docs/c.md", false)]
    fn two_globs_overlap_or_not(#[case] a: &str, #[case] b: &str, #[case] yes: bool) {
        let (a, b) = ([a.to_owned()], [b.to_owned()]);
        assert_eq!(overlap(&a, &b), yes);
        assert_eq!(overlap(&b, &a), yes);
        assert!(!overlap(&a, &[]));
    }

    #[test]
    fn a_glob_that_leads_out_is_refused() {
        assert!(
            check("../x").is_err() && check("/etc").is_err() && check(" ").is_err() && check("a/[").is_err()
        );
        assert!(check("a/**/b?.rs").is_ok());
    }
}
