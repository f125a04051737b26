//! What this agent holds: leases, what is not yet settled under them, and what waits to be sent. Outlives connections; what
//! must outlive the process goes into the journal too.

mod lease;
mod report;
mod rest;
mod restore;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use claiflow_proto::agent::v1::{Ack, AgentEvent, Credit, Handback, Held, Offer};
use prometheus::IntGauge;
use tokio::{sync::Notify, time::Instant};

use super::outbox::{Ordered, Outbox};
use crate::{journal::Journal, level::Level};
use lease::Lease;
pub(super) use lease::{LeaseId, Run};

/// An offer whose credit is older is handed back.
const CREDIT_AGE: Duration = Duration::from_secs(5);
/// Stamps that are remembered; one a heartbeat and one an outcome.
const STAMPS_MAX: usize = 4_096;
/// Outputs that wait for the server's word; above it no credit is given, so that a slow line fills no memory.
const UNSETTLED_BYTES: usize = 64 << 20;

pub(super) struct Ledger {
    inner: Mutex<Inner>,
    slots: usize,
    running: IntGauge,
    /// Something waits to be sent.
    pub(super) waiting: Notify,
    /// Until when leases hold.
    valid_until: Level<Instant>,
    /// Runs that are left.
    runs: Level<usize>,
    /// Leases and runs that are left.
    busy: Level<usize>,
    /// Those of them that are not of a task which asked for rest.
    others: Level<usize>,
    journal: Journal,
}

struct Inner {
    leases: BTreeMap<LeaseId, Lease>,
    outbox: Outbox,
    unsettled_bytes: usize,
    running: usize,
    /// Runs, or waits to run, with nothing beside it.
    alone: Option<LeaseId>,
    received: u64,
    stamp: u64,
    stamps: VecDeque<(u64, Instant)>,
    lease_ttl: Duration,
    /// The agent ends.
    draining: bool,
    /// The server wants nothing more to be taken on this stream.
    refusing: bool,
    /// Nothing is to run beside these, as long as they are held.
    resting: BTreeSet<LeaseId>,
    journal: Journal,
}

/// What became of an offer.
#[derive(Debug)]
pub(super) enum Taken {
    Run(Run),
    /// It runs already.
    Known,
    /// It was handed back.
    Refused,
}

