//! Leases that the database gives to an agent which is connected here, and that neither the agent nor this replica knows of:
//! the answer to their COMMIT was lost, they were offered on a stream that the agent had left for another replica, or taking them
//! back failed. Their agent lives, so no silence would ever end them.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Dispatch;
use crate::{model::ids::Id, storage};

/// Since when each is seen. One that is on its way into the hub is not seen for long.
pub(super) type Seen = BTreeMap<Id, Instant>;

impl Dispatch {
    /// Takes back what nobody has known of for an offer's time.
    ///
    /// # Errors
    /// [`storage::Error`] of the engine; a later look does what this one did not.
    pub async fn look_for_orphans(&self, now: Instant) -> Result<(), storage::Error> {
        let stored = self.0.store.leases_at(self.0.replica).await?;
        let over: Vec<(i64, Id)> = {
            let (hub, mut seen) = (self.0.hub.lock(), self.0.orphans.lock());
            let known = std::mem::take(&mut *seen);
            let orphans = stored.into_iter().filter(|(_, lease)| !hub.is_held(*lease));
            orphans
                .filter(|(_, lease)| {
                    let since = known.get(lease).copied().unwrap_or(now);
                    seen.insert(*lease, since);
                    now.duration_since(since) >= self.0.timing.offer
                })
                .collect()
        };
        for (cluster, lease) in over {
            if let Some(leased) = self.0.store.lease(cluster, lease).await? {
                tracing::info!(task.uuid = leased.lease.task.uuid, "a lease that nobody knows of is taken back");
                self.dropped(vec![leased]).await;
            }
        }
        Ok(())
    }
}
