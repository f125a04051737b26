//! Serves what waits in `ready`: backlog, restarts, other replicas' creates. Pokes are hints; a scan every two seconds
//! serves what a hint missed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Dispatch, lanes};
use crate::{
    metrics::Statement,
    model::{
        ids::Id,
        lifecycle::Event,
        state::State,
        task::{Holder, Snapshot},
    },
    storage::{self, Claim},
};

const SCAN: Duration = Duration::from_secs(2);
const BATCH: u64 = 256;
/// How many waiting tasks are looked at for what they need, before all of them are.
const FIRST: i64 = 1_000;

pub(super) async fn run(dispatch: Dispatch, mut poked: mpsc::UnboundedReceiver<i64>, stop: CancellationToken) {
    let mut scan = tokio::time::interval(SCAN);
    scan.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pokes = Vec::new();
    loop {
        pokes.clear();
        let mut is_scan = false;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = scan.tick() => {
                is_scan = true;
                match dispatch.0.store.clusters_with_ready().await {
                    Ok(clusters) => pokes = clusters,
                    Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "waiting tasks could not be looked for"),
                }
            }
            count = poked.recv_many(&mut pokes, 1_024) => if count == 0 { return },
        }
        for cluster in pokes.iter().copied().collect::<BTreeSet<_>>() {
            dispatch.0.polls.lock().wake(cluster);
            if let Err(error) = serve(&dispatch, cluster, is_scan).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "waiting tasks could not be claimed; the next scan tries again"
                );
            }
        }
    }
}

/// Claims for the agents of one cluster. `is_scan`: looks at all that waits, also behind a long line that nobody here can run.
async fn serve(dispatch: &Dispatch, cluster: i64, is_scan: bool) -> Result<(), storage::Error> {
    let inner = &dispatch.0;
    if is_scan {
        // What another replica stored is not overtaken by what is created here.
        inner.hub.lock().expect_backlog(cluster);
    }
    if inner.hub.lock().free(cluster, &[]).is_empty() {
        return Ok(());
    }
    let rules = inner.store.cluster_rules(cluster).await?;
    if rules.paused {
        return Ok(());
    }
    let mut waiting = snapshots(dispatch, cluster, Some(FIRST)).await?;
    if waiting.is_empty() {
        inner.hub.lock().no_backlog(cluster);
        return Ok(());
    }
    // Where nobody here runs any of the first, one further back may be for somebody.
    if is_scan && inner.hub.lock().free(cluster, &waiting).iter().all(|(.., runs)| runs.is_empty()) {
        waiting = snapshots(dispatch, cluster, None).await?;
    }
    let free = inner.hub.lock().free(cluster, &waiting);
    for (session, journal, slots, runs) in free {
        if runs.is_empty() {
            continue;
        }
        let slots = slots.min(BATCH);
        let by_id: HashMap<Id, Arc<Snapshot>> = runs.into_iter().map(|snapshot| (snapshot.id, snapshot)).collect();
        inner.hub.lock().promised(session, slots);
        let claim = Claim {
            cluster,
            snapshots: &by_id,
            limit: usize::try_from(slots).unwrap_or(1),
            holder: &Holder::Streaming(journal),
            now_us: inner.source.now_us(),
            cluster_limit: rules.concurrency,
        };
        let lease_id = || inner.source.random();
        let claimed = lanes::retried(|| inner.store.claim(&claim, &lease_id));
        let claimed = inner.metrics.database.time(Statement::Claim, claimed).await;
        let mut undelivered = Vec::new();
        {
            let mut hub = inner.hub.lock();
            let leases = match claimed {
                Ok(leases) => leases,
                Err(error) => {
                    hub.unpromise(session, slots);
                    return Err(error);
                }
            };
            hub.unpromise(session, slots - leases.len() as u64);
            for lease in leases {
                undelivered.extend(hub.offer(session, lease, Instant::now()).err());
            }
        }
        for lease in undelivered {
            dispatch.take_back(&lease, State::Offered, Event::Lapsed).await;
        }
    }
    Ok(())
}

async fn snapshots(
    dispatch: &Dispatch,
    cluster: i64,
    limit: Option<i64>,
) -> Result<Vec<Arc<Snapshot>>, storage::Error> {
    let mut waiting = Vec::new();
    for need in dispatch.0.store.needs(cluster, limit).await? {
        waiting.extend(dispatch.0.store.snapshot(&need).await?);
    }
    Ok(waiting)
}
