//! One attached stream: offers in, outcomes out, whatever carries it.

use std::{sync::Arc, time::Duration};

use claiflow_proto::agent::v1::{
    AgentEvent, AgentMessage, Hello, Offer, ServerEvent, ServerMessage, Welcome, agent_event::Event, server_event,
};
use prometheus::IntGauge;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_stream::StreamExt as _;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    LAST_WORDS, convert,
    ledger::{Ledger, Taken},
    outbox::Ordered,
    runs::Runs,
    transport::{Broken, Incoming},
};
use crate::{executor::LANGUAGE_LEVEL, metrics::Metrics};

/// A server that says nothing for this long is away.
const SILENCE: Duration = Duration::from_secs(15);

/// What speaks on the streams, one after the other.
pub(super) struct Agent {
    pub(super) journal_id: [u8; 16],
    pub(super) slots: usize,
    pub(super) runs: Runs,
    pub(super) ledger: Arc<Ledger>,
    pub(super) metrics: Arc<Metrics>,
}

/// How a stream ended that did not break.
pub(super) enum Over {
    /// Everything is said, and the agent ends.
    Closing,
    /// The server asks to come again after this time.
    SentAway(Duration),
}

/// The server is there for as long as this lives.
struct Connected(IntGauge);

impl Connected {
    fn new(gauge: &IntGauge) -> Self {
        gauge.set(1);
        Self(gauge.clone())
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// Serves one stream until it breaks, until the server sent the agent away and nothing is left to say, or until `closing`:
/// then everything that waits is sent first.
pub(super) async fn converse(
    agent: &Agent,
    peer: &str,
    mut incoming: Incoming,
    messages: mpsc::Sender<AgentMessage>,
    closing: &CancellationToken,
) -> Result<Over, Broken> {
    let ledger = &agent.ledger;
    let mut inventory = agent.runs.executor().commands().inventory();
    let hello = agent.hello(convert::inventory(&inventory.borrow_and_update()));
    let asked = Instant::now();
    let hello = AgentMessage { events: vec![AgentEvent { event: Some(Event::Hello(hello)) }] };
    messages.send(hello).await.map_err(|_| closed())?;
    let (welcome, rest) = welcomed(&mut incoming).await?;
    agent.runs.executor().forget();
    ledger.begin(&welcome.gone, Duration::from_millis(welcome.lease_ttl_ms), asked);
    tracing::info!(server = peer, session.uuid = welcome.session_uuid, "connected");
    let _connected = Connected::new(&agent.metrics.connected);

    let done = closing.child_token();
    let writer = AbortOnDropHandle::new(tokio::spawn(write(Arc::clone(ledger), messages, done.clone())));
    let mut heartbeat = tokio::time::interval(Duration::from_millis(welcome.heartbeat_ms.clamp(100, 10_000)));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut away) = (Instant::now(), None);
    for event in rest {
        handle(agent, event, &mut away);
    }
    loop {
        // What comes seldom is asked first, and what never ends last.
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            _ = heartbeat.tick() => {
                if agent.runs.executor().is_full() {
                    return Err(Broken::Other("many templates were run: connecting anew forgets their flows".into()));
                }
                ledger.credit(Instant::now());
            }
            Ok(()) = inventory.changed() => {
                ledger.send(Ordered::Inventory(convert::inventory(&inventory.borrow_and_update())));
            }
            () = ledger.idle(), if away.is_some() => {
                done.cancel();
                // Nothing is left that the server must hear: how the stream ends makes no difference.
                let _ = tokio::time::timeout(LAST_WORDS, last_words(agent, writer, incoming)).await;
                return Ok(Over::SentAway(away.unwrap_or_default()));
            }
            message = incoming.next() => {
                heard = Instant::now();
                match (message, away) {
                    (Some(Ok(message)), _) => {
                        message.events.into_iter().for_each(|event| handle(agent, event, &mut away));
                    }
                    (Some(Err(_)) | None, Some(away)) => return Ok(Over::SentAway(away)),
                    (Some(Err(status)), None) => return Err(status.into()),
                    (None, None) => return Err(closed()),
                }
            }
            () = tokio::time::sleep_until(heard + SILENCE) => {
                return Err(Broken::Other(format!("the server said nothing for {} s", SILENCE.as_secs())));
            }
        }
    }
    last_words(agent, writer, incoming).await?;
    Ok(Over::Closing)
}

