//! The edge of a port: connections are taken within limits, and spoken to in TLS where that is configured. What is said on
//! them is for the fronts.

mod accept;
mod certificate;
mod dial;
mod files;
mod preface;
mod reload;
mod stream;
mod validity;

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use certificate::{ClientAuth, Error, Files};
pub use dial::Dialer;
pub use files::allow_files;
pub use reload::Tls;
pub use stream::Stream;

use crate::{metrics::ports::Counted, model::ids::Source};

/// What one peer, or all together, may take of a port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at once, handshakes included. One more is closed when it comes.
    pub connections: usize,
    /// A TLS handshake and the first bytes of a protocol take no longer.
    pub greeting: Duration,
    /// The head of an HTTP/1.1 request comes within this time after the connection, or after the answer before it.
    pub head: Duration,
    /// A connection over which nothing goes, and on which nothing is asked, ends after this time, or after twice as long.
    pub idle: Duration,
    /// A peer that does not read what is written to it is given up after this time.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            greeting: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        }
    }
}

/// A listener with everything that is decided before a protocol begins.
pub struct Port {
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    siblings: Dialer,
    counted: Counted,
}

impl From<TcpListener> for Port {
    /// Without TLS, under the usual limits.
    fn from(listener: TcpListener) -> Self {
        let (limits, siblings) = (Limits::default(), Dialer::default());
        Self { listener, tls: None, limits, siblings, counted: Counted::default() }
    }
}

impl Port {
    /// Listens on `address`. `name` is the configuration's word for the port: `http`, `grpc`, `ops`.
    ///
    /// # Errors
    /// A sentence with the key that it concerns.
    pub async fn bind(name: &'static str, address: &str, limits: Limits, counted: Counted) -> Result<Self, String> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("{name}.port: cannot listen on {address}: {error}"))?;
        Ok(Self { limits, counted, ..Self::from(listener) })
    }

    /// Speaks TLS with the certificate of `files`, and with the newest good one for as long as `stop` is not cancelled.
    ///
    /// # Errors
    /// [`Error`] with the file and what is wrong with it.
    pub async fn speak_tls(mut self, files: Files, source: &Source, stop: &CancellationToken) -> Result<Self, Error> {
        let tls = Tls::open(files, source.clone(), self.counted.clone()).await?;
        tls.follow(stop.clone());
        self.tls = Some(tls);
        Ok(self)
    }

    /// Ports of this kind on other replicas are called by `dialer`.
    #[must_use]
    pub fn with_siblings(mut self, dialer: Dialer) -> Self {
        self.siblings = dialer;
        self
    }

    /// Under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How ports of this kind on other replicas are called.
    #[must_use]
    pub fn siblings(&self) -> &Dialer {
        &self.siblings
    }

    /// What a peer may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Of the system.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
