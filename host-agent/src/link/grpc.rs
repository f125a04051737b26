//! A server over gRPC, and the protocol over one of its streams.

use std::time::Duration;

use claiflow_proto::agent::v1::{AgentMessage, AuthenticateRequest, agent_service_client::AgentServiceClient};
use futures_util::TryFutureExt as _;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint, Uri},
};

use tower::service_fn;

use super::{
    Refused, Trust,
    tls::Tls,
    transport::{Broken, Incoming, Transport, causes},
};

const PROTOCOL: u32 = 1;
const HTTPS: u16 = 443;
/// A message of the server, bytes; offers hold inputs and the outputs of finished steps.
const MESSAGE_BYTES: usize = 32 << 20;

/// A server to dial.
#[derive(Clone)]
pub struct Server {
    name: String,
    endpoint: Endpoint,
    /// None: without TLS.
    tls: Option<Tls>,
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
    /// A server (host:port, or a URI) and the cluster, of 32 hexadecimal digits, that this agent speaks for. Whom the system
    /// trusts is trusted.
    ///
    /// # Errors
    /// [`Refused`] when the server's name makes no sense.
    pub fn new(name: String, cluster: String, token: String) -> Result<Self, Refused> {
        Self::with_trust(name, cluster, token, Trust::default())
    }

    /// The same with files for TLS, which is spoken where the name says https:// or where there are such files.
    ///
    /// # Errors
    /// [`Refused`] when the server's name makes no sense, or with the file that cannot be used.
    pub fn with_trust(name: String, cluster: String, token: String, trust: Trust) -> Result<Self, Refused> {
        let (is_tls, host) = match name.split_once("://") {
            None => (trust.is_given(), name.as_str()),
            Some(("https", host)) => (true, host),
            Some(("http", _)) if trust.is_given() => {
                return Err(Refused(format!(
                    "--server: {name} is without TLS, for which --tls-… is given: write https://…"
                )));
            }
            Some(("http", host)) => (false, host),
            Some(_) => return Err(Refused(format!("--server: `{name}` begins with neither http:// nor https://"))),
        };
        let wrong = || Refused(format!("--server: `{name}` is not host:port"));
        // The connection is made here, so that tonic sees none that it should encrypt; what is asked for is still https.
        let endpoint = Endpoint::from_shared(format!("http://{host}")).map_err(|_| wrong())?;
        let endpoint =
            if is_tls { endpoint.origin(format!("https://{host}").parse().map_err(|_| wrong())?) } else { endpoint };
        let endpoint = endpoint
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(10));
        let tls = if is_tls { Some(Tls::open(trust)?) } else { None };
        Ok(Self { name, endpoint, tls, cluster, token })
    }

    /// Whether what is said to it can be read on the way.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        let host = self.endpoint.uri().host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        self.tls.is_none() && host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
    }

    async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        let Some(tls) = self.tls.clone() else { return self.endpoint.connect().await };
        let connect = service_fn(move |uri: Uri| {
            let tls = tls.clone();
            async move {
                let host = uri.host().unwrap_or_default();
                let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                tls.connect(host, uri.port_u16().unwrap_or(HTTPS)).await.map(TokioIo::new)
            }
        });
        self.endpoint.connect_with_connector(connect).await
    }

    /// For the log.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Connects and authenticates.
    pub(super) async fn session(&self) -> Result<Session, Broken> {
        let channel = self.connect().await.map_err(|error| Broken::Other(told(&error)))?;
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

/// Why there is no connection, and what helps.
fn told(error: &tonic::transport::Error) -> String {
    let said = format!("{error}{}", causes(error));
    // Another authority of the same name is told apart by its signature only.
    let hint = if said.contains("UnknownIssuer") || said.contains("BadSignature") {
        "; --tls-ca names the file of the authority that signed the server's certificate"
    } else if said.contains("InvalidContentType") {
        "; the server does not speak TLS at this address"
    } else if said.contains("not valid for name") {
        "; --tls-server-name says which name stands in the server's certificate"
    } else {
        ""
    };
    said + hint
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
