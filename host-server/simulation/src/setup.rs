//! What a seed decides before anything happens.

use std::time::Duration;

use claiflow_server::{dispatch::Timing, model::nouns::ClusterRules};

use crate::{
    chance::Chance,
    faults::{ALL, Fault},
};

/// A mistake that is made on purpose, to show that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The database takes the end of a run under a lease that is gone.
    FinishUnderAnyLease,
    /// The database says that it keeps the start of a step, and does not.
    ForgetStarts,
    /// A lease holds longer than it takes to count as lost.
    LeaseOutlivesSilence,
}

/// The beginning of a history.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) seed: u64,
    pub(crate) keeps_trace: bool,
    pub(crate) bug: Option<Bug>,
    pub(crate) timing: Timing,
    pub(crate) replicas: usize,
    /// The cluster and the slots of each agent.
    pub(crate) agents: Vec<(i64, usize)>,
    pub(crate) templates: usize,
    pub(crate) tasks: usize,
    /// What people ask of tasks.
    pub(crate) wishes: usize,
    pub(crate) rules: ClusterRules,
    pub(crate) faults: Vec<Fault>,
    /// Mean time between two faults, milliseconds.
    pub(crate) calm_ms: usize,
}

impl Setup {
    /// What a seed decides. Some histories see no fault at all, some every kind of them.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let clusters = chance.among(1, 2);
        let agents = (0..chance.among(clusters, 3)).map(|number| (1 + (number % clusters) as i64, chance.among(1, 3)));
        let agents = agents.collect();
        let some = chance.among(1, 8);
        let faults = match chance.below(12) {
            0 => Vec::new(),
            1 => ALL.to_vec(),
            _ => ALL.iter().filter(|_| chance.below(8) < some).copied().collect(),
        };
        let cluster_limit = chance.one_in(5).then(|| u32::try_from(chance.among(1, 3)).unwrap_or(1));
        Self {
            seed,
            keeps_trace: false,
            bug: None,
            timing: Timing {
                round: Duration::from_secs(1),
                offer: Duration::from_secs(8),
                lease_ttl: Duration::from_secs(5),
                silence: Duration::from_secs(6),
                grace: Duration::from_secs(4),
                backoff: Duration::from_secs(1),
                ..Timing::default()
            },
            replicas: if chance.one_in(4) { 1 } else { 2 },
            agents,
            templates: chance.among(1, 3),
            tasks: chance.among(3, 10),
            wishes: chance.below(7),
            rules: ClusterRules { paused: false, concurrency: cluster_limit },
            faults,
            calm_ms: chance.among(1_500, 8_000),
        }
    }

    /// The same, and every event is written down.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { keeps_trace: true, ..self }
    }

    /// The same, with a mistake.
    #[must_use]
    pub fn with(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        if bug == Bug::LeaseOutlivesSilence {
            self.timing.lease_ttl = Duration::from_secs(120);
        }
        self
    }
}