impl Ledger {
    pub(super) fn new(slots: usize, running: IntGauge, journal: Journal, now: Instant) -> Self {
        let inner = Inner {
            leases: BTreeMap::new(),
            outbox: Outbox::default(),
            unsettled_bytes: 0,
            running: 0,
            alone: None,
            received: 0,
            stamp: 0,
            stamps: VecDeque::new(),
            lease_ttl: Duration::from_secs(30),
            draining: false,
            refusing: false,
            resting: BTreeSet::new(),
            journal: journal.clone(),
        };
        Self {
            inner: Mutex::new(inner),
            slots,
            running,
            waiting: Notify::new(),
            valid_until: Level::new(now),
            runs: Level::new(0),
            busy: Level::new(0),
            others: Level::new(0),
            journal,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let inner = self.lock();
        inner
            .leases
            .iter()
            .map(|(id, lease)| Held { lease_id: id.clone(), task: lease.task.clone(), epoch: lease.epoch })
            .collect()
    }

    /// A stream begins: what was not settled is sent again, in order; counters start anew.
    pub(super) fn begin(&self, gone: &[LeaseId], lease_ttl: Duration, now: Instant) {
        let mut inner = self.lock();
        inner.outbox.clear();
        (inner.received, inner.stamp, inner.lease_ttl, inner.refusing) = (0, 0, lease_ttl, false);
        inner.stamps.clear();
        gone.iter().for_each(|id| inner.lose(id));
        let Inner { leases, outbox, .. } = &mut *inner;
        leases.values().for_each(|lease| lease.repeat(outbox));
        self.valid_until.set(now + lease_ttl);
        self.changed(inner, now);
    }

    /// A heartbeat, which tells the free slots too.
    pub(super) fn credit(&self, now: Instant) {
        self.changed(self.lock(), now);
    }

    /// Tells the server how many tasks may come, and whoever waits for an end how much is left.
    fn changed(&self, mut inner: MutexGuard<'_, Inner>, now: Instant) {
        inner.credit(self.slots, now);
        self.count(&inner);
        drop(inner);
        self.waiting.notify_one();
    }

    fn count(&self, inner: &Inner) {
        self.running.set(i64::try_from(inner.running).unwrap_or(i64::MAX));
        self.runs.set(inner.running);
        self.busy.set(inner.leases.len().max(inner.running));
        self.others.set(inner.beside_resting());
    }

    /// The server has read a stamp: leases hold from the time at which it was sent.
    pub(super) fn seen(&self, stamp: u64) {
        let mut inner = self.lock();
        while let Some((first, sent)) = inner.stamps.front().copied() {
            if first > stamp {
                break;
            }
            let until = sent + inner.lease_ttl;
            if until > self.valid_until.get() {
                self.valid_until.set(until);
            }
            // The newest one stays, since offers name it.
            if first == stamp {
                break;
            }
            inner.stamps.pop_front();
        }
    }

    /// Waits until leases hold: at once where they do, else for the server's next sign of life.
    pub(super) async fn holds(&self) {
        self.valid_until.wait_for(|until| Instant::now() < until).await;
    }

    /// Takes an offer and acknowledges it, or hands it back: its credit is too old, something runs alone, or the agent
    /// takes nothing more.
    pub(super) fn take(&self, offer: &Offer, now: Instant) -> Taken {
        let mut inner = self.lock();
        inner.received += 1;
        let ack = Ack { lease_id: offer.lease_id.clone() };
        let taken = if inner.leases.contains_key(&offer.lease_id) {
            inner.outbox.ack(ack);
            Taken::Known
        } else if let Some(reason) = inner.refusal(offer, now) {
            inner.hand_back(offer.lease_id.clone(), reason);
            Taken::Refused
        } else {
            let lease = Lease::new(offer.task.clone(), offer.epoch);
            let run = lease.run.clone();
            inner.leases.insert(offer.lease_id.clone(), lease);
            inner.running += 1;
            inner.outbox.ack(ack);
            inner.journal.taken(&offer.lease_id, &offer.task, offer.epoch);
            if offer.alone {
                inner.alone = Some(offer.lease_id.clone());
            }
            self.count(&inner);
            Taken::Run(run)
        };
        drop(inner);
        self.waiting.notify_one();
        taken
    }

    /// Waits until no more than one run is left.
    pub(super) async fn others_ended(&self) {
        self.runs.wait_for(|runs| runs <= 1).await;
    }

    pub(super) fn send(&self, event: Ordered) {
        self.lock().outbox.push(event);
        self.waiting.notify_one();
    }

    /// What goes out next, as one message; empty when nothing waits.
    pub(super) fn next_message(&self) -> Vec<AgentEvent> {
        self.lock().outbox.next_message()
    }

    pub(super) fn cancel(&self, lease_id: &LeaseId) {
        if let Some(lease) = self.lock().leases.get(lease_id) {
            lease.run.stop.cancel();
        }
    }

    /// Somebody wants the run to stop before its next step, or to go on after all.
    pub(super) fn pause(&self, lease_id: &LeaseId, paused: bool) {
        if let Some(lease) = self.lock().leases.get(lease_id) {
            lease.run.pause.store(paused, Ordering::Relaxed);
        }
    }

    /// No more credit from now on.
    pub(super) fn drain(&self, now: Instant) {
        let mut inner = self.lock();
        inner.draining = true;
        self.changed(inner, now);
    }

    /// No more credit until the next stream begins.
    pub(super) fn refuse_offers(&self, now: Instant) {
        let mut inner = self.lock();
        inner.refusing = true;
        self.changed(inner, now);
    }

    /// Waits until no lease and no run is left.
    pub(super) async fn idle(&self) {
        self.busy.wait_for(|busy| busy == 0).await;
    }

    /// The time to drain is over. Runs without an effect go back to the server; the others stay leased, since only
    /// their end, or a person, can tell what they did. Answers how many go back and how many stay.
    pub(super) fn give_up(&self, now: Instant) -> (usize, usize) {
        let mut inner = self.lock();
        let back = inner.hand_back_harmless(&BTreeSet::new());
        let stay = inner.leases.len();
        self.changed(inner, now);
        (back, stay)
    }
}

impl Inner {
    fn credit(&mut self, slots: usize, now: Instant) {
        self.stamp += 1;
        self.stamps.push_back((self.stamp, now));
        if self.stamps.len() > STAMPS_MAX {
            self.stamps.pop_front();
        }
        let full = self.draining
            || self.refusing
            || !self.resting.is_empty()
            || self.alone.is_some()
            || self.unsettled_bytes > UNSETTLED_BYTES
            || !self.journal.is_writable();
        let free = if full { 0 } else { slots.saturating_sub(self.running) };
        let limit = self.received + free as u64;
        self.outbox.credit(Credit { stamp: self.stamp, limit });
    }

    /// Why an offer is not taken, in the protocol's words.
    fn refusal(&self, offer: &Offer, now: Instant) -> Option<&'static str> {
        let fresh =
            |(stamp, sent): &(u64, Instant)| *stamp == offer.credit_stamp && now.duration_since(*sent) <= CREDIT_AGE;
        if self.draining || self.refusing || !self.resting.is_empty() {
            Some("draining")
        } else if self.alone.is_some() {
            Some("alone")
        } else {
            (!self.stamps.iter().any(fresh)).then_some("stale-credit")
        }
    }

    /// Gives back what runs and has had no effect, but for `kept`; how many.
    fn hand_back_harmless(&mut self, kept: &BTreeSet<LeaseId>) -> usize {
        let harmless = self.leases.iter().filter(|(id, lease)| lease.is_harmless() && !kept.contains(*id));
        let back: Vec<LeaseId> = harmless.map(|(id, _)| id.clone()).collect();
        for id in &back {
            self.lose(id);
            self.hand_back(id.clone(), "draining");
        }
        back.len()
    }

    fn hand_back(&mut self, lease_id: LeaseId, reason: &str) {
        self.outbox.push(Ordered::Handback(Handback { lease_id, reason: reason.into() }));
    }

    /// Forgets a lease; its run stops and starts nothing more.
    fn lose(&mut self, lease_id: &LeaseId) {
        let Some(lease) = self.leases.remove(lease_id) else { return };
        self.resting.remove(lease_id);
        self.outbox.forget_lines(lease_id);
        self.unsettled_bytes -= lease.unsettled_bytes();
        self.journal.gone(lease_id);
        lease.run.gone.cancel();
    }
}
