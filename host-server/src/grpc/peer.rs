//! Other replicas' side of the agents' port: each subscribes at each other one, and is told what concerns its agents.

mod dial;

use std::pin::Pin;

use claiflow_proto::peer::v1::{
    Cluster, Notice, Serving, Wish,
    peer_service_server::{PeerService, PeerServiceServer},
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use crate::{
    app::App,
    model::{ids::hex, replica::PeerEvent},
};

pub(super) use dial::run as dial;

/// Events of one notice at most.
const BATCH: usize = 1_024;
/// A replica's list of clusters comes in messages of at most this many.
const CLUSTERS: usize = 32_768;
const AUTHORIZATION: &str = "authorization";

/// See the module.
pub(super) struct Peers {
    app: App,
}

impl Peers {
    pub(super) fn server(app: App) -> PeerServiceServer<Self> {
        PeerServiceServer::new(Self { app })
    }
}

#[tonic::async_trait]
impl PeerService for Peers {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Notice, Status>> + Send>>;

    async fn subscribe(&self, request: Request<Streaming<Serving>>) -> Result<Response<Self::SubscribeStream>, Status> {
        let token = bearer(request.metadata()).unwrap_or_default();
        let peer = self.app.peer_of(token).map_err(super::status)?;
        let proof = header(&self.app.peer_token(peer).map_err(super::status)?)?;
        let (notices, stream) = mpsc::channel(8);
        // Whoever hears the answer misses nothing of what is told from here on.
        let joined = self.app.dispatch().peers().join();
        tokio::spawn(tell(self.app.clone(), hex(&peer), joined, request.into_inner(), notices));
        let mut response: Response<Self::SubscribeStream> = Response::new(Box::pin(ReceiverStream::new(stream)));
        response.metadata_mut().insert(AUTHORIZATION, proof);
        Ok(response)
    }
}

/// Tells one replica what happens until either side ends.
async fn tell(
    app: App,
    peer: String,
    (number, mut events): (u64, mpsc::Receiver<PeerEvent>),
    mut serving: Streaming<Serving>,
    notices: mpsc::Sender<Result<Notice, Status>>,
) {
    let peers = app.dispatch().peers();
    tracing::info!(replica.id = peer, "another replica listens to this one");
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            message = serving.next() => match message {
                Some(Ok(message)) => peers.serves(number, message.gained, &message.lost),
                Some(Err(_)) | None => break,
            },
            count = events.recv_many(&mut batch, BATCH) => {
                if count == 0 || notices.send(Ok(notice(batch.drain(..)))).await.is_err() {
                    break;
                }
            }
        }
    }
    peers.leave(number);
    tracing::info!(replica.id = peer, "another replica does not listen to this one any more");
}

/// Many events in one message; a cluster whose tasks wait is named once.
fn notice(events: impl Iterator<Item = PeerEvent>) -> Notice {
    let mut notice = Notice::default();
    for event in events {
        match event {
            PeerEvent::Waiting(cluster) => notice.waiting.push(cluster),
            PeerEvent::Wish(cluster, task) => notice.wishes.push(Wish { cluster, task: task.to_vec() }),
            PeerEvent::ClusterDeleted(id, uuid) => notice.deleted_clusters.push(Cluster { id, uuid }),
            PeerEvent::SessionRevoked(uuid) => notice.revoked_sessions.push(uuid),
        }
    }
    notice.waiting.sort_unstable();
    notice.waiting.dedup();
    notice
}

/// The events of a message.
fn events(notice: Notice) -> impl Iterator<Item = PeerEvent> {
    let waiting = notice.waiting.into_iter().map(PeerEvent::Waiting);
    let wishes = notice.wishes.into_iter().filter_map(|wish| {
        let task = wish.task.try_into().ok()?;
        Some(PeerEvent::Wish(wish.cluster, task))
    });
    let deleted =
        notice.deleted_clusters.into_iter().map(|cluster| PeerEvent::ClusterDeleted(cluster.id, cluster.uuid));
    let revoked = notice.revoked_sessions.into_iter().map(PeerEvent::SessionRevoked);
    waiting.chain(wishes).chain(deleted).chain(revoked)
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    metadata.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn header(token: &str) -> Result<tonic::metadata::AsciiMetadataValue, Status> {
    format!("Bearer {token}").parse().map_err(|_| Status::internal("a token is no header"))
}

#[cfg(test)]
mod tests {
    use super::{events, notice};
    use crate::model::replica::PeerEvent;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let told = [
            PeerEvent::Waiting(2),
            PeerEvent::Waiting(1),
            PeerEvent::Waiting(2),
            PeerEvent::Wish(1, [7; 16]),
            PeerEvent::ClusterDeleted(3, "c".into()),
            PeerEvent::SessionRevoked("s".into()),
        ];
        let heard: Vec<PeerEvent> = events(notice(told.clone().into_iter())).collect();
        assert_eq!(heard.first(), told.get(1));
        assert_eq!(heard.get(1..), told.get(2..));
    }
}
