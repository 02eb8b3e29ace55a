//! Owns one connection to the proxy: one request in HTTP, which opens a tunnel or is passed on, or the words why
//! not. It decides nothing of what may be reached, and logs neither headers nor bodies: they hold credentials.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, client, server};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::reach::reach;
use super::seen::Verdict;
use crate::net::allow::Host;

/// The least that the HTTP library wants to be able to hold at once.
const LEAST_BUFFER: usize = 8 << 10;
/// The port of an `http://` URL that names none.
const PLAIN: u16 = 80;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const REFUSED: ReasonPhrase = ReasonPhrase::from_static(b"Refused by Turno's sandbox");

/// A body that the proxy answers with: its own words, or what the server sends.
type Answer = Either<Full<Bytes>, Relayed>;

/// A tunnel that was granted: the program's end, once its connection is done with HTTP, and the server's.
struct Tunnel {
    near: OnUpgrade,
    far: TcpStream,
}

/// Serves one connection until both sides are done with it.
pub(super) async fn serve<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (grant, mut granted) = mpsc::unbounded_channel();
    let service = service_fn(|request| {
        let (shared, grant) = (Arc::clone(&shared), grant.clone());
        async move { Ok::<_, Infallible>(answer(request, &shared, &grant).await) }
    });
    let served = server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.bounds.header)
        .max_header_size(shared.bounds.header_bytes)
        .max_buf_size(shared.bounds.header_bytes.max(LEAST_BUFFER))
        .auto_date_header(false)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        // What it sent may be in the error's sources, so only its kind is told.
        tracing::debug!(
            timeout = error.is_timeout(),
            parse = error.is_parse(),
            "a connection to the sandbox's proxy ended"
        );
        return;
    }
    let Ok(Tunnel { near, mut far }) = granted.try_recv() else {
        return;
    };
    if let Ok(near) = near.await {
        // Either side may break off; there is nobody to tell.
        drop(copy_bidirectional(&mut TokioIo::new(near), &mut far).await);
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
    grant: &mpsc::UnboundedSender<Tunnel>,
) -> Response<Answer> {
    let (host, port) = match target(&request) {
        Ok(target) => target,
        Err(words) => return spoken(StatusCode::BAD_REQUEST, &words),
    };
    let Shared {
        allowed,
        way,
        resolver,
        bounds,
        log,
    } = shared;
    let far = match reach(&host, port, allowed, way, resolver.as_ref(), bounds.connect).await {
        Ok(far) => far,
        Err(refusal) => {
            log.note(&host, port, refusal.verdict());
            let status = match refusal.verdict() {
                Verdict::NotListed | Verdict::PrivateAddress => StatusCode::FORBIDDEN,
                Verdict::Allowed | Verdict::Unresolved | Verdict::Unreachable => StatusCode::BAD_GATEWAY,
            };
            return spoken(status, &refusal.to_string());
        }
    };
    log.note(&host, port, Verdict::Allowed);
    if request.method() != Method::CONNECT {
        return match relay(request, far).await {
            Ok(response) => response,
            Err(_) => spoken(
                StatusCode::BAD_GATEWAY,
                &format!("{host}:{port} was reached, but gave no answer that is HTTP"),
            ),
        };
    }
    // Nobody listens only when the connection is gone, and then the tunnel goes with it.
    drop(grant.send(Tunnel {
        near: hyper::upgrade::on(request),
        far,
    }));
    Response::new(Either::Left(Full::default()))
}

/// The host and port that a request is for, or what is wrong with it.
fn target(request: &Request<Incoming>) -> Result<(Host, u16), String> {
    let uri = request.uri();
    let tunnel = request.method() == Method::CONNECT;
    let Some(authority) = uri.authority() else {
        return Err("this is a proxy: it wants CONNECT host:port, or a whole http:// URL".to_owned());
    };
    if !tunnel && uri.scheme_str() != Some("http") {
        return Err("only http:// is passed on; ask for a tunnel with CONNECT for anything else".to_owned());
    }
    // Not by the parts that the HTTP library sees: it takes a port that is none for a missing one.
    let (host, port) = Host::with_port(authority.as_str()).map_err(|fault| fault.to_string())?;
    match port {
        Some(port) => Ok((host, port)),
        None if tunnel => Err("a tunnel needs a port".to_owned()),
        None => Ok((host, PLAIN)),
    }
}

/// Passes a request on to the server and gives back its answer, of which the body is still under way.
async fn relay(
    request: Request<Incoming>,
    far: TcpStream,
) -> Result<Response<Answer>, Box<dyn Error + Send + Sync>> {
    let (mut parts, body) = request.into_parts();
    let host = HeaderValue::from_str(parts.uri.authority().map_or("", |authority| authority.as_str()))?;
    parts.uri = parts
        .uri
        .path_and_query()
        .map_or(Ok(Uri::from_static("/")), |path| path.as_str().parse())?;
    parts.version = hyper::Version::HTTP_11;
    strip(&mut parts.headers);
    // The body follows at once, whatever the server thinks of the header.
    parts.headers.remove(EXPECT);
    // What the URL says is what was allowed; a server may serve other names too.
    parts.headers.insert(HOST, host);
    parts.headers.insert(CONNECTION, CLOSE);

    let (mut sender, link) = client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake::<_, Incoming>(TokioIo::new(far))
        .await?;
    let link = AbortOnDropHandle::new(tokio::spawn(async move {
        // How it broke off is told by the body that the program reads.
        drop(link.await);
    }));
    let response = sender.send_request(Request::from_parts(parts, body)).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err("it changed the protocol, which nobody asked for".into());
    }
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    parts.headers.insert(CONNECTION, CLOSE);
    Ok(Response::from_parts(
        parts,
        Either::Right(Relayed { body, _link: link }),
    ))
}

/// Removes what is meant for this connection only, and what a program says to its proxy.
fn strip(headers: &mut HeaderMap) {
    let mut names: Vec<HeaderName> = vec![CONNECTION, KEEP_ALIVE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let listed = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    names.extend(
        listed
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok()),
    );
    names.extend(
        headers
            .keys()
            .filter(|name| name.as_str().starts_with("proxy-"))
            .cloned(),
    );
    for name in names {
        headers.remove(name);
    }
}

/// An answer in the proxy's own words.
fn spoken(status: StatusCode, words: &str) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::from(format!("{words}\n"))));
    *response.status_mut() = status;
    // Many a program shows the first line alone.
    response.extensions_mut().insert(REFUSED);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response.headers_mut().insert(CONNECTION, CLOSE);
    response
}

/// The body that a server sends, with the connection it comes by: when the program no longer wants it, both end.
struct Relayed {
    body: Incoming,
    _link: AbortOnDropHandle<()>,
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
