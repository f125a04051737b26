//! Calls the other replicas, one stream each, as long as their heartbeats are fresh.

use std::{collections::HashMap, time::Duration};

use claiflow_proto::peer::v1::{Serving, peer_service_client::PeerServiceClient};
use hyper_util::rt::TokioIo;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint, Uri},
};
use tower::service_fn;

use super::{AUTHORIZATION, BATCH, CLUSTERS, bearer, events, header};
use crate::{
    app::App,
    dispatch::Served,
    model::{
        ids::{Id, hex},
        replica::Peer,
    },
    ports::Dialer,
};

/// A replica that says nothing for this long is called again.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two calls of a replica that does not answer: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A call that ends when nobody holds it any more.
struct Call(JoinHandle<()>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps a call open to each other replica that says where it is reached.
pub(in crate::grpc) async fn run(app: App, dialer: Dialer, stop: CancellationToken) {
    let mut others = app.other_replicas();
    let mut calls: HashMap<Id, Call> = HashMap::new();
    loop {
        let there: HashMap<Id, Peer> = others
            .borrow_and_update()
            .iter()
            .filter(|peer| !peer.address.is_empty())
            .map(|peer| (peer.id, peer.clone()))
            .collect();
        calls.retain(|id, _| there.contains_key(id));
        for (id, peer) in there {
            calls.entry(id).or_insert_with(|| Call(tokio::spawn(call(app.clone(), dialer.clone(), peer))));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = others.changed() => if changed.is_err() { return },
        }
    }
}

/// Calls one replica, again and again.
async fn call(app: App, dialer: Dialer, peer: Peer) {
    let (first, longest) = PAUSE;
    let mut pause = first;
    loop {
        match listen(&app, &dialer, &peer, || pause = first).await {
            Ok(()) => {}
            Err(status) => tracing::debug!(
                replica.id = hex(&peer.id),
                replica.address = peer.address,
                error = status.message(),
                "another replica cannot be heard"
            ),
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

/// One stream: what we serve up, what happens elsewhere down. `begun` is called once it stands.
async fn listen(app: &App, dialer: &Dialer, peer: &Peer, begun: impl FnOnce()) -> Result<(), Status> {
    let channel = channel(dialer, &peer.address).await.map_err(|error| Status::unavailable(chain(&error)))?;
    let (clusters, changes) = app.dispatch().peers().listen();
    let (serving, stream) = mpsc::channel(8);
    let speaking = Call(tokio::spawn(speak(clusters, changes, serving)));
    let mut request = Request::new(ReceiverStream::new(stream));
    request.metadata_mut().insert(AUTHORIZATION, header(&app.peer_token(peer.id).map_err(super::super::status)?)?);
    let response = PeerServiceClient::new(channel).subscribe(request).await?;
    // Who took over the address of a replica must not end our agents' streams.
    if app.peer_of(bearer(response.metadata()).unwrap_or_default()).map_err(super::super::status)? != peer.id {
        return Err(Status::unauthenticated("another replica answered"));
    }
    begun();
    tracing::info!(replica.id = hex(&peer.id), replica.address = peer.address, "this replica hears of another");
    let metrics = app.metrics();
    metrics.peers_connected.inc();
    let connected = Connected(&metrics.peers_connected);
    // What happened before the stream stood was not told.
    if let Err(error) = app.catch_up().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "what another replica did could not be looked up");
    }
    let mut notices = response.into_inner();
    let outcome = loop {
        match notices.message().await {
            Ok(Some(notice)) => events(notice).for_each(|event| {
                metrics.peer_events.inc();
                app.heed(event);
            }),
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        }
    };
    drop((speaking, connected));
    outcome
}

async fn channel(dialer: &Dialer, address: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(SILENCE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE)
        .keep_alive_while_idle(true);
    if !dialer.is_tls() {
        return endpoint.connect().await;
    }
    let dialer = dialer.clone();
    let connect = service_fn(move |uri: Uri| {
        let dialer = dialer.clone();
        async move {
            let host = uri.host().unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            dialer.call(host, uri.port_u16().unwrap_or_default()).await.map(TokioIo::new)
        }
    });
    endpoint.connect_with_connector(connect).await
}

/// An error with what caused it: of TLS, the first word says nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Counted down however the stream ends.
struct Connected<'a>(&'a prometheus::IntGauge);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Says which clusters have agents here, and what changes of it.
async fn speak(clusters: Vec<i64>, mut changes: mpsc::Receiver<Served>, serving: mpsc::Sender<Serving>) {
    for gained in clusters.chunks(CLUSTERS) {
        if serving.send(Serving { gained: gained.to_vec(), lost: vec![] }).await.is_err() {
            return;
        }
    }
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, BATCH).await > 0 {
        // A cluster may change several times in a batch; the last word counts.
        let last: HashMap<i64, bool> = batch
            .drain(..)
            .map(|change| match change {
                Served::Gained(cluster) => (cluster, true),
                Served::Lost(cluster) => (cluster, false),
            })
            .collect();
        let (gained, lost): (Vec<_>, Vec<_>) = last.into_iter().partition(|(_, gained)| *gained);
        let clusters = |changes: Vec<(i64, bool)>| changes.into_iter().map(|(cluster, _)| cluster).collect();
        if serving.send(Serving { gained: clusters(gained), lost: clusters(lost) }).await.is_err() {
            return;
        }
    }
}
