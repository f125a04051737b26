//! One lease, and what is not yet settled under it.

use std::sync::{Arc, atomic::AtomicBool};

use claiflow_proto::agent::v1::{Outcome, StepEvent};
use tokio::sync::oneshot;
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
    /// Its run is over without an outcome: when its reports are settled, it goes back, for this reason.
    pub(super) leaving: Option<Leaving>,
}

/// Why a lease goes back whose run has begun, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Its run died with an earlier process.
    Restarted,
    /// Somebody asked that it stops before its next step.
    Paused,
}

impl Leaving {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Restarted => "restarted",
            Self::Paused => "paused",
        }
    }
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
    /// Somebody wants it to stop before its next step.
    pub(in crate::link) pause: Arc<AtomicBool>,
}

impl Lease {
    pub(super) fn new(task: Vec<u8>, epoch: u64) -> Self {
        Self {
            task,
            epoch,
            run: Run { stop: CancellationToken::new(), gone: CancellationToken::new(), pause: Arc::default() },
            steps: Vec::new(),
            starts: Vec::new(),
            effect_begun: false,
            outcome: None,
            leaving: None,
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
        self.runs() && !self.effect_begun
    }

    /// Whether its run has not come to an end.
    pub(super) fn runs(&self) -> bool {
        self.outcome.is_none() && self.leaving.is_none()
    }

    /// Why it goes back now, if it does.
    pub(super) fn leaves(&self) -> Option<&'static str> {
        let is_said = self.steps.is_empty() && self.outcome.is_none();
        self.leaving.filter(|_| is_said).map(Leaving::reason)
    }

    pub(super) fn unsettled_bytes(&self) -> usize {
        let steps: usize = self.steps.iter().map(|step| step.output.len()).sum();
        steps + self.outcome.as_ref().map_or(0, |outcome| outcome.result.len())
    }
}
