//! An agent: a machine with a disk, on which one process after the other runs the real link.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use claiflow_agent::{
    control::Orders,
    executor::Executor,
    journal::Journal,
    link::{Ambient, Link},
};
use claiflow_flow_worker::Pool;
use claiflow_server::model::ids::Id;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    commands::{Served, inventory},
    disk::{Mounted, Platter},
    net::Dial,
    power::Power,
    trace::short,
    world::World,
};

/// How long a run may take to end when its agent is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// A call that was asked to stop is dropped after this time.
const STOP_GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Agent {
    number: usize,
    cluster: i64,
    slots: usize,
    pub(crate) platter: Platter,
    state: Mutex<State>,
}

struct State {
    journal: Id,
    process: Option<Process>,
}

#[derive(Clone)]
struct Process {
    power: Power,
    stop: CancellationToken,
    task: AbortHandle,
}

impl Agent {
    pub(crate) fn new(number: usize, cluster: i64, slots: usize, chance: &Chance) -> Self {
        let state = Mutex::new(State { journal: chance.id(), process: None });
        Self { number, cluster, slots, platter: Platter::default(), state }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process where none runs.
    pub(crate) fn start(&self, world: &Arc<World>) {
        let mut state = self.lock();
        if state.process.is_some() {
            return;
        }
        let (number, journal_id) = (self.number, state.journal);
        world.trace.say(format_args!("agent {number} starts with the journal {}", short(&journal_id)));
        let (power, stop, chance) = (Power::default(), CancellationToken::new(), world.chance.clone());
        let commands = Served {
            agent: number,
            journal: journal_id,
            power: power.clone(),
            world: Arc::clone(world),
            inventory: inventory(),
        };
        // No flow of a history has an expression.
        let executor = Executor::new(Arc::new(commands), Pool::new("none".into(), 1)).with_stop_grace(STOP_GRACE);
        let transport = Dial { agent: number, cluster: self.cluster, power: power.clone(), world: Arc::clone(world) };
        let disk = Mounted { platter: self.platter.clone(), power: power.clone(), chance: chance.clone() };
        let (metrics, slots, stopping) = (Arc::clone(&world.parts.agent), self.slots, stop.clone());
        let ambient = Ambient { random: Box::new(move || chance.fraction()), wall_us: Box::new(|| 0) };
        let broken = Arc::clone(world);
        let running = tokio::spawn(async move {
            match Journal::open(Arc::new(disk), metrics.journal_writable.clone()).await {
                Ok(journal) => {
                    let link = Link {
                        transport: Arc::new(transport),
                        journal_id,
                        journal,
                        slots,
                        executor: Arc::new(executor),
                        metrics,
                        ambient: Arc::new(ambient),
                        orders: Orders::none(),
                    };
                    // Nobody refuses a simulated agent.
                    let _ = link.run(stopping, GRACE).await;
                }
                Err(error) => broken.database.lock().checker.broken(format_args!("agent {number}: {error}")),
            }
        });
        state.process = Some(Process { power, stop, task: running.abort_handle() });
    }

    /// The process dies in the middle of whatever it does; `machine`: and all that was not synced.
    pub(crate) fn crash(&self, world: &World, machine: bool) {
        let Some(process) = self.lock().process.take() else { return };
        world.trace.say(format_args!("agent {} crashes, with its machine: {machine}", self.number));
        process.end();
        if machine {
            self.platter.lose_unsynced(&world.chance);
        }
        world.net.agent_died(self.number, machine && world.chance.one_in(2));
    }

    /// The disk is another one from now on, and the agent another agent.
    pub(crate) fn replace_disk(&self, world: &World) {
        world.trace.say(format_args!("agent {} gets an empty disk", self.number));
        self.platter.wipe();
        self.lock().journal = world.chance.id();
    }

    pub(crate) fn stand_still(&self) {
        if let Some(process) = &self.lock().process {
            process.power.stand_still();
        }
    }

    pub(crate) fn go_on(&self) {
        if let Some(process) = &self.lock().process {
            process.power.go_on();
        }
    }

    /// Asks the process to end, waits for it as an operator would, and ends it.
    pub(crate) async fn drain(&self, world: &World) {
        let Some(process) = self.lock().process.clone() else { return };
        world.trace.say(format_args!("agent {} is asked to end", self.number));
        process.stop.cancel();
        tokio::time::sleep(GRACE + Duration::from_secs(5)).await;
        let mut state = self.lock();
        if state.process.as_ref().is_some_and(|now| now.task.id() == process.task.id()) {
            state.process = None;
            process.end();
            world.net.agent_died(self.number, false);
        }
    }
}

impl Process {
    fn end(&self) {
        self.power.kill();
        self.task.abort();
    }
}
