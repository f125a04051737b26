//! One attached stream: offers in, outcomes out.

use std::{sync::Arc, time::Duration};

use claiflow_proto::agent::v1::{
    Ack, AgentEvent, AgentMessage, Handback, Hello, Offer, ServerEvent, agent_event::Event,
    agent_service_client::AgentServiceClient, server_event,
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, transport::Channel};

use super::{Broken, Link, convert, ledger::Ledger};
use crate::executor::{LANGUAGE_LEVEL, Report, Step, Task};

/// An offer whose credit is older is handed back.
const CREDIT_AGE: Duration = Duration::from_secs(5);
/// A server that says nothing for this long is away.
const SILENCE: Duration = Duration::from_secs(15);

/// Serves one stream until it breaks or the agent stops.
pub(super) async fn attach(
    link: &Link,
    mut client: AgentServiceClient<Channel>,
    session: &str,
    ledger: &Arc<Ledger>,
    stop: &CancellationToken,
    grace: Duration,
) -> Result<(), Broken> {
    let mut inventory = link.executor.commands().inventory();
    let (messages, outgoing) = mpsc::channel(8);
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
    ledger.begin(&welcome.gone, Duration::from_millis(welcome.lease_ttl_ms));
    tracing::info!(server = link.server, session.uuid = welcome.session_uuid, "connected");

    let writer = tokio::spawn(write(Arc::clone(ledger), messages));
    let mut heartbeat = tokio::time::interval(Duration::from_millis(welcome.heartbeat_ms.clamp(100, 10_000)));
    let mut deadline = None;
    for event in events {
        handle(link, ledger, event);
    }
    let outcome = loop {
        tokio::select! {
            message = tokio::time::timeout(SILENCE, incoming.next()) => match message {
                Ok(Some(Ok(message))) => message.events.into_iter().for_each(|event| handle(link, ledger, event)),
                Ok(Some(Err(status))) => break Err(status.into()),
                Ok(None) => break Err(closed()),
                Err(_) => break Err(Broken::Other(format!("the server said nothing for {} s", SILENCE.as_secs()))),
            },
            _ = heartbeat.tick() => {
                ledger.credit();
                if deadline.is_some() && ledger.is_empty() {
                    break Ok(());
                }
            }
            Ok(()) = inventory.changed() => ledger.send(Event::Inventory(convert::inventory(&inventory.borrow_and_update()))),
            () = stop.cancelled(), if deadline.is_none() => {
                ledger.drain();
                if ledger.is_empty() {
                    break Ok(());
                }
                deadline = Some(tokio::time::Instant::now() + grace);
            }
            () = async { tokio::time::sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now)).await }, if deadline.is_some() => {
                tracing::warn!("running tasks did not end in time; the server gives them to the next agent");
                break Ok(());
            }
        }
    };
    writer.abort();
    outcome
}

/// Everything that waits goes out as one message.
async fn write(ledger: Arc<Ledger>, messages: mpsc::Sender<AgentMessage>) {
    loop {
        let events = ledger.drain_outbox();
        if events.is_empty() {
            ledger.waiting.notified().await;
        } else if messages.send(AgentMessage { events }).await.is_err() {
            return;
        }
    }
}

fn handle(link: &Link, ledger: &Arc<Ledger>, event: ServerEvent) {
    match event.event {
        Some(server_event::Event::Offer(offer)) => take(link, ledger, offer),
        Some(server_event::Event::Settled(settled)) => {
            ledger.settled(&settled.lease_id, &settled.path, settled.accepted)
        }
        Some(server_event::Event::Seen(seen)) => ledger.seen(seen.stamp),
        Some(server_event::Event::Cancel(cancel)) => ledger.cancel(&cancel.lease_id),
        Some(server_event::Event::Drain(_) | server_event::Event::Welcome(_)) | None => {}
    }
}

fn take(link: &Link, ledger: &Arc<Ledger>, offer: Offer) {
    if let Some(body) = &offer.snapshot_body
        && let Err(error) = link.executor.learn(&offer.snapshot, &body.flow)
    {
        tracing::warn!("the flow of template {} is not understood: {error}", body.template_uuid);
    }
    let Some(stop) = ledger.take(&offer.lease_id, &offer.task, offer.epoch, offer.credit_stamp, CREDIT_AGE) else {
        ledger.send(Event::Handback(Handback { lease_id: offer.lease_id, reason: "stale-credit".into() }));
        return;
    };
    ledger.send(Event::Ack(Ack { lease_id: offer.lease_id.clone() }));
    let (executor, ledger) = (Arc::clone(&link.executor), Arc::clone(ledger));
    tokio::spawn(async move {
        let task = Task {
            uuid: offer.task.iter().map(|byte| format!("{byte:02x}")).collect(),
            snapshot: offer.snapshot,
            inputs: offer.inputs,
            attempt: offer.attempt,
            timeout: Duration::from_millis(offer.run_timeout_ms.max(1)),
            finished: offer.finished.into_iter().map(|step| (step.path, step.output)).collect(),
            traceparent: offer.traceparent,
            stop,
        };
        let reporter = Reporter { ledger: Arc::clone(&ledger), lease_id: offer.lease_id.clone() };
        let end = executor.run(&task, &reporter).await;
        let outcome = convert::outcome(&offer.lease_id, &offer.task, offer.epoch, end);
        ledger.finish(&offer.lease_id, outcome);
    });
}

struct Reporter {
    ledger: Arc<Ledger>,
    lease_id: Vec<u8>,
}

#[async_trait::async_trait]
impl Report for Reporter {
    async fn started(&self, step: Step) -> bool {
        // A stream that breaks drops the sender: without the server's word nothing dangerous starts.
        self.ledger.start(convert::step(&self.lease_id, step, true)).await.unwrap_or(false)
    }

    fn ended(&self, step: Step) {
        self.ledger.step(convert::step(&self.lease_id, step, false));
    }

    fn holds(&self) -> bool {
        self.ledger.holds()
    }
}
