//! Owns the way through an HTTP proxy of the person's own: its address, what goes around it, and asking it for a tunnel.
//! What may be reached at all is decided before. Its password is never shown.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service as _;

use crate::net::allow::Host;

/// Why an address is no proxy that can be gone through. Nothing of the address is repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadUpstream {
    /// It is no address.
    #[error("it is no address; write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT")]
    NoAddress,
    /// It is spoken to in another way.
    #[error("only a proxy at http:// can be gone through (it may carry https all the same)")]
    OtherScheme,
}

/// A proxy of the person's own. Written down it holds its password: it goes into no file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Upstream {
    /// Where it is, without credentials.
    at: Uri,
    credentials: Option<Credentials>,
    around: Vec<Around>,
}

/// How one proves oneself to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Credentials {
    /// What proves it, as it is and as it is spelled in the address.
    secrets: Vec<String>,
    basic: String,
}

/// What is reached without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Around {
    Everything,
    /// A name, with all below it.
    Name(String),
    /// Addresses that have so many first bits in common with this one.
    Network(IpAddr, u8),
}

/// The same in words, to be handed on.
#[derive(Serialize, Deserialize)]
struct Written {
    at: String,
    credentials: Option<Credentials>,
    around: Vec<Around>,
}

impl From<Upstream> for Written {
    fn from(upstream: Upstream) -> Self {
        Self {
            at: upstream.at.to_string(),
            credentials: upstream.credentials,
            around: upstream.around,
        }
    }
}

impl TryFrom<Written> for Upstream {
    type Error = BadUpstream;

    fn try_from(written: Written) -> Result<Self, BadUpstream> {
        Ok(Self {
            at: written.at.parse().map_err(|_| BadUpstream::NoAddress)?,
            credentials: written.credentials,
            around: written.around,
        })
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("at", &self.at)
            .field("around", &self.around)
            .finish_non_exhaustive()
    }
}

/// Its host and port, for people.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.authority() {
            Some(authority) => f.write_str(authority.as_str()),
            None => f.write_str("your proxy"),
        }
    }
}

impl FromStr for Upstream {
    type Err = BadUpstream;

    fn from_str(text: &str) -> Result<Self, BadUpstream> {
        let text = text.trim();
        // As it is usual for these variables, http is meant where nothing is said.
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(BadUpstream::OtherScheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = Host::with_port(place).map_err(|_| BadUpstream::NoAddress)?;
        let port = port.unwrap_or(80);
        Ok(Self {
            at: format!("http://{host}:{port}")
                .parse()
                .map_err(|_| BadUpstream::NoAddress)?,
            credentials: user.map(Credentials::new),
            around: Vec::new(),
        })
    }
}

impl Credentials {
    fn new(user_info: &str) -> Self {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, spelled) = user_info.split_once(':').unwrap_or((user_info, ""));
        let password = decoded(spelled);
        // Where there is no password a token stands for the user.
        let secret = if spelled.is_empty() { user } else { spelled };
        Self {
            basic: BASE64_STANDARD.encode(format!("{}:{password}", decoded(user))),
            secrets: vec![secret.to_owned(), decoded(secret)],
        }
    }
}

impl Upstream {
    /// The same, gone around for what a list like that of `NO_PROXY` names: names with all below them, addresses,
    /// networks, or `*`. What cannot be read in it names nothing.
    #[must_use]
    pub fn around(mut self, list: &str) -> Self {
        let entries = list.split([',', ' ']).map(str::trim).filter(|e| !e.is_empty());
        self.around = entries.filter_map(Around::read).collect();
        self
    }

    /// What must not be written down.
    pub fn secrets(&self) -> Vec<String> {
        let known = self.credentials.iter();
        known
            .flat_map(|c| c.secrets.iter().chain([&c.basic]).cloned())
            .filter(|secret| !secret.is_empty())
            .collect()
    }

    /// Whether a host is reached through it. This machine's own are not: there, they would be the proxy's.
    pub(super) fn carries(&self, host: &Host) -> bool {
        let own = match host {
            Host::Localhost => true,
            Host::Address(address) => address.is_loopback(),
            Host::Name(_) => false,
        };
        !own && !self.around.iter().any(|around| around.holds(host))
    }

