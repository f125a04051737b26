//! Runs that wait before their next step.

use claiflow_proto::agent::v1::Pause;
use tokio::{sync::watch, time::Instant};

use super::{Ledger, lease::LeaseId};

impl Ledger {
    /// A run is to stop before its next step, or goes on after all.
    pub(in crate::link) fn pause(&self, pause: &Pause) {
        if let Some(lease) = self.lock().leases.get_mut(&pause.lease_id) {
            lease.stopped &= pause.paused;
            lease.paused.send_replace(pause.paused);
        }
    }

    /// Waits until a run may make its next step: its task is not paused, and leases hold. A paused one goes back to the
    /// server when everything that it reported is settled; its run then ends as any whose lease is gone.
    pub(in crate::link) async fn holds(&self, lease_id: &LeaseId) {
        if let Some(mut paused) = self.stops(lease_id)
            && paused.wait_for(|paused| !paused).await.is_err()
        {
            std::future::pending::<()>().await;
        }
        let mut valid_until = self.valid_until.subscribe();
        // The sender is `self`: it does not close.
        let _ = valid_until.wait_for(|until| Instant::now() < *until).await;
    }

    /// Marks a run as stopped where its task is paused; what tells that it goes on.
    fn stops(&self, lease_id: &LeaseId) -> Option<watch::Receiver<bool>> {
        let mut inner = self.lock();
        let lease = inner.leases.get_mut(lease_id)?;
        if !*lease.paused.borrow() {
            return None;
        }
        lease.stopped = true;
        let paused = lease.paused.subscribe();
        if inner.hand_back_if_told(lease_id) {
            self.changed(inner, Instant::now());
        }
        Some(paused)
    }
}
