//! One GET of a JSON document of the issuer: over TLS or on loopback, bounded, under a deadline, no redirection followed.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

const DEADLINE: Duration = Duration::from_secs(5);
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 32 << 10;

/// The document behind `url`, at most `bytes_max` long.
///
/// # Errors
/// A sentence for the log.
pub(super) async fn get(url: &str, tls: Option<Arc<ClientConfig>>, bytes_max: usize) -> Result<Bytes, String> {
    let uri = address(url)?;
    match timeout(DEADLINE, ask(&uri, tls, bytes_max)).await {
        Ok(outcome) => outcome.map_err(|why| format!("{url}: {why}")),
        Err(_) => Err(format!("{url}: no answer within {} s", DEADLINE.as_secs())),
    }
}

/// A URL that may be asked: https, or http on a loopback address, where nobody is between.
///
/// # Errors
/// A sentence that says what would be right.
pub(super) fn address(url: &str) -> Result<Uri, String> {
    let refused = |why: &str| format!("`{url}` {why}");
    let uri: Uri = url.parse().map_err(|_| refused("is no URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refused("is no URL with scheme and host, such as https://id.example.com"));
    };
    if authority.as_str().contains('@') || url.contains('#') || authority.host().is_empty() {
        return Err(refused("has a user, a fragment or no host"));
    }
    match scheme {
        "https" => Ok(uri),
        "http" if is_loopback(host(&uri)) => Ok(uri),
        "http" => Err(refused("must be an https URL: http is for loopback addresses only")),
        _ => Err(refused("is neither an https URL nor an http one on a loopback address")),
    }
}

/// Without the brackets of an IPv6 address.
fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn ask(uri: &Uri, tls: Option<Arc<ClientConfig>>, bytes_max: usize) -> Result<Bytes, String> {
    let (host, secure) = (host(uri), uri.scheme_str() == Some("https"));
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(|error| format!("no connection: {error}"))?;
    if !secure {
        return exchange(uri, stream, bytes_max).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "no certificate can be for its host".to_owned())?;
    let tls = tls.ok_or("TLS is not set up")?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| format!("no TLS: {error}"))?;
    exchange(uri, stream, bytes_max).await
}

async fn exchange(
    uri: &Uri,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    bytes_max: usize,
) -> Result<Bytes, String> {
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("claiflow-server/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| format!("no HTTP: {error}"))?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|error| format!("no answer: {error}"))?;
        let status = response.status();
        if status != StatusCode::OK {
            let hint = if status.is_redirection() { ", and no redirection is followed" } else { "" };
            return Err(format!("it answers {status}{hint}"));
        }
        let body = Limited::new(response.into_body(), bytes_max).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| format!("its answer is not read to its end: {error}"))
    };
    // The connection ends with the request: whoever drops this drops both.
    tokio::pin!(answered);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answered => answer,
        // However it ended, an answer that came before is one; without, the answer's own error says why.
        _ended = &mut connection => answered.await,
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn only_tls_and_this_machine_are_asked() {
        for (url, right) in [
            ("https://id.example.com", true),
            ("https://id.example.com:8443/realms/main?x=1", true),
            ("http://localhost:8080/a", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:9/x", true),
            ("http://id.example.com", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost@example.com", false),
            ("https://user@id.example.com", false),
            ("https://id.example.com/#a", false),
            ("ftp://id.example.com", false),
            ("id.example.com", false),
            ("/path", false),
            ("https://", false),
            ("", false),
        ] {
            assert_eq!(address(url).is_ok(), right, "{url}");
        }
    }
}
