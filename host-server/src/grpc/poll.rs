//! A stream made of requests, for agents that can hold none: each request carries events in, and waits for events out. The
//! conversation behind it is the same.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use claiflow_proto::agent::v1::{AgentMessage, PollRequest, PollResponse, ServerMessage};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// A request without an answer is answered after this time. Below what proxies cut off.
const HOLD: Duration = Duration::from_secs(5);
/// A conversation without a request for this long is over.
const SILENCE: Duration = Duration::from_secs(20);
/// Conversations at once.
const MAX: usize = 10_000;

type Answers = mpsc::Receiver<Result<ServerMessage, Status>>;

/// All conversations, by the SHA-256 of the bearer that began them: whoever has it goes on, with no look at the database.
#[derive(Clone, Default)]
pub(super) struct Polls(Arc<Mutex<All>>);

type All = HashMap<[u8; 32], Arc<Conversation>>;

pub(super) struct Conversation {
    /// To the stream; closed when the agent has said everything.
    events: Mutex<Option<mpsc::Sender<Result<AgentMessage, Status>>>>,
    /// From the stream; whoever holds it waits for what comes next.
    answers: tokio::sync::Mutex<Answers>,
    /// The newest number whose events were read.
    read: watch::Sender<u64>,
    /// Answers that may be asked for again.
    given: Mutex<BTreeMap<u64, Result<PollResponse, Status>>>,
    asked: Mutex<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Polls {
    /// The conversation that a bearer began.
    pub(super) fn find(&self, bearer: &str) -> Option<Arc<Conversation>> {
        lock(&self.0).get(&key(bearer)).cloned()
    }

    /// Begins a conversation for a bearer that was found good; `start` starts the stream behind it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there are too many.
    pub(super) fn begin(
        &self,
        bearer: &str,
        start: impl FnOnce(ReceiverStream<Result<AgentMessage, Status>>) -> Answers,
    ) -> Result<Arc<Conversation>, Status> {
        let key = key(bearer);
        let mut all = lock(&self.0);
        if let Some(begun) = all.get(&key) {
            return Ok(Arc::clone(begun));
        }
        if all.len() >= MAX {
            return Err(Status::resource_exhausted("too many agents poll this server"));
        }
        let (sender, events) = mpsc::channel(2);
        let conversation = Arc::new(Conversation::new(sender, start(ReceiverStream::new(events))));
        all.insert(key, Arc::clone(&conversation));
        tokio::spawn(end_in_silence(Arc::downgrade(&self.0), key, Arc::clone(&conversation)));
        Ok(conversation)
    }
}

fn key(bearer: &str) -> [u8; 32] {
    Sha256::digest(bearer).into()
}

/// Forgets a conversation when nobody asks any more; its stream ends with it.
async fn end_in_silence(all: Weak<Mutex<All>>, key: [u8; 32], conversation: Arc<Conversation>) {
    loop {
        let until = *lock(&conversation.asked) + SILENCE;
        if until <= Instant::now() {
            break;
        }
        tokio::time::sleep_until(until).await;
    }
    if let Some(all) = all.upgrade() {
        lock(&all).remove(&key);
    }
}

impl Conversation {
    fn new(events: mpsc::Sender<Result<AgentMessage, Status>>, answers: Answers) -> Self {
        Self {
            events: Mutex::new(Some(events)),
            answers: answers.into(),
            read: watch::Sender::new(0),
            given: Mutex::default(),
            asked: Mutex::new(Instant::now()),
        }
    }

    /// Reads a request's events and waits for its answer.
    ///
    /// # Errors
    /// ABORTED when the stream broke; FAILED_PRECONDITION and INVALID_ARGUMENT for a number that cannot be.
    pub(super) async fn answer(&self, request: PollRequest) -> Result<PollResponse, Status> {
        *lock(&self.asked) = Instant::now();
        let number = request.number;
        self.read(request).await?;
        self.answered(number).await
    }

    /// Passes a request's events on, once, in the order of the numbers.
    async fn read(&self, request: PollRequest) -> Result<(), Status> {
        let PollRequest { number, events, last } = request;
        let before = number.checked_sub(1).ok_or_else(|| Status::invalid_argument("`number` is counted from 1"))?;
        let mut turn = self.read.subscribe();
        // The sender is `self`: it does not close.
        let waited = tokio::time::timeout(HOLD, turn.wait_for(|read| *read >= before)).await;
        match waited.map(|read| read.is_ok_and(|read| *read >= number)) {
            Err(_) => return Err(Status::failed_precondition(format!("request {before} has not come"))),
            Ok(true) => return Ok(()),
            Ok(false) => {}
        }
        let sender = lock(&self.events).clone();
        // Nothing is awaited between taking the place and counting the request, so that one which is cut off here can come
        // again. A stream that has ended has its own answer.
        let place = match &sender {
            Some(sender) => sender.reserve().await.ok(),
            None => None,
        };
        // Under the lock of the number, so that no later request overtakes this one.
        self.read.send_if_modified(|read| {
            if *read >= number {
                return false;
            }
            *read = number;
            if let Some(place) = place {
                place.send(Ok(AgentMessage { events }));
            }
            true
        });
        if last {
            lock(&self.events).take();
        }
        // Two are under way at most: what came before those has its answer.
        lock(&self.given).retain(|given, _| given + 1 >= number);
        Ok(())
    }

    /// The answer to a request that was read: the stored one, or what the stream says next.
    async fn answered(&self, number: u64) -> Result<PollResponse, Status> {
        let mut read = self.read.subscribe();
        let mut answers = self.answers.lock().await;
        if let Some(given) = lock(&self.given).get(&number) {
            return given.clone();
        }
        if number + 1 < *read.borrow() {
            return Err(Status::failed_precondition(format!("request {number} was answered long ago")));
        }
        // One that waited less than this has nothing to say any more: what comes now is this one's.
        lock(&self.given).entry(number.saturating_sub(1)).or_insert_with(|| Ok(PollResponse::default()));
        let answer = tokio::select! {
            biased;
            said = answers.recv() => match said {
                Some(Ok(ServerMessage { events })) => Ok(PollResponse { events, last: false }),
                // Told apart from a connection that broke, after which the request is made again.
                Some(Err(status)) => Err(Status::aborted(status.message())),
                None => Ok(PollResponse { events: Vec::new(), last: true }),
            },
            // A later request waits now.
            _ = read.wait_for(|read| *read > number) => Ok(PollResponse::default()),
            () = tokio::time::sleep(HOLD) => Ok(PollResponse::default()),
        };
        lock(&self.given).insert(number, answer.clone());
        answer
    }
}
