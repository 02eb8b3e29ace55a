//! What these tests share.

use turno_sandbox::net::allow::Allowed;

pub(crate) fn allowed(rules: &[&str]) -> Allowed {
    rules.iter().map(|rule| rule.parse().unwrap()).collect()
}
