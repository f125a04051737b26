//! Takes tasks back: offers that nobody took, and leases whose agent stayed away. Only time in which this process ran
//! counts, so a server that was down condemns nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::Dispatch;
use crate::{
    app::lock,
    model::{
        state::State,
        task::{Finish, Lease},
    },
};

const EVERY: Duration = Duration::from_secs(5);
/// An offer without an ack is made again.
const OFFER: Duration = Duration::from_secs(10);
/// Silence (45 s) plus grace (5 min).
const LOST: Duration = Duration::from_secs(345);
/// Lost attempts before a task fails.
const ATTEMPTS: i32 = 3;

const STEP_STARTED: i16 = 1;
const EFFECT_VERIFY: i16 = 3;

pub(super) async fn run(dispatch: Dispatch, stop: CancellationToken) {
    match dispatch.0.store.all_leases().await {
        Ok(leases) => {
            let mut hub = lock(&dispatch.0.hub);
            leases.into_iter().for_each(|lease| hub.orphan(Arc::new(lease), true, Instant::now()));
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the leases of the last run could not be read")
        }
    }
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = every.tick() => {} }
        let unacked = lock(&dispatch.0.hub).unacked(OFFER, Instant::now());
        for lease in unacked {
            dispatch.requeue(&lease, false).await;
        }
        let held = lock(&dispatch.0.hub).long_held(EVERY, Instant::now());
        let now_us = dispatch.0.source.now_us();
        if let Err(error) = dispatch.0.store.extend_leases(&held, now_us).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases could not be extended");
            continue;
        }
        let orphans = lock(&dispatch.0.hub).orphans(LOST, Instant::now());
        for (lease, acked) in orphans {
            // Another replica may serve this agent now.
            let silent = dispatch
                .0
                .store
                .lease_seen(lease.id)
                .await
                .ok()
                .flatten()
                .is_some_and(|seen| now_us - seen >= 345_000_000);
            let attached = lock(&dispatch.0.hub).is_attached(lease.id);
            if silent && !attached {
                dispatch.lost(&lease, acked).await;
            }
        }
    }
}

impl Dispatch {
    /// The lease is gone for good: run again only if that is safe.
    pub(super) async fn lost(&self, lease: &Arc<Lease>, acked: bool) {
        let in_doubt = self
            .steps(&lease.task)
            .await
            .into_iter()
            .any(|step| step.state == STEP_STARTED && step.ended.is_none() && step.effect >= EFFECT_VERIFY);
        if in_doubt {
            if let Err(error) = self.0.store.mark_unknown(lease).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a task in doubt could not be marked");
            }
        } else if acked && lease.task.attempt >= ATTEMPTS {
            let finish = Finish {
                lease: Arc::clone(lease),
                state: State::Failed as i16,
                result: None,
                error: Some(format!("agent_lost: {ATTEMPTS} attempts were lost with their agent")),
                timeline: "{\"steps\":[]}".into(),
                ended: self.0.source.now_us(),
            };
            self.finish(0, finish).await;
        } else {
            self.requeue(lease, acked).await;
        }
    }
}
