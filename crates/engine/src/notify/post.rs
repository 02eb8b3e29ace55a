//! Owns the client of webhooks: one POST, within a limit, that follows no redirect. It must not know what is sent.

use std::time::Duration;

use turno_core::units::Span;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

use super::means::Failed;
use super::shape::{Letter, signature};
use crate::redact::Redaction;
use crate::secret::Secret;

/// How long a server has for all of it.
const LIMIT: Duration = Duration::from_secs(10);
/// So much of what a server says is shown.
const SAID: usize = 200;
/// A server may ask to be left alone for so long.
const LONGEST: u64 = 3600;

/// What goes with a letter.
pub(super) struct Stamp {
    /// Names the message.
    pub(super) id: String,
    /// What it is signed with.
    pub(super) secret: Option<Secret>,
    /// What opens the address.
    pub(super) token: Option<Secret>,
}

/// Posts a letter. It does not block the caller; a server that hangs is left after ten seconds.
pub(super) async fn post(letter: Letter, stamp: Stamp) -> Result<(), Failed> {
    match tokio::task::spawn_blocking(move || send(&letter, &stamp)).await {
        Ok(done) => done,
        Err(error) => Err(Failed::because(format!("the client broke: {error}"))),
    }
}

fn send(letter: &Letter, stamp: &Stamp) -> Result<(), Failed> {
    let agent = agent(letter.url.reveal().starts_with("https:"));
    let mut request = agent
        .post(letter.url.reveal())
        .header("Content-Type", "application/json")
        .header("Turno-Delivery", &stamp.id);
    if let Some(signed) = stamp.secret.as_ref().and_then(|s| signature(s, &letter.body)) {
        request = request.header("Turno-Signature", signed);
    }
    if let Some(token) = &stamp.token {
        request = request.header("Authorization", format!("Bearer {}", token.reveal()));
    }
    // What goes wrong may name the address, which may be all that it takes to write there.
    let known = [&stamp.secret, &stamp.token].into_iter().flatten().cloned();
    let clean = Redaction::of(known.chain([letter.url.clone()]));
    let answer = request
        .send(letter.body.as_slice())
        .map_err(|e| Failed::because(clean.text(&e.to_string()).into_owned()))?;
    judge(answer, &clean)
}

fn judge(mut answer: http::Response<Body>, clean: &Redaction) -> Result<(), Failed> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = answer.headers().get("Retry-After");
    let after = after.and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok());
    let said = answer
        .body_mut()
        .with_config()
        .limit(4096)
        .read_to_string()
        .unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().collect();
    let said: String = clean
        .text(&words.join(" "))
        .chars()
        .filter(|c| !c.is_control())
        .take(SAID)
        .collect();
    let why = if said.is_empty() {
        format!("it answered {status}")
    } else {
        format!("it answered {status}: {said}")
    };
    Err(Failed {
        why,
        after: after.map(|s| Span::seconds(s.min(LONGEST))),
    })
}

/// A client. The certificates are the machine's own, so that those of a company are believed too.
fn agent(secure: bool) -> Agent {
    let mut config = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("turno/", env!("CARGO_PKG_VERSION")));
    if secure {
        let found = rustls_native_certs::load_native_certs();
        let roots: Vec<Certificate<'static>> = found
            .certs
            .iter()
            .map(|c| Certificate::from_der(c.as_ref()).to_owned())
            .collect();
        // A machine without any, such as a small container, has those that come with the client.
        if !roots.is_empty() {
            let tls = TlsConfig::builder().root_certs(RootCerts::from(roots)).build();
            config = config.tls_config(tls);
        }
    }
    config.build().new_agent()
}
