//! The server as seen from here: attach, reconnect with jittered backoff, drain. Knows no wasm and no Kubernetes.

mod ambient;
mod convert;
mod fallback;
mod grpc;
mod ledger;
mod lines;
mod outbox;
mod poll;
mod rest;
mod runs;
mod stream;
mod tls;
mod transport;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    control::Orders,
    executor::Executor,
    journal::{Journal, Opened},
    metrics::Metrics,
};
pub use ambient::Ambient;
pub use fallback::Fallback;
pub use grpc::{Grpc, Server};
use ledger::Ledger;
pub use poll::Poll;
use runs::Runs;
use stream::{Agent, Over};
pub use tls::Trust;
pub use transport::{Broken, Incoming, Transport};

const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_LAST: Duration = Duration::from_secs(10);
/// No server sends an agent away for longer.
const AWAY_LAST: Duration = Duration::from_secs(300);
/// What is left to say when the agent ends goes out within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Messages between the ledger and the wire. Few: what is in here goes before the next heartbeat.
const MESSAGES: usize = 2;

/// The first authentication was refused; trying again would not help.
#[derive(Debug)]
pub struct Refused(pub String);

/// What an agent needs to serve. All of it comes from outside: clock (tokio's), randomness, disk, transport and commands.
pub struct Link {
    /// To the server.
    pub transport: Arc<dyn Transport>,
    /// See the protocol.
    pub journal_id: [u8; 16],
    /// Outlives the process.
    pub journal: Opened,
    /// Tasks at once.
    pub slots: usize,
    /// Runs them.
    pub executor: Arc<Executor>,
    /// Whether the server is there, and what runs.
    pub metrics: Arc<Metrics>,
    /// The rest of the world.
    pub ambient: Arc<Ambient>,
    /// What the commands that it runs ask of it.
    pub orders: Orders,
}

impl Link {
    /// Serves until `stop`, then lets running tasks end within `grace`. Dropping the future ends everything at once, as the
    /// death of the process would.
    ///
    /// # Errors
    /// [`Refused`] when the very first authentication is refused.
    pub async fn run(self, stop: CancellationToken, grace: Duration) -> Result<(), Refused> {
        let Opened { journal, writer, recovered } = self.journal;
        let _writing = AbortOnDropHandle::new(tokio::spawn(writer.run()));
        let ledger = Ledger::new(self.slots, self.metrics.running.clone(), journal.clone(), Instant::now());
        ledger.restore(recovered);
        let ledger = Arc::new(ledger);
        let runs = Runs::new(
            Arc::clone(&self.executor),
            Arc::clone(&ledger),
            Arc::clone(&self.metrics),
            Arc::clone(&self.ambient),
        );
        let agent = Agent { journal_id: self.journal_id, slots: self.slots, runs, ledger, metrics: self.metrics };
        let closing = CancellationToken::new();
        let served = tokio::select! {
            biased;
            served = serve(&*self.transport, &agent, &self.ambient, &closing) => served,
            () = drain(&agent.ledger, &stop, &closing, grace) => Ok(()),
            never = rest::follow(&agent.ledger, self.orders) => match never {},
        };
        last_writes(&journal).await;
        served
    }
}

/// Connects, and connects again, until `closing`.
async fn serve(
    transport: &dyn Transport,
    agent: &Agent,
    ambient: &Ambient,
    closing: &CancellationToken,
) -> Result<(), Refused> {
    let (mut known, mut wait) = (false, BACKOFF_FIRST);
    loop {
        let began = Instant::now();
        let pause = match connect(transport, agent, closing, &mut known).await {
            Ok(Over::Closing) => return Ok(()),
            Ok(Over::SentAway(away)) => {
                let away = away.min(AWAY_LAST).mul_f64(1.0 + (ambient.random)() / 2.0);
                tracing::info!(server = transport.peer(), retry_ms = away.as_millis(), "sent away by the server");
                wait = BACKOFF_FIRST;
                away
            }
            Err(Broken::Token(message)) if !known => return Err(Refused(message)),
            Err(Broken::Token(message) | Broken::Other(message)) => {
                tracing::warn!(server = transport.peer(), retry_ms = wait.as_millis(), "not connected: {message}");
                // What served for a while is not what the last failures were about.
                if began.elapsed() > BACKOFF_LAST {
                    wait = BACKOFF_FIRST;
                }
                let jittered = wait.mul_f64(0.5 + (ambient.random)() / 2.0);
                wait = (wait * 2).min(BACKOFF_LAST);
                jittered
            }
        };
        tokio::select! {
            biased;
            () = closing.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn connect(
    transport: &dyn Transport,
    agent: &Agent,
    closing: &CancellationToken,
    known: &mut bool,
) -> Result<Over, Broken> {
    let (messages, outgoing) = mpsc::channel(MESSAGES);
    let incoming = transport.open(outgoing).await?;
    *known = true;
    stream::converse(agent, transport.peer(), incoming, messages, closing).await
}

/// After `stop`: no new task, and time for those that run, connected or not. What has not ended then goes back to the
/// server where nothing speaks against it. Ends when all is said, or cannot be.
async fn drain(ledger: &Ledger, stop: &CancellationToken, closing: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    ledger.drain(Instant::now());
    if tokio::time::timeout(grace, ledger.idle()).await.is_err() {
        let (back, stay) = ledger.give_up(Instant::now());
        tracing::warn!(
            tasks.handed_back = back,
            tasks.leased = stay,
            "running tasks did not end in time; those with an effect under way, or with something to report, stay leased"
        );
    }
    closing.cancel();
    tokio::time::sleep(LAST_WORDS).await;
}

/// What the server did not hear is for the next process to say.
async fn last_writes(journal: &Journal) {
    if tokio::time::timeout(LAST_WORDS, journal.flush()).await.is_err() {
        tracing::error!("the journal could not be written to its end");
    }
}
