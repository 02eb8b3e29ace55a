//! Owns which hosts a confined program may reach: how they are written, read and compared. It resolves no name and
//! opens no connection.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The port of a rule that names none: HTTPS.
const USUAL: NonZeroU16 = match NonZeroU16::new(443) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};
/// The longest name, and the longest part of one, that DNS knows.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What is wrong with a host as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// Nothing was written where the host belongs.
    #[error("the host is missing")]
    NoHost,
    /// A URL, or a part of one.
    #[error("write the host alone, without scheme, path or query, such as api.example.com:8443")]
    Url,
    /// A name or password before an `@`.
    #[error("a host has no user name or password before it")]
    UserInfo,
    /// A name in another script.
    #[error("the name is not ASCII; write it in punycode, such as xn--bcher-kva.example")]
    NotAscii,
    /// Two dots in a row, or a dot at the start.
    #[error("a part of the name between two dots is empty")]
    EmptyLabel,
    /// A part or the whole is longer than DNS allows.
    #[error("the name is too long: 63 characters between two dots and 253 in all are the most")]
    TooLong,
    /// A character that no host name has.
    #[error("a name holds letters, digits, `-` and `_`, and no part of it begins or ends with `-`")]
    OddCharacter,
    /// An address in a form that programs read differently.
    #[error("the address is not complete; write four decimal numbers, such as 127.0.0.1")]
    OddAddress,
    /// An IPv6 address of which nobody can tell where it ends.
    #[error("write an IPv6 address in brackets, such as [::1]:8080")]
    NoBrackets,
    /// Brackets with something else in them.
    #[error("what is in brackets is no IPv6 address (a zone such as %eth0 cannot be given)")]
    NotIpv6,
    /// A `*` that is not the whole first part of a name.
    #[error(
        "a `*` may only stand first, before a name, such as *.example.com; for all hosts open the network"
    )]
    OddStar,
    /// No port, or none that exists.
    #[error("the port is a number from 1 to 65535, or `*` for any")]
    OddPort,
}

/// A rule that cannot be understood: what was written and why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{rule}` names no host that can be allowed: {fault}")]
pub struct BadRule {
    /// What was written, without what stood before an `@`.
    pub rule: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A host name other than `localhost`, in lower case, without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a sub-domain of the other, of one or more labels.
    fn is_under(&self, parent: &Self) -> bool {
        self.0
            .strip_suffix(&parent.0)
            .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }
}

/// A host as a program names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Host {
    /// The machine itself, by the name `localhost`. It is never looked up.
    Localhost,
    /// A name to be looked up.
    Name(Name),
    /// An address. An IPv4 address in the clothes of IPv6 is kept as IPv4.
    Address(IpAddr),
}

impl Host {
    /// Reads a host with or without a port, as it stands in a request.
    pub(super) fn with_port(text: &str) -> Result<(Self, Option<u16>), Fault> {
        let (host, port) = split(text)?;
        let port = port.map(number).transpose()?;
        Ok((host.parse()?, port.map(NonZeroU16::get)))
    }
}

impl FromStr for Host {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::NoHost);
        }
        if !text.is_ascii() {
            return Err(Fault::NotAscii);
        }
        if text.contains('@') {
            return Err(Fault::UserInfo);
        }
        if text.contains(['/', '?', '#', '\\']) {
            return Err(Fault::Url);
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let inner = bracketed.strip_suffix(']').ok_or(Fault::NotIpv6)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| Fault::NotIpv6)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if text.contains(':') {
            return Err(Fault::NoBrackets);
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        name(text)
    }
}

/// Reads a name, which may end with the dot of the root.
fn name(text: &str) -> Result<Host, Fault> {
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if text.len() > LONGEST_NAME {
        return Err(Fault::TooLong);
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err(Fault::EmptyLabel);
        }
        if label.len() > LONGEST_LABEL {
            return Err(Fault::TooLong);
        }
        if label.contains('*') {
            return Err(Fault::OddStar);
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !label.bytes().all(known) || label.starts_with('-') || label.ends_with('-') {
            return Err(Fault::OddCharacter);
        }
    }
    // `127.1`, `2130706433` and `0x7f.1` are addresses to some programs and names to others.
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) || hexadecimal(last) {
        return Err(Fault::OddAddress);
    }
    Ok(if text == "localhost" {
        Host::Localhost
    } else {
        Host::Name(Name(text))
    })
}

fn hexadecimal(label: &str) -> bool {
    label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::Name(name) => f.write_str(&name.0),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

/// Which hosts one rule names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Hosts {
    One(Host),
    Under(Name),
}

/// Which ports of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Ports {
    One(NonZeroU16),
    Any,
}

/// One line of what may be reached: a host or the sub-domains of one, and a port or all. Written as
/// `api.example.com` (port 443), `api.example.com:8443`, `example.com:*`, `*.example.com`, `127.0.0.1:11434`,
/// `[::1]:8080` or `localhost:3000`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostRule {
    hosts: Hosts,
    ports: Ports,
}

