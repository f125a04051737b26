//! The agents' side of the server: the only room that knows tonic. It turns protocol events into calls of `app` and
//! `dispatch`, and orders into protocol events.

mod counted;
mod former;
mod incoming;
mod inventory;
mod peer;
mod poll;
mod stream;

use std::{convert::Infallible, pin::Pin};

use claiflow_proto::{
    DESCRIPTORS,
    agent::v1::{
        AgentMessage, AuthenticateRequest, AuthenticateResponse, PollRequest, PollResponse, ServerMessage,
        agent_service_server::{AgentService, AgentServiceServer},
    },
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use crate::{
    app::{self, App},
    ports::Port,
};
use incoming::Incoming;
use poll::Polls;
pub use stream::{Events, converse};

/// One message at most, bytes.
const MESSAGE_BYTES: usize = 32 << 20;
/// Calls under way on one connection; a proxy may carry many agents on one.
const STREAMS: u32 = 1_000;
/// Streams that a client opened and reset again before they were taken; with more the connection ends.
const RESET_STREAMS: usize = 20;
/// Streams that were reset because of the client's mistakes; with more the connection ends.
const MISTAKEN_STREAMS: usize = 64;
/// The metadata of a call at most, bytes; a name and its value count with 32 more.
const METADATA_BYTES: u32 = 64 << 10;

struct Agents {
    app: App,
    polls: Polls,
}

/// Serves agents until `stop`. `message_bytes`: an agent's message at most, instead of the server's own limit.
///
/// # Errors
/// When the listener fails, or the server cannot describe itself.
pub async fn serve(
    app: App,
    port: impl Into<Port>,
    message_bytes: Option<usize>,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let message_bytes = message_bytes.unwrap_or(MESSAGE_BYTES);
    let port = port.into();
    let dialling = tokio::spawn(peer::dial(app.clone(), port.siblings().clone(), stop.clone()));
    let replicas = peer::Peers::server(app.clone());
    let former = former::service(app.clone(), message_bytes);
    let counted = counted::Methods::of(&app.metrics().grpc)?;
    let service =
        AgentServiceServer::new(Agents { app, polls: Polls::default() }).max_decoding_message_size(message_bytes);
    let incoming = ReceiverStream::new(port.open(stop.clone())).map(|stream| Ok::<_, Infallible>(Incoming(stream)));
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(10)))
        .max_concurrent_streams(STREAMS)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS))
        .http2_max_local_error_reset_streams(Some(MISTAKEN_STREAMS))
        .http2_max_header_list_size(METADATA_BYTES)
        .layer(tower::layer::layer_fn(move |inner: tonic::service::Routes| counted.around(inner)))
        .add_service(service)
        .add_service(former)
        .add_service(replicas)
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await?;
    // It ends with the same token; a panic in it has been told.
    let _ = dialling.await;
    Ok(())
}

/// Server reflection: tools and agents of the first version ask which services there are.
fn described<'a>() -> tonic_reflection::server::Builder<'a> {
    tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS)
}

fn status(error: app::Error) -> Status {
    match error {
        app::Error::Refused(message) => Status::unauthenticated(message),
        app::Error::NotFound(message) => Status::not_found(message),
        app::Error::Unavailable(cause) => {
            tracing::error!(error = &cause as &dyn std::error::Error, "the database did not serve an agent");
            Status::unavailable("the server cannot reach its database at the moment")
        }
        app::Error::Unreadable(cause) => {
            tracing::error!(error = &cause as &dyn std::error::Error, "a stored value cannot be read");
            Status::internal("a stored value cannot be read")
        }
        other => Status::invalid_argument(other.to_string()),
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    type AttachStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Result<Response<AuthenticateResponse>, Status> {
        let request = request.into_inner();
        let (session, life) = self
            .app
            .authenticate(&request.cluster_uuid, &request.token, &request.agent_version)
            .await
            .map_err(status)?;
        Ok(Response::new(AuthenticateResponse {
            session,
            expires_in_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            server_version: env!("CARGO_PKG_VERSION").into(),
        }))
    }

    async fn attach(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        let (session, cluster) = self.session(bearer(request.metadata())?).await?;
        let answers = stream::converse(self.app.dispatch().clone(), session, cluster, request.into_inner());
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn poll(&self, request: Request<PollRequest>) -> Result<Response<PollResponse>, Status> {
        let bearer = bearer(request.metadata())?;
        let conversation = match self.polls.find(bearer) {
            Some(conversation) => conversation,
            None if request.get_ref().number == 1 => {
                let (session, cluster) = self.session(bearer).await?;
                let dispatch = self.app.dispatch().clone();
                self.polls.begin(bearer, |events| stream::converse(dispatch, session, cluster, events))?
            }
            None => return Err(Status::not_found("there is no such conversation; authenticate and begin anew")),
        };
        conversation.answer(request.into_inner()).await.map(Response::new)
    }
}

fn bearer(metadata: &MetadataMap) -> Result<&str, Status> {
    let bearer = metadata.get("authorization").and_then(|value| value.to_str().ok());
    bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| Status::unauthenticated("the metadata `authorization: Bearer <session>` is missing"))
}

impl Agents {
    /// The session's uuid and cluster.
    async fn session(&self, bearer: &str) -> Result<(String, i64), Status> {
        let (session, cluster) = self.app.session_of(bearer).await.map_err(status)?;
        Ok((session.uuid, cluster))
    }
}
