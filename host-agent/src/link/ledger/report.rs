//! What runs report, until the server settled it.

use std::sync::Arc;

use claiflow_proto::agent::v1::{LogLine, Outcome, Settled, StepEvent, StepState};
use prost::Message as _;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Inner, Ledger,
    lease::{LeaseId, Leaving, Start},
};
use crate::link::outbox::Ordered;

impl Ledger {
    /// A step ended: kept until the server settled it.
    pub(in crate::link) fn step(&self, step: StepEvent) {
        let body = step.encode_to_vec();
        let mut inner = self.lock();
        let Inner { leases, outbox, unsettled_bytes, journal, .. } = &mut *inner;
        // Without its lease nobody wants to hear of it.
        let Some(lease) = leases.get_mut(&step.lease_id) else { return };
        *unsettled_bytes += step.output.len();
        journal.ended(&step.lease_id, &step.path, body);
        let step = Arc::new(step);
        lease.steps.push(Arc::clone(&step));
        outbox.push(Ordered::Step(step));
        drop(inner);
        self.waiting.notify_one();
    }

    /// A step with an effect is about to start: resolves when the journal has it for good.
    pub(in crate::link) fn journal_start(&self, step: &StepEvent) -> impl Future<Output = ()> + Send + use<> {
        self.journal.started(&step.lease_id, &step.path, step.encode_to_vec())
    }

    /// A step whose effect must not happen twice is about to start, or its call leaves a note. The receiver gets the server's
    /// word, over broken streams too; it closes when the lease is gone.
    pub(in crate::link) fn start(&self, step: StepEvent) -> oneshot::Receiver<bool> {
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
    pub(in crate::link) fn finish(&self, lease_id: &LeaseId, outcome: Option<Outcome>, now: Instant) {
        let outcome = outcome.map(|outcome| (outcome.encode_to_vec(), Arc::new(outcome)));
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
        inner.alone.take_if(|alone| alone == lease_id);
        let Inner { leases, outbox, unsettled_bytes, journal, .. } = &mut *inner;
        match (outcome, leases.get_mut(lease_id)) {
            (Some((body, outcome)), Some(lease)) => {
                *unsettled_bytes += outcome.result.len();
                journal.outcome(lease_id, body);
                lease.outcome = Some(Arc::clone(&outcome));
                // Nobody waits for the word any more.
                lease.starts.clear();
                outbox.push(Ordered::Outcome(outcome));
            }
            _ => inner.lose(lease_id),
        }
        self.changed(inner, now);
    }

    /// A run stopped before its next step, as somebody asked: when its ends are settled, the task goes back.
    pub(in crate::link) fn stopped(&self, lease_id: &LeaseId, now: Instant) {
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
        inner.alone.take_if(|alone| alone == lease_id);
        if let Some(lease) = inner.leases.get_mut(lease_id) {
            lease.leaving = Some(Leaving::Paused);
            if let Some(reason) = lease.leaves() {
                inner.lose(lease_id);
                inner.hand_back(lease_id.clone(), reason);
            }
        }
        self.changed(inner, now);
    }

    /// A plugin said something.
    pub(in crate::link) fn log(&self, line: LogLine) {
        let mut inner = self.lock();
        // Without its lease nobody wants to hear of it.
        if inner.leases.contains_key(&line.lease_id) {
            inner.outbox.log(line);
            drop(inner);
            self.waiting.notify_one();
        }
    }

    /// The server's answer to a step's start, a note, a step's end, or (no path) an outcome.
    pub(in crate::link) fn settled(&self, settled: &Settled, now: Instant) {
        let mut inner = self.lock();
        if settled.path.is_empty() || !settled.accepted {
            inner.lose(&settled.lease_id);
            self.changed(inner, now);
            return;
        }
        let Inner { leases, unsettled_bytes, journal, .. } = &mut *inner;
        let Some(lease) = leases.get_mut(&settled.lease_id) else { return };
        let state = settled.state();
        if matches!(state, StepState::Started | StepState::Recorded) {
            let answered = |start: &mut Start| start.event.path == settled.path && start.event.state() == state;
            for start in lease.starts.extract_if(.., answered) {
                // The run may have been cancelled meanwhile.
                let _ = start.word.send(true);
            }
            return;
        }
        for step in lease.steps.extract_if(.., |step| step.path == settled.path) {
            *unsettled_bytes -= step.output.len();
        }
        journal.settled(&settled.lease_id, &settled.path);
        if let Some(reason) = lease.leaves() {
            inner.lose(&settled.lease_id);
            inner.hand_back(settled.lease_id.clone(), reason);
            self.changed(inner, now);
        }
    }
}
