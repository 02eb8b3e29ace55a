//! Owns what secrets look like. Known shapes only: a key of a shape of its own is found, a password in plain words is
//! not. What is found is never told whole.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};

/// A name for people, and how such a thing is written.
const SHAPES: &[(&str, &str)] = &[
    ("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    (
        "an AWS secret key",
        r#"(?i)aws.{0,20}(?:secret|private).{0,20}[=:]\s*["']?([a-z0-9/+]{40})(?:[^a-z0-9/+=]|$)"#,
    ),
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    ("a GitHub token", r"\bgithub_pat_[A-Za-z0-9_]{50,255}"),
    (
        "a GitLab token",
        r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|imt|oas)-[A-Za-z0-9_.-]{20,}",
    ),
    ("a Slack token", r"\bxox[abeoprs]-(?:\d-)?[A-Za-z0-9-]{20,}"),
    ("a Slack token", r"\bxapp-\d-[A-Za-z0-9-]{20,}"),
    (
        "a Slack webhook",
        r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{40,}",
    ),
    ("a Stripe key", r"\b[rs]k_(?:live|test|prod)_[A-Za-z0-9]{16,}"),
    ("a Stripe webhook secret", r"\bwhsec_[A-Za-z0-9+/]{32,}"),
    ("an Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    (
        "an OpenAI key",
        r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}",
    ),
    ("an OpenAI key", r"\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b"),
    ("an OpenAI key", r"\bsk-[A-Za-z0-9]{48}\b"),
    ("an OpenRouter key", r"\bsk-or-(?:v1-)?[A-Za-z0-9]{32,}"),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a Google OAuth token", r"\bya29\.[A-Za-z0-9_-]{30,}"),
    ("a Google OAuth secret", r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{34,}\b"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    ("a crates.io token", r"\bcio[A-Za-z0-9]{32}\b"),
    ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("a DigitalOcean token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    (
        "a private key",
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    ),
    ("a PuTTY private key", r"PuTTY-User-Key-File-\d"),
    ("an age secret key", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    (
        "a JSON web token",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    ),
];

/// So many different characters a real key has at least; `xxxx` stands for one and is none.
const VARIETY: usize = 8;

struct Shapes {
    any: RegexSet,
    each: Vec<(&'static str, Regex)>,
}

impl Shapes {
    fn new() -> Result<Self, regex::Error> {
        let ascii = |pattern: &str| format!("(?-u){pattern}");
        let each = SHAPES.iter().map(|(name, p)| Ok((*name, Regex::new(&ascii(p))?)));
        Ok(Self {
            any: RegexSet::new(SHAPES.iter().map(|(_, p)| ascii(p)))?,
            each: each.collect::<Result<_, regex::Error>>()?,
        })
    }
}

static SHAPES_READ: LazyLock<Result<Shapes, regex::Error>> = LazyLock::new(Shapes::new);

/// What secrets there are in a line, in words: what each is and how it begins, never more.
///
/// # Errors
/// When the shapes cannot be read, so that nothing can be said of the line.
pub(crate) fn secrets(line: &[u8]) -> Result<Vec<String>, regex::Error> {
    let shapes = SHAPES_READ.as_ref().map_err(Clone::clone)?;
    let mut found = Vec::new();
    for index in shapes.any.matches(line) {
        let Some((name, regex)) = shapes.each.get(index) else {
            continue;
        };
        for captures in regex.captures_iter(line) {
            let Some(secret) = captures.iter().flatten().last().map(|m| m.as_bytes()) else {
                continue;
            };
            let words = format!("{name}, beginning with `{}`", beginning(secret));
            if !stands_for_one(secret) && !found.contains(&words) {
                found.push(words);
            }
        }
    }
    Ok(found)
}

/// The first four characters.
fn beginning(secret: &[u8]) -> String {
    String::from_utf8_lossy(secret).chars().take(4).collect()
}

/// Whether it is written in the place of a key, as in a manual.
fn stands_for_one(secret: &[u8]) -> bool {
    let variety: BTreeSet<u8> = secret.iter().copied().collect();
    secret.ends_with(b"EXAMPLE") || secret.ends_with(b"EXAMPLEKEY") || variety.len() < VARIETY
}

#[cfg(test)]
mod checks {
    use rstest::rstest;

    use super::*;

    /// Made of parts, so that no whole one stands in this file.
    const BODY: &str = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2bC3dE4fG5hJ6kL7mN8pQ9";

    fn body(many: usize) -> &'static str {
        &BODY[..many]
    }

    #[rstest]
    #[case("an AWS access key", format!("AKI{}", "AQ2WE3RT4YU5IO6PA"))]
    #[case("an AWS secret key", format!("aws_secret_access_key = \"{}\"", body(40)))]
    #[case("a GitHub token", format!("gh{}{}", "p_", body(36)))]
    #[case("a GitHub token", format!("github_{}{}", "pat_", body(55)))]
    #[case("a GitLab token", format!("gl{}{}", "pat-", body(20)))]
    #[case("a Slack token", format!("xo{}{}", "xb-123456789012-", body(24)))]
    #[case("a Stripe key", format!("sk_{}{}", "live_", body(24)))]
    #[case("an Anthropic key", format!("sk-{}{}", "ant-api03-", body(40)))]
    #[case("an OpenAI key", format!("sk-{}{}", "proj-", body(40)))]
    #[case("a Google API key", format!("AI{}{}", "za", body(35)))]
    #[case("an npm token", format!("np{}{}", "m_", body(36)))]
    #[case("a private key", format!("-----BEGIN {} KEY-----", "RSA PRIVATE"))]
    #[case("a private key", format!("-----BEGIN {} KEY-----", "PRIVATE"))]
    #[case("a private key", format!("-----BEGIN {} KEY BLOCK-----", "PGP PRIVATE"))]
    #[case("a JSON web token", format!("ey{0}.ey{0}.{0}", "JhbGciOiJIUzI1NiJ9"))]
    fn a_known_shape_is_found_and_not_told(#[case] name: &str, #[case] secret: String) {
        for line in [
            secret.clone(),
            format!("let key = \"{secret}\";"),
            format!("  key: {secret}\r"),
        ] {
            let found = secrets(line.as_bytes()).unwrap();
            assert_eq!(found.len(), 1, "{found:?} in {line}");
            assert!(found[0].starts_with(name), "{found:?}");
            let (_, beginning) = found[0].rsplit_once("with ").unwrap();
            assert_eq!(beginning.trim_matches('`').chars().count(), 4, "{found:?}");
            assert!(!found[0].contains(&secret[secret.len() - 10..]), "{found:?}");
        }
    }

    #[rstest]
    #[case("AKIAIOSFODNN7EXAMPLE")]
    #[case("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    #[case("let token = std::env::var(\"GITHUB_TOKEN\")?;")]
    #[case("-----BEGIN PUBLIC KEY-----")]
    #[case("-----BEGIN CERTIFICATE-----")]
    #[case("sk-learn is a library; sk-proj-short")]
    #[case("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    #[case("aws s3 cp secret/ s3://bucket --recursive")]
    #[case("the form is eyJhbGciOi.eyJ.sig")]
    fn what_is_no_secret_is_not_found(#[case] line: &str) {
        assert_eq!(secrets(line.as_bytes()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn two_on_a_line_are_two() {
        let line = format!("AKI{} gh{}{}", "AQ2WE3RT4YU5IO6PA", "o_", body(36));
        assert_eq!(secrets(line.as_bytes()).unwrap().len(), 2);
    }
}
