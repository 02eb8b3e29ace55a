//! Owns which hosts an attempt may reach: its provider's, those that the user has listed, and those that the user's
//! own settings of the agent name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use turno_sandbox::net::allow::{Allowed, BadRule, HostRule};

/// A settings file is never larger.
const LARGEST: u64 = 1 << 20;

/// All hosts that may be reached.
///
/// # Errors
/// When a provider's host is none.
pub(crate) fn allowed(listed: &[HostRule], provider: &[&str], told: &[String]) -> Result<Allowed, BadRule> {
    let mut rules: BTreeSet<HostRule> = listed.iter().cloned().collect();
    for text in provider {
        rules.insert(text.parse()?);
    }
    // An address that cannot be read there is the agent's to complain of.
    rules.extend(
        told.iter()
            .flat_map(|text| addresses(text))
            .filter_map(|t| t.parse().ok()),
    );
    Ok(rules.into_iter().collect())
}

/// What the user has told an agent: its variables and arguments, and its settings files.
pub(crate) fn told(
    env: &BTreeMap<String, String>,
    args: &[String],
    files: &[impl AsRef<Path>],
) -> Vec<String> {
    // A proxy of the user's is not a host that is talked to.
    let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
    let variables = env
        .iter()
        .filter(|(name, _)| !is_proxy(name))
        .map(|(_, v)| v.clone());
    let read = |path: &Path| {
        let small = std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
        small.then(|| std::fs::read_to_string(path).ok()).flatten()
    };
    variables
        .chain(args.iter().cloned())
        .chain(files.iter().filter_map(|p| read(p.as_ref())))
        .collect()
}

/// The hosts and ports of the addresses in a text.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (scheme, port) in [("http://", 80), ("https://", 443)] {
        for after in text.split(scheme).skip(1) {
            let end = after
                .find(|c: char| !(c.is_ascii_alphanumeric() || "-._:[]@%".contains(c)))
                .unwrap_or(after.len());
            let host = after[..end].rsplit('@').next().unwrap_or_default();
            let host = host.trim_end_matches(['.', ':']);
            let has_port = host.rsplit_once(':').is_some_and(|(before, digits)| {
                !digits.is_empty()
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && (!before.contains(':') || before.ends_with(']'))
            });
            if host.is_empty() {
                continue;
            }
            found.push(if has_port {
                host.to_owned()
            } else {
                format!("{host}:{port}")
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("https://api.example.com/v1", &["api.example.com:443"])]
    #[case("http://127.0.0.1:11434", &["127.0.0.1:11434"])]
    #[case("base_url = \"http://localhost:8080/v1\"\nx = 'https://a.example'", &["localhost:8080", "a.example:443"])]
    #[case("http://[::1]:9/x", &["[::1]:9"])]
    #[case("https://user:word@host.example:8443/", &["host.example:8443"])]
    #[case("no address, httpx://no", &[])]
    #[case("https:///path", &[])]
    fn addresses_are_found(#[case] text: &str, #[case] wanted: &[&str]) {
        assert_eq!(addresses(text), wanted);
    }

    #[test]
    fn everything_that_was_named_is_allowed() {
        let listed = ["registry.example".parse().unwrap()];
        let told = ["base = http://localhost:8080/v1 and http://]".to_owned()];
        let allowed = allowed(&listed, &["api.example"], &told).unwrap();
        let rules: Vec<String> = allowed.rules().map(ToString::to_string).collect();
        assert_eq!(rules.len(), 3, "{rules:?}");
        assert_eq!(allowed.loopback_ports(), [8080]);
    }
}
