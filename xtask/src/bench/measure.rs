//! What benchmarks look at, and the table that they print.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::load::Connection;
use crate::{
    cluster_of_two::Pair,
    process::{Process, until},
};

/// Lines of the table: what, and what was measured.
#[derive(Default)]
pub(super) struct Table(Vec<(String, String)>);

impl Table {
    pub(super) fn row(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        let (what, measured) = (what.into(), measured.into());
        eprintln!("  {what}: {measured}");
        self.0.push((what, measured));
    }

    pub(super) fn print(&self) {
        println!("\n| what | measured |\n|---|---|");
        for (what, measured) in &self.0 {
            println!("| {what} | {measured} |");
        }
    }
}

/// Waits until so many agents are connected.
pub(super) fn connected(pair: &Pair<'_>, wanted: usize) -> Result<()> {
    until("the agents are connected", Duration::from_secs(120), || {
        let count = metric(pair, "claiflow_agents_connected")?;
        if count as usize >= wanted { Ok(()) } else { bail!("{count} of {wanted} are") }
    })
}

/// Runs `create`, and waits until `count` more tasks have ended; the seconds from start to end.
pub(super) fn ended_after(pair: &Pair<'_>, create: impl FnOnce() -> Result<()>, count: usize) -> Result<f64> {
    let before = metric(pair, "claiflow_tasks_ended_total")?;
    let started = Instant::now();
    create()?;
    let mut last = (before, Instant::now());
    loop {
        let ended = metric(pair, "claiflow_tasks_ended_total")?;
        if ended - before >= count as f64 {
            return Ok(started.elapsed().as_secs_f64());
        }
        if ended > last.0 {
            last = (ended, Instant::now());
        } else if last.1.elapsed() > Duration::from_secs(30) {
            bail!("only {} of {count} tasks have ended, and none for 30 s", ended - before);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The sum of a metric over its labels; all of its tasks must have succeeded.
pub(super) fn metric(pair: &Pair<'_>, name: &str) -> Result<f64> {
    let mut connection = Connection::open(pair.http_port(), None)?;
    let text = String::from_utf8(connection.ok("GET", "/metrics", "")?)?;
    let mut states = HashSet::new();
    let mut sum = 0.0;
    for line in text.lines().filter(|line| line.split([' ', '{']).next() == Some(name)) {
        let value = line.split_whitespace().last().and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
        sum += value;
        if value <= 0.0 {
            continue;
        }
        states.extend(line.split_once("state=\"").and_then(|(_, rest)| rest.split('"').next()));
    }
    states.remove("succeeded");
    if !states.is_empty() {
        bail!("some tasks ended as {states:?}");
    }
    Ok(sum)
}

/// CPU seconds that each process has used.
pub(super) fn costs(processes: &[(&str, Option<&Process>)]) -> Result<Vec<f64>> {
    processes.iter().map(|(_, process)| process.map_or(Ok(0.0), Process::cpu_seconds)).collect()
}

/// What a process has resident, MiB.
pub(super) fn memory_mib(process: &Process) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).context("VmRSS is not a number")?;
    Ok(kib / 1_024.0)
}
