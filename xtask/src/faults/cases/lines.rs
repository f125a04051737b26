//! The line between an agent and its server: reset, held, deaf and late.

use std::time::Duration;

use anyhow::Result;

use super::{BOTH, Case, Kind, case, in_flight, load};
use crate::faults::{effects::Class, line::Mode, stage::Stage};

pub(super) const CASES: &[Case] = &[
    case("line-cut", "the agent's connection is reset again and again", BOTH, cut),
    case("line-late", "every byte between agent and server takes a while", BOTH, late),
    case("line-swallowed", "bytes vanish, and the connection looks open", BOTH, swallowed)
        .unknown_when_verified()
        .short_on(Kind::Sqlite),
    case("line-held", "an agent is cut off until others have its tasks, and then heard", BOTH, held)
        .unknown_when_verified(),
    case("slow-heartbeat", "heartbeats come about when the sweeper takes leases back", BOTH, slow_heartbeat)
        .unknown_when_verified(),
];

fn cut(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    stage.post(&load(80))?;
    for _ in 0..6 {
        let moment = stage.dice.between(50, 700);
        stage.sleep(Duration::from_millis(moment))?;
        stage.agent_mut(agent)?.line.cut();
    }
    stage.heal();
    Ok(())
}

fn late(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    let delay = stage.dice.between(100, 400);
    stage.agent_mut(agent)?.line.delay(Duration::from_millis(delay));
    stage.post(&load(40))?;
    stage.ends(10)?;
    stage.agent_mut(agent)?.line.delay(Duration::ZERO);
    stage.heal();
    Ok(())
}

fn swallowed(stage: &mut Stage<'_>) -> Result<()> {
    let agent = stage.agent()?;
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    stage.agent_mut(agent)?.line.set(Mode::Swallow);
    let moment = stage.dice.between(500, 2_000);
    stage.sleep(Duration::from_millis(moment))?;
    // What is open stays deaf; both sides have to find out.
    stage.agent_mut(agent)?.line.set(Mode::Pass);
    stage.heal();
    Ok(())
}

fn held(stage: &mut Stage<'_>) -> Result<()> {
    let (first, _) = (stage.agent()?, stage.agent()?);
    stage.post(&load(40))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)?;
    stage.agent_mut(first)?.line.set(Mode::Hold);
    stage.wait("the others have its tasks", || {
        Ok(stage.board.posting() == 0 && stage.board.open(&Class::ALL).is_empty())
    })?;
    stage.agent_mut(first)?.line.set(Mode::Pass);
    stage.heal();
    Ok(())
}

fn slow_heartbeat(stage: &mut Stage<'_>) -> Result<()> {
    let (first, _) = (stage.agent()?, stage.agent()?);
    stage.post(&load(60))?;
    for _ in 0..3 {
        stage.sleep(Duration::from_millis(300))?;
        // Silence and grace are 5 s together.
        let hold = stage.dice.between(4_000, 6_000);
        stage.agent_mut(first)?.line.set(Mode::Hold);
        stage.sleep(Duration::from_millis(hold))?;
        stage.agent_mut(first)?.line.set(Mode::Pass);
    }
    stage.heal();
    Ok(())
}
