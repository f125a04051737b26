//! A server over gRPC, and the protocol over one of its streams.

use std::time::Duration;

use claiflow_proto::agent::v1::{AgentMessage, AuthenticateRequest, agent_service_client::AgentServiceClient};
use futures_util::TryFutureExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    Refused,
    transport::{Broken, Incoming, Transport},
};

const PROTOCOL: u32 = 1;
/// A message of the server, bytes; offers hold inputs and the outputs of finished steps.
const MESSAGE_BYTES: usize = 32 << 20;

/// A server to dial.
#[derive(Clone)]
pub struct Server {
    name: String,
    endpoint: Endpoint,
    cluster: String,
    /// Never logged.
    token: String,
}

/// A client that was let in.
pub(super) struct Session {
    pub(super) client: AgentServiceClient<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Session {
    /// What goes with the session.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }
}

impl Server {
    /// A server (host:port, or a URI) and the cluster, of 32 hexadecimal digits, that this agent speaks for.
    ///
    /// # Errors
    /// [`Refused`] when the server's name makes no sense.
    pub fn new(name: String, cluster: String, token: String) -> Result<Self, Refused> {
        let uri = if name.contains("://") { name.clone() } else { format!("http://{name}") };
        let endpoint =
            Endpoint::from_shared(uri).map_err(|_| Refused(format!("--server: `{name}` is not host:port")))?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10));
        Ok(Self { name, endpoint, cluster, token })
    }

    /// For the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Connects and authenticates.
    pub(super) async fn session(&self) -> Result<Session, Broken> {
        let channel = self.endpoint.connect().await.map_err(|error| Broken::Other(error.to_string()))?;
        let mut client = AgentServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        let session = self.authenticate(&mut client).await?;
        let mut bearer: MetadataValue<Ascii> =
            format!("Bearer {session}").parse().map_err(|_| Broken::Other("the session is not text".into()))?;
        bearer.set_sensitive(true);
        Ok(Session { client, bearer })
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

/// The protocol over one stream.
pub struct Grpc(Server);

impl Grpc {
    /// Streams to `server`.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self(server)
    }
}

#[async_trait::async_trait]
impl Transport for Grpc {
    fn peer(&self) -> &str {
        self.0.name()
    }

    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken> {
        let mut session = self.0.session().await?;
        let request = session.request(ReceiverStream::new(outgoing));
        let attached = async move { session.client.attach(request).await.map(Response::into_inner) };
        Ok(Box::pin(attached.try_flatten_stream()))
    }
}
