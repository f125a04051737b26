//! The two writer lanes. Each drains its queue into one group commit; it lingers only while work is in flight.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};

use super::{Create, Dispatch, Ended, GIVEN_UP};
use crate::{
    model::{
        state::State,
        task::{Finish, Lease, Task},
    },
    storage,
};

const BATCH: usize = 256;
/// Tasks of one create transaction; a request that holds more goes alone.
const TASKS: usize = 4_096;
/// Under load a batch waits this long for at least [`LINGER_ITEMS`].
const LINGER: Duration = Duration::from_millis(3);
const LINGER_ITEMS: usize = 48;
/// A batch that met a deadlock or a lost connection is tried again this often.
const TRIES: u32 = 5;

/// Takes what is queued. An idle lane never waits: only when the last batch held several items may more be on their way.
async fn gather<T>(queue: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, busy: bool) -> bool {
    if queue.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    if busy && batch.len() < LINGER_ITEMS {
        let deadline = Instant::now() + LINGER;
        while batch.len() < LINGER_ITEMS {
            let left = deadline.saturating_duration_since(Instant::now());
            let room = BATCH - batch.len();
            if !matches!(timeout(left, queue.recv_many(batch, room)).await, Ok(count) if count > 0) {
                break;
            }
        }
    }
    true
}

pub(super) async fn creates(dispatch: Dispatch, mut queue: mpsc::Receiver<Create>) {
    let (mut batch, mut busy) = (Vec::new(), false);
    while gather(&mut queue, &mut batch, busy).await {
        busy = batch.len() > 8;
        while !batch.is_empty() {
            let mut tasks = 0;
            let fits = |request: &&Create| {
                tasks += request.tasks.len();
                tasks <= TASKS
            };
            let count = batch.iter().take_while(fits).count().max(1);
            store(&dispatch, batch.drain(..count).collect()).await;
        }
    }
}

/// Stores the tasks of several requests together, and answers each.
async fn store(dispatch: &Dispatch, requests: Vec<Create>) {
    let all: Vec<Arc<Task>> = requests.iter().flat_map(|request| request.tasks.iter().cloned()).collect();
    match write(dispatch, &all).await {
        Ok(()) => requests.into_iter().for_each(|request| answer(request, Ok(()))),
        // One request of the batch is refused: each goes alone, so that it is the only one.
        Err(storage::Error::Duplicate) if requests.len() > 1 => {
            for request in requests {
                let outcome = write(dispatch, &request.tasks).await;
                answer(request, outcome);
            }
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, tasks = all.len(), "tasks could not be stored");
            let duplicate = matches!(error, storage::Error::Duplicate);
            for request in requests {
                let error = if duplicate {
                    storage::Error::Duplicate
                } else {
                    storage::Error::Engine(storage::Cause::WorkerCrashed)
                };
                answer(request, Err(error));
            }
        }
    }
}

fn answer(request: Create, outcome: Result<(), storage::Error>) {
    // A caller that went away does not read its answer; what it asked for stays stored.
    let _ = request.reply.send(outcome);
}

/// One commit: tasks with a promised slot get their lease at once, the others wait in `ready`.
async fn write(dispatch: &Dispatch, tasks: &[Arc<Task>]) -> Result<(), storage::Error> {
    let inner = &dispatch.0;
    let now = inner.source.now_us();
    let promised: Vec<_> = {
        let mut hub = inner.hub.lock();
        tasks.iter().map(|task| (task, hub.promise(task))).collect()
    };
    let rows: Vec<(Arc<Task>, Option<Arc<Lease>>)> = promised
        .iter()
        .map(|(task, promise)| {
            let lease = promise.map(|(_, journal)| {
                Arc::new(Lease { id: inner.source.random(), journal, created: now, task: Arc::clone(task) })
            });
            (Arc::clone(task), lease)
        })
        .collect();
    let mut outcome = retried(|| inner.store.create_tasks(&rows)).await;
    // A connection that was lost at its COMMIT tells nothing: a second try meets the first one's rows. The ids are made here,
    // and all tasks were stored or none.
    if let (Err(_), Some(task)) = (&outcome, tasks.first())
        && matches!(inner.store.task(task.cluster, &task.id).await, Ok(Some(_)))
    {
        outcome = Ok(());
    }
    inner.metrics.commits.inc();
    let instant = Instant::now();
    let mut waiting = Vec::new();
    {
        let mut hub = inner.hub.lock();
        for ((_, promise), (task, lease)) in promised.iter().zip(rows) {
            match (promise, lease, &outcome) {
                (Some((session, _)), Some(lease), Ok(())) => hub.offer(*session, lease, instant),
                (Some((session, _)), _, Err(_)) => hub.unpromise(*session, 1),
                (_, _, Ok(())) => {
                    hub.expect_backlog(task.cluster);
                    waiting.push(task.cluster);
                }
                (None, _, Err(_)) => {}
            }
        }
    }
    waiting.dedup();
    waiting.into_iter().for_each(|cluster| dispatch.waits(cluster));
    outcome
}

pub(super) async fn finishes(dispatch: Dispatch, mut queue: mpsc::Receiver<Ended>) {
    let (mut batch, mut busy) = (Vec::new(), false);
    while gather(&mut queue, &mut batch, busy).await {
        busy = batch.len() > 8;
        let (sessions, ends): (Vec<u64>, Vec<Finish>) =
            batch.drain(..).map(|ended: Ended| (ended.session, ended.finish)).unzip();
        let outcome = retried(|| dispatch.0.store.finish(&ends)).await;
        dispatch.0.metrics.commits.inc();
        match outcome {
            Ok(valid) => {
                let mut hub = dispatch.0.hub.lock();
                for (session, end) in sessions.iter().zip(&ends) {
                    let accepted = valid.contains(&end.lease.id);
                    if accepted {
                        dispatch.0.metrics.tasks_ended.with_label_values(&[State::of(end.state).word()]).inc();
                    } else {
                        dispatch.0.metrics.stale_reports.inc();
                    }
                    hub.settle(*session, end.lease.id, accepted);
                }
            }
            // Not settled: the agents repeat these on their next stream, and the sweeper what it gave up.
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    outcomes = ends.len(),
                    "outcomes could not be stored"
                );
                let mut hub = dispatch.0.hub.lock();
                for (session, end) in sessions.into_iter().zip(ends) {
                    if session == GIVEN_UP {
                        hub.orphan((end.lease, State::Running), Instant::now());
                    } else {
                        hub.close(session);
                    }
                }
            }
        }
    }
}

/// Tries a whole transaction again after what may pass: deadlock, lock wait, snapshot conflict, lost connection.
pub(super) async fn retried<T, F: Future<Output = Result<T, storage::Error>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, storage::Error> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(error) if error.may_pass() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(5 << tries)).await;
            }
            other => return other,
        }
    }
}
