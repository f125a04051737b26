//! A server on loopback whose every word is a test's.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use claiflow_proto::agent::v1::{
    AgentMessage, AuthenticateRequest, AuthenticateResponse, Credit, Hello, Offer, PollRequest, PollResponse, Seen,
    ServerEvent, ServerMessage, Settled, Snapshot, StepEvent, StepState, Welcome,
    agent_event::Event,
    agent_service_server::{AgentService, AgentServiceServer},
    server_event,
};
use prost::Message as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::{
    Stream, StreamExt as _,
    wrappers::{ReceiverStream, TcpListenerStream, UnboundedReceiverStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// Long enough for a debug build on a busy machine; nothing waits for it when things go well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A request that nothing answers is held for this long.
const HOLD: Duration = Duration::from_millis(500);

struct Peer {
    streams: mpsc::UnboundedSender<Attached>,
    /// A proxy between the two ends every stream.
    ends_streams: bool,
    sessions: AtomicUsize,
    polled: Mutex<HashMap<String, Arc<Polled>>>,
}

/// A conversation by requests.
struct Polled {
    events: Mutex<Option<mpsc::UnboundedSender<Result<AgentMessage, Status>>>>,
    answers: tokio::sync::Mutex<mpsc::Receiver<Result<ServerMessage, Status>>>,
    read: watch::Sender<u64>,
}

/// One stream of the agent, from the server's side.
pub struct Attached {
    incoming: Pin<Box<dyn Stream<Item = Result<AgentMessage, Status>> + Send>>,
    answers: mpsc::Sender<Result<ServerMessage, Status>>,
    events: VecDeque<Event>,
    /// The newest credit.
    pub credit: Credit,
    /// Bytes of the largest message so far.
    pub largest: usize,
}

#[tonic::async_trait]
impl AgentService for Peer {
    type AttachStream = ReceiverStream<Result<ServerMessage, Status>>;

    async fn authenticate(&self, _: Request<AuthenticateRequest>) -> Result<Response<AuthenticateResponse>, Status> {
        let session = format!("session {}", self.sessions.fetch_add(1, Ordering::SeqCst));
        Ok(Response::new(AuthenticateResponse { session, ..AuthenticateResponse::default() }))
    }

    async fn attach(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::AttachStream>, Status> {
        if self.ends_streams {
            return Err(Status::internal("no streams here"));
        }
        let (answers, stream) = mpsc::channel(8);
        self.streams
            .send(Attached::new(Box::pin(request.into_inner()), answers))
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn poll(&self, request: Request<PollRequest>) -> Result<Response<PollResponse>, Status> {
        let session = request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned();
        let PollRequest { number, events, last } = request.into_inner();
        let polled = Arc::clone(self.polled.lock().unwrap().entry(session).or_insert_with(|| {
            let (answers, told) = mpsc::channel(8);
            let (events, incoming) = mpsc::unbounded_channel();
            let _ = self.streams.send(Attached::new(Box::pin(UnboundedReceiverStream::new(incoming)), answers));
            Arc::new(Polled { events: Some(events).into(), answers: told.into(), read: watch::Sender::new(0) })
        }));
        polled.read.subscribe().wait_for(|read| read + 1 == number).await.unwrap();
        if let Some(sender) = &*polled.events.lock().unwrap() {
            let _ = sender.send(Ok(AgentMessage { events }));
        }
        if last {
            polled.events.lock().unwrap().take();
        }
        let mut answers = polled.answers.lock().await;
        polled.read.send_replace(number);
        let answer = match tokio::time::timeout(HOLD, answers.recv()).await {
            Ok(Some(Ok(ServerMessage { events }))) => PollResponse { events, last: false },
            Ok(Some(Err(status))) => return Err(Status::aborted(status.message())),
            Ok(None) => PollResponse { events: vec![], last: true },
            Err(_) => PollResponse::default(),
        };
        Ok(Response::new(answer))
    }
}

/// Listens; each stream that an agent opens comes out of the receiver.
pub async fn listen() -> (SocketAddr, mpsc::UnboundedReceiver<Attached>) {
    listen_behind(false).await
}

/// The same, behind a proxy that may end every stream; conversations by requests come out too.
pub async fn listen_behind(ends_streams: bool) -> (SocketAddr, mpsc::UnboundedReceiver<Attached>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (streams, opened) = mpsc::unbounded_channel();
    let server = Server::builder().add_service(AgentServiceServer::new(Peer {
        streams,
        ends_streams,
        sessions: AtomicUsize::default(),
        polled: Mutex::default(),
    }));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, opened)
}

/// The next stream, after its hello was answered; `gone` are the leases that are no longer the agent's.
pub async fn welcomed(opened: &mut mpsc::UnboundedReceiver<Attached>, gone: Vec<Vec<u8>>) -> (Attached, Hello) {
    let mut stream = tokio::time::timeout(PATIENCE, opened.recv()).await.expect("a stream is opened").unwrap();
    let Some(Event::Hello(hello)) = stream.next().await else { panic!("the first event is no hello") };
    let welcome = Welcome { gone, lease_ttl_ms: 30_000, heartbeat_ms: 100, ..Welcome::default() };
    stream.say(server_event::Event::Welcome(welcome)).await;
    (stream, hello)
}

impl Attached {
    fn new(
        incoming: Pin<Box<dyn Stream<Item = Result<AgentMessage, Status>> + Send>>,
        answers: mpsc::Sender<Result<ServerMessage, Status>>,
    ) -> Self {
        Self { incoming, answers, events: VecDeque::new(), credit: Credit::default(), largest: 0 }
    }

    pub async fn say(&self, event: server_event::Event) {
        self.answers.send(Ok(ServerMessage { events: vec![ServerEvent { event: Some(event) }] })).await.unwrap();
    }

    /// The next event, heartbeats included; none at the end of the stream. Heartbeats are answered.
    pub async fn any(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let message = tokio::time::timeout(PATIENCE, self.incoming.next()).await.expect("something is said");
            let message = message?.unwrap();
            self.largest = self.largest.max(message.encoded_len());
            self.events.extend(message.events.into_iter().filter_map(|event| event.event));
        }
        let event = self.events.pop_front();
        if let Some(Event::Credit(credit)) = event {
            self.credit = credit;
            self.say(server_event::Event::Seen(Seen { stamp: credit.stamp })).await;
        }
        event
    }

    /// The next event that is no heartbeat.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.any().await {
                Some(Event::Credit(_)) => {}
                other => return other,
            }
        }
    }

    /// Offers a task under a lease of the same name, once there is credit for it, and hears that it is taken.
    pub async fn offer(&mut self, lease: &str, number: u64, flow: &serde_json::Value) {
        self.offer_as(lease, number, flow, Offer::default()).await;
    }

    /// The same, after an attempt of which these steps are known.
    pub async fn offer_after(&mut self, lease: &str, number: u64, flow: &serde_json::Value, finished: Vec<StepEvent>) {
        self.offer_as(lease, number, flow, Offer { finished, ..Offer::default() }).await;
    }

    /// The same, with what else the offer says.
    pub async fn offer_as(&mut self, lease: &str, number: u64, flow: &serde_json::Value, more: Offer) {
        while self.credit.limit < number {
            assert!(matches!(self.any().await, Some(Event::Credit(_))), "there is no credit");
        }
        let snapshot = Snapshot { flow: flow.to_string(), ..Snapshot::default() };
        let offer = Offer {
            number,
            credit_stamp: self.credit.stamp,
            task: lease.into(),
            lease_id: lease.into(),
            epoch: 1,
            attempt: 1,
            snapshot: flow.to_string().into_bytes(),
            snapshot_body: Some(snapshot),
            inputs: b"{}".to_vec(),
            run_timeout_ms: 600_000,
            ..more
        };
        self.say(server_event::Event::Offer(offer)).await;
        let Some(Event::Ack(ack)) = self.next().await else { panic!("the offer is not taken") };
        assert_eq!(ack.lease_id, lease.as_bytes());
    }

    pub async fn settle(&self, lease: &str, path: &str, state: StepState) {
        let settled =
            Settled { lease_id: lease.into(), path: path.into(), r#try: 1, state: state.into(), accepted: true };
        self.say(server_event::Event::Settled(settled)).await;
    }

    /// Ends the stream from the server's side.
    pub async fn break_off(self) {
        self.answers.send(Err(Status::unavailable("the server restarts"))).await.unwrap();
    }
}