impl Agent {
    fn hello(&self, inventory: claiflow_proto::agent::v1::Inventory) -> Hello {
        Hello {
            agent_version: env!("CARGO_PKG_VERSION").into(),
            language_level: LANGUAGE_LEVEL,
            journal_id: self.journal_id.to_vec(),
            slots: u32::try_from(self.slots).unwrap_or(u32::MAX),
            inventory: Some(inventory),
            held: self.ledger.held(),
            name: String::new(),
        }
    }
}

fn closed() -> Broken {
    Broken::Other("the stream is closed".into())
}

/// The answer to `hello`, and what came with it.
async fn welcomed(incoming: &mut Incoming) -> Result<(Welcome, impl Iterator<Item = ServerEvent> + use<>), Broken> {
    let first = tokio::time::timeout(SILENCE, incoming.next())
        .await
        .map_err(|_| Broken::Other("the server did not answer".into()))?
        .ok_or_else(closed)??;
    let mut events = first.events.into_iter();
    match events.next().and_then(|event| event.event) {
        Some(server_event::Event::Welcome(welcome)) => Ok((welcome, events)),
        _ => Err(Broken::Other("the server did not say welcome".into())),
    }
}

/// The server ends the stream when it has read everything; the caller limits the time.
async fn last_words(agent: &Agent, writer: AbortOnDropHandle<()>, mut incoming: Incoming) -> Result<(), Broken> {
    writer.await.map_err(|error| Broken::Other(error.to_string()))?;
    while let Some(message) = incoming.next().await {
        let ServerMessage { events } = message?;
        events.into_iter().for_each(|event| handle(agent, event, &mut None));
    }
    Ok(())
}

/// Sends what waits, message by message; ends, and the request with it, when nothing waits after `done`.
async fn write(ledger: Arc<Ledger>, messages: mpsc::Sender<AgentMessage>, done: CancellationToken) {
    loop {
        let events = ledger.next_message();
        if !events.is_empty() {
            if messages.send(AgentMessage { events }).await.is_err() {
                return;
            }
        } else if done.is_cancelled() {
            return;
        } else {
            tokio::select! { biased; () = ledger.waiting.notified() => {}, () = done.cancelled() => {} }
        }
    }
}

/// `away`: for how long the server sends the agent away, once it does.
fn handle(agent: &Agent, event: ServerEvent, away: &mut Option<Duration>) {
    let ledger = &agent.ledger;
    match event.event {
        Some(server_event::Event::Offer(offer)) => take(agent, offer),
        Some(server_event::Event::Settled(settled)) => ledger.settled(&settled, Instant::now()),
        Some(server_event::Event::Seen(seen)) => ledger.seen(seen.stamp),
        Some(server_event::Event::Cancel(cancel)) => ledger.cancel(&cancel.lease_id),
        Some(server_event::Event::Drain(drain)) => {
            tracing::info!(reason = drain.reason, "the server wants no more tasks to be taken on this stream");
            ledger.refuse_offers(Instant::now());
            *away = Some(Duration::from_millis(drain.reconnect_ms));
        }
        Some(server_event::Event::Pause(pause)) => ledger.pause(&pause.lease_id, pause.paused),
        Some(server_event::Event::Welcome(_)) | None => {}
    }
}

fn take(agent: &Agent, offer: Offer) {
    if let Some(body) = &offer.snapshot_body
        && let Err(error) = agent.runs.executor().learn(&offer.snapshot, &body.flow)
    {
        tracing::warn!("the flow of template {} is not understood: {error}", body.template_uuid);
    }
    if let Taken::Run(run) = agent.ledger.take(&offer, Instant::now()) {
        agent.runs.begin(offer, run);
    }
}
