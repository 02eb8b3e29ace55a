//! Owns the known shapes of secrets: where in some bytes one lies, and where one may have begun that goes on in
//! what comes next. It must not know any value.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::bytes::Regex;

/// Shapes that are secrets as a whole, wherever they stand.
const WHOLE: [&str; 13] = [
    r"sk-ant-[A-Za-z0-9_\-]{16,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_\-.]{20,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"AIza[A-Za-z0-9_\-]{35}",
    r"xox[abceoprs]-[A-Za-z0-9\-]{10,}",
    r"xapp-[0-9]-[A-Za-z0-9\-]{10,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",
    r"npm_[A-Za-z0-9]{36}",
    r"hf_[A-Za-z0-9]{30,}",
    r"eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}",
    // A dash belongs to it before a letter only: so its own end is seen. Without a body it is a mere mention.
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:,. \r\n\t]|-[A-Za-z0-9]|\\+[rnt]){32,}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
];

/// Shapes that are secrets for what stands before them. The secret is the first group that took part, and it has
/// a digit: prose and names in source code have none.
const IN_CONTEXT: [&str; 4] = [
    // Not the end of a word such as `task-`; an escaped line end of JSON is no part of a word.
    r"(?:^[nrtbf]?|[^A-Za-z0-9\\]|\\[nrtbf])(sk-[A-Za-z0-9_\-]{20,})",
    r#"(?i:authorization|x-api-key)(?:\\*["'])?\s{0,4}[:=]\s{0,4}(?:\\*["'])?(?i:(?:bearer|basic|token)\s{1,4})?([A-Za-z0-9._~+/=\-]{8,})"#,
    r"(?i:bearer)\s{1,4}([A-Za-z0-9._~+/=\-]{20,})",
    r#"://[^\s/:@"'\\]{0,200}:([^\s/@"'\\]{3,200})@"#,
];

/// One of these stands in every shape that is known by what stands before it. Most texts have none.
const SIGNS: [&str; 5] = ["sk-", "authorization", "x-api-key", "bearer", "://"];

/// What may be the beginning of a shape, up to the end of the bytes.
const OPEN: [&str; 4] = [
    // A run of what tokens are made of. Dots in a row are no token: a progress bar is not held back.
    r"\\?[A-Za-z0-9](?:[A-Za-z0-9_\-+/=~]|\.[A-Za-z0-9_\-])*\.?\z|\\\z",
    r#"(?i:authorization|x-api-key|bearer)["'\\\s:=]{0,12}(?:(?i:bearer|basic|token)\s{0,4})?[A-Za-z0-9._~+/=\-]*\z"#,
    r"-{1,5}(?:BEGIN(?: [A-Z0-9 ]{0,60}(?:-{1,5}(?:[A-Za-z0-9+/=:,. \r\n\t]|-[A-Za-z0-9]|\\+[rnt]?)*(?:-{1,5}(?:E[A-Z0-9 ]*-{0,5})?)?)?)?|B|BE|BEG|BEGI)?\z",
    r#":(?:/|//[^\s/@"'\\]{0,400})?\z"#,
];

fn any_of(shapes: &[&str]) -> Option<Regex> {
    // Bytes, not characters: what agents say need not be UTF-8.
    Regex::new(&format!("(?-u){}", shapes.join("|"))).ok()
}

static WHOLES: LazyLock<Option<Regex>> = LazyLock::new(|| any_of(&WHOLE));
static CONTEXTS: LazyLock<Option<Regex>> = LazyLock::new(|| any_of(&IN_CONTEXT));
static SIGNED: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(SIGNS)
        .ok()
});
static OPENS: LazyLock<Vec<Regex>> =
    LazyLock::new(|| OPEN.iter().filter_map(|shape| any_of(&[shape])).collect());

/// Where secrets of known shapes lie, in no order; they may overlap.
pub(crate) fn spans(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let whole = WHOLES.iter().flat_map(|shapes| shapes.find_iter(bytes));
    let signed = SIGNED.as_ref().is_none_or(|signs| signs.is_match(bytes));
    let contexts = CONTEXTS.iter().filter(move |_| signed);
    let contexts = contexts.flat_map(|shapes| shapes.captures_iter(bytes));
    let inside = contexts.filter_map(|found| {
        let secret = found.iter().skip(1).flatten().next()?;
        let told = secret.as_bytes().iter().any(u8::is_ascii_digit) || in_url(bytes, secret.start());
        told.then(|| secret.range())
    });
    whole.map(|found| found.range()).chain(inside)
}

/// Whether what begins there is the password in an address.
fn in_url(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    before.last() == Some(&b':') && memchr::memmem::rfind(before, b"://").is_some()
}

/// Where a secret of a known shape may have begun that goes on after these bytes; their length if nowhere.
pub(super) fn open_from(bytes: &[u8]) -> usize {
    let begun = OPENS.iter().filter_map(|open| open.find(bytes));
    begun.map(|found| found.start()).min().unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_can_be_read() {
        assert!(WHOLES.is_some() && CONTEXTS.is_some() && SIGNED.is_some());
        assert_eq!(OPENS.len(), OPEN.len());
    }

    #[test]
    fn what_merely_looks_a_little_like_one_is_left_alone() {
        for text in [
            "task-management-system-design-with-100-parts-and-more",
            "sk-learn-is-a-library-of-some-renown",
            "the bearer of this letter is a friend-of-the-family",
            "if text.starts_with(\"-----BEGIN PRIVATE KEY-----\") { return; }",
            "https://example.com:8080/path and git@example.com:owner/repo.git",
            "commit 0123456789abcdef0123456789abcdef01234567",
            "Authorization: Bearer ${TOKEN}",
        ] {
            let found: Vec<_> = spans(text.as_bytes()).map(|s| &text[s]).collect();
            assert_eq!(found, Vec::<&str>::new(), "{text}");
        }
    }
}
