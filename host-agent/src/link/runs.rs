//! Offers that were taken, as runs of the executor; they outlive streams and end with this.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use claiflow_proto::agent::v1::Offer;
use tokio::{task::JoinSet, time::Instant};

use super::{
    ambient::Ambient,
    convert,
    ledger::{LeaseId, Ledger, Run},
};
use crate::{
    executor::{Executor, Report, Step, Task, commands::Effect},
    metrics::Metrics,
};

pub(super) struct Runs {
    executor: Arc<Executor>,
    ledger: Arc<Ledger>,
    metrics: Arc<Metrics>,
    ambient: Arc<Ambient>,
    running: Mutex<JoinSet<()>>,
}

impl Runs {
    pub(super) fn new(
        executor: Arc<Executor>,
        ledger: Arc<Ledger>,
        metrics: Arc<Metrics>,
        ambient: Arc<Ambient>,
    ) -> Self {
        Self { executor, ledger, metrics, ambient, running: Mutex::default() }
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Runs an offer that was taken, and puts its outcome into the ledger.
    pub(super) fn begin(&self, offer: Offer, run: Run) {
        let (executor, metrics) = (Arc::clone(&self.executor), Arc::clone(&self.metrics));
        let reporter = Reporter {
            ledger: Arc::clone(&self.ledger),
            ambient: Arc::clone(&self.ambient),
            lease_id: offer.lease_id.clone(),
        };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            if offer.alone {
                tokio::select! {
                    biased;
                    () = run.gone.cancelled() => {}
                    () = run.stop.cancelled() => {}
                    () = reporter.ledger.others_ended() => {}
                }
            }
            let (lease_id, epoch, task_id) = (offer.lease_id.clone(), offer.epoch, offer.task.clone());
            let end = executor.run(&task_of(offer, run), &reporter).await;
            metrics.run_ended(end.verdict);
            let outcome = convert::outcome(&lease_id, &task_id, epoch, end, (reporter.ambient.wall_us)());
            reporter.ledger.finish(&lease_id, outcome, Instant::now());
        });
    }
}

fn task_of(offer: Offer, run: Run) -> Task {
    Task {
        uuid: offer.task.iter().map(|byte| format!("{byte:02x}")).collect(),
        snapshot: offer.snapshot,
        inputs: offer.inputs,
        attempt: offer.attempt,
        timeout: Duration::from_millis(offer.run_timeout_ms.max(1)),
        finished: offer.finished.into_iter().map(|step| (step.path, step.output)).collect(),
        traceparent: offer.traceparent,
        stop: run.stop,
        gone: run.gone,
    }
}

struct Reporter {
    ledger: Arc<Ledger>,
    ambient: Arc<Ambient>,
    lease_id: LeaseId,
}

#[async_trait::async_trait]
impl Report for Reporter {
    async fn started(&self, step: Step) -> bool {
        let asks = step.effect > Effect::Idempotent;
        let event = convert::step(&self.lease_id, step, true, (self.ambient.wall_us)());
        // The disk and the server work at the same time.
        let journaled = self.ledger.journal_start(&event);
        // The ledger drops the other end when the lease is gone.
        if asks && !self.ledger.start(event).await.unwrap_or(false) {
            return false;
        }
        journaled.await;
        true
    }

    fn ended(&self, step: Step) {
        self.ledger.step(convert::step(&self.lease_id, step, false, (self.ambient.wall_us)()));
    }

    async fn holds(&self) {
        self.ledger.holds().await;
    }
}
