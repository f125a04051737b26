//! HTTP/1.1 and HTTP/2 on the connections of a port, each under limits of its own.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::Request,
    response::Response,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::ports::{Limits, Port, Stream};

/// The head of an HTTP/1.1 request at most, bytes.
const HEAD_BYTES: usize = 64 << 10;
/// The same of HTTP/2, where a field's name and value count with 32 bytes more.
const HEAD_LIST_BYTES: u32 = 64 << 10;
/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 200;
/// Streams that a client opened and reset again before they were taken; with more the connection ends.
const RESET_STREAMS: usize = 20;
/// Streams that were reset because of the client's mistakes; with more the connection ends.
const MISTAKEN_STREAMS: usize = 64;

/// Serves HTTP until `stop`, then lets open requests end.
///
/// # Errors
/// None at present; a connection's errors are its own.
pub async fn serve(port: impl Into<Port>, router: Router, stop: CancellationToken) -> io::Result<()> {
    let port = port.into();
    let limits = port.limits();
    let builder = builder(limits);
    let (open, mut connections) = (TaskTracker::new(), port.open(stop.clone()));
    while let Some(stream) = connections.recv().await {
        open.spawn(connection(builder.clone(), stream, router.clone(), limits, stop.clone()));
    }
    open.close();
    open.wait().await;
    Ok(())
}

fn builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS)
        .max_local_error_reset_streams(MISTAKEN_STREAMS)
        .max_header_list_size(HEAD_LIST_BYTES);
    builder
}

/// Serves one connection until it ends; after `stop`, until what was asked is answered.
async fn connection(
    builder: Builder<TokioExecutor>,
    stream: Stream,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let (pulse, peer, asked) = (stream.pulse(), stream.peer(), Arc::new(()));
    let service = Asked { router, peer, asked: Arc::clone(&asked) };
    // Each request under way holds one more.
    let idle_holders = Arc::strong_count(&asked);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let mut stopped = pin!(stop.cancelled());
    let mut looks = interval_at(Instant::now() + limits.idle, limits.idle);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_stopped, mut is_leaving, mut beats) = (false, false, None);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(client.address = %peer, error, "a connection ended early");
                }
                return;
            }
            () = &mut stopped, if !is_stopped => {
                is_stopped = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => {
                let now = pulse.beats();
                let is_idle = beats.replace(now) == Some(now) && Arc::strong_count(&asked) <= idle_holders;
                if is_idle && is_leaving {
                    return;
                }
                if is_idle {
                    is_leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Hands requests to the router, with the client's address, and knows whether one is under way.
#[derive(Clone)]
struct Asked {
    router: Router,
    peer: SocketAddr,
    asked: Arc<()>,
}

impl<B> Service<Request<B>> for Asked
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut request, asked) = (request.map(Body::new), Arc::clone(&self.asked));
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let answer = self.router.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(asked);
            answer
        })
    }
}
