//! A webhook that is told of tasks while servers die.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{BOTH, Case, case, load};
use crate::faults::{
    load::{IDEMPOTENT, Load, READ},
    receiver::Receiver,
    stage::Stage,
};

pub(super) const CASES: &[Case] =
    &[case("webhooks", "servers die while they tell a webhook, which does not always answer", BOTH, told)
        .patient_for(120)];

const HOOK: &str = "00000000000000000000000000000002";
const TASKS: usize = 40;
/// More rows than a list shows are not made.
const ROWS: usize = 1_000;
/// Statuses with which a task has ended.
const FINAL: [i64; 4] = [4, 8, 16, 32];

fn told(stage: &mut Stage<'_>) -> Result<()> {
    let receiver = Receiver::start(9)?;
    let hook = json!({"uuid": HOOK, "name": "faults", "url": receiver.url(), "method": "POST", "timeout": "1s"});
    stage.caller().store("/api/v1/webhook", &hook)?;
    stage.agent()?;
    stage.post(&Load { flows: &[READ, IDEMPOTENT], channel: Some(HOOK), ..load(TASKS) })?;
    for _ in 0..3 {
        let moment = stage.dice.between(200, 1_500);
        stage.sleep(Duration::from_millis(moment))?;
        stage.restart_server(0, Duration::ZERO)?;
    }
    stage.heal();
    stage.ends(TASKS)?;
    stage.wait("everything is told", || {
        let waiting = stage.caller().get(&format!("/api/v1/webhook/{HOOK}/delivery?state=waiting&limit=1"));
        Ok(matches!(waiting, Ok((200, Value::Array(rows))) if rows.is_empty()))
    })?;
    let list = format!("/api/v1/webhook/{HOOK}/delivery?order=asc&limit={ROWS}");
    let (_, stored) = stage.caller().get(&list)?;
    judge(stored.as_array().context("the list is no array")?, &receiver.got())
}

/// Each status that is stored arrived; of each task the first arrivals are in order, and the last of them is its end.
fn judge(stored: &[Value], got: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut arrived: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for id in got {
        let (task, number) = id.rsplit_once('.').context("a message has another id")?;
        if seen.insert(id) {
            arrived.entry(task).or_default().push(number.parse()?);
        }
    }
    let mut tasks = BTreeSet::new();
    for row in stored {
        let id = row.get("webhook_id").and_then(Value::as_str).context("a row has no id")?;
        ensure!(seen.contains(&id.to_owned()), "{id} is stored as told and did not arrive");
        tasks.extend(id.rsplit_once('.').map(|(task, _)| task));
    }
    ensure!(tasks.len() == TASKS, "{} tasks told something, not {TASKS}", tasks.len());
    for (task, numbers) in &arrived {
        let count = i64::try_from(numbers.len())?;
        ensure!(numbers.iter().copied().eq(1..=count), "{task} arrived as {numbers:?}");
        let last = format!("{task}.{count}");
        let status = stored.iter().find(|row| row.get("webhook_id").is_some_and(|id| *id == last.as_str()));
        let status = status.and_then(|row| row.get("status")?.as_i64());
        ensure!(status.is_some_and(|status| FINAL.contains(&status)), "{task} ended with {status:?}");
    }
    Ok(())
}
