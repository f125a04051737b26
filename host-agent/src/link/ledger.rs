//! What this agent holds: leases, what is not yet settled under them, and what waits to be sent. Outlives connections.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use claiflow_proto::agent::v1::{Ack, AgentEvent, Credit, Handback, Held, LogLine, Outcome, StepEvent, StepState};
use prometheus::IntGauge;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::outbox::{Ordered, Outbox};

pub(super) type LeaseId = Vec<u8>;

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
    valid_until: watch::Sender<Instant>,
    /// Leases and runs that are left.
    busy: watch::Sender<usize>,
}

struct Inner {
    leases: HashMap<LeaseId, Lease>,
    outbox: Outbox,
    unsettled_bytes: usize,
    running: usize,
    received: u64,
    stamp: u64,
    stamps: VecDeque<(u64, Instant)>,
    lease_ttl: Duration,
    draining: bool,
}

struct Lease {
    task: Vec<u8>,
    epoch: u64,
    run: Run,
    /// Ends of steps that the server has not settled.
    steps: Vec<Arc<StepEvent>>,
    /// Starts and notes that wait for the server's word.
    starts: Vec<Start>,
    /// A step whose effect must not happen twice was announced.
    effect_begun: bool,
    outcome: Option<Arc<Outcome>>,
}

struct Start {
    event: Arc<StepEvent>,
    word: oneshot::Sender<bool>,
}

