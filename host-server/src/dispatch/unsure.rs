//! Leases of which nobody here knows whether they were stored: the answer to their COMMIT was lost. One that was stored and
//! never offered would wait for its agent for ever, since the agent lives and knows nothing of it.

use tokio::time::Instant;

use super::Dispatch;
use crate::model::{ids::Id, lifecycle::Event, state::State};

/// One such lease, which only this replica can know of.
pub(super) struct Unsure {
    cluster: i64,
    lease: Id,
    since: Instant,
}

impl Dispatch {
    /// Notes leases whose transaction failed, and may have been stored all the same.
    pub(super) fn doubt(&self, cluster: i64, leases: impl IntoIterator<Item = Id>) {
        let since = Instant::now();
        self.0.unsure.lock().extend(leases.into_iter().map(|lease| Unsure { cluster, lease, since }));
    }

    /// Gives back those that were stored. One that is not there is looked for again for an offer's time, since a transaction
    /// may end after its connection.
    pub(super) async fn look_for_unsure(&self, now: Instant) {
        let unsure = std::mem::take(&mut *self.0.unsure.lock());
        for one in unsure {
            match self.0.store.lease(one.cluster, one.lease).await {
                Ok(Some(leased)) => self.take_back(&leased.lease, State::Offered, Event::Lapsed).await,
                Ok(None) if now.duration_since(one.since) > self.0.timing.offer => {}
                Ok(None) => self.0.unsure.lock().push(one),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "it is not known yet whether a lease was stored"
                    );
                    self.0.unsure.lock().push(one);
                }
            }
        }
    }
}
