//! Servers that die, sleep and stay away, and two of them on one database.

use std::time::Duration;

use anyhow::Result;

use super::{BOTH, Case, Kind, MARIA, Skipped, case, in_flight, load};
use crate::{
    cluster_of_two::{CLUSTER, TOKEN},
    faults::{clock::skewed, load::Load, stage::Stage},
};

pub(super) const CASES: &[Case] = &[
    case("server-killed", "the server dies while it is asked for tasks, again and again", BOTH, killed)
        .short_on(Kind::Maria),
    case("server-away", "the server is away for longer than every lease", BOTH, away),
    case("server-paused", "the server sleeps for longer than every lease", BOTH, paused),
    case("server-clock", "the server comes back with a clock that is an hour ahead", BOTH, clock),
    case("replicas", "one of two servers on one database dies, and its agent goes to the other", MARIA, replicas),
];

fn killed(stage: &mut Stage<'_>) -> Result<()> {
    stage.agent()?;
    stage.post(&Load { posters: 8, ..load(120) })?;
    for _ in 0..3 {
        let moment = stage.dice.between(50, 900);
        stage.sleep(Duration::from_millis(moment))?;
        stage.restart_server(0, Duration::ZERO)?;
    }
    stage.heal();
    Ok(())
}

fn away(stage: &mut Stage<'_>) -> Result<()> {
    stage.agent()?;
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    let away = stage.dice.between(9_000, 12_000);
    stage.restart_server(0, Duration::from_millis(away))?;
    stage.heal();
    Ok(())
}

fn paused(stage: &mut Stage<'_>) -> Result<()> {
    stage.agent()?;
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    let away = stage.dice.between(7_000, 10_000);
    stage.server_mut(0)?.pause()?;
    stage.sleep(Duration::from_millis(away))?;
    stage.server_mut(0)?.resume()?;
    stage.heal();
    Ok(())
}

fn clock(stage: &mut Stage<'_>) -> Result<()> {
    let ahead = skewed(1).ok_or_else(|| Skipped("libfaketime is missing: apt-get install libfaketime".into()))?;
    stage.agent()?;
    // All run at once: what waits for an agent may expire by the clock.
    stage.post(&Load { wait_ms: (2_000, 4_000), pause_ms: 0, ..load(8) })?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") == 8)?;
    let built = stage.built;
    let server = stage.server_mut(0)?;
    server.kill()?;
    server.start(built, &ahead)?;
    if stage.is_shared() {
        // Its clock is not the database's: it says so and asks for no work, until somebody sets it right.
        stage.not_ready(0, "clock")?;
        stage.restart_server(0, Duration::ZERO)?;
    } else {
        stage.ready(0)?;
    }
    stage.heal();
    Ok(())
}

fn replicas(stage: &mut Stage<'_>) -> Result<()> {
    let other = stage.server()?;
    let first = stage.agent()?;
    stage.agent_of(CLUSTER, TOKEN, other, &[])?;
    stage.post(&load(80))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    stage.server_mut(0)?.kill()?;
    let elsewhere = stage.server_mut(other)?.grpc;
    stage.agent_mut(first)?.line.lead_to(elsewhere);
    let away = stage.dice.between(500, 6_000);
    stage.sleep(Duration::from_millis(away))?;
    stage.restart_server(0, Duration::ZERO)?;
    stage.heal();
    Ok(())
}
