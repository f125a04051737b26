//! One delivery: its document, its filter, its attempt, and what that says about the next one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use claiflow_flow_worker::Fault;
use tokio::time::timeout;

use super::{document::document, filter::passes, send::Sender};
use crate::{
    app::App,
    model::{
        duration::micros,
        ids::Id,
        webhook::{Delivery, DeliveryState, Webhook, pause_after},
    },
    storage::{self, Attempt},
};

/// Until there is a document and its filter has spoken.
const PREPARING: Duration = Duration::from_secs(10);
/// A result that cannot be written down is tried again this often; after that the delivery is made once more.
const TRIES: u32 = 5;

/// What stands before the attempt.
enum Prepared {
    /// It is sent.
    Send(String),
    /// The filter said no, or could not say anything.
    Filtered(Option<String>),
    /// There is nothing any more to make a document of.
    Gone(String),
    /// Its filter could not be asked.
    Unasked(String),
}

/// Makes deliveries that this process holds.
#[derive(Clone)]
pub(super) struct Deliverer {
    pub(super) app: App,
    pub(super) holder: Id,
    sender: Arc<Sender>,
}

impl Deliverer {
    pub(super) fn new(app: App, sender: Sender) -> Self {
        Self { holder: app.replica_id(), app, sender: Arc::new(sender) }
    }

    /// Makes one attempt and writes down what came of it. True: the receiver does not answer.
    pub(super) async fn deliver(&self, webhook: &Webhook, delivery: &Delivery) -> bool {
        let attempt = |code, error| Attempt {
            id: delivery.id,
            holder: self.holder,
            code,
            error,
            is_retry: delivery.attempts > 0,
        };
        let prepared = timeout(PREPARING, self.prepared(webhook, delivery)).await;
        let text = match prepared {
            Ok(Ok(Prepared::Send(text))) => text,
            Ok(Ok(Prepared::Filtered(error))) => {
                self.settle(&attempt(None, error), DeliveryState::Filtered).await;
                return false;
            }
            Ok(Ok(Prepared::Gone(why))) => {
                self.settle(&attempt(None, Some(why)), DeliveryState::Dead).await;
                return false;
            }
            Ok(Ok(Prepared::Unasked(why))) => {
                self.fail(delivery, attempt(None, Some(why))).await;
                return false;
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    webhook.delivery = delivery.id,
                    "a webhook's document could not be made; it is tried again"
                );
                self.fail(delivery, attempt(None, Some("the database did not answer".into()))).await;
                return false;
            }
            Err(_) => {
                self.fail(delivery, attempt(None, Some("the document was not ready in time".into()))).await;
                return false;
            }
        };
        let (begun, now_s) = (Instant::now(), self.app.source.now_us().div_euclid(1_000_000));
        let outcome = self.sender.send(webhook, &delivery.message_id(), now_s, &text).await;
        self.app.metrics().webhook_seconds.observe(begun.elapsed().as_secs_f64());
        match outcome {
            Ok(code) => {
                self.settle(&attempt(Some(code), None), DeliveryState::Delivered).await;
                false
            }
            Err(failure) => {
                self.fail(delivery, attempt(failure.code, Some(failure.message))).await;
                failure.is_deaf
            }
        }
    }

    async fn prepared(&self, webhook: &Webhook, delivery: &Delivery) -> Result<Prepared, storage::Error> {
        let store = &self.app.store;
        let text = if let Some(body) = &delivery.body {
            body.clone()
        } else {
            let gone = || Prepared::Gone("the task is not stored any more".into());
            let Some(task) = store.task(delivery.cluster, &delivery.task).await? else { return Ok(gone()) };
            let Some(snapshot) = store.snapshot(&task.snapshot).await? else { return Ok(gone()) };
            match document(webhook, delivery, &task, &snapshot) {
                Ok(text) => text,
                Err(why) => return Ok(Prepared::Gone(why)),
            }
        };
        let Some(filter) = webhook.filter() else { return Ok(Prepared::Send(text)) };
        Ok(match passes(&self.app.jq, filter, &text).await {
            Ok(true) => Prepared::Send(text),
            Ok(false) => Prepared::Filtered(None),
            // What jq says of it may quote the document, which can hold what is encrypted elsewhere.
            Err(Fault::Expression(_)) => Prepared::Filtered(Some("the filter gave no answer for this document".into())),
            // Nobody said that the document is not wanted.
            Err(Fault::Evaluator(message)) => Prepared::Unasked(format!("the filter could not be asked: {message}")),
        })
    }

    async fn settle(&self, attempt: &Attempt, state: DeliveryState) {
        self.app.metrics().webhook_attempts.with_label_values(&[state.word()]).inc();
        written(|| self.app.store.settle_delivery(attempt, state)).await;
    }

    /// The next attempt comes on the schedule, or never.
    async fn fail(&self, delivery: &Delivery, attempt: Attempt) {
        let attempts = u32::try_from(delivery.attempts).unwrap_or(u32::MAX).saturating_add(1);
        let Some(pause) = pause_after(attempts) else { return self.settle(&attempt, DeliveryState::Dead).await };
        self.app.metrics().webhook_attempts.with_label_values(&["failed"]).inc();
        written(|| self.app.store.postpone_delivery(&attempt, micros(pause))).await;
    }
}

async fn written<F: Future<Output = Result<(), storage::Error>>>(mut write: impl FnMut() -> F) {
    for attempt in 1..=TRIES {
        match write().await {
            Ok(()) => return,
            Err(error) if attempt == TRIES => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what came of a webhook's delivery could not be written down; it is made again"
            ),
            Err(_) => tokio::time::sleep(Duration::from_millis(20 << attempt)).await,
        }
    }
}
