//! Agents that die, sleep, come back and have wrong clocks.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{BOTH, Case, Kind, Skipped, case, in_flight, load};
use crate::{
    cluster_of_two::{CLUSTER, TOKEN},
    faults::{clock::skewed, effects::Class, line::Mode, load::Load, stage::Stage},
};

pub(super) const CASES: &[Case] = &[
    case("agent-killed-before-start", "an agent dies between offers and their starts", BOTH, before_start),
    case("agent-killed-mid-step", "an agent dies while steps run, and comes back", BOTH, mid_step)
        .unknown_allowed()
        .short_on(Kind::Sqlite),
    case("agent-killed-after-effect", "an agent dies after effects and before their reports", BOTH, after_effect)
        .unknown_allowed()
        .short_on(Kind::Sqlite),
    case("agent-gone", "one of two agents with one token dies for good", BOTH, gone).unknown_allowed(),
    case("agent-paused", "an agent sleeps until others have its tasks, then wakes up", BOTH, paused)
        .unknown_when_verified(),
    case("agent-paused-and-cut", "the same, with its connection reset", BOTH, paused_and_cut)
        .unknown_when_verified()
        .short_on(Kind::Sqlite),
    case("clock-skew", "two agents whose clocks are off by an hour, each its way; one dies", BOTH, clock_skew)
        .unknown_allowed(),
    case("half-dead", "half of twelve clusters have no agent for a while", BOTH, half_dead),
    case("cancel-race", "cancels race with successes", BOTH, cancel_race).unknown_allowed().short_on(Kind::Sqlite),
];

fn before_start(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    stage.agent_mut(agent)?.pause()?;
    stage.post(&load(30))?;
    stage.wait("all tasks are accepted", || Ok(stage.board.posting() == 0))?;
    let moment = stage.dice.between(0, 800);
    stage.sleep(Duration::from_millis(moment))?;
    stage.restart_agent(agent)?;
    stage.heal();
    Ok(())
}

fn mid_step(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    stage.post(&load(40))?;
    let steps = stage.dice.between(3, 7);
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") as u64 >= steps)?;
    stage.restart_agent(agent)?;
    stage.heal();
    Ok(())
}

fn after_effect(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    stage.post(&load(40))?;
    let steps = stage.dice.between(4, 7);
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") as u64 >= steps)?;
    stage.agent_mut(agent)?.line.set(Mode::Hold);
    stage.effects("effects are there", |marks| in_flight(marks, "agent-0") == 0)?;
    let agent_now = stage.agent_mut(agent)?;
    agent_now.kill()?;
    agent_now.line.cut();
    agent_now.line.set(Mode::Pass);
    stage.restart_agent(agent)?;
    stage.heal();
    Ok(())
}

fn gone(stage: &mut Stage<'_>) -> Result<()> {
    let (first, _) = (stage.agent()?, stage.agent()?);
    stage.post(&load(60))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    stage.agent_mut(first)?.kill()?;
    stage.heal();
    Ok(())
}

fn paused(stage: &mut Stage<'_>) -> Result<()> {
    sleeper(stage, false)
}

fn paused_and_cut(stage: &mut Stage<'_>) -> Result<()> {
    sleeper(stage, true)
}

/// The first of two agents sleeps until every task has ended or is in doubt.
fn sleeper(stage: &mut Stage<'_>, cut: bool) -> Result<()> {
    let (first, _) = (stage.agent()?, stage.agent()?);
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    let sleeper = stage.agent_mut(first)?;
    sleeper.pause()?;
    if cut {
        sleeper.line.cut();
    }
    stage.wait("the others have its tasks", || {
        Ok(stage.board.posting() == 0 && stage.board.open(&Class::ALL).is_empty())
    })?;
    let moment = stage.dice.between(0, 1_000);
    stage.sleep(Duration::from_millis(moment))?;
    stage.agent_mut(first)?.resume()?;
    stage.heal();
    Ok(())
}

fn clock_skew(stage: &mut Stage<'_>) -> Result<()> {
    let skews = skewed(1).zip(skewed(-1));
    let (ahead, behind) = skews.ok_or_else(|| Skipped("libfaketime is missing: apt-get install libfaketime".into()))?;
    let first = stage.agent_of(CLUSTER, TOKEN, 0, &ahead)?;
    stage.agent_of(CLUSTER, TOKEN, 0, &behind)?;
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    stage.restart_agent(first)?;
    stage.heal();
    Ok(())
}

fn half_dead(stage: &mut Stage<'_>) -> Result<()> {
    let clusters: Vec<String> = (1..=12).map(|number| format!("{number:032x}")).collect();
    for cluster in &clusters {
        stage.cluster(cluster, cluster)?;
    }
    let (live, dead) = clusters.split_at(clusters.len() / 2);
    for cluster in live {
        stage.agent_of(cluster, cluster, 0, &[])?;
    }
    stage.post(&Load { clusters: clusters.clone(), ..load(96) })?;
    stage.ends(48).context("tasks of clusters with an agent wait for those without")?;
    ensure!(stage.board.ends() == 48, "a task of a cluster without an agent has ended");
    for cluster in dead {
        stage.agent_of(cluster, cluster, 0, &[])?;
    }
    stage.heal();
    Ok(())
}

fn cancel_race(stage: &mut Stage<'_>) -> Result<()> {
    stage.agent()?;
    stage.post(&Load { cancel_ms: Some((0, 600)), posters: 10, ..load(80) })?;
    stage.heal();
    Ok(())
}
