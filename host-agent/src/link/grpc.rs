//! The protocol over one gRPC stream.

use std::time::Duration;

use claiflow_proto::agent::v1::{AgentMessage, AuthenticateRequest, agent_service_client::AgentServiceClient};
use futures_util::TryFutureExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response,
    transport::{Channel, Endpoint},
};

use super::{
    Refused,
    transport::{Broken, Incoming, Transport},
};

const PROTOCOL: u32 = 1;
/// A message of the server, bytes; offers hold inputs and the outputs of finished steps.
const MESSAGE_BYTES: usize = 32 << 20;

/// Dials a server.
pub struct Grpc {
    server: String,
    endpoint: Endpoint,
    cluster: String,
    /// Never logged.
    token: String,
}

impl Grpc {
    /// Dials `server` (host:port, or a URI) for the cluster of 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`Refused`] when the server's name makes no sense.
    pub fn new(server: String, cluster: String, token: String) -> Result<Self, Refused> {
        let uri = if server.contains("://") { server.clone() } else { format!("http://{server}") };
        let endpoint =
            Endpoint::from_shared(uri).map_err(|_| Refused(format!("--server: `{server}` is not host:port")))?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10));
        Ok(Self { server, endpoint, cluster, token })
    }

    async fn authenticate(&self, client: &mut AgentServiceClient<Channel>) -> Result<String, Broken> {
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
        Ok(session.into_inner().session)
    }
}

#[async_trait::async_trait]
impl Transport for Grpc {
    fn peer(&self) -> &str {
        &self.server
    }

    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken> {
        let channel = self.endpoint.connect().await.map_err(|error| Broken::Other(error.to_string()))?;
        let mut client = AgentServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        let session = self.authenticate(&mut client).await?;
        let bearer =
            format!("Bearer {session}").parse().map_err(|_| Broken::Other("the session is not text".into()))?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        request.metadata_mut().insert("authorization", bearer);
        let attached = async move { client.attach(request).await.map(Response::into_inner) };
        Ok(Box::pin(attached.try_flatten_stream()))
    }
}
