//! Owns the way from a host that was asked for to a connection with it: whether it is allowed, which addresses it
//! has, which of them may be used, and the connection to exactly those. It knows no HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Way;
use super::seen::Verdict;
use crate::net::allow::{Allowed, Host, Name};

/// How many addresses of one host are tried.
const TRIED: usize = 4;

/// The addresses of a name, or why there are none.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows the addresses of names.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, best first. They are judged afterwards: no resolver is trusted.
    fn resolve<'a>(&'a self, name: &'a Name) -> Addresses<'a>;
}

/// The resolver of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a Name) -> Addresses<'a> {
        Box::pin(async move {
            // The port is of no account here, but the lookup takes one.
            let found = lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a host is not reached. The words are for who reads the answer of the proxy, often an agent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error(
        "Turno's sandbox does not let this attempt reach {0}:{1}; allow it with network.allow in turno.toml"
    )]
    NotListed(Host, u16),
    #[error(
        "Turno's sandbox does not let this attempt reach {0}:{1}: the name stands for {2}, an address of this machine \
         or its own network; allow that address itself with network.allow in turno.toml if this is meant"
    )]
    PrivateAddress(Host, u16, IpAddr),
    #[error("{0}:{1} is allowed, but its name has no address: {2}")]
    Unresolved(Host, u16, String),
    #[error("{0}:{1} is allowed, but cannot be reached: {2}")]
    Unreachable(Host, u16, String),
}

impl Refusal {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::NotListed(..) => Verdict::NotListed,
            Self::PrivateAddress(..) => Verdict::PrivateAddress,
            Self::Unresolved(..) => Verdict::Unresolved,
            Self::Unreachable(..) => Verdict::Unreachable,
        }
    }
}

/// Connects to a host if that is allowed, by this way. `patience` is for looking it up, and again for connecting.
pub(super) async fn reach(
    host: &Host,
    port: u16,
    allowed: &Allowed,
    way: &Way,
    resolver: &dyn Resolve,
    patience: Duration,
) -> Result<TcpStream, Refusal> {
    if !allowed.permits(host, port) {
        return Err(Refusal::NotListed(host.clone(), port));
    }
    match way {
        // Its names are not looked up here: where the person's machine sees no other way out, it knows none.
        Way::Through(upstream) if upstream.carries(host) => {
            let tunnel = upstream.tunnel(host, port, patience).await;
            return tunnel.map_err(|why| Refusal::Unreachable(host.clone(), port, why));
        }
        Way::Through(_) | Way::Direct => {}
    }
    let addresses = match host {
        Host::Localhost => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        // A server on "localhost" may listen on ::1 alone; whoever allowed the name meant that one too.
        Host::Address(address)
            if *address == Ipv4Addr::LOCALHOST && allowed.permits(&Host::Localhost, port) =>
        {
            vec![*address, IpAddr::V6(Ipv6Addr::LOCALHOST)]
        }
        Host::Address(address) => vec![*address],
        Host::Name(name) => usable(host, name, port, allowed, resolver, patience).await?,
    };
    connect(host, port, &addresses, patience).await
}

/// The addresses of a name that may be used: public ones, and those that a rule names themselves. A name is not
/// trusted to stand for what it stood for when it was allowed: whoever owns it could point it at this machine.
async fn usable(
    host: &Host,
    name: &Name,
    port: u16,
    allowed: &Allowed,
    resolver: &dyn Resolve,
    patience: Duration,
) -> Result<Vec<IpAddr>, Refusal> {
    let unresolved = |why: String| Refusal::Unresolved(host.clone(), port, why);
    let found = match timeout(patience, resolver.resolve(name)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(unresolved(error.to_string())),
        Err(_) => {
            return Err(unresolved(format!(
                "no answer within {} s",
                patience.as_secs_f32()
            )));
        }
    };
    let found: Vec<IpAddr> = found.into_iter().map(|address| address.to_canonical()).collect();
    let Some(first) = found.first().copied() else {
        return Err(unresolved("the answer is empty".to_owned()));
    };
    let usable: Vec<IpAddr> = found
        .into_iter()
        .filter(|address| is_public(*address) || allowed.permits(&Host::Address(*address), port))
        .take(TRIED)
        .collect();
    if usable.is_empty() {
        Err(Refusal::PrivateAddress(host.clone(), port, first))
    } else {
        Ok(usable)
    }
}

/// Connects to the first of the addresses that answers.
async fn connect(
    host: &Host,
    port: u16,
    addresses: &[IpAddr],
    patience: Duration,
) -> Result<TcpStream, Refusal> {
    let tries = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    // Each has its share, so that one that swallows everything does not use up the time of the next.
    let share = patience / tries;
    let mut why = String::from("it has no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => {
                // A tunnel carries many small pieces; waiting to join them only costs time. It works without, too.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("no answer within {} s", share.as_secs_f32()),
        }
    }
    Err(Refusal::Unreachable(host.clone(), port, why))
}

/// Whether an address is one of the internet: not of this machine, not of a network around it, not of many at once.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    // 100.64/10 is the inside of providers and of overlay networks; clouds answer with credentials there, too.
    let shared = a == 100 && (64..128).contains(&b);
    !(a == 0
        || a >= 240
        || shared
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // ::/96, with :: and ::1 in it.
        (0, 0) if [c, d, e, f] == [0; 4] => false,
        // Translated to IPv4 by the network (NAT64, and its form for one's own use) or by a tunnel (6to4).
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => embedded(g, h),
        (0x64, 0xff9b) => false,
        (0x2002, _) => embedded(b, c),
        // Link-local fe80::/10 and the older site-local fec0::/10; unique-local fc00::/7; multicast ff00::/8.
        _ => a & 0xff80 != 0xfe80 && a & 0xfe00 != 0xfc00 && a & 0xff00 != 0xff00,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("93.184.216.34", true)]
    #[case("172.32.0.1", true)]
    #[case("100.128.0.1", true)]
    #[case("2606:2800:220:1::1", true)]
    #[case("64:ff9b::5db8:d822", true)]
    #[case("2002:5db8:d822::1", true)]
    #[case("0.0.0.0", false)]
    #[case("0.1.2.3", false)]
    #[case("127.0.0.1", false)]
    #[case("127.255.0.9", false)]
    #[case("10.1.2.3", false)]
    #[case("172.16.0.1", false)]
    #[case("192.168.1.1", false)]
    #[case("169.254.169.254", false)]
    #[case("100.100.100.200", false)]
    #[case("224.0.0.1", false)]
    #[case("240.0.0.1", false)]
    #[case("255.255.255.255", false)]
    #[case("::", false)]
    #[case("::1", false)]
    #[case("::127.0.0.1", false)]
    #[case("::ffff:127.0.0.1", false)]
    #[case("::ffff:93.184.216.34", true)]
    #[case("64:ff9b::7f00:1", false)]
    #[case("64:ff9b:1::1", false)]
    #[case("2002:7f00:1::1", false)]
    #[case("fe80::1", false)]
    #[case("fec0::1", false)]
    #[case("fd00:ec2::254", false)]
    #[case("ff02::1", false)]
    fn addresses_are_judged(#[case] address: IpAddr, #[case] public: bool) {
        assert_eq!(is_public(address), public);
    }
}
