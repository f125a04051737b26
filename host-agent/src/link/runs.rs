//! Offers that were taken, as runs of the executor; they outlive streams and end with this.

use std::sync::{Arc, Mutex, PoisonError};

use claiflow_proto::agent::v1::Offer;
use tokio::{task::JoinSet, time::Instant};
use tracing::Instrument as _;

use super::{
    ambient::Ambient,
    convert,
    ledger::{LeaseId, Ledger, Run},
};
use crate::{
    executor::{Executor, Line, Report, Step, Verdict, commands::Effect},
    metrics::Metrics,
    telemetry,
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
        let (ledger, ambient) = (Arc::clone(&self.ledger), Arc::clone(&self.ambient));
        let (lease_id, task, epoch) = (offer.lease_id.clone(), offer.task.clone(), offer.epoch);
        let uuid = convert::task_uuid(&offer.task);
        let (line, trace) = telemetry::run(&uuid, offer.attempt, &offer.request_id, &offer.traceparent);
        let (reported, lease) = (Arc::clone(&ledger), lease_id.clone());
        let report: Arc<dyn Report> =
            Arc::new(Reporter { ledger: reported, ambient: Arc::clone(&ambient), lease_id: lease });
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        let spans = (line.clone(), trace.clone());
        let running_one = async move {
            if offer.alone {
                tokio::select! {
                    biased;
                    () = run.gone.cancelled() => {}
                    () = run.stop.cancelled() => {}
                    () = ledger.others_ended() => {}
                }
            }
            let began = Instant::now();
            let end = executor.run(&convert::task(offer, run), &report).await;
            let verdict = metrics.run_ended(end.verdict);
            trace.record("task.verdict", verdict);
            if matches!(end.verdict, Verdict::Failed | Verdict::TimedOut | Verdict::Unknown) {
                trace.record("otel.status_code", "ERROR");
            }
            tracing::info!(run.verdict = verdict, run.elapsed_us = convert::micros(began.elapsed()), "a run ended");
            if end.verdict == Verdict::Paused {
                return ledger.stopped(&lease_id, Instant::now());
            }
            let outcome = convert::outcome(&lease_id, &task, epoch, end, (ambient.wall_us)());
            ledger.finish(&lease_id, outcome, Instant::now());
        };
        running.spawn(running_one.instrument(spans.1).instrument(spans.0));
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

    async fn note(&self, step: &Step, index: usize, text: String) -> bool {
        let note = convert::note(&self.lease_id, step, index, text, (self.ambient.wall_us)());
        self.ledger.start(note).await.unwrap_or(false)
    }

    fn log(&self, line: Line) {
        self.ledger.log(convert::line(&self.lease_id, line, (self.ambient.wall_us)()));
    }

    async fn holds(&self) {
        self.ledger.holds().await;
    }
}
