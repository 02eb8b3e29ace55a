//! Owns what a remote's address says of the forge behind it: its host, and the repository there. It must not reach it:
//! only the user's own settings of ssh are read, in which a host may have another name.

use super::{Means, find, run};
use crate::process::Input;

/// A repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The host, in small letters, without a port.
    pub host: String,
    /// The repository there, such as `owner/name`.
    pub path: String,
}

/// How a remote is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Ssh,
    Other,
}

/// What a remote's address says: `github.com` and `a/b` of `git@github.com:a/b.git` and of `https://github.com/a/b`.
/// Nothing, if that names no repository of a forge.
pub async fn address_of(url: &str, means: &Means<'_>) -> Option<Address> {
    let (via, address) = parsed(url)?;
    if via == Via::Other {
        return Some(address);
    }
    // By ssh the host may be a name that only the user's own settings know.
    let Some(ssh) = find("ssh", means.env) else {
        return Some(address);
    };
    let args = ["-G", "--", address.host.as_str()];
    let host = match run(ssh.into(), &args, Input::Nothing, means).await {
        Ok(said) => hostname(&said).unwrap_or(address.host),
        Err(_) => address.host,
    };
    Some(Address { host, ..address })
}

/// The host of a repository's address.
pub(super) fn host_in(url: &str) -> Option<String> {
    parsed(url).map(|(_, address)| address.host)
}

/// The host that `ssh -G` tells; two forges have one of their own for ssh over another port.
fn hostname(said: &str) -> Option<String> {
    let host = said.lines().find_map(|l| l.strip_prefix("hostname "))?;
    Some(match host.trim().to_ascii_lowercase().as_str() {
        "ssh.github.com" => "github.com".to_owned(),
        "altssh.gitlab.com" => "gitlab.com".to_owned(),
        host => host.to_owned(),
    })
}

fn parsed(url: &str) -> Option<(Via, Address)> {
    let (via, host, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let via = match scheme {
                "file" => return None,
                "ssh" | "git+ssh" | "ssh+git" => Via::Ssh,
                _ => Via::Other,
            };
            let (host, path) = rest.split_once('/')?;
            (via, host, path)
        }
        None => {
            let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            (Via::Ssh, host, path)
        }
    };
    let host = host.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    let named = plain(host) && !host.starts_with('-') && path.contains('/') && path.split('/').all(plain);
    let address = Address {
        host: host.to_ascii_lowercase(),
        path: path.to_owned(),
    };
    named.then_some((via, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_repository_of_a_host() {
        let at = |url| parsed(url).map(|(via, a)| (via, format!("{} {}", a.host, a.path)));
        let is = |via, text: &str| Some((via, text.to_owned()));
        assert_eq!(at("git@github.com:a/b.git"), is(Via::Ssh, "github.com a/b"));
        assert_eq!(
            at("https://me:word@GitLab.example:8443/a/B/c.d/"),
            is(Via::Other, "gitlab.example a/B/c.d")
        );
        assert_eq!(
            at("ssh://git@host.example:22/a/b"),
            is(Via::Ssh, "host.example a/b")
        );
        for none in [
            "/srv/git/a:b.git",
            "file:///srv/a/b.git",
            "../a/b",
            "-oProxyCommand=x:a/b",
            "git@host:b.git",
            "https://host.example",
            "https://host.example/a//b",
        ] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_of_the_users_own_is_followed_to_its_host() {
        let said = "user git\nhostname GitHub.com\nport 22\n";
        assert_eq!(hostname(said).as_deref(), Some("github.com"));
        assert_eq!(
            hostname("hostname ssh.github.com\n").as_deref(),
            Some("github.com")
        );
        assert_eq!(hostname("user git\n"), None);
    }
}
