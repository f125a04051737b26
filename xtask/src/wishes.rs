//! What people ask of tasks that live: to end, to pause, to go on; and how they watch.

use std::{
    io::{BufRead as _, BufReader},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cluster_of_two::{CLUSTER, Pair},
    process::until,
};

/// A command of a class that repeats, which takes as long as it is told.
fn slow(id: &str, key: &str, wait_ms: u64) -> Value {
    json!({"$id": id, "$command": "effect.read", "inputs": {"key": key, "wait_ms": wait_ms}})
}

fn template(pair: &Pair<'_>, name: &str, flow: &Value) -> Result<()> {
    pair.post("/api/v1/template", &json!({"uuid": name, "name": name, "flow": flow.to_string(), "inputs": {}}))
        .map(drop)
}

fn path(uuid: &str) -> String {
    format!("/api/v1/cluster/{CLUSTER}/service/{uuid}")
}

fn state(task: &Value) -> &str {
    task.get("state").and_then(Value::as_str).unwrap_or_default()
}

/// Waits until a task is in a state; the task.
fn stands(pair: &Pair<'_>, uuid: &str, wanted: &str) -> Result<Value> {
    until(&format!("the task is {wanted}"), Duration::from_secs(60), || {
        let task = pair.get(&path(uuid))?;
        if state(&task) == wanted { Ok(task) } else { bail!("the task is {task}") }
    })
}

fn ask(pair: &Pair<'_>, uuid: &str, wish: &str) -> Result<(u16, Value)> {
    pair.call("POST", &format!("{}/{wish}", path(uuid)), Some("{}"))
}

/// What runs is stopped; what is final stays, and the caller is told.
pub(crate) fn cancel(pair: &mut Pair<'_>) -> Result<()> {
    template(pair, "wishes_slow", &json!([slow("a", "cancel", 60_000)]))?;
    let uuid = pair.create("wishes_slow", &json!({}))?;
    stands(pair, &uuid, "running")?;
    let (status, answer) = ask(pair, &uuid, "cancel")?;
    ensure!(status == 200, "{status} {answer}");
    let task = pair.ended(&uuid)?;
    ensure!(state(&task) == "cancelled", "{task}");
    let last = task.pointer("/statuses").and_then(Value::as_array).and_then(|rows| rows.last()).cloned();
    ensure!(last.as_ref().and_then(|row| row.get("status")) == Some(&json!(16)), "{task}");
    let (status, answer) = ask(pair, &uuid, "cancel")?;
    ensure!(status == 409 && state(&answer) == "cancelled", "{status} {answer}");

    let uuid = pair.create("example_simple", &json!({"name": "x"}))?;
    pair.ended(&uuid)?;
    let (status, answer) = ask(pair, &uuid, "cancel")?;
    ensure!(status == 409 && state(&answer) == "succeeded", "{status} {answer}");
    Ok(())
}

/// A paused task stops before its next step and goes on from there.
pub(crate) fn pause(pair: &mut Pair<'_>) -> Result<()> {
    template(pair, "wishes_two", &json!([slow("a", "first", 5_000), slow("b", "second", 0)]))?;
    let uuid = pair.create("wishes_two", &json!({}))?;
    stands(pair, &uuid, "running")?;
    let (status, answer) = ask(pair, &uuid, "pause")?;
    ensure!(status == 200, "{status} {answer}");
    let task = stands(pair, &uuid, "paused")?;
    ensure!(task.get("attempt") == Some(&json!(1)), "{task}");
    let (status, answer) = ask(pair, &uuid, "resume")?;
    ensure!(status == 200, "{status} {answer}");
    let task = pair.ended(&uuid)?;
    ensure!(state(&task) == "succeeded" && task.get("attempt") == Some(&json!(1)), "{task}");
    Ok(())
}

/// What happens is told as it happens, up to the end; and what commands said can be read afterwards.
pub(crate) fn follow(pair: &mut Pair<'_>) -> Result<()> {
    template(pair, "wishes_follow", &json!([slow("a", "followed", 1_000)]))?;
    let uuid = pair.create("wishes_follow", &json!({}))?;
    let answer = ureq::get(format!("{}{}/event", pair.base(), path(&uuid))).call()?;
    let mut names = Vec::new();
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        names.extend(line?.strip_prefix("event: ").map(str::to_owned));
    }
    ensure!(names.last().map(String::as_str) == Some("end"), "{names:?}");
    ensure!(names.iter().filter(|name| *name == "status").count() == 4, "{names:?}");
    ensure!(names.iter().any(|name| name == "log"), "{names:?}");
    // Lines are written together, a moment after they were said.
    until("the lines are kept", Duration::from_secs(10), || {
        let lines = pair.get(&format!("{}/log", path(&uuid)))?;
        let said = lines.as_array().context("no lines")?;
        ensure!(said.iter().any(|line| line.to_string().contains("effect done")), "{lines}");
        Ok(())
    })
}
