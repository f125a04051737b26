//! The protocol over requests, where no stream can be held: at most two are under way, so that one waits for what the server
//! says while the next says what the agent has to.

use std::{sync::Arc, time::Duration};

use claiflow_proto::agent::v1::{AgentMessage, PollRequest, PollResponse, ServerMessage};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use super::{
    grpc::{Server, Session},
    transport::{Broken, Incoming, Transport},
};

/// An answer comes within this time; servers hold a request for less.
const ANSWER: Duration = Duration::from_secs(12);
/// A request that fails is made again this often: the server reads its events once.
const TRIES: u32 = 4;
const RETRY: Duration = Duration::from_millis(300);
const UNDER_WAY: usize = 2;

/// Polls a server.
pub struct Poll(Server);

impl Poll {
    /// Requests to `server`.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self(server)
    }
}

#[async_trait::async_trait]
impl Transport for Poll {
    fn peer(&self) -> &str {
        self.0.name()
    }

    async fn open(&self, outgoing: mpsc::Receiver<AgentMessage>) -> Result<Incoming, Broken> {
        let session = Arc::new(self.0.session().await?);
        let (answers, incoming) = mpsc::channel(UNDER_WAY);
        let asking = AbortOnDropHandle::new(tokio::spawn(converse(session, outgoing, answers)));
        Ok(Box::pin(ReceiverStream::new(incoming).map(move |answer| {
            // It asks for as long as the answers are wanted.
            let _asking = &asking;
            answer
        })))
    }
}

/// Asks until the server has nothing more to say, something breaks, or nobody wants the answers.
async fn converse(
    session: Arc<Session>,
    mut outgoing: mpsc::Receiver<AgentMessage>,
    answers: mpsc::Sender<Result<ServerMessage, Status>>,
) {
    let (mut number, mut said_all) = (0, false);
    let mut under_way = FuturesOrdered::new();
    loop {
        let request = tokio::select! {
            biased;
            message = outgoing.recv(), if !said_all && under_way.len() < UNDER_WAY => {
                said_all = message.is_none();
                PollRequest { number: number + 1, events: message.unwrap_or_default().events, last: said_all }
            }
            Some(answer) = under_way.next(), if !under_way.is_empty() => {
                let over = !matches!(answer, Ok(PollResponse { last: false, .. }));
                let said = answer.map(|PollResponse { events, .. }| ServerMessage { events });
                if answers.send(said).await.is_err() || over {
                    return;
                }
                if !under_way.is_empty() {
                    continue;
                }
                PollRequest { number: number + 1, events: Vec::new(), last: said_all }
            }
        };
        number = request.number;
        under_way.push_back(ask(Arc::clone(&session), request));
    }
}

/// One request and its answer, over connections that break.
async fn ask(session: Arc<Session>, message: PollRequest) -> Result<PollResponse, Status> {
    let mut tries = 1;
    loop {
        let mut request = session.request(message.clone());
        request.set_timeout(ANSWER);
        match session.client.clone().poll(request).await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if tries < TRIES && may_pass(&status) => tokio::time::sleep(RETRY * tries).await,
            Err(status) => return Err(status),
        }
        tries += 1;
    }
}

/// Whether the request may not have arrived, or its answer may not have come back.
fn may_pass(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal
    )
}