/// How the ledger reaches a run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Somebody cancelled.
    pub(super) stop: CancellationToken,
    /// The lease is not the agent's any more: nothing may start under it, and nothing is reported.
    pub(super) gone: CancellationToken,
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
    pub(super) fn new(slots: usize, running: IntGauge, now: Instant) -> Self {
        let inner = Inner {
            leases: HashMap::new(),
            outbox: Outbox::default(),
            unsettled_bytes: 0,
            running: 0,
            received: 0,
            stamp: 0,
            stamps: VecDeque::new(),
            lease_ttl: Duration::from_secs(30),
            draining: false,
        };
        Self {
            inner: Mutex::new(inner),
            slots,
            running,
            waiting: Notify::new(),
            valid_until: watch::Sender::new(now),
            busy: watch::Sender::new(0),
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
        (inner.received, inner.stamp, inner.lease_ttl) = (0, 0, lease_ttl);
        inner.stamps.clear();
        gone.iter().for_each(|id| inner.lose(id));
        let Inner { leases, outbox, .. } = &mut *inner;
        for lease in leases.values() {
            let starts = lease.starts.iter().map(|start| &start.event);
            lease.steps.iter().chain(starts).for_each(|step| outbox.push(Ordered::Step(Arc::clone(step))));
            lease.outcome.iter().for_each(|outcome| outbox.push(Ordered::Outcome(Arc::clone(outcome))));
        }
        self.valid_until.send_replace(now + lease_ttl);
        self.changed(inner, now);
    }

    /// A heartbeat, which tells the free slots too.
    pub(super) fn credit(&self, now: Instant) {
        self.changed(self.lock(), now);
    }

    /// Tells the server how many tasks may come, and whoever waits for the end how many are left.
    fn changed(&self, mut inner: MutexGuard<'_, Inner>, now: Instant) {
        inner.credit(self.slots, now);
        self.running.set(i64::try_from(inner.running).unwrap_or(i64::MAX));
        self.busy.send_replace(inner.leases.len().max(inner.running));
        drop(inner);
        self.waiting.notify_one();
    }

    /// The server has read a stamp: leases hold from the time at which it was sent.
    pub(super) fn seen(&self, stamp: u64) {
        let mut inner = self.lock();
        while let Some((first, sent)) = inner.stamps.front().copied() {
            if first > stamp {
                break;
            }
            let until = sent + inner.lease_ttl;
            self.valid_until.send_if_modified(|valid| {
                let later = until > *valid;
                *valid = until.max(*valid);
                later
            });
            // The newest one stays, since offers name it.
            if first == stamp {
                break;
            }
            inner.stamps.pop_front();
        }
    }

    /// Waits until leases hold: at once where they do, else for the server's next sign of life.
    pub(super) async fn holds(&self) {
        let mut valid_until = self.valid_until.subscribe();
        // The sender is `self`: it does not close.
        let _ = valid_until.wait_for(|until| Instant::now() < *until).await;
    }

    /// Takes an offer and acknowledges it, or hands it back: its credit is too old, or the agent drains.
    pub(super) fn take(&self, lease_id: &LeaseId, task: &[u8], epoch: u64, stamp: u64, now: Instant) -> Taken {
        let mut inner = self.lock();
        inner.received += 1;
        let ack = Ack { lease_id: lease_id.clone() };
        let fresh = |(known, sent): &(u64, Instant)| *known == stamp && now.duration_since(*sent) <= CREDIT_AGE;
        let taken = if inner.leases.contains_key(lease_id) {
            inner.outbox.ack(ack);
            Taken::Known
        } else if inner.draining || !inner.stamps.iter().any(fresh) {
            let reason = if inner.draining { "draining" } else { "stale-credit" };
            inner.hand_back(lease_id.clone(), reason);
            Taken::Refused
        } else {
            let run = Run { stop: CancellationToken::new(), gone: CancellationToken::new() };
            let lease = Lease {
                task: task.to_vec(),
                epoch,
                run: run.clone(),
                steps: Vec::new(),
                starts: Vec::new(),
                effect_begun: false,
                outcome: None,
            };
            inner.leases.insert(lease_id.clone(), lease);
            inner.running += 1;
            inner.outbox.ack(ack);
            self.running.inc();
            self.busy.send_replace(inner.leases.len().max(inner.running));
            Taken::Run(run)
        };
        drop(inner);
        self.waiting.notify_one();
        taken
    }

    pub(super) fn send(&self, event: Ordered) {
        self.lock().outbox.push(event);
        self.waiting.notify_one();
    }

    /// What goes out next, as one message; empty when nothing waits.
    pub(super) fn next_message(&self) -> Vec<AgentEvent> {
        self.lock().outbox.next_message()
    }

    /// A step ended: kept until the server settled it.
    pub(super) fn step(&self, step: StepEvent) {
        let mut inner = self.lock();
        let Inner { leases, outbox, unsettled_bytes, .. } = &mut *inner;
        // Without its lease nobody wants to hear of it.
        let Some(lease) = leases.get_mut(&step.lease_id) else { return };
        *unsettled_bytes += step.output.len();
        let step = Arc::new(step);
        lease.steps.push(Arc::clone(&step));
        outbox.push(Ordered::Step(step));
        drop(inner);
        self.waiting.notify_one();
    }

    /// A step with an effect is about to start, or its call leaves a note. The receiver gets the server's word, over broken
    /// streams too; it closes when the lease is gone.
    pub(super) fn start(&self, step: StepEvent) -> oneshot::Receiver<bool> {
        let (word, answer) = oneshot::channel();
        let mut inner = self.lock();
        let Inner { leases, outbox, .. } = &mut *inner;
        if let Some(lease) = leases.get_mut(&step.lease_id) {
            let event = Arc::new(step);
            lease.effect_begun |= event.state() == StepState::Started;
            lease.starts.push(Start { event: Arc::clone(&event), word });
            outbox.push(Ordered::Step(event));
        }
        drop(inner);
        self.waiting.notify_one();
        answer
    }

    /// A run ended: its outcome is kept until the server settled it. None: nothing is to be reported.
    pub(super) fn finish(&self, lease_id: &LeaseId, outcome: Option<Outcome>, now: Instant) {
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
        let Inner { leases, outbox, unsettled_bytes, .. } = &mut *inner;
        match (outcome.map(Arc::new), leases.get_mut(lease_id)) {
            (Some(outcome), Some(lease)) => {
                *unsettled_bytes += outcome.result.len();
                lease.outcome = Some(Arc::clone(&outcome));
                // Nobody waits for the word any more.
                lease.starts.clear();
                outbox.push(Ordered::Outcome(outcome));
            }
            _ => inner.lose(lease_id),
        }
        self.changed(inner, now);
    }

    /// A plugin said something.
    pub(super) fn log(&self, line: LogLine) {
        let mut inner = self.lock();
        // Without its lease nobody wants to hear of it.
        if inner.leases.contains_key(&line.lease_id) {
            inner.outbox.log(line);
            drop(inner);
            self.waiting.notify_one();
        }
    }

    /// The server's answer to a step's start, a note, a step's end, or (no path) an outcome.
    pub(super) fn settled(&self, lease_id: &LeaseId, path: &str, state: StepState, accepted: bool, now: Instant) {
        let mut inner = self.lock();
        if path.is_empty() || !accepted {
            inner.lose(lease_id);
            self.changed(inner, now);
            return;
        }
        let Inner { leases, unsettled_bytes, .. } = &mut *inner;
        let Some(lease) = leases.get_mut(lease_id) else { return };
        if matches!(state, StepState::Started | StepState::Recorded) {
            let answered = |start: &mut Start| start.event.path == path && start.event.state() == state;
            for start in lease.starts.extract_if(.., answered) {
                // The run may have been cancelled meanwhile.
                let _ = start.word.send(true);
            }
        } else {
            lease.steps.retain(|step| {
                let settled = step.path == path;
                *unsettled_bytes -= if settled { step.output.len() } else { 0 };
                !settled
            });
        }
    }

    pub(super) fn cancel(&self, lease_id: &LeaseId) {
        if let Some(lease) = self.lock().leases.get(lease_id) {
            lease.run.stop.cancel();
        }
    }

    /// No more credit from now on.
    pub(super) fn drain(&self, now: Instant) {
        let mut inner = self.lock();
        inner.draining = true;
        self.changed(inner, now);
    }

    /// Waits until no lease and no run is left.
    pub(super) async fn idle(&self) {
        // The sender is `self`: it does not close.
        let _ = self.busy.subscribe().wait_for(|busy| *busy == 0).await;
    }

    /// The time to drain is over. Runs without an effect go back to the server; the others stay leased, since only
    /// their end, or a person, can tell what they did. Answers how many go back and how many stay.
    pub(super) fn give_up(&self, now: Instant) -> (usize, usize) {
        let mut inner = self.lock();
        let harmless = |lease: &Lease| lease.outcome.is_none() && !lease.effect_begun;
        let back: Vec<LeaseId> =
            inner.leases.iter().filter(|(_, lease)| harmless(lease)).map(|(id, _)| id.clone()).collect();
        for id in &back {
            inner.lose(id);
            inner.hand_back(id.clone(), "draining");
        }
        let stay = inner.leases.len();
        self.changed(inner, now);
        (back.len(), stay)
    }
}

impl Inner {
    fn credit(&mut self, slots: usize, now: Instant) {
        self.stamp += 1;
        self.stamps.push_back((self.stamp, now));
        if self.stamps.len() > STAMPS_MAX {
            self.stamps.pop_front();
        }
        let full = self.draining || self.unsettled_bytes > UNSETTLED_BYTES;
        let free = if full { 0 } else { slots.saturating_sub(self.running) };
        let limit = self.received + free as u64;
        self.outbox.credit(Credit { stamp: self.stamp, limit });
    }

    fn hand_back(&mut self, lease_id: LeaseId, reason: &str) {
        self.outbox.push(Ordered::Handback(Handback { lease_id, reason: reason.into() }));
    }

    /// Forgets a lease; its run stops and starts nothing more.
    fn lose(&mut self, lease_id: &LeaseId) {
        let Some(lease) = self.leases.remove(lease_id) else { return };
        self.outbox.forget_lines(lease_id);
        let steps: usize = lease.steps.iter().map(|step| step.output.len()).sum();
        self.unsettled_bytes -= steps + lease.outcome.map_or(0, |outcome| outcome.result.len());
        lease.run.gone.cancel();
    }
}
