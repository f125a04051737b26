//! Concurrency limits, as a claim meets them: how many may still start under each.

use std::{collections::BTreeMap, sync::Arc};

use crate::model::task::Snapshot;

/// The name of a cluster's own limit.
pub(super) fn cluster_gate(cluster: i64) -> String {
    format!("cluster {cluster}")
}

/// What is left of each limit that concerns a claim.
pub(super) struct Limits {
    cluster: i64,
    left: BTreeMap<String, i64>,
}

impl Limits {
    pub(super) fn of<'a>(
        cluster: i64,
        cluster_limit: Option<u32>,
        snapshots: impl Iterator<Item = &'a Arc<Snapshot>>,
    ) -> Self {
        let own = cluster_limit.map(|limit| (cluster_gate(cluster), i64::from(limit)));
        let gates = snapshots.flat_map(|snapshot| snapshot.gates(cluster));
        let left = own.into_iter().chain(gates.map(|gate| (gate.name, i64::from(gate.limit)))).collect();
        Self { cluster, left }
    }

    /// In one order for all claimers.
    pub(super) fn names(&self) -> Vec<String> {
        self.left.keys().cloned().collect()
    }

    /// So many run already.
    pub(super) fn taken(&mut self, name: &str, count: i64) {
        if let Some(left) = self.left.get_mut(name) {
            *left -= count;
        }
    }

    fn gates(&self, snapshot: &Snapshot) -> Vec<String> {
        let own = Some(cluster_gate(self.cluster)).filter(|name| self.left.contains_key(name));
        own.into_iter().chain(snapshot.gates(self.cluster).into_iter().map(|gate| gate.name)).collect()
    }

    pub(super) fn is_open(&self, snapshot: &Snapshot) -> bool {
        self.gates(snapshot).iter().all(|name| self.left.get(name).is_none_or(|left| *left > 0))
    }

    /// One more starts, if it may.
    pub(super) fn take(&mut self, snapshot: &Snapshot) -> bool {
        if !self.is_open(snapshot) {
            return false;
        }
        for name in self.gates(snapshot) {
            self.taken(&name, 1);
        }
        true
    }
}
