//! Takes tasks back: offers that nobody took, and leases whose agent stayed away. Only time in which this process ran
//! counts, so a server that was down condemns nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::Dispatch;
use super::GIVEN_UP;
use crate::{
    model::{
        lifecycle::{ATTEMPTS, Event, Write, next},
        state::State,
        statuses::timeline_text,
        step::StepRow,
        task::{Finish, Lease, Timeline},
        timing::Timing,
    },
    storage,
};

/// After which an agent of which nothing is heard has lost its leases.
fn lost_after(timing: &Timing) -> Duration {
    timing.silence + timing.grace
}

/// Sessions are looked through once in this many rounds.
const PURGE: u64 = 60;

pub(super) async fn run(dispatch: Dispatch, stop: CancellationToken) {
    let mut every = tokio::time::interval(dispatch.0.timing.round);
    let mut rounds: u64 = 0;
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = every.tick() => {} }
        let now_us = dispatch.0.source.now_us();
        if let Err(error) = dispatch.sweep(Instant::now(), now_us).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "leases could not be looked through");
        }
        rounds += 1;
        if rounds.is_multiple_of(PURGE)
            && let Err(error) = dispatch.purge_sessions(now_us).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "old sessions could not be removed");
        }
    }
}

impl Dispatch {
    /// One round of the sweeper at a given time, by the monotonic and by the wall clock.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine: nobody is condemned in such a round.
    pub async fn sweep(&self, now: Instant, now_us: i64) -> Result<(), storage::Error> {
        let (store, timing) = (&self.0.store, &self.0.timing);
        self.recall(now, now_us).await?;
        let unacked = self.0.hub.lock().unacked(timing.offer, now);
        for held in unacked {
            self.take_back(&held.lease, held.state, Event::Lapsed).await;
        }
        let connected = self.0.hub.lock().long_held(timing.round, now);
        store.extend_leases(&connected, now_us).await?;
        let orphans = self.0.hub.lock().orphans(lost_after(timing), now);
        let lost_us = i64::try_from(lost_after(timing).as_micros()).unwrap_or(i64::MAX);
        let mut orphans = orphans.into_iter();
        while let Some(orphan) = orphans.next() {
            let seen = store.lease_seen(orphan.lease.id).await;
            if self.0.hub.lock().is_attached(orphan.lease.id) {
                continue;
            }
            match seen {
                Ok(Some(seen)) if now_us - seen >= lost_us => self.lost(&orphan.lease, orphan.state).await,
                // Another replica serves this agent now, and may leave it to us again.
                Ok(Some(_)) => self.0.hub.lock().orphan((orphan.lease, orphan.state), now),
                // It has ended.
                Ok(None) => {}
                // Nothing is known of the others either: each is looked at again after the same time.
                Err(error) => {
                    let mut hub = self.0.hub.lock();
                    for orphan in std::iter::once(orphan).chain(orphans) {
                        hub.orphan((orphan.lease, orphan.state), now);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes over the leases that nobody looks after: all of the predecessor's at the start, and later those of replicas that
    /// have gone. Their agents have the whole silence and grace to come back.
    async fn recall(&self, now: Instant, now_us: i64) -> Result<(), storage::Error> {
        let timing = &self.0.timing;
        let before_us = match *self.0.recalled.lock() {
            None => i64::MAX,
            Some(last) if now.duration_since(last) < timing.silence => return Ok(()),
            Some(_) => now_us - i64::try_from(timing.silence.as_micros()).unwrap_or(i64::MAX),
        };
        let leases = self.0.store.leases_unseen_since(before_us).await?;
        *self.0.recalled.lock() = Some(now);
        let mut hub = self.0.hub.lock();
        for (lease, state) in leases {
            if state != State::Unknown && !hub.is_attached(lease.id) {
                hub.orphan((lease, state), now);
            }
        }
        Ok(())
    }

    /// Forgets sessions that expired long ago and have no stream.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn purge_sessions(&self, now_us: i64) -> Result<u64, storage::Error> {
        let open = self.0.hub.lock().session_uuids();
        self.0.store.touch_sessions(&open, now_us).await?;
        let age_us = i64::try_from(self.0.timing.session.as_micros()).unwrap_or(i64::MAX);
        self.0.store.purge_sessions(now_us.saturating_sub(age_us)).await
    }

    /// The lease is gone for good: run again only if that is safe.
    pub(super) async fn lost(&self, lease: &Arc<Lease>, state: State) {
        match self.steps(&lease.task).await {
            Ok(kept) => {
                let in_doubt = kept.iter().any(StepRow::in_doubt);
                self.take_back(lease, state, Event::Lost { in_doubt, attempt: lease.task.attempt }).await;
            }
            Err(error) => self.later(lease, state, &error),
        }
    }

    /// Writes what follows from an event that ends a lease, and lets the task be served again.
    pub(super) async fn take_back(&self, lease: &Arc<Lease>, state: State, event: Event) {
        let written = match next(state, event) {
            Ok((_, Write::Requeue { spent })) => self.requeue(lease, spent).await,
            Ok((_, Write::Doubt)) => {
                let reason = "agent_lost: the agent was lost while a step ran that must not run twice";
                self.0.store.mark_unknown(lease, reason).await.map(drop)
            }
            Ok((to, Write::Archive)) => self.give_up(lease, to).await,
            Ok((_, Write::Nothing | Write::Lease)) => Ok(()),
            Err(refused) => {
                tracing::debug!(task.uuid = lease.task.uuid, %refused, "a lease stays as it is");
                Ok(())
            }
        };
        if let Err(error) = written {
            self.later(lease, state, &error);
        }
    }

    async fn requeue(&self, lease: &Lease, spent: bool) -> Result<(), storage::Error> {
        if self.0.store.requeue(lease, spent).await? {
            self.0.metrics.tasks_requeued.inc();
            self.0.hub.lock().expect_backlog(lease.task.cluster);
            self.poke(lease.task.cluster);
        }
        Ok(())
    }

    async fn give_up(&self, lease: &Arc<Lease>, to: State) -> Result<(), storage::Error> {
        let kept = self.steps(&lease.task).await?;
        let finish = Finish {
            lease: Arc::clone(lease),
            state: to as i16,
            result: None,
            error: Some(format!("agent_lost: {ATTEMPTS} attempts were lost with their agent")),
            timeline: timeline_text(&Timeline::of(Some(lease.created), &kept)),
            ended: self.0.source.now_us().max(lease.task.created + 1),
            stepped: true,
        };
        self.archive(GIVEN_UP, finish).await;
        Ok(())
    }

    fn later(&self, lease: &Arc<Lease>, state: State, error: &storage::Error) {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "a task could not be taken back; the sweeper will try again"
        );
        self.0.hub.lock().orphan((Arc::clone(lease), state), Instant::now());
    }
}
