//! The two writer lanes. Each drains its queue into one group commit; it lingers only while work is in flight.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{Create, Dispatch, Ended, NewTask};
use crate::{
    metrics::Statement,
    model::{
        ids::Id,
        lifecycle::Event,
        state::State,
        task::{Finish, Kind, Lease, Place, RequestKey, Task},
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
    let all: Vec<NewTask> = requests.iter().flat_map(|request| request.tasks.iter().cloned()).collect();
    let keys: Vec<RequestKey> = requests.iter().filter_map(|request| request.key.clone()).collect();
    match write(dispatch, &all, &keys).await {
        Ok(()) => requests.into_iter().for_each(|request| answer(request, Ok(()))),
        // One request of the batch is refused: each goes alone, so that it is the only one.
        Err(storage::Error::Duplicate) if requests.len() > 1 => {
            for request in requests {
                let outcome = write(dispatch, &request.tasks, request.key.as_slice()).await;
                answer(request, outcome);
            }
        }
        Err(error) => {
            let duplicate = matches!(error, storage::Error::Duplicate);
            if !duplicate {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    tasks = all.len(),
                    "tasks could not be stored"
                );
            }
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

/// One commit: tasks with a promised slot get their lease at once, the others wait in `ready` or for their time.
async fn write(dispatch: &Dispatch, tasks: &[NewTask], keys: &[RequestKey]) -> Result<(), storage::Error> {
    let inner = &dispatch.0;
    let now = inner.source.now_us();
    let promised: Vec<Option<(u64, Id)>> = {
        let mut hub = inner.hub.lock();
        let waits = |new: &NewTask| new.in_turn || new.due.is_some();
        tasks.iter().map(|new| if waits(new) { None } else { hub.promise(&new.task) }).collect()
    };
    let rows: Vec<(Arc<Task>, Place)> =
        tasks.iter().zip(&promised).map(|(new, promise)| placed(dispatch, new, *promise, now)).collect();
    // A connection that was lost at its COMMIT tells nothing, and by the next try the tasks may even have ended: it asks first.
    // The ids are made here, and all tasks were stored or none.
    let mut is_first = true;
    let mut outcome = retried(|| {
        let asks = !std::mem::take(&mut is_first);
        let (rows, store) = (&rows, &inner.store);
        async move {
            match rows.first() {
                Some((task, _)) if asks && store.is_stored(task.cluster, task.id).await? => Ok(()),
                _ => inner.metrics.database.time(Statement::Create, store.create_tasks(rows, keys)).await,
            }
        }
    })
    .await;
    if let (Err(_), Some((task, _))) = (&outcome, rows.first())
        && matches!(inner.store.is_stored(task.cluster, task.id).await, Ok(true))
    {
        outcome = Ok(());
    }
    inner.metrics.commits.inc();
    let instant = Instant::now();
    let (mut waiting, mut undelivered) = (Vec::new(), Vec::new());
    {
        let mut hub = inner.hub.lock();
        for (promise, (task, place)) in promised.iter().zip(rows) {
            match (promise, place, &outcome) {
                (Some((session, _)), Place::Lease(lease), Ok(())) => {
                    undelivered.extend(hub.offer(*session, lease, instant).err());
                }
                (Some((session, _)), _, Err(_)) => hub.unpromise(*session, 1),
                (_, Place::Ready, Ok(())) => waiting.push(task.cluster),
                _ => {}
            }
        }
    }
    waiting.dedup();
    waiting.into_iter().for_each(|cluster| dispatch.look_at(cluster));
    for lease in undelivered {
        dispatch.take_back(&lease, State::Offered, Event::Lapsed).await;
    }
    outcome
}

/// A task as it is stored, and where: a slot was promised to it, or it waits.
fn placed(dispatch: &Dispatch, new: &NewTask, promise: Option<(u64, Id)>, now: i64) -> (Arc<Task>, Place) {
    match (promise, new.due) {
        (Some((_, journal)), _) => {
            let task = Arc::new(Task { started: Some(now), ..Task::clone(&new.task) });
            let id = dispatch.0.source.random();
            let lease = Lease { id, journal, created: now, kind: Kind::Stream, task: Arc::clone(&task) };
            (task, Place::Lease(Arc::new(lease)))
        }
        (None, Some(due)) => (Arc::clone(&new.task), Place::Later(due)),
        (None, None) => (Arc::clone(&new.task), Place::Ready),
    }
}

pub(super) async fn finishes(dispatch: Dispatch, mut queue: mpsc::Receiver<Ended>) {
    let (mut batch, mut busy) = (Vec::new(), false);
    while gather(&mut queue, &mut batch, busy).await {
        busy = batch.len() > 8;
        let (sessions, ends): (Vec<u64>, Vec<Finish>) =
            batch.drain(..).map(|ended: Ended| (ended.session, ended.finish)).unzip();
        let outcome =
            dispatch.0.metrics.database.time(Statement::Finish, retried(|| dispatch.0.store.finish(&ends))).await;
        dispatch.0.metrics.commits.inc();
        match outcome {
            Ok(valid) => {
                let mut hub = dispatch.0.hub.lock();
                for (session, end) in sessions.iter().zip(&ends) {
                    let state = valid.get(&end.lease.id);
                    match state {
                        Some(state) => dispatch.0.metrics.tasks_ended.with_label_values(&[state.word()]).inc(),
                        None => dispatch.0.metrics.stale_reports.inc(),
                    }
                    hub.settle(*session, end.lease.id, state.is_some());
                }
            }
            // Not settled: the agents repeat these on their next stream, and the sweeper finds again what it gave up.
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    outcomes = ends.len(),
                    "outcomes could not be stored"
                );
                let mut hub = dispatch.0.hub.lock();
                sessions.into_iter().for_each(|session| hub.close(session));
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
