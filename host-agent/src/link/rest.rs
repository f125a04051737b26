//! Does what running commands ask of the agent itself.

use std::{convert::Infallible, sync::Arc};

use tokio::{task::JoinSet, time::Instant};

use super::ledger::Ledger;
use crate::control::{Orders, Rest, Rested};

/// Follows orders for as long as it is asked to; two tasks may want rest at once, and do not wait for each other.
pub(super) async fn follow(ledger: &Arc<Ledger>, mut orders: Orders) -> Infallible {
    let mut resting = JoinSet::new();
    while let Some(rest) = orders.next().await {
        while resting.try_join_next().is_some() {}
        resting.spawn(give(Arc::clone(ledger), rest));
    }
    std::future::pending().await
}

async fn give(ledger: Arc<Ledger>, rest: Rest) {
    let Rest { task, grace, done } = rest;
    // Whoever asks for a task that is not held any more hears that nobody is there.
    if !ledger.rest(&task, Instant::now()) {
        return;
    }
    tracing::info!(task.uuid = task, grace_s = grace.as_secs(), "takes no task while this one runs");
    let rested = match tokio::time::timeout(grace, ledger.others_gone()).await {
        Ok(()) => Rested { handed_back: 0, leased: 0 },
        Err(_) => ledger.give_up_others(Instant::now()),
    };
    if rested.handed_back + rested.leased > 0 {
        let Rested { handed_back, leased } = rested;
        tracing::warn!(
            tasks.handed_back = handed_back,
            tasks.leased = leased,
            "running tasks did not end in time; those with an effect under way, or with something to report, stay leased"
        );
    }
    // The call that asked may be over.
    let _ = done.send(rested);
}
