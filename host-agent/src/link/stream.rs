//! One attached stream: offers in, outcomes out.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_proto::agent::v1::{
    AgentEvent, AgentMessage, Hello, Offer, ServerEvent, ServerMessage, Settled, agent_event::Event,
    agent_service_client::AgentServiceClient, server_event,
};
use prometheus::IntGauge;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Streaming, transport::Channel};

use super::{
    Broken, Link, convert,
    ledger::{LeaseId, Ledger, Taken},
    outbox::Ordered,
};
use crate::executor::{LANGUAGE_LEVEL, Line, Report, Step};

/// A server that says nothing for this long is away.
const SILENCE: Duration = Duration::from_secs(15);
/// Messages between the ledger and the wire. Few: what is in here goes before the next heartbeat.
const MESSAGES: usize = 2;

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

/// Serves one stream until it breaks, or until `closing`: then everything that waits is sent first.
pub(super) async fn attach(
    link: &Link,
    mut client: AgentServiceClient<Channel>,
    session: &str,
    ledger: &Arc<Ledger>,
    closing: &CancellationToken,
) -> Result<(), Broken> {
    let mut inventory = link.executor.commands().inventory();
    let (messages, outgoing) = mpsc::channel(MESSAGES);
    let hello = Hello {
        agent_version: env!("CARGO_PKG_VERSION").into(),
        language_level: LANGUAGE_LEVEL,
        journal_id: link.journal.to_vec(),
        slots: u32::try_from(link.slots).unwrap_or(u32::MAX),
        inventory: Some(convert::inventory(&inventory.borrow_and_update())),
        held: ledger.held(),
        name: String::new(),
    };
    let closed = || Broken::Other("the stream is closed".into());
    let asked = Instant::now();
    messages
        .send(AgentMessage { events: vec![AgentEvent { event: Some(Event::Hello(hello)) }] })
        .await
        .map_err(|_| closed())?;
    let mut request = Request::new(ReceiverStream::new(outgoing));
    let bearer = format!("Bearer {session}").parse().map_err(|_| Broken::Other("the session is not text".into()))?;
    request.metadata_mut().insert("authorization", bearer);
    let mut incoming = client.attach(request).await?.into_inner();
    let first = incoming.next().await.ok_or_else(closed)??;
    let mut events = first.events.into_iter();
    let Some(server_event::Event::Welcome(welcome)) = events.next().and_then(|event| event.event) else {
        return Err(Broken::Other("the server did not say welcome".into()));
    };
    link.executor.forget();
    ledger.begin(&welcome.gone, Duration::from_millis(welcome.lease_ttl_ms), asked);
    tracing::info!(server = link.server, session.uuid = welcome.session_uuid, "connected");
    let _connected = Connected::new(&link.metrics.connected);

    let writer = AbortOnDropHandle::new(tokio::spawn(write(Arc::clone(ledger), messages, closing.clone())));
    let mut heartbeat = tokio::time::interval(Duration::from_millis(welcome.heartbeat_ms.clamp(100, 10_000)));
    for event in events {
        handle(link, ledger, event);
    }
    loop {
        tokio::select! {
            message = tokio::time::timeout(SILENCE, incoming.next()) => match message {
                Ok(Some(message)) => message?.events.into_iter().for_each(|event| handle(link, ledger, event)),
                Ok(None) => return Err(closed()),
                Err(_) => return Err(Broken::Other(format!("the server said nothing for {} s", SILENCE.as_secs()))),
            },
            _ = heartbeat.tick() => {
                if link.executor.is_full() {
                    return Err(Broken::Other("many templates were run: connecting anew forgets their flows".into()));
                }
                ledger.credit(Instant::now());
            }
            Ok(()) = inventory.changed() => {
                ledger.send(Ordered::Inventory(convert::inventory(&inventory.borrow_and_update())));
            }
            () = closing.cancelled() => break,
        }
    }
    last_words(link, ledger, writer, incoming).await
}

