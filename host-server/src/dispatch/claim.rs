//! Serves what waits in `ready`: backlog, restarts, other replicas' creates. Pokes are hints; a scan every two seconds
//! serves what a hint missed.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Dispatch;
use crate::{
    model::{ids::Id, task::Snapshot},
    storage,
};

const SCAN: Duration = Duration::from_secs(2);
const BATCH: u64 = 256;
/// How many waiting tasks are looked at for what they need, before all of them are.
const FIRST: i64 = 1_000;

pub(super) async fn run(dispatch: Dispatch, mut poked: mpsc::UnboundedReceiver<i64>, stop: CancellationToken) {
    let mut scan = tokio::time::interval(SCAN);
    let mut pokes = Vec::new();
    loop {
        pokes.clear();
        tokio::select! {
            () = stop.cancelled() => return,
            count = poked.recv_many(&mut pokes, 1_024) => if count == 0 { return },
            _ = scan.tick() => match dispatch.0.store.clusters_with_ready().await {
                Ok(clusters) => pokes = clusters,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "waiting tasks could not be looked for"),
            },
        }
        for cluster in pokes.iter().copied().collect::<BTreeSet<_>>() {
            dispatch.0.polls.lock().wake(cluster);
            if let Err(error) = serve(&dispatch, cluster).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "waiting tasks could not be claimed; the next scan tries again"
                );
            }
        }
    }
}

async fn serve(dispatch: &Dispatch, cluster: i64) -> Result<(), storage::Error> {
    let inner = &dispatch.0;
    if inner.hub.lock().free(cluster, &[]).is_empty() {
        return Ok(());
    }
    let mut waiting = snapshots(dispatch, cluster, Some(FIRST)).await?;
    if waiting.is_empty() {
        inner.hub.lock().no_backlog(cluster);
        return Ok(());
    }
    // Where nobody here runs any of the first, one further back may be for somebody.
    if inner.hub.lock().free(cluster, &waiting).iter().all(|(.., runs)| runs.is_empty()) {
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
        let claimed = inner
            .store
            .claim(cluster, &by_id, usize::try_from(slots).unwrap_or(1), journal, inner.source.now_us(), || {
                inner.source.random()
            })
            .await;
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
            hub.offer(session, lease, Instant::now());
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
