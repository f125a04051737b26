//! What an earlier process of this agent left to be reported.

use std::sync::Arc;

use claiflow_proto::agent::v1::{Outcome, StepEvent};
use prost::{DecodeError, Message as _};

use super::{
    Ledger,
    lease::{Lease, Leaving},
};
use crate::journal::Recovered;

impl Ledger {
    /// Holds the leases again under which something is to be reported. Their runs are dead: a lease without an outcome goes
    /// back when its reports are settled.
    pub(in crate::link) fn restore(&self, recovered: Vec<Recovered>) {
        let mut inner = self.lock();
        for left in recovered {
            let (id, journal) = (left.lease.clone(), &inner.journal);
            match lease_of(left) {
                Ok(lease) => {
                    inner.unsettled_bytes += lease.unsettled_bytes();
                    inner.leases.insert(id, lease);
                }
                Err(error) => {
                    tracing::error!(%error, "what the journal holds of a lease is not understood; the lease is given up");
                    journal.gone(&id);
                }
            }
        }
        self.count(&inner);
    }
}

fn lease_of(left: Recovered) -> Result<Lease, DecodeError> {
    let step = |body: Vec<u8>| StepEvent::decode(body.as_slice()).map(Arc::new);
    Ok(Lease {
        steps: left.ends.into_iter().map(step).collect::<Result<_, _>>()?,
        outcome: left.outcome.map(|body| Outcome::decode(body.as_slice()).map(Arc::new)).transpose()?,
        leaving: Some(Leaving::Restarted),
        ..Lease::new(left.task, left.epoch)
    })
}
