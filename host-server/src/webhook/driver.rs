//! Looks for what is due, and keeps so many deliveries under way and no more.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    task::{Id as TaskId, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{breaker::Breaker, deliver::Deliverer, send::time_of};
use crate::{
    model::{duration::micros, webhook::Webhook},
    storage::{Error, IN_FLIGHT},
};

/// Between two looks at what other replicas wrote, and at what has become due.
const ROUND: Duration = Duration::from_secs(1);
/// What this process writes is looked at together when it comes in quick succession.
const LINGER: Duration = Duration::from_millis(5);
/// Deliveries that this process makes at once, for all webhooks.
const MOST: usize = 1_024;
/// Above half of that a webhook gets no more than this, so that slow receivers do not take what is left.
const FEW: usize = 2;
/// How long a delivery is held longer than its attempt may take: making its document, and writing down what came of it.
const MARGIN: Duration = Duration::from_secs(15);
/// What is under way when the server stops may take this long; then it is given back.
const DRAIN: Duration = Duration::from_secs(6);

/// What this process knows of one webhook.
#[derive(Default)]
struct Hook {
    breaker: Breaker,
    in_flight: usize,
}

struct Driver {
    deliverer: Deliverer,
    hooks: HashMap<String, Hook>,
    running: JoinSet<bool>,
    /// The webhook and the delivery of each that is under way.
    what: HashMap<TaskId, (String, i64)>,
}

/// Delivers until `stop`.
pub(super) async fn run(deliverer: Deliverer, stop: CancellationToken) {
    let mut driver = Driver { deliverer, hooks: HashMap::new(), running: JoinSet::new(), what: HashMap::new() };
    let mut every = interval(ROUND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let store = driver.deliverer.app.store.clone();
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = driver.running.join_next_with_id() => driver.note(ended),
            () = store.something_told() => tokio::time::sleep(LINGER).await,
            _ = every.tick() => {}
        }
        while let Some(ended) = driver.running.try_join_next_with_id() {
            driver.note(ended);
        }
        if let Err(error) = driver.round().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what is due for webhooks could not be looked at");
            tokio::select! { () = stop.cancelled() => break, () = tokio::time::sleep(ROUND) => {} }
        }
    }
    driver.drain().await;
}

impl Driver {
    fn note(&mut self, ended: Result<(TaskId, bool), JoinError>) {
        let (id, is_deaf) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), false),
        };
        let Some((uuid, _)) = self.what.remove(&id) else { return };
        let Some(hook) = self.hooks.get_mut(&uuid) else { return };
        hook.in_flight = hook.in_flight.saturating_sub(1);
        hook.breaker.note(Instant::now(), is_deaf);
    }

    async fn round(&mut self) -> Result<(), Error> {
        let store = self.deliverer.app.store.clone();
        self.hooks.retain(|_, hook| hook.in_flight > 0 || !hook.breaker.is_calm());
        for uuid in store.due_webhooks().await? {
            let hook = self.hooks.entry(uuid.clone()).or_default();
            let under_way = self.running.len();
            let most = if under_way < MOST / 2 { usize::try_from(IN_FLIGHT).unwrap_or(FEW) } else { FEW };
            let room = hook.breaker.allows(Instant::now(), hook.in_flight, most).min(MOST.saturating_sub(under_way));
            let Ok(room @ 1..) = i64::try_from(room) else { continue };
            let hold_us = |webhook: &Webhook| micros(time_of(webhook) + MARGIN);
            match store.hold_deliveries(&uuid, self.deliverer.holder, room, hold_us).await {
                Ok(None) => {}
                Ok(Some((webhook, deliveries))) => {
                    let webhook = Arc::new(webhook);
                    for delivery in deliveries {
                        hook.in_flight += 1;
                        let (deliverer, webhook, id) = (self.deliverer.clone(), Arc::clone(&webhook), delivery.id);
                        let handle = self.running.spawn(async move { deliverer.deliver(&webhook, &delivery).await });
                        self.what.insert(handle.id(), (uuid.clone(), id));
                    }
                }
                // Others wait for it less than they would for a look at all of them.
                Err(error) if error.may_pass() => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    webhook.uuid = uuid,
                    "what is due for a webhook is looked at again"
                ),
                // One that cannot be read delays no other.
                Err(error @ (Error::Sealed(_) | Error::Row(_))) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    webhook.uuid = uuid,
                    "what is due for a webhook cannot be read"
                ),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets what is under way end, and gives back what does not.
    async fn drain(mut self) {
        let until = Instant::now() + DRAIN;
        while let Ok(Some(ended)) = timeout_at(until, self.running.join_next_with_id()).await {
            self.note(ended);
        }
        self.running.shutdown().await;
        let left: Vec<i64> = self.what.values().map(|(_, delivery)| *delivery).collect();
        if let Err(error) = self.deliverer.app.store.release_deliveries(self.deliverer.holder, &left).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "deliveries were not given back and are made by others after their time"
            );
        }
    }
}
