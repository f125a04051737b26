//! The server as seen from here: authenticate, attach, reconnect with jittered backoff. Knows no wasm and no Kubernetes.

mod convert;
mod ledger;
mod lines;
mod outbox;
mod stream;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_proto::agent::v1::{AuthenticateRequest, agent_service_client::AgentServiceClient};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::{executor::Executor, metrics::Metrics};
use ledger::Ledger;

const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_LAST: Duration = Duration::from_secs(10);
/// What is left to say when the agent ends goes out within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);
const PROTOCOL: u32 = 1;

/// The first authentication was refused; trying again would not help.
#[derive(Debug)]
pub struct Refused(pub String);

/// What an agent needs to serve.
pub struct Link {
    /// host:port.
    pub server: String,
    /// 32 hexadecimal digits.
    pub cluster: String,
    /// Never logged.
    pub token: String,
    /// See the protocol.
    pub journal: [u8; 16],
    /// Tasks at once.
    pub slots: usize,
    /// Runs them.
    pub executor: Arc<Executor>,
    /// Whether the server is there, and what runs.
    pub metrics: Arc<Metrics>,
}

/// Why a connection ended.
enum Broken {
    /// The server does not know this cluster token.
    Token(String),
    /// Anything that may pass.
    Other(String),
}

impl From<tonic::Status> for Broken {
    fn from(status: tonic::Status) -> Self {
        Self::Other(format!("{:?}: {}", status.code(), status.message()))
    }
}

impl Link {
    /// Serves until `stop`, then lets running tasks end within `grace`.
    ///
    /// # Errors
    /// [`Refused`] when the very first authentication is refused.
    pub async fn run(self, stop: CancellationToken, grace: Duration) -> Result<(), Refused> {
        let uri = if self.server.contains("://") { self.server.clone() } else { format!("http://{}", self.server) };
        let endpoint =
            Endpoint::from_shared(uri).map_err(|_| Refused(format!("--server: `{}` is not host:port", self.server)))?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10));
        let ledger = Arc::new(Ledger::new(self.slots, self.metrics.running.clone(), Instant::now()));
        let closing = CancellationToken::new();
        tokio::select! {
            served = self.serve(&endpoint, &ledger, &closing) => served,
            () = drain(&ledger, &stop, &closing, grace) => Ok(()),
        }
    }

    /// Connects, and connects again, until `closing`.
    async fn serve(
        &self,
        endpoint: &Endpoint,
        ledger: &Arc<Ledger>,
        closing: &CancellationToken,
    ) -> Result<(), Refused> {
        let (mut known, mut wait) = (false, BACKOFF_FIRST);
        loop {
            let began = Instant::now();
            let attached = self.connect(endpoint, ledger, closing, &mut known).await;
            match attached {
                Ok(()) => {}
                Err(Broken::Token(message)) if !known => return Err(Refused(message)),
                Err(Broken::Token(message) | Broken::Other(message)) => {
                    tracing::warn!(server = self.server, retry_ms = wait.as_millis(), "not connected: {message}");
                }
            }
            // What served for a while is not what the last failures were about.
            if began.elapsed() > BACKOFF_LAST {
                wait = BACKOFF_FIRST;
            }
            let jittered = wait.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            tokio::select! { () = tokio::time::sleep(jittered) => {}, () = closing.cancelled() => return Ok(()) }
            wait = (wait * 2).min(BACKOFF_LAST);
        }
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        ledger: &Arc<Ledger>,
        closing: &CancellationToken,
        known: &mut bool,
    ) -> Result<(), Broken> {
        let channel: Channel = endpoint.connect().await.map_err(|error| Broken::Other(error.to_string()))?;
        let mut client = AgentServiceClient::new(channel).max_decoding_message_size(32 << 20);
        let request = AuthenticateRequest {
            cluster_uuid: self.cluster.clone(),
            token: self.token.clone(),
            agent_version: env!("CARGO_PKG_VERSION").into(),
            protocol: PROTOCOL,
        };
        let session = client.authenticate(request).await.map_err(|status| match status.code() {
            Code::Unauthenticated | Code::InvalidArgument => Broken::Token(format!(
                "the server refused this agent: {}; check --clusteruuid and --token",
                status.message()
            )),
            _ => status.into(),
        })?;
        *known = true;
        stream::attach(self, client, &session.into_inner().session, ledger, closing).await
    }
}

/// After `stop`: no new task, and time for those that run, connected or not. What has not ended then goes back to the
/// server where nothing speaks against it. Ends when all is said, or cannot be.
async fn drain(ledger: &Ledger, stop: &CancellationToken, closing: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    ledger.drain(Instant::now());
    if tokio::time::timeout(grace, ledger.idle()).await.is_err() {
        let (back, stay) = ledger.give_up(Instant::now());
        tracing::warn!(
            tasks.handed_back = back,
            tasks.leased = stay,
            "running tasks did not end in time; those with an effect under way stay leased"
        );
    }
    closing.cancel();
    tokio::time::sleep(LAST_WORDS).await;
}
