//! What carries the protocol. A trait, so that a simulation can deliver late, twice or never.

use std::pin::Pin;

use claiflow_proto::agent::v1::{AgentMessage, ServerMessage};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

/// What the server says on one stream. A connection may be made when it is first polled.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

/// Why a connection ended, or was not made.
#[derive(Debug)]
pub enum Broken {
    /// The server does not know this cluster token.
    Token(String),
    /// Anything that may pass.
    Other(String),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        let said = format!("{:?}: {}", status.code(), status.message());
        Self::Other(said + &causes(&status))
    }
}

/// What an error was caused by, as it is read behind the error; of TLS, the first word says nothing.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| (*cause).source()).map(|cause| format!(": {cause}")).collect()
}

/// Opens streams to a server.
#[async_trait::async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The server, for the log.
    fn peer(&self) -> &str;

    /// Authenticates, and opens a stream on which the agent says what comes out of `outgoing`. It ends when the one or the
    /// other side drops its half.
    ///
    /// # Errors
    /// [`Broken`] with the reason.
    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken>;
}