impl HostRule {
    /// Whether this rule lets a program reach that host and port. `localhost` names both addresses of the machine
    /// itself, 127.0.0.1 and ::1.
    #[must_use]
    pub fn permits(&self, host: &Host, port: u16) -> bool {
        let port_fits = match self.ports {
            Ports::One(one) => one.get() == port,
            Ports::Any => port != 0,
        };
        port_fits
            && match (&self.hosts, host) {
                (Hosts::One(Host::Localhost), Host::Address(address)) => {
                    *address == Ipv4Addr::LOCALHOST || *address == Ipv6Addr::LOCALHOST
                }
                (Hosts::One(one), host) => one == host,
                (Hosts::Under(parent), Host::Name(name)) => name.is_under(parent),
                (Hosts::Under(_), Host::Localhost | Host::Address(_)) => false,
            }
    }

    /// The port of 127.0.0.1 that this rule names, if it names one.
    fn loopback_port(&self) -> Option<u16> {
        match (&self.hosts, self.ports) {
            (Hosts::One(Host::Localhost), Ports::One(port)) => Some(port.get()),
            (Hosts::One(Host::Address(address)), Ports::One(port)) if *address == Ipv4Addr::LOCALHOST => {
                Some(port.get())
            }
            (Hosts::One(_) | Hosts::Under(_), _) => None,
        }
    }
}

impl FromStr for HostRule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        // What stands before an `@` may be a password, and an error is shown and kept.
        let shown = text.rsplit('@').next().unwrap_or_default();
        rule(text).map_err(|fault| BadRule {
            rule: shown.to_owned(),
            fault,
        })
    }
}

fn rule(text: &str) -> Result<HostRule, Fault> {
    let (host, port) = split(text)?;
    let hosts = match host.strip_prefix("*.") {
        None => Hosts::One(host.parse()?),
        Some(parent) => match parent.parse()? {
            Host::Name(name) => Hosts::Under(name),
            Host::Localhost | Host::Address(_) => return Err(Fault::OddStar),
        },
    };
    let ports = match port {
        None => Ports::One(USUAL),
        Some("*") => Ports::Any,
        Some(digits) => Ports::One(number(digits)?),
    };
    Ok(HostRule { hosts, ports })
}

/// Splits what stands before the port from the port, if there is one.
fn split(text: &str) -> Result<(&str, Option<&str>), Fault> {
    if !text.is_ascii() {
        return Err(Fault::NotAscii);
    }
    if text.contains('@') {
        return Err(Fault::UserInfo);
    }
    if text.contains(['/', '?', '#', '\\']) {
        return Err(Fault::Url);
    }
    if let Some(end) = text.rfind(']') {
        let port = text[end + 1..].strip_prefix(':');
        return Ok(port.map_or((text, None), |port| (&text[..=end], Some(port))));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Err(Fault::NoBrackets),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

fn number(digits: &str) -> Result<NonZeroU16, Fault> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.parse().map_err(|_| Fault::OddPort)
    } else {
        Err(Fault::OddPort)
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::One(host) => write!(f, "{host}")?,
            Hosts::Under(name) => write!(f, "*.{}", name.0)?,
        }
        match self.ports {
            Ports::One(USUAL) => Ok(()),
            Ports::One(port) => write!(f, ":{port}"),
            Ports::Any => f.write_str(":*"),
        }
    }
}

impl TryFrom<String> for HostRule {
    type Error = BadRule;

    fn try_from(text: String) -> Result<Self, BadRule> {
        text.parse()
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

/// All that may be reached. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowed {
    rules: BTreeSet<HostRule>,
}

impl Allowed {
    /// Whether a rule lets a program reach that host and port.
    #[must_use]
    pub fn permits(&self, host: &Host, port: u16) -> bool {
        self.rules.iter().any(|rule| rule.permits(host, port))
    }

    /// The ports of 127.0.0.1 that are named one by one: those that a bridge is to forward.
    #[must_use]
    pub fn loopback_ports(&self) -> Vec<u16> {
        let ports: BTreeSet<u16> = self.rules.iter().filter_map(HostRule::loopback_port).collect();
        ports.into_iter().collect()
    }

    /// The rules, each once, in order.
    pub fn rules(&self) -> impl Iterator<Item = &HostRule> {
        self.rules.iter()
    }
}

impl FromIterator<HostRule> for Allowed {
    fn from_iter<I: IntoIterator<Item = HostRule>>(rules: I) -> Self {
        Self {
            rules: rules.into_iter().collect(),
        }
    }
}

impl Extend<HostRule> for Allowed {
    fn extend<I: IntoIterator<Item = HostRule>>(&mut self, rules: I) {
        self.rules.extend(rules);
    }
}
