//! Those who create tasks, cancel, pause and resume them, and say what became of a step in doubt.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use claiflow_server::{
    dispatch::NewTask,
    model::{
        duration::micros,
        ids::{Id, hex},
        state::State,
        step::STARTED,
        task::{Lease, Task},
    },
    storage::{Ending, Error, Settlement, Wished},
};
use tokio::time::{sleep, timeout};

use crate::{effects::output, faults::STORM, replica::Replica, trace::short, world::World};

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A task that somebody made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// Index of its template.
    pub(crate) template: usize,
    /// The server said that it is stored.
    pub(crate) accepted: bool,
    /// Somebody was told that it will be cancelled.
    pub(crate) cancel_noted: bool,
}

/// Creates tasks, and asks for this and that.
pub(crate) async fn live(world: Arc<World>) {
    let most = usize::try_from(STORM.as_millis()).unwrap_or(usize::MAX) / 2;
    let mut moments: Vec<(Duration, bool)> = Vec::new();
    moments.extend((0..world.setup.tasks).map(|_| (world.chance.millis(0, most), true)));
    moments.extend((0..world.setup.wishes).map(|_| (world.chance.millis(0, 2 * most), false)));
    moments.sort();
    let mut passed = Duration::ZERO;
    for (moment, creates) in moments {
        sleep(moment.saturating_sub(passed)).await;
        passed = passed.max(moment);
        if creates {
            tokio::spawn(create(Arc::clone(&world)));
        } else {
            tokio::spawn(wish(Arc::clone(&world)));
        }
    }
}

async fn create(world: Arc<World>) {
    let (chance, number) = (&world.chance, world.chance.below(world.templates.len()));
    let (Some(template), Some(replica)) = (world.templates.get(number), world.any_replica()) else { return };
    let (id, created) = (chance.id(), replica.dispatch.now_us());
    let cluster = world.setup.agents.get(chance.below(world.setup.agents.len())).map_or(1, |(cluster, _)| *cluster);
    let in_time = |least, most| created + micros(chance.millis(least, most));
    let task = Task {
        id,
        cluster,
        uuid: hex(&id),
        snapshot: Arc::clone(&template.snapshot),
        name: String::new(),
        summary: None,
        inputs: "{}".to_owned(),
        channel: None,
        priority: i32::try_from(chance.below(3)).unwrap_or_default(),
        attempt: 1,
        epoch: 1,
        created,
        request: None,
        valid_until: chance.one_in(4).then(|| in_time(2_000, 40_000)),
        run_timeout_ms: i64::try_from(chance.among(3_000, 60_000)).unwrap_or(60_000),
        started: None,
        labels: None,
        traceparent: None,
        created_by: None,
        audit: None,
        request_id: None,
    };
    let due = chance.one_in(8).then(|| in_time(100, 8_000));
    let in_turn = !task.gates().is_empty() || world.setup.rules.concurrency.is_some();
    world.made().insert(id, Made { template: number, ..Made::default() });
    let creating = replica.dispatch.create(vec![NewTask { task: Arc::new(task), due, in_turn }], None);
    let created = timeout(PATIENCE, creating).await;
    world.trace.say(format_args!("somebody creates {} of template {number}: {created:?}", short(&id)));
    if let (Ok(Ok(())), Some(made)) = (created, world.made().get_mut(&id)) {
        made.accepted = true;
    }
}

/// One wish, concerning any task that lives.
async fn wish(world: Arc<World>) {
    let live: Vec<Task> = world.database.lock().tables.live.values().map(|live| live.task.0.clone()).collect();
    let (Some(task), Some(replica)) = (world.chance.pick(&live), world.any_replica()) else { return };
    let dispatch = &replica.dispatch;
    let id = task.id;
    match world.chance.below(5) {
        0 | 1 => {
            let wished = timeout(PATIENCE, dispatch.cancel(task, "somebody")).await;
            world.trace.say(format_args!("somebody cancels {}: {wished:?}", short(&id)));
            if let (Ok(Ok(Wished::Noted)), Some(made)) = (wished, world.made().get_mut(&id)) {
                made.cancel_noted = true;
            }
        }
        2 => say(&world, "pauses", id, timeout(PATIENCE, dispatch.pause(task)).await),
        3 => resume(&world, &replica, task).await,
        _ => settle_unknown(&world, &replica, id).await,
    }
}

fn say(world: &World, does: &str, task: Id, answer: impl std::fmt::Debug) {
    world.trace.say(format_args!("somebody {does} {}: {answer:?}", short(&task)));
}

async fn resume(world: &World, replica: &Replica, task: &Task) {
    // As the API makes it from what it shows.
    let task = Task { epoch: 0, valid_until: None, run_timeout_ms: 0, ..task.clone() };
    say(world, "resumes", task.id, timeout(PATIENCE, replica.dispatch.resume(&task)).await);
}

/// Says what became of the steps in doubt of a task, as the world shows it.
async fn settle_unknown(world: &World, replica: &Replica, task: Id) {
    let found = {
        let state = world.database.lock();
        let is_unknown = state.tables.live.get(&task).is_some_and(|live| live.state == State::Unknown);
        let lease = state.tables.leased(|_, held| held.task == task).pop().map(|leased| leased.lease);
        let step = state.tables.steps_of(&task).into_iter().find(|step| step.state == STARTED);
        lease.filter(|_| is_unknown).map(|lease| (lease, step.map(|step| step.path)))
    };
    let Some((lease, path)) = found else { return };
    let settled = timeout(PATIENCE, settle(world, replica, &lease, path.as_deref())).await;
    say(world, "settles", task, settled);
    replica.dispatch.look_at(lease.task.cluster);
}

async fn settle(world: &World, replica: &Replica, lease: &Lease, path: Option<&str>) -> Result<bool, Error> {
    let uuid = hex(&lease.task.id);
    let did = path.and_then(|path| world.effects.lock().applied_step(&uuid, path)).map(output);
    let now_us = replica.dispatch.now_us();
    let failed = Ending { state: State::Failed, error: "resolved as failed", timeline: "{}", now_us };
    let settlement = match &did {
        _ if world.chance.one_in(3) => Settlement::Failed(failed),
        Some(output) => Settlement::Succeeded { output },
        None => Settlement::Rerun,
    };
    let meanwhile = || {
        let mut log = world.effects.lock();
        let begun = log.entries.len();
        log.settled.insert(uuid.clone());
        if let (None, Some(path)) = (&did, path) {
            log.reruns.push((uuid.clone(), path.to_owned(), begun));
        }
    };
    replica.store.resolve(lease, path, settlement, meanwhile).await
}

/// After the faults: what waits for a person gets one. Answers how many tasks have not ended.
pub(crate) async fn settle_all(world: &World) -> usize {
    let waiting: BTreeMap<Id, (Task, State)> = {
        let state = world.database.lock();
        state.tables.live.iter().map(|(id, live)| (*id, (live.task.0.clone(), live.state))).collect()
    };
    for (id, (task, state)) in &waiting {
        let Some(replica) = world.any_replica() else { continue };
        match state {
            State::Paused => resume(world, &replica, task).await,
            State::Unknown => settle_unknown(world, &replica, *id).await,
            _ => {}
        }
    }
    waiting.len()
}
