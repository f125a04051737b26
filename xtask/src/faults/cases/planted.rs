//! Bugs, planted into the database from outside: a harness that finds none of them proves nothing.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Case, MARIA, Planted, case, in_flight, load};
use crate::faults::{
    effects::Mark,
    load::{IDEMPOTENT, Load, NEVER},
    server::Engine,
    stage::Stage,
};

pub(super) const CASES: &[Case] = &[
    case("planted-forgotten-class", "the server forgets that a step must not happen twice", MARIA, forgotten_class)
        .unknown_allowed()
        .planted_as(Planted::Doubled),
    case("planted-old-lease", "a lease that was taken back is valid again", MARIA, old_lease)
        .patient_for(10)
        .planted_as(Planted::StaleAccepted),
    case("planted-lost-row", "a waiting task's row is gone", MARIA, lost_row).patient_for(8).planted_as(Planted::Lost),
];

/// What an administrator's shell answers in the case's schema.
fn sql(stage: &mut Stage<'_>, statements: &str) -> Result<String> {
    match &mut stage.engine {
        Engine::Maria { database, schema, .. } => database.sql(&format!("USE {schema}; {statements}")),
        Engine::Sqlite => bail!("bugs are planted into MariaDB"),
    }
}

fn forgotten_class(stage: &mut Stage<'_>) -> Result<()> {
    sql(stage, "CREATE TRIGGER planted BEFORE INSERT ON step FOR EACH ROW SET NEW.effect = 1")?;
    let agent = stage.agent()?;
    stage.post(&Load { flows: &[NEVER], wait_ms: (400, 800), ..load(16) })?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 4)?;
    stage.restart_agent(agent)?;
    stage.heal();
    Ok(())
}

fn old_lease(stage: &mut Stage<'_>) -> Result<()> {
    let agents = [(stage.agent()?, "agent-0"), (stage.agent()?, "agent-1")];
    stage.post(&Load { flows: &[IDEMPOTENT], wait_ms: (4_000, 4_000), ..load(1) })?;
    let has = |marks: &[Mark]| agents.into_iter().find(|(_, name)| in_flight(marks, name) == 1);
    stage.effects("the step runs", |marks| has(marks).is_some())?;
    let (first, _) = has(&stage.marks()).context("the step has ended already")?;
    let old = sql(stage, "SELECT HEX(lease_id), HEX(journal) FROM lease")?;
    let (lease, journal) = old.trim().split_once('\t').context("there is no lease")?;
    ensure!([lease, journal].iter().all(|id| id.len() == 32), "the lease is {old:?}");
    let plant = format!("UPDATE lease SET lease_id = X'{lease}', journal = X'{journal}'");
    let sleeper = stage.agent_mut(first)?;
    sleeper.pause()?;
    sleeper.line.cut();
    stage.effects("the other agent has the task", |marks| {
        agents.into_iter().any(|(agent, name)| agent != first && in_flight(marks, name) == 1)
    })?;
    sql(stage, &plant)?;
    stage.agent_mut(first)?.resume()?;
    stage.heal();
    Ok(())
}

fn lost_row(stage: &mut Stage<'_>) -> Result<()> {
    sql(stage, "CREATE TRIGGER planted BEFORE INSERT ON ready FOR EACH ROW SET NEW.cluster = -1")?;
    stage.post(&load(4))?;
    stage.wait("all tasks are accepted", || Ok(stage.board.posting() == 0))?;
    stage.agent()?;
    stage.heal();
    Ok(())
}