/// The server ends the stream when it has read everything; the caller limits the time.
async fn last_words(
    link: &Link,
    ledger: &Arc<Ledger>,
    writer: AbortOnDropHandle<()>,
    mut incoming: Streaming<ServerMessage>,
) -> Result<(), Broken> {
    writer.await.map_err(|error| Broken::Other(error.to_string()))?;
    while let Some(message) = incoming.next().await {
        message?.events.into_iter().for_each(|event| handle(link, ledger, event));
    }
    Ok(())
}

/// Sends what waits, message by message; ends, and the request with it, when nothing waits after `closing`.
async fn write(ledger: Arc<Ledger>, messages: mpsc::Sender<AgentMessage>, closing: CancellationToken) {
    loop {
        let events = ledger.next_message();
        if !events.is_empty() {
            if messages.send(AgentMessage { events }).await.is_err() {
                return;
            }
        } else if closing.is_cancelled() {
            return;
        } else {
            tokio::select! { () = ledger.waiting.notified() => {}, () = closing.cancelled() => {} }
        }
    }
}

fn handle(link: &Link, ledger: &Arc<Ledger>, event: ServerEvent) {
    match event.event {
        Some(server_event::Event::Offer(offer)) => take(link, ledger, offer),
        Some(server_event::Event::Settled(settled)) => {
            let state = settled.state();
            let Settled { lease_id, path, accepted, .. } = settled;
            ledger.settled(&lease_id, &path, state, accepted, Instant::now());
        }
        Some(server_event::Event::Seen(seen)) => ledger.seen(seen.stamp),
        Some(server_event::Event::Cancel(cancel)) => ledger.cancel(&cancel.lease_id),
        Some(server_event::Event::Drain(_) | server_event::Event::Pause(_) | server_event::Event::Welcome(_))
        | None => {}
    }
}

fn take(link: &Link, ledger: &Arc<Ledger>, offer: Offer) {
    if let Some(body) = &offer.snapshot_body
        && let Err(error) = link.executor.learn(&offer.snapshot, &body.flow)
    {
        tracing::warn!("the flow of template {} is not understood: {error}", body.template_uuid);
    }
    let taken = ledger.take(&offer.lease_id, &offer.task, offer.epoch, offer.credit_stamp, Instant::now());
    let Taken::Run(run) = taken else { return };
    let (executor, ledger) = (Arc::clone(&link.executor), Arc::clone(ledger));
    let metrics = Arc::clone(&link.metrics);
    tokio::spawn(async move {
        let (lease_id, id, epoch) = (offer.lease_id.clone(), offer.task.clone(), offer.epoch);
        let report: Arc<dyn Report> = Arc::new(Reporter { ledger: Arc::clone(&ledger), lease_id: lease_id.clone() });
        let end = executor.run(&convert::task(offer, run), &report).await;
        metrics.run_ended(end.verdict);
        let outcome = convert::outcome(&lease_id, &id, epoch, end);
        ledger.finish(&lease_id, outcome, Instant::now());
    });
}

struct Reporter {
    ledger: Arc<Ledger>,
    lease_id: LeaseId,
}

#[async_trait::async_trait]
impl Report for Reporter {
    async fn started(&self, step: Step) -> bool {
        // The ledger drops the other end when the lease is gone.
        self.ledger.start(convert::step(&self.lease_id, step, true)).await.unwrap_or(false)
    }

    fn ended(&self, step: Step) {
        self.ledger.step(convert::step(&self.lease_id, step, false));
    }

    async fn note(&self, step: &Step, index: usize, text: String) -> bool {
        self.ledger.start(convert::note(&self.lease_id, step, index, text)).await.unwrap_or(false)
    }

    fn log(&self, line: Line) {
        self.ledger.log(convert::line(&self.lease_id, line));
    }

    async fn holds(&self) {
        self.ledger.holds().await;
    }
}
