//! A task that asks for rest: as long as it is held nothing else is taken, and what runs beside it ends or goes back.

use tokio::time::Instant;

use super::Ledger;
use crate::{control::Rested, link::convert};

impl Ledger {
    /// No more credit while the task is held, of which this is the uuid. False: it is not held.
    pub(in crate::link) fn rest(&self, task: &str, now: Instant) -> bool {
        let mut inner = self.lock();
        let held = inner.leases.iter().filter(|(_, lease)| convert::task_uuid(&lease.task) == task);
        let asking: Vec<_> = held.map(|(id, _)| id.clone()).collect();
        let is_held = !asking.is_empty();
        inner.resting.extend(asking);
        self.changed(inner, now);
        is_held
    }

    /// Waits until nothing is left but the tasks that asked for it.
    pub(in crate::link) async fn others_gone(&self) {
        self.others.wait_for(|others| others == 0).await;
    }

    /// The others did not end in time. Those without an effect go back to the server.
    pub(in crate::link) fn give_up_others(&self, now: Instant) -> Rested {
        let mut inner = self.lock();
        let resting = inner.resting.clone();
        let handed_back = inner.hand_back_harmless(&resting);
        let leased = inner.leases.keys().filter(|id| !inner.resting.contains(*id)).count();
        self.changed(inner, now);
        Rested { handed_back, leased }
    }
}

impl super::Inner {
    /// Leases and runs that are left and are of no task that asked for rest.
    pub(super) fn beside_resting(&self) -> usize {
        if self.resting.is_empty() {
            return self.leases.len().max(self.running);
        }
        let is_resting = |id| self.resting.contains(id);
        let leases = self.leases.keys().filter(|id| !is_resting(*id)).count();
        let run = self.leases.iter().filter(|(id, lease)| is_resting(*id) && lease.runs()).count();
        leases.max(self.running.saturating_sub(run))
    }
}
