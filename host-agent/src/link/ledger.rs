//! What this agent holds: leases, what is not yet settled under them, and what waits to be sent. Outlives connections.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use claiflow_proto::agent::v1::{AgentEvent, Credit, Held, Outcome, StepEvent, agent_event::Event};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

type LeaseId = Vec<u8>;

pub(super) struct Ledger {
    inner: Mutex<Inner>,
    /// Something waits to be sent.
    pub(super) waiting: Notify,
    slots: usize,
}

struct Inner {
    leases: HashMap<LeaseId, Lease>,
    outbox: Vec<AgentEvent>,
    /// Starts that wait for the server's word.
    starts: HashMap<(LeaseId, String), oneshot::Sender<bool>>,
    running: usize,
    received: u64,
    stamp: u64,
    stamps: VecDeque<(u64, Instant)>,
    valid_until: Instant,
    lease_ttl: Duration,
    draining: bool,
}

struct Lease {
    task: Vec<u8>,
    epoch: u64,
    cancel: CancellationToken,
    /// Ends of steps that the server has not settled.
    steps: Vec<StepEvent>,
    outcome: Option<Outcome>,
}

impl Ledger {
    pub(super) fn new(slots: usize) -> Self {
        let inner = Inner {
            leases: HashMap::new(),
            outbox: Vec::new(),
            starts: HashMap::new(),
            running: 0,
            received: 0,
            stamp: 0,
            stamps: VecDeque::new(),
            valid_until: Instant::now(),
            lease_ttl: Duration::from_secs(30),
            draining: false,
        };
        Self { inner: Mutex::new(inner), waiting: Notify::new(), slots }
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
    pub(super) fn begin(&self, gone: &[LeaseId], lease_ttl: Duration) {
        let mut inner = self.lock();
        inner.outbox.clear();
        inner.starts.clear();
        (inner.received, inner.stamp, inner.lease_ttl) = (0, 0, lease_ttl);
        inner.stamps.clear();
        inner.valid_until = Instant::now() + lease_ttl;
        for id in gone {
            if let Some(lease) = inner.leases.remove(id) {
                lease.cancel.cancel();
            }
        }
        let mut again = Vec::new();
        for lease in inner.leases.values() {
            again.extend(lease.steps.iter().cloned().map(Event::Step));
            again.extend(lease.outcome.iter().cloned().map(Event::Outcome));
        }
        inner.outbox.extend(again.into_iter().map(|event| AgentEvent { event: Some(event) }));
        drop(inner);
        self.credit();
    }

    /// New credit, which is a heartbeat too.
    pub(super) fn credit(&self) {
        let mut inner = self.lock();
        inner.stamp += 1;
        let stamp = inner.stamp;
        inner.stamps.push_back((stamp, Instant::now()));
        if inner.stamps.len() > 4_096 {
            inner.stamps.pop_front();
        }
        let free = if inner.draining { 0 } else { self.slots.saturating_sub(inner.running) };
        let limit = inner.received + free as u64;
        inner.outbox.push(AgentEvent { event: Some(Event::Credit(Credit { stamp, limit })) });
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
            inner.valid_until = inner.valid_until.max(sent + inner.lease_ttl);
            // The newest one stays, since offers name it.
            if first == stamp {
                break;
            }
            inner.stamps.pop_front();
        }
    }

    pub(super) fn holds(&self) -> bool {
        Instant::now() < self.lock().valid_until
    }

    /// Takes an offer, unless its credit is too old or the lease is known. None: hand it back.
    pub(super) fn take(
        &self,
        lease_id: &LeaseId,
        task: &[u8],
        epoch: u64,
        stamp: u64,
        oldest: Duration,
    ) -> Option<CancellationToken> {
        let mut inner = self.lock();
        inner.received += 1;
        let fresh = inner.stamps.iter().any(|(known, sent)| *known == stamp && sent.elapsed() <= oldest);
        if !fresh || inner.draining || inner.leases.contains_key(lease_id) {
            return None;
        }
        inner.running += 1;
        let cancel = CancellationToken::new();
        let lease = Lease { task: task.to_vec(), epoch, cancel: cancel.clone(), steps: vec![], outcome: None };
        inner.leases.insert(lease_id.clone(), lease);
        Some(cancel)
    }

    pub(super) fn send(&self, event: Event) {
        self.lock().outbox.push(AgentEvent { event: Some(event) });
        self.waiting.notify_one();
    }

    pub(super) fn drain_outbox(&self) -> Vec<AgentEvent> {
        std::mem::take(&mut self.lock().outbox)
    }

    /// A step ended: kept until the server settled it.
    pub(super) fn step(&self, step: StepEvent) {
        if let Some(lease) = self.lock().leases.get_mut(&step.lease_id) {
            lease.steps.push(step.clone());
        }
        self.send(Event::Step(step));
    }

    /// A step with an effect is about to start; the receiver gets the server's word.
    pub(super) fn start(&self, step: StepEvent) -> oneshot::Receiver<bool> {
        let (word, answer) = oneshot::channel();
        self.lock().starts.insert((step.lease_id.clone(), step.path.clone()), word);
        self.send(Event::Step(step));
        answer
    }

    /// A run ended: its outcome is kept until the server settled it. None: nothing is to be reported.
    pub(super) fn finish(&self, lease_id: &LeaseId, outcome: Option<Outcome>) {
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
        match (outcome, inner.leases.get_mut(lease_id)) {
            (Some(outcome), Some(lease)) => {
                lease.outcome = Some(outcome.clone());
                inner.outbox.push(AgentEvent { event: Some(Event::Outcome(outcome)) });
            }
            _ => drop(inner.leases.remove(lease_id)),
        }
        drop(inner);
        self.credit();
    }

    pub(super) fn settled(&self, lease_id: &LeaseId, path: &str, accepted: bool) {
        let mut inner = self.lock();
        if path.is_empty() {
            inner.leases.remove(lease_id);
            return;
        }
        if let Some(word) = inner.starts.remove(&(lease_id.clone(), path.to_owned())) {
            // The run may have been cancelled meanwhile.
            let _ = word.send(accepted);
        } else if let Some(lease) = inner.leases.get_mut(lease_id) {
            lease.steps.retain(|step| step.path != path);
        }
        if !accepted && let Some(lease) = inner.leases.get(lease_id) {
            lease.cancel.cancel();
        }
    }

    pub(super) fn cancel(&self, lease_id: &LeaseId) {
        if let Some(lease) = self.lock().leases.get(lease_id) {
            lease.cancel.cancel();
        }
    }

    /// No more credit from now on.
    pub(super) fn drain(&self) {
        self.lock().draining = true;
        self.credit();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().leases.is_empty()
    }
}
