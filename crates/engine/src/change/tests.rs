//! Owns how tests look: where they are, how one is switched off, how many there are in a file. By the words of the
//! common frameworks; it does not understand the languages.

use std::sync::LazyLock;

pub(crate) use regex::Error as Unreadable;
use regex::bytes::RegexSet;
use turno_core::globs::Globs;

/// Ways to switch a test off, or to leave all the others out.
const OFF: &[&str] = &[
    r"#\[\s*ignore\b",
    r"#\[\s*cfg_attr\(.*\bignore\b",
    r"\b(?:it|test|describe|context|suite|specify)\s*(?:\.\s*\w+\s*)*\.\s*(?:skip|skipIf|runIf|todo|fixme|failing|only)\b",
    r"\b(?:xit|xtest|xdescribe|xcontext|xspecify|fit|fdescribe)\s*[\(\x22'`]",
    r"\b[tb]\s*\.\s*(?:skip|todo)\s*\(",
    r"\b[tbf]\.Skip(?:f|Now)?\s*\(",
    r"@\s*(?:pytest\s*\.\s*)?mark\s*\.\s*(?:skip|skipif|xfail)\b",
    r"\bpytest\s*\.\s*(?:skip|xfail|importorskip)\s*\(",
    r"@\s*(?:unittest\s*\.\s*)?(?:skip|skipIf|skipUnless|expectedFailure)\b",
    r"\.skipTest\s*\(",
    r"@(?:Disabled|Ignore|DisabledOnOs|DisabledIf)\b",
    r"\[\s*(?:Ignore|Explicit)\b",
    r"\[\s*(?:Fact|Theory)\s*\(.*\bSkip\s*=",
    r"\bXCTSkip\w*\b",
    r"\bmarkTest(?:Skipped|Incomplete)\b",
    r"@tag\s+:?skip\b",
    r#"^\s*(?:skip|pending)\s*(?:\(\s*)?["']"#,
];

/// What begins a test.
const BEGINS: &[&str] = &[
    r"#\[\s*(?:\w+\s*::\s*)*(?:test|rstest|test_case|case)\b",
    r"^\s*(?:async\s+)?def\s+test",
    r"^\s*func\s+(?:Test|Benchmark|Fuzz)[A-Z_]",
    r"\b(?:it|test|specify)\s*(?:\.\s*\w+\s*)*\(",
    r"@(?:Parameterized)?Test\b",
    r"\[\s*(?:Fact|Theory|Test|TestCase|TestMethod)\b",
    r"^\s*(?:public\s+)?(?:function|func)\s+test",
    r#"^\s*(?:it|test)\s+["']"#,
];

struct Words {
    off: RegexSet,
    begins: RegexSet,
}

static WORDS: LazyLock<Result<Words, Unreadable>> = LazyLock::new(|| {
    let set = |patterns: &[&str]| RegexSet::new(patterns.iter().map(|p| format!("(?-u){p}")));
    Ok(Words {
        off: set(OFF)?,
        begins: set(BEGINS)?,
    })
});

/// Whether a file holds tests. Rust keeps unit tests in the files that they test.
pub(crate) fn may_hold(globs: &Globs, path: &str) -> bool {
    path.ends_with(".rs") || globs.matches(path)
}

/// Whether a line switches a test off.
///
/// # Errors
/// When the words cannot be read.
pub(crate) fn switches_off(line: &[u8]) -> Result<bool, Unreadable> {
    Ok(WORDS.as_ref().map_err(Clone::clone)?.off.is_match(line))
}

/// How many tests begin in a text, roughly.
///
/// # Errors
/// When the words cannot be read.
pub(crate) fn count(text: &[u8]) -> Result<usize, Unreadable> {
    let begins = &WORDS.as_ref().map_err(Clone::clone)?.begins;
    Ok(super::text::lines(text)
        .filter(|line| begins.is_match(line))
        .count())
}

#[cfg(test)]
mod checks {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("    #[ignore]", true)]
    #[case("#[ignore = \"flaky\"]", true)]
    #[case("#[cfg_attr(unix, ignore)]", true)]
    #[case("it.skip('adds', () => {", true)]
    #[case("test.describe.skip(\"x\", f)", true)]
    #[case("test.only('x', f)", true)]
    #[case("xit('adds', f)", true)]
    #[case("@pytest.mark.skip(reason=\"x\")", true)]
    #[case("@pytest.mark.skipif(True)", true)]
    #[case("    pytest.skip(\"x\")", true)]
    #[case("@unittest.skip", true)]
    #[case("\tt.Skip(\"later\")", true)]
    #[case("\tt.SkipNow()", true)]
    #[case("@Disabled", true)]
    #[case("[Fact(Skip = \"later\")]", true)]
    #[case("  skip \"later\"", true)]
    #[case("let rest = all.iter().skip(1);", false)]
    #[case("# skip the first line", false)]
    #[case("it('skips what is empty', () => {", false)]
    #[case("assert(exit(1));", false)]
    #[case("fn ignored() {}", false)]
    #[case("t.Run(\"x\", f)", false)]
    fn a_test_is_switched_off_or_not(#[case] line: &str, #[case] off: bool) {
        assert_eq!(switches_off(line.as_bytes()).unwrap(), off);
    }

    #[test]
    fn tests_are_counted() {
        let rust = b"#[test]\nfn a() {}\n#[tokio::test]\nasync fn b() {}\nfn test_data() {}\n";
        assert_eq!(count(rust).unwrap(), 2);
        assert_eq!(count(b"def test_a():\n    pass\ndef helper():\n").unwrap(), 1);
        assert_eq!(count(b"it('a', f)\ntest.each(x)('b', f)\nsplit(1)\n").unwrap(), 2);
    }
}
