//! One history, from its first moment to the last task's end.

use std::{io, sync::Arc, time::Duration};

use claiflow_server::model::ids::Ids as _;
use tokio::{
    runtime::Builder,
    time::{Instant, sleep},
};

use crate::{checker, faults, people, replica::Replica, setup::Setup, world::World};

/// After the faults, every task ends within this time.
const PATIENCE: Duration = Duration::from_secs(400);
/// Between two looks at what has not ended.
const ROUND: Duration = Duration::from_secs(2);
/// What is due later than this waits for a clock that was wrong, microseconds.
const FAR_US: i64 = 120_000_000;

/// What many histories share, since nothing in them looks at it.
#[derive(Clone)]
pub struct Parts {
    pub(crate) server: claiflow_server::metrics::Metrics,
    pub(crate) agent: Arc<claiflow_agent::metrics::Metrics>,
}

impl Parts {
    /// Makes them.
    ///
    /// # Errors
    /// When a metric cannot be registered.
    pub fn new() -> Result<Self, prometheus::Error> {
        let agent = Arc::new(claiflow_agent::metrics::Metrics::register()?);
        Ok(Self { server: claiflow_server::metrics::Metrics::register()?, agent })
    }
}

/// What became of a history.
#[derive(Clone, Debug)]
pub struct Story {
    /// It decides everything.
    pub seed: u64,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
    /// Every event, where the setup asked for it.
    pub trace: String,
    /// How many tasks ended, by their state's word, and how often calls began.
    pub counts: Vec<(&'static str, usize)>,
    /// Until the last task ended.
    pub took: Duration,
}

/// Lets a history happen.
///
/// # Errors
/// When there can be no runtime.
pub fn history(setup: Setup, parts: &Parts) -> io::Result<Story> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let parts = parts.clone();
    Ok(runtime.block_on(happen(setup, parts)))
}

async fn happen(setup: Setup, parts: Parts) -> Story {
    let (seed, began) = (setup.seed, Instant::now());
    let world = World::new(setup, parts);
    for number in 0..world.setup.replicas {
        Replica::start(&world, number);
    }
    world.agents.iter().for_each(|agent| agent.start(&world));
    let people = tokio::spawn(people::live(Arc::clone(&world)));
    faults::storm(Arc::clone(&world)).await;
    // It ends by itself; a panic in it is a fault of the simulation, which shows as tasks that are missing.
    let _ = people.await;
    let limit = Instant::now() + PATIENCE;
    loop {
        sleep(ROUND).await;
        if people::settle_all(&world).await == 0 || Instant::now() >= limit {
            break;
        }
        await_due(&world);
    }
    let took = began.elapsed();
    let broken = checker::judge(&world);
    broken.iter().for_each(|words| world.trace.say(format_args!("BROKEN: {words}")));
    Story { seed, broken, trace: world.trace.text(), counts: counts(&world), took }
}

/// What was scheduled by a clock that was an hour wrong is due in an hour, which is not worth its heartbeats.
fn await_due(world: &World) {
    let state = world.database.lock();
    let first = state.tables.later.keys().map(|(due, _)| *due).min();
    for wall in &world.walls {
        if let Some(ahead) = first.map(|due| due - wall.now_us()).filter(|ahead| *ahead > FAR_US) {
            wall.set_wrong(wall.wrong_us() + ahead);
        }
    }
}

fn counts(world: &World) -> Vec<(&'static str, usize)> {
    let state = world.database.lock();
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    let words = state.tables.history.values().map(|past| past.state.word());
    for word in words.chain(state.tables.live.values().map(|live| live.state.word())) {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    counts.push(("calls", world.effects.lock().entries.len()));
    counts
}
