//! One lease, and what is not yet settled under it.

use std::sync::Arc;

use claiflow_proto::agent::v1::{Outcome, StepEvent};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::link::outbox::{Ordered, Outbox};

pub(in crate::link) type LeaseId = Vec<u8>;

pub(super) struct Lease {
    pub(super) task: Vec<u8>,
    pub(super) epoch: u64,
    pub(super) run: Run,
    /// Ends of steps that the server has not settled.
    pub(super) steps: Vec<Arc<StepEvent>>,
    /// Starts and notes that wait for the server's word.
    pub(super) starts: Vec<Start>,
    /// A step whose effect must not happen twice was announced.
    pub(super) effect_begun: bool,
    pub(super) outcome: Option<Arc<Outcome>>,
    /// The server wants its run to stop before the next step.
    pub(super) paused: watch::Sender<bool>,
    /// Its run has stopped there.
    pub(super) stopped: bool,
    /// Its run died with an earlier process: when its reports are settled, it goes back.
    pub(super) restored: bool,
}

pub(super) struct Start {
    pub(super) event: Arc<StepEvent>,
    pub(super) word: oneshot::Sender<bool>,
}

/// How the ledger reaches a run.
#[derive(Clone, Debug)]
pub(in crate::link) struct Run {
    /// Somebody cancelled.
    pub(in crate::link) stop: CancellationToken,
    /// The lease is not the agent's any more: nothing may start under it, and nothing is reported.
    pub(in crate::link) gone: CancellationToken,
}

impl Lease {
    pub(super) fn new(task: Vec<u8>, epoch: u64) -> Self {
        Self {
            task,
            epoch,
            run: Run { stop: CancellationToken::new(), gone: CancellationToken::new() },
            steps: Vec::new(),
            starts: Vec::new(),
            effect_begun: false,
            outcome: None,
            paused: watch::Sender::new(false),
            stopped: false,
            restored: false,
        }
    }

    /// Everything that is not settled, in order.
    pub(super) fn repeat(&self, outbox: &mut Outbox) {
        let starts = self.starts.iter().map(|start| &start.event);
        self.steps.iter().chain(starts).for_each(|step| outbox.push(Ordered::Step(Arc::clone(step))));
        self.outcome.iter().for_each(|outcome| outbox.push(Ordered::Outcome(Arc::clone(outcome))));
    }

    /// Whether it can go back to the server in the middle.
    pub(super) fn is_harmless(&self) -> bool {
        self.outcome.is_none() && !self.effect_begun && !self.restored
    }

    pub(super) fn unsettled_bytes(&self) -> usize {
        let steps: usize = self.steps.iter().map(|step| step.output.len()).sum();
        steps + self.outcome.as_ref().map_or(0, |outcome| outcome.result.len())
    }
}
