//! From a granted URL to a connection: resolve once, judge every address, connect to one of them.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{client::Client, failure::Failure};
use crate::grants::http::{Allowed, Host, admit};

/// More addresses of one name are not looked at.
const ADDRESSES_MAX: usize = 32;

/// Bytes to and from a server.
pub(super) enum Connection {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// # Errors
/// `denied` where an address is refused, `unavailable` where nobody is there or TLS comes to nothing.
pub(super) async fn connect(client: &Client, allowed: &Allowed) -> Result<Connection, Failure> {
    let url = &allowed.entry.url;
    let addresses = addresses(client, url.host()).await?;
    // One refused address refuses all: which of them would be tried is chance.
    let own = client.own();
    for address in &addresses {
        admit(allowed, *address, &own)?;
    }
    let stream = dial(&addresses, url.port())
        .await
        .map_err(|error| Failure::new("unavailable", format!("{url} cannot be connected to: {error}")))?;
    if !url.is_secure() {
        return Ok(Connection::Plain(stream));
    }
    let name = match url.host() {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| Failure::new("invalid", format!("url: no certificate can be for `{name}`")))?,
    };
    let connector = TlsConnector::from(client.trusts.config(&allowed.entry.ca).await?);
    let secure = connector.connect(name, stream).await;
    let secure = secure.map_err(|error| {
        let hint =
            if error.to_string().contains("UnknownIssuer") { "; `ca` in its entry names who signs it" } else { "" };
        Failure::new("unavailable", format!("{url} cannot be spoken to over TLS: {error}{hint}"))
    })?;
    Ok(Connection::Secure(Box::new(secure)))
}

async fn addresses(client: &Client, host: &Host) -> Result<Vec<IpAddr>, Failure> {
    let name = match host {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(name) => name,
    };
    let found = client.resolver.resolve(name).await;
    let mut found =
        found.map_err(|error| Failure::new("unavailable", format!("`{name}` cannot be resolved: {error}")))?;
    found.truncate(ADDRESSES_MAX);
    if found.is_empty() {
        return Err(Failure::new("unavailable", format!("`{name}` has no address")));
    }
    Ok(found)
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

impl Connection {
    /// Where it leads.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
        };
        stream.peer_addr().ok().map(|address| address.ip())
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
