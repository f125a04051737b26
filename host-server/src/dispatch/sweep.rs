//! Looks again and again at what no event would tell: offers that nobody took, agents that stayed silent, times that came.
//!
//! Silence is kept in the database, agent by agent, and only healthy time counts: a round adds what passed since the round
//! before, at most two rounds' length. So neither a sweeper that stood still, nor a database that was away, condemns an agent.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Dispatch;
use crate::{
    model::{duration::micros, ids::Id, lifecycle::Event, state::State, task::Kind},
    storage::{self, AgentRow},
};

/// Old rows, and rows that are missing, are looked for once in this many rounds.
const PURGE: u64 = 60;
/// Keys of requests are kept for a day, microseconds.
const KEYS_US: i64 = 24 * 3_600 * 1_000_000;
/// An agent that has been silent for a day and holds nothing is forgotten, microseconds.
const AGENTS_US: i64 = 24 * 3_600 * 1_000_000;

/// What one sweeper remembers between its rounds.
#[derive(Debug, Default)]
pub struct Round {
    last: Option<Instant>,
    count: u64,
}

/// This replica's own part: offers that nobody took, and leases that nobody knows of.
pub(super) async fn run(dispatch: Dispatch, stop: CancellationToken) {
    let mut every = interval(dispatch.0.timing.round.min(dispatch.0.timing.offer / 4));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut orphans = interval(dispatch.0.timing.offer / 2);
    orphans.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = every.tick() => {
                dispatch.lapse(Instant::now()).await;
                dispatch.note_departures().await;
                dispatch.prolong_former(Instant::now()).await;
            }
            _ = orphans.tick() => {
                if let Err(error) = dispatch.look_for_orphans(Instant::now()).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "leases that nobody knows of could not be looked for");
                }
            }
        }
    }
}

impl Dispatch {
    /// Takes back the offers of this replica that nobody took in time.
    pub async fn lapse(&self, now: Instant) {
        let unacked = self.0.hub.lock().unacked(self.0.timing.offer, now);
        for held in unacked {
            self.take_back(&held.lease, held.state, Event::Lapsed).await;
        }
    }

    /// One round of what one replica does for all, at a given time by the monotonic and by the wall clock. `alive`: the replicas
    /// whose heartbeat is fresh, this one among them.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine: nobody is condemned in such a round.
    pub async fn sweep(
        &self,
        round: &mut Round,
        alive: &[Id],
        now: Instant,
        now_us: i64,
    ) -> Result<(), storage::Error> {
        let (store, timing) = (&self.0.store, &self.0.timing);
        let passed = round.last.map_or(Duration::ZERO, |last| now.duration_since(last)).min(2 * timing.round);
        // What fails below is counted by the next round, as one gap.
        store.agents_silent(alive, micros(passed)).await?;
        round.last = Some(now);
        for agent in store.agents_suspect(micros(timing.silence)).await? {
            self.judge(&agent).await?;
        }
        self.end_former(now_us).await?;
        for cluster in store.due(now_us).await? {
            self.look_at(cluster);
        }
        let expired = store.expire("expired: no agent started it within its validity", now_us).await?;
        self.0.metrics.tasks_ended.with_label_values(&[State::Expired.word()]).inc_by(expired);
        if round.count.is_multiple_of(PURGE) {
            store.agents_unknown(now_us).await?;
            self.purge(now_us).await?;
        }
        round.count += 1;
        Ok(())
    }

    /// An agent that was silent for so long is suspect; the leases whose grace is over as well are lost.
    async fn judge(&self, agent: &AgentRow) -> Result<(), storage::Error> {
        let Ok(journal) = Id::try_from(agent.journal.as_slice()) else { return Ok(()) };
        for leased in self.0.store.leases_of(agent.cluster, journal).await? {
            let grace = leased.lease.task.snapshot.options.grace.unwrap_or(self.0.timing.grace);
            let is_over = agent.silent_us >= micros(self.0.timing.silence + grace);
            if is_over && leased.state != State::Unknown && leased.lease.kind == Kind::Stream {
                self.lost(&leased.lease, leased.state).await;
            }
        }
        Ok(())
    }

    /// Removes what nobody asks for any more.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn purge(&self, now_us: i64) -> Result<(), storage::Error> {
        let store = &self.0.store;
        store.purge_sessions(now_us.saturating_sub(micros(self.0.timing.session))).await?;
        store.purge_requests(now_us - KEYS_US).await?;
        store.purge_agents(AGENTS_US).await?;
        Ok(())
    }

    /// Notes that the sessions which have a stream here are in use.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine.
    pub async fn touch_sessions(&self) -> Result<(), storage::Error> {
        let open = self.0.hub.lock().session_uuids();
        self.0.store.touch_sessions(&open, self.0.source.now_us()).await
    }
}
