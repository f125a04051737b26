//! Streams where they last, requests where they do not: some proxies end every stream after seconds, or never open one.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use claiflow_proto::agent::v1::{AgentMessage, ServerMessage};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::Stream;
use tonic::Status;

use super::transport::{Broken, Incoming, Transport};

/// A stream that ended sooner did not last.
const SHORT: Duration = Duration::from_secs(10);
/// So many in a row, and requests are made instead.
const SHORT_MAX: u32 = 3;
/// Then a stream is tried again.
const AGAIN: Duration = Duration::from_secs(600);

/// Falls back from one transport to the other.
pub struct Fallback {
    streams: Box<dyn Transport>,
    requests: Box<dyn Transport>,
    short: Arc<Mutex<Short>>,
}

/// Streams that did not last.
#[derive(Default)]
struct Short {
    /// In a row.
    count: u32,
    /// When the newest of them ended.
    newest: Option<Instant>,
}

impl Fallback {
    /// Prefers `streams`.
    #[must_use]
    pub fn new(streams: impl Transport, requests: impl Transport) -> Self {
        Self { streams: Box::new(streams), requests: Box::new(requests), short: Arc::default() }
    }

    fn streams_last(&self) -> bool {
        let short = lock(&self.short);
        short.count < SHORT_MAX || short.newest.is_none_or(|newest| newest.elapsed() > AGAIN)
    }
}

fn lock(short: &Mutex<Short>) -> MutexGuard<'_, Short> {
    short.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait::async_trait]
impl Transport for Fallback {
    fn peer(&self) -> &str {
        self.streams.peer()
    }

    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken> {
        if !self.streams_last() {
            tracing::info!(server = self.peer(), "streams to the server do not last: it is asked by requests");
            return self.requests.open(outgoing).await;
        }
        let stream = self.streams.open(outgoing).await?;
        Ok(Box::pin(Watched { stream, opened: Instant::now(), short: Arc::clone(&self.short) }))
    }
}

/// A stream whose end counts. One that the agent drops does not.
struct Watched {
    stream: Incoming,
    opened: Instant,
    short: Arc<Mutex<Short>>,
}

impl Stream for Watched {
    type Item = Result<ServerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.stream.as_mut().poll_next(context));
        let ended = !matches!(item, Some(Ok(_)));
        let mut short = lock(&self.short);
        if self.opened.elapsed() > SHORT {
            *short = Short::default();
        } else if ended {
            *short = Short { count: short.count.saturating_add(1), newest: Some(Instant::now()) };
        }
        drop(short);
        Poll::Ready(item)
    }
}