    /// A tunnel to a host, or why there is none.
    pub(super) async fn tunnel(
        &self,
        host: &Host,
        port: u16,
        patience: Duration,
    ) -> Result<TcpStream, String> {
        let failed = |why: &dyn fmt::Display| format!("your proxy {self} gave no tunnel: {why}");
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut tunnel = Tunnel::new(self.at.clone(), connector);
        if let Some(Credentials { basic, .. }) = &self.credentials {
            let header = HeaderValue::from_str(&format!("Basic {basic}")).map_err(|e| failed(&e))?;
            tunnel = tunnel.with_auth(header);
        }
        let to: Uri = format!("http://{host}:{port}").parse().map_err(|e| failed(&e))?;
        match timeout(patience, tunnel.call(to)).await {
            Ok(Ok(stream)) => Ok(stream.into_inner()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&format!("no answer within {} s", patience.as_secs_f32()))),
        }
    }
}

impl Around {
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        let (front, bits) = match entry.split_once('/') {
            Some((front, bits)) => (front, Some(bits.parse::<u8>().ok()?)),
            None => (entry, None),
        };
        let bare = front.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let all = match address {
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) => 128,
            };
            let bits = bits.unwrap_or(all);
            return (bits <= all).then_some(Self::Network(address, bits));
        }
        let name = front
            .trim_start_matches("*.")
            .trim_matches('.')
            .to_ascii_lowercase();
        (bits.is_none() && !name.is_empty()).then_some(Self::Name(name))
    }

    fn holds(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Name(name), Host::Name(host)) => host
                .as_str()
                .strip_suffix(name.as_str())
                .is_some_and(|front| front.is_empty() || front.ends_with('.')),
            (Self::Network(network, bits), Host::Address(address)) => same_bits(*network, *address, *bits),
            (Self::Name(_), Host::Localhost | Host::Address(_))
            | (Self::Network(..), Host::Localhost | Host::Name(_)) => false,
        }
    }
}

/// Whether the first bits of two addresses are the same.
fn same_bits(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://proxy.example:3128", "proxy.example:3128")]
    #[case("http://proxy.example/", "proxy.example:80")]
    #[case("proxy.example:3128", "proxy.example:3128")]
    #[case("HTTP://user:pass%40word@10.0.0.1:8080", "10.0.0.1:8080")]
    #[case("http://[::1]:8080", "[::1]:8080")]
    fn an_address_is_read(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(text.parse::<Upstream>().unwrap().to_string(), shown);
    }

    #[rstest]
    #[case("socks5://proxy.example:1080", BadUpstream::OtherScheme)]
    #[case("https://proxy.example", BadUpstream::OtherScheme)]
    #[case("http://", BadUpstream::NoAddress)]
    #[case("http://proxy.example:x", BadUpstream::NoAddress)]
    fn what_is_no_proxy_is_refused(#[case] text: &str, #[case] why: BadUpstream) {
        assert_eq!(text.parse::<Upstream>(), Err(why));
    }

    #[test]
    fn a_password_is_known_and_never_shown() {
        let upstream: Upstream = "http://ann:open%20sesame@proxy.example:3128".parse().unwrap();
        assert_eq!(
            upstream.secrets(),
            ["open%20sesame", "open sesame", "YW5uOm9wZW4gc2VzYW1l"],
            "as it is spelled, as it is, and as it is sent"
        );
        let shown = format!("{upstream} {upstream:?}");
        assert!(!shown.contains("sesame") && !shown.contains("YW5u"), "{shown}");
    }

    #[rstest]
    #[case("api.example", true)]
    #[case("inner.example", false)]
    #[case("a.inner.example", false)]
    #[case("notinner.example", true)]
    #[case("10.1.2.3", false)]
    #[case("11.1.2.3", true)]
    #[case("192.0.2.7", false)]
    #[case("192.0.2.8", true)]
    #[case("[fd00::1]", false)]
    #[case("[fe00::1]", true)]
    #[case("localhost", false)]
    #[case("127.0.0.9", false)]
    fn some_hosts_are_reached_without_it(#[case] host: &str, #[case] through: bool) {
        let upstream: Upstream = "http://proxy.example:3128".parse().unwrap();
        let upstream = upstream.around(".inner.example, 10.0.0.0/8,192.0.2.7 fd00::/8,,what/ever");
        assert_eq!(upstream.carries(&host.parse().unwrap()), through);
    }

    #[test]
    fn a_star_goes_around_all() {
        let upstream: Upstream = "http://proxy.example:3128".parse().unwrap();
        assert!(!upstream.around("*").carries(&"api.example".parse().unwrap()));
    }
}
