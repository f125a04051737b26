//! The server as seen from here: authenticate, attach, reconnect with jittered backoff. Knows no wasm and no Kubernetes.

mod convert;
mod ledger;
mod stream;

use std::{sync::Arc, time::Duration};

use claiflow_proto::agent::v1::{AuthenticateRequest, agent_service_client::AgentServiceClient};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

use crate::executor::Executor;
use ledger::Ledger;

const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_LAST: Duration = Duration::from_secs(10);
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
        let ledger = Arc::new(Ledger::new(self.slots));
        let (mut known, mut wait) = (false, BACKOFF_FIRST);
        loop {
            let attached = self.connect(&endpoint, &ledger, &stop, grace, &mut known).await;
            match attached {
                Ok(()) if stop.is_cancelled() => return Ok(()),
                Ok(()) => wait = BACKOFF_FIRST,
                Err(Broken::Token(message)) if !known => return Err(Refused(message)),
                Err(Broken::Token(message) | Broken::Other(message)) => {
                    tracing::warn!(server = self.server, retry_ms = wait.as_millis(), "not connected: {message}");
                }
            }
            let jittered = wait.mul_f64(0.5 + rand::random::<f64>() / 2.0);
            tokio::select! { () = tokio::time::sleep(jittered) => {}, () = stop.cancelled() => return Ok(()) }
            wait = (wait * 2).min(BACKOFF_LAST);
        }
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        ledger: &Arc<Ledger>,
        stop: &CancellationToken,
        grace: Duration,
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
        stream::attach(self, client, &session.into_inner().session, ledger, stop, grace).await
    }
}
