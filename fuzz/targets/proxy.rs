//! What a confined program says to the proxy, and what may be written as a rule. The first byte picks which. A rule
//! that is taken means the same when it is written down and read again; an answer is HTTP, and only hosts that a
//! rule names are taken for allowed.
#![no_main]

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use turno_sandbox::net::allow::{Allowed, Host, HostRule, Name};
use turno_sandbox::net::proxy::probe::{hear, host};
use turno_sandbox::net::proxy::{Addresses, CONTACTS, Resolve, Verdict};

const RULES: [&str; 4] = [
    "api.example.com",
    "*.example.org:8443",
    "example.net:*",
    "a_b.example:80",
];

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_time().build().expect("a runtime"));
}

/// Nothing is connected to: a name has an address of this machine, or none.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve<'a>(&'a self, name: &'a Name) -> Addresses<'a> {
        let found = match name.as_str().len() % 2 {
            0 => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            _ => Err(io::Error::other("no such name")),
        };
        Box::pin(async move { found })
    }
}

fn rules(text: &str) {
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    if let Ok((host, port)) = host(other) {
        let again: Host = host.to_string().parse().expect("a host as it is written");
        assert_eq!(again, host);
        if let Ok(rule) = one.parse::<HostRule>() {
            let again: HostRule = rule.to_string().parse().expect("a rule as it is written");
            assert_eq!(again, rule);
            assert!(!rule.permits(&host, 0));
            let port = port.unwrap_or(443);
            let allowed: Allowed = [rule.clone()].into_iter().collect();
            assert_eq!(allowed.permits(&host, port), rule.permits(&host, port));
        }
    } else if let Err(bad) = one.parse::<HostRule>() {
        assert!(!bad.rule.contains('@'), "{bad}");
    }
}

fn requests(bytes: &[u8]) {
    let rules: Vec<HostRule> = RULES.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let allowed: Allowed = rules.iter().cloned().collect();
    let (answer, seen) =
        RUNTIME.with_borrow_mut(|runtime| runtime.block_on(hear(bytes, allowed.clone(), Nowhere)));
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    assert!(seen.contacts.len() <= CONTACTS);
    for contact in &seen.contacts {
        let listed = allowed.permits(&contact.host, contact.port);
        match contact.verdict {
            Verdict::NotListed => assert!(!listed, "{contact:?}"),
            Verdict::PrivateAddress | Verdict::Unresolved => assert!(listed, "{contact:?}"),
            Verdict::Allowed | Verdict::Unreachable => panic!("nothing can be reached: {contact:?}"),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((which, rest)) if which % 2 == 0 => requests(rest),
        Some((_, rest)) => {
            if let Ok(text) = std::str::from_utf8(rest) {
                rules(text);
            }
        }
        None => {}
    }
});
