//! What goes wrong, until the calm.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{replica::Replica, world::World};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AgentCrash,
    AgentMachineCrash,
    AgentStandsStill,
    AgentDrains,
    DiskFull,
    LineCut,
    LineSilent,
    LineSlow,
    Partition,
    ReplicaCrash,
    ReplicaStandsStill,
    Outage,
    LostAnswers,
    FailOver,
    ClockJump,
}

pub(crate) const ALL: [Fault; 15] = [
    Fault::AgentCrash,
    Fault::AgentMachineCrash,
    Fault::AgentStandsStill,
    Fault::AgentDrains,
    Fault::DiskFull,
    Fault::LineCut,
    Fault::LineSilent,
    Fault::LineSlow,
    Fault::Partition,
    Fault::ReplicaCrash,
    Fault::ReplicaStandsStill,
    Fault::Outage,
    Fault::LostAnswers,
    Fault::FailOver,
    Fault::ClockJump,
];

/// Faults happen for this long.
pub(crate) const STORM: Duration = Duration::from_secs(20);
/// An hour, microseconds.
const HOUR_US: i64 = 3_600_000_000;

/// Lets faults happen, and then mends everything.
pub(crate) async fn storm(world: Arc<World>) {
    let end = Instant::now() + STORM;
    while !world.setup.faults.is_empty() {
        sleep(world.chance.millis(1, 2 * world.setup.calm_ms)).await;
        if Instant::now() >= end {
            break;
        }
        if let Some(fault) = world.chance.pick(&world.setup.faults).copied() {
            tokio::spawn(happens(Arc::clone(&world), fault));
        }
    }
    mend(&world);
}

fn mend(world: &Arc<World>) {
    world.trace.say(format_args!("the faults are over"));
    world.is_calm.store(true, Ordering::Relaxed);
    world.database.mend();
    world.net.mend();
    world.walls.iter().for_each(|wall| wall.set_wrong(0));
    let restarts = world.database.lock().checker.has_lost;
    for number in 0..world.setup.replicas {
        // What servers and database know of each other is not the same any more: operators restart them.
        if restarts {
            Replica::crash(world, number, false);
        }
        if let Some(replica) = world.replica(number) {
            replica.power.go_on();
        }
        Replica::start(world, number);
    }
    for agent in &world.agents {
        agent.platter.mend();
        agent.go_on();
        agent.start(world);
    }
}

async fn happens(world: Arc<World>, fault: Fault) {
    let chance = &world.chance;
    let now = Instant::now();
    let (number, replica) = (chance.below(world.agents.len()), chance.below(world.setup.replicas));
    let Some(agent) = world.agents.get(number) else { return };
    let (short, long) = (chance.millis(100, 6_000), chance.millis(500, 22_000));
    world.trace.say(format_args!("{fault:?}: agent {number}, replica {replica}, for {short:?} or {long:?}"));
    match fault {
        Fault::AgentCrash | Fault::AgentMachineCrash => {
            agent.crash(&world, fault == Fault::AgentMachineCrash);
            sleep(if chance.one_in(2) { short } else { long }).await;
            if fault == Fault::AgentMachineCrash && chance.one_in(3) {
                // Where another process was started meanwhile, it has the disk.
                agent.crash(&world, true);
                agent.replace_disk(&world);
            }
            agent.start(&world);
        }
        Fault::AgentStandsStill => {
            agent.stand_still();
            sleep(long).await;
            agent.go_on();
        }
        Fault::AgentDrains => {
            agent.drain(&world).await;
            agent.start(&world);
        }
        Fault::DiskFull => agent.platter.fill_until(now + short),
        Fault::LineCut => {
            if let Some(line) = world.net.any_line() {
                line.cut.cancel();
            }
        }
        Fault::LineSilent => {
            if let Some(line) = world.net.any_line() {
                if chance.one_in(2) { &line.up } else { &line.down }.silent_until(now + long);
            }
        }
        Fault::LineSlow => {
            if let Some(line) = world.net.any_line() {
                line.up.slow_until(now + long);
                line.down.slow_until(now + long);
            }
        }
        Fault::Partition => world.net.part(number, replica, now + long),
        Fault::ReplicaCrash => {
            Replica::crash(&world, replica, chance.one_in(3));
            sleep(short).await;
            Replica::start(&world, replica);
        }
        Fault::ReplicaStandsStill => {
            let Some(standing) = world.replica(replica) else { return };
            standing.power.stand_still();
            sleep(long).await;
            standing.power.go_on();
        }
        Fault::Outage => world.database.down_until(now + short),
        Fault::LostAnswers => world.database.shaky_until(now + short),
        Fault::FailOver => {
            let lost = world.database.fail_over();
            world.trace.say(format_args!("{} tasks are not what they were", lost.len()));
            world.database.down_until(now + short / 2);
        }
        Fault::ClockJump => {
            if let Some(wall) = world.walls.get(replica) {
                let least = if chance.one_in(10) { HOUR_US } else { HOUR_US / 3_600 };
                let wrong_us = if chance.one_in(2) { least } else { -least };
                wall.set_wrong(wrong_us);
            }
        }
    }
}
