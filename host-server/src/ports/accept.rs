//! Takes connections. A handshake is done in a task of its own, so that none holds up another.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    Limits, Port, preface,
    stream::{Io, Stream},
};
use crate::metrics::ports::{Counted, Refused};

/// Connections whose greeting is done and that nobody has taken yet.
const QUEUE: usize = 64;
/// After this time a listener that gave none, for instance because no file is free, is asked again.
const PAUSE: Duration = Duration::from_millis(500);

impl Port {
    /// Takes connections until `stop`, and closes the listener then. A connection comes out once the client has said its first
    /// bytes, in TLS where the port speaks it.
    pub(crate) fn open(self, stop: CancellationToken) -> mpsc::Receiver<Stream> {
        let (greeted, connections) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.accept(&greeted) => {}
            }
        });
        connections
    }

    async fn accept(self, greeted: &mpsc::Sender<Stream>) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut is_full = false;
        loop {
            let (socket, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_about_one(&error) => continue,
                Err(error) => {
                    tracing::error!(port = self.counted.port(), %error, "no connection can be taken");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let place = Arc::clone(&places).try_acquire_owned().ok();
            let Some(place) = place else {
                self.counted.refused(Refused::Limit);
                if !is_full {
                    let (port, connections) = (self.counted.port(), self.limits.connections);
                    tracing::warn!(port, connections, "a connection was closed: as many as allowed are open");
                }
                is_full = true;
                continue;
            };
            is_full = false;
            let acceptor = self.tls.as_ref().map(super::Tls::acceptor);
            let (greeted, counted, limits) = (greeted.clone(), self.counted.clone(), self.limits);
            tokio::spawn(async move {
                if let Some(stream) = greet(socket, peer, acceptor, limits, place, &counted).await {
                    // Nobody takes it once the server stops.
                    let _ = greeted.send(stream).await;
                }
            });
        }
    }
}

/// An error of a connection that ended before it was taken.
fn is_about_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn greet(
    socket: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    limits: Limits,
    place: OwnedSemaphorePermit,
    counted: &Counted,
) -> Option<Stream> {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let local = socket.local_addr().ok();
    let greeting = async {
        let mut io = match acceptor {
            None => Io::Plain(socket),
            Some(acceptor) => Io::Tls(Box::new(acceptor.accept(socket).await.map_err(Ungreeted::Handshake)?)),
        };
        let first = preface::read(&mut io).await.map_err(|_| Ungreeted::Silent)?;
        Ok((io, first))
    };
    match timeout(limits.greeting, greeting).await {
        Ok(Ok((io, first))) => Some(Stream::new(io, first, (peer, local), limits.stall, place, counted.open())),
        // Who looks whether the port is open says nothing: that is no error.
        Ok(Err(Ungreeted::Silent)) => None,
        Ok(Err(Ungreeted::Handshake(error))) => {
            tell(&error, peer, counted.port());
            counted.refused(Refused::Handshake);
            None
        }
        Err(_) => {
            tracing::debug!(port = counted.port(), client.address = %peer, "a client said too little in time");
            counted.refused(Refused::Slow);
            None
        }
    }
}

/// Why no protocol could begin.
enum Ungreeted {
    Handshake(io::Error),
    Silent,
}

/// What concerns certificates is for whoever runs the server; the rest is noise of networks.
fn tell(error: &io::Error, peer: SocketAddr, port: &'static str) {
    use tokio_rustls::rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    let cause = error.get_ref().and_then(|error| error.downcast_ref::<tokio_rustls::rustls::Error>());
    if matches!(cause, Some(InvalidCertificate(_) | NoCertificatesPresented | AlertReceived(_))) {
        tracing::info!(port, client.address = %peer, %error, "a TLS handshake failed");
    } else {
        tracing::debug!(port, client.address = %peer, %error, "a TLS handshake failed");
    }
}
