//! Owns the door to the reading of requests, for fuzz targets and nobody else: one connection without a socket.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};

use super::seen::Log;
use super::serve::serve;
use super::{Allowed, Bounds, Resolve, Seen, Shared};
use crate::net::allow::{Fault, Host};

/// So much of an answer is taken before the connection waits.
const BUFFER: usize = 64 << 10;

/// What a program is answered that says this and then nothing more, and what it is taken to have asked for. What is
/// allowed is connected to, as ever.
pub async fn hear(bytes: &[u8], allowed: Allowed, resolver: impl Resolve) -> (Vec<u8>, Seen) {
    let shared = Arc::new(Shared {
        way: super::Way::Direct,
        allowed,
        resolver: Box::new(resolver),
        bounds: Bounds::default(),
        log: Log::default(),
    });
    let (near, far) = duplex(BUFFER);
    let (mut answers, mut requests) = split(far);
    let mut answer = Vec::new();
    let say = async {
        // It may have gone before everything was said.
        drop(requests.write_all(bytes).await);
        drop(requests.shutdown().await);
    };
    let listen = async { drop(answers.read_to_end(&mut answer).await) };
    tokio::join!(serve(near, Arc::clone(&shared)), say, listen);
    (answer, shared.log.seen())
}

/// The host and port of a request, as a proxy reads them.
///
/// # Errors
/// What is wrong with them.
pub fn host(text: &str) -> Result<(Host, Option<u16>), Fault> {
    Host::with_port(text)
}
