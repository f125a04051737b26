//! One attempt: resolve once, judge every address, connect to one of those, send, and read the answer's beginning. No redirect is
//! followed, no proxy is asked.

use std::{
    io::{self, Write as _},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::{address::admit, network::Network, resolve::Resolve, sign::signature, target::Target};
use crate::{
    app::chain,
    app::webhook::{Headers, is_own_header},
    model::{duration, webhook::Webhook},
};

/// For an attempt of a webhook that says no time.
const USUAL: Duration = Duration::from_secs(30);
/// More addresses of one name are not looked at.
const ADDRESSES_MAX: usize = 32;
const CONNECT: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 100;
const BUFFER_MAX_BYTES: usize = 64 << 10;
/// Of an answer no more is read.
const ANSWER_MAX_BYTES: usize = 64 << 10;
const AGENT: &str = concat!("claiflow/", env!("CARGO_PKG_VERSION"));

/// Why an attempt failed. Nothing of it is secret: the URL's path, headers and bodies are left out.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    /// The receiver's answer, where there was one.
    pub(super) code: Option<u16>,
    /// The receiver did not answer, or said that it cannot: others wait for it in vain too.
    pub(super) is_deaf: bool,
}

impl Failure {
    fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, is_deaf: false }
    }

    fn deaf(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, is_deaf: true }
    }
}

/// Sends for all webhooks.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) allowed: Arc<[Network]>,
    pub(super) tls: Arc<ClientConfig>,
}

/// How long one attempt for a webhook may take, from the name to the answer's end.
pub(super) fn time_of(webhook: &Webhook) -> Duration {
    duration::parse(&webhook.timeout).ok().filter(|time| !time.is_zero()).unwrap_or(USUAL)
}

impl Sender {
    /// Sends a document; the receiver's answer when it took it, which is a status of 200 to 399.
    pub(super) async fn send(&self, webhook: &Webhook, id: &str, now_s: i64, document: &str) -> Result<u16, Failure> {
        let limit = time_of(webhook);
        match timeout(limit, self.attempt(webhook, id, now_s, document)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::deaf(format!("there was no whole answer within {}", duration::text(limit)))),
        }
    }

    async fn attempt(&self, webhook: &Webhook, id: &str, now_s: i64, document: &str) -> Result<u16, Failure> {
        let target = Target::parse(&webhook.url).map_err(Failure::refused)?;
        let request = request(webhook, &target, id, now_s, document)?;
        let stream = self.connect(&target).await?;
        if !target.is_secure {
            return exchange(stream, request).await;
        }
        let name = match target.address() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(target.host.clone())
                .map_err(|_| Failure::refused("`url` names a host for which there can be no certificate"))?,
        };
        let secure = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(|error| {
            let hint = if error.to_string().contains("UnknownIssuer") {
                "; `webhook.caFile` names who else may sign"
            } else {
                ""
            };
            Failure::deaf(format!("{} cannot be spoken to over TLS: {error}{hint}", target.host))
        })?;
        exchange(secure, request).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Failure> {
        let addresses = match target.address() {
            Some(address) => vec![address],
            None => {
                let found = self.resolver.resolve(&target.host).await;
                let mut found =
                    found.map_err(|error| Failure::deaf(format!("`{}` cannot be resolved: {error}", target.host)))?;
                found.truncate(ADDRESSES_MAX);
                found
            }
        };
        // One refused address refuses all: which of them would be tried is chance.
        for address in &addresses {
            admit(*address, &self.allowed).map_err(|why| {
                Failure::refused(format!(
                    "{} leads to {address}: it {why}; `webhook.allowAddresses` would have to allow it",
                    target.host
                ))
            })?;
        }
        let dialled = timeout(CONNECT, dial(&addresses, target.port)).await;
        dialled
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| Failure::deaf(format!("{}:{} cannot be connected to: {error}", target.host, target.port)))
    }
}

/// To the first that answers.
async fn dial(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect((*address, port)).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(
    webhook: &Webhook,
    target: &Target,
    id: &str,
    now_s: i64,
    document: &str,
) -> Result<Request<Full<Bytes>>, Failure> {
    let wrong = |_| Failure::refused("the webhook's method or URL cannot be sent");
    let body = gzip(document).map_err(|error| Failure::refused(format!("the document was not compressed: {error}")))?;
    let mut request = Request::builder()
        .method(webhook.method.as_str())
        .uri(target.path.as_str())
        .header(header::HOST, &target.authority)
        .header(header::USER_AGENT, AGENT)
        .body(Full::new(Bytes::from(body)))
        .map_err(wrong)?;
    let headers = request.headers_mut();
    let own: Headers = webhook.headers.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for (name, values) in own.iter().filter(|(name, _)| !is_own_header(&name.to_ascii_lowercase())) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        headers.remove(&name);
        for value in values.iter().filter_map(|value| HeaderValue::from_str(value).ok()) {
            headers.append(&name, value);
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert("webhook-timestamp", HeaderValue::from(now_s));
    let said = [
        ("webhook-id", Some(id.to_owned())),
        ("webhook-signature", signature(webhook.secrets.as_deref(), id, now_s, document.as_bytes())),
    ];
    for (name, value) in said {
        headers
            .extend(value.and_then(|value| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))));
    }
    Ok(request)
}

fn gzip(document: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document.as_bytes())?;
    encoder.finish()
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Failure::deaf(format!("the receiver gave no answer: {}", chain(&error)));
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER_MAX_BYTES);
    let (mut sender, driver) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // How it ends is told to whoever reads the answer.
    let _driven = AbortOnDropHandle::new(tokio::spawn(async move { drop(driver.await) }));
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    // What the receiver says is of no use here; that it says it to the end shows that it is done.
    let (mut body, mut read) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { break };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > ANSWER_MAX_BYTES {
            break;
        }
    }
    judged(status)
}

fn judged(status: StatusCode) -> Result<u16, Failure> {
    let code = status.as_u16();
    if (200..400).contains(&code) {
        return Ok(code);
    }
    let is_deaf = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Err(Failure { message: format!("the receiver answered {code}"), code: Some(code), is_deaf })
}
