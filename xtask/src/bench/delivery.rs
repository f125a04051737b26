//! What delivery costs on MariaDB: two replicas, thousands of agents that do nothing, one template on a thousand clusters, and
//! lists over millions of tasks. The agents are real ones, many in a process, with a command that costs nothing.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    Sorted, conditions,
    load::{self, Connection},
    measure::{Table, connected, costs, ended_after, memory_mib, metric},
    raw,
};
use crate::{
    cluster_of_two::{Built, Pair, TOKEN},
    database::MariaDb,
    process::{Process, until},
};

const CONNECTIONS: usize = 64;
/// Over so long is looked at agents that do nothing.
const QUIET: Duration = Duration::from_secs(30);

/// See [`super::Bench::Delivery`].
#[derive(clap::Args)]
pub(crate) struct Delivery {
    /// Tasks of each load.
    #[arg(long, default_value_t = 30_000)]
    tasks: usize,
    /// Agents that are connected and do nothing.
    #[arg(long, default_value_t = 10_000)]
    idle_agents: usize,
    /// Agents, each in a cluster of its own, that one request reaches.
    #[arg(long, default_value_t = 1_000)]
    clusters: usize,
    /// Stored tasks over which lists are read.
    #[arg(long, default_value_t = 10_000_000)]
    stored: usize,
    /// Only this part.
    #[arg(long, value_parser = ["replicas", "idle", "fan-out", "lists"])]
    only: Option<String>,
}

impl Delivery {
    pub(super) fn run(&self) -> Result<()> {
        let built = Built::for_benchmarks()?;
        let directory = tempfile::tempdir()?;
        conditions::print(directory.path())?;
        let mut table = Table::default();
        type Part = fn(&Delivery, &Built, &Path, &mut Table) -> Result<()>;
        let parts: [(&str, Part); 4] =
            [("replicas", Self::replicas), ("idle", Self::idle), ("fan-out", Self::fan_out), ("lists", Self::lists)];
        for (name, part) in parts {
            if self.only.as_deref().is_none_or(|only| only == name) {
                eprintln!("→ {name}");
                let home = directory.path().join(name);
                std::fs::create_dir_all(&home)?;
                part(self, &built, &home, &mut table).with_context(|| name.to_owned())?;
            }
        }
        table.print();
        Ok(())
    }

    /// One server, then two on the same database: the same load, and the way from a request on one to an agent on the other.
    fn replicas(&self, built: &Built, home: &Path, table: &mut Table) -> Result<()> {
        let database = MariaDb::start(home)?;
        let first = started(built, home, &database)?;
        clusters(&first, 1..=2)?;
        let _one = crowd(built, home, &first, 1, &["--slots", "256"])?;
        connected(&first, 1)?;
        let before = costs(&[("server", Some(&first.server))])?;
        let commits = raw::commits(&database)?;
        let alone = rate(&first, self.tasks, 1)?;
        let spent = costs(&[("server", Some(&first.server))])?;
        table.row("one replica: durable tasks/s, single POSTs at 64 connections", format!("{alone:.0}/s"));
        table.row(
            "one replica: commits per 100 tasks under that load",
            format!("{:.1}", (raw::commits(&database)? - commits) * 100.0 / (self.tasks + self.tasks / 10) as f64),
        );
        let server_us = spent.iter().zip(&before).map(|(after, before)| after - before).sum::<f64>() * 1e6;
        table.row(
            "one replica: server's CPU a task",
            format!("{:.0} µs", server_us / (self.tasks + self.tasks / 10) as f64),
        );
        let other_home = home.join("second");
        std::fs::create_dir_all(&other_home)?;
        let second = started(built, &other_home, &database)?;
        let _other = crowd(built, &other_home, &second, 2, &["--slots", "256"])?;
        connected(&second, 1)?;
        until("the replicas know each other", Duration::from_secs(60), || {
            match (metric(&first, "claiflow_peers_connected")?, metric(&second, "claiflow_peers_connected")?) {
                (one, other) if one >= 1.0 && other >= 1.0 => Ok(()),
                seen => bail!("{seen:?}"),
            }
        })?;
        // Half of the load goes to each, for the agent that is connected there.
        let half = self.tasks / 2;
        let ended = || -> Result<f64> {
            Ok(metric(&first, "claiflow_tasks_ended_total")? + metric(&second, "claiflow_tasks_ended_total")?)
        };
        let before = ended()?;
        let begun = Instant::now();
        std::thread::scope(|scope| -> Result<()> {
            let sends = [(&first, 1), (&second, 2)]
                .map(|(pair, cluster)| scope.spawn(move || send(pair, CONNECTIONS / 2, half, cluster)));
            for send in sends {
                send.join().map_err(|_| anyhow::anyhow!("a load's thread panicked"))??;
            }
            Ok(())
        })?;
        while ended()? - before < (2 * half) as f64 {
            if begun.elapsed() > Duration::from_secs(300) {
                bail!("the tasks do not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let both = (2 * half) as f64 / begun.elapsed().as_secs_f64();
        table.row(
            "two replicas: durable tasks/s, the same load over both",
            format!("{both:.0}/s, {:.2} × one", both / alone),
        );
        let across = latency(&first, &second, 2, 500)?;
        table.row(
            "two replicas: create → result, idle, the agent on the other replica",
            format!("p50 {:.2} ms, p99 {:.2} ms", across.percentile(50), across.percentile(99)),
        );
        let ceiling = raw::inserts(&database, self.tasks)?;
        table.row("raw multi-row inserts of the same rows, batch 256, one connection", format!("{ceiling:.0} tasks/s"));
        Ok(())
    }

    /// Agents that are connected and do nothing.
    fn idle(&self, built: &Built, home: &Path, table: &mut Table) -> Result<()> {
        let database = MariaDb::start(home)?;
        let pair = started(built, home, &database)?;
        clusters(&pair, 1..=1)?;
        let begun = Instant::now();
        let count = self.idle_agents.to_string();
        let _crowd = crowd_of(built, home, &pair, 1, &["--agents", &count, "--together"])?;
        connected(&pair, self.idle_agents)?;
        table.row(
            format!("{} agents: until all are connected", self.idle_agents),
            format!("{:.1} s", begun.elapsed().as_secs_f64()),
        );
        std::thread::sleep(Duration::from_secs(5));
        let server = [("server", Some(&pair.server))];
        let (cpu, questions) = (costs(&server)?, raw::questions(&database)?);
        std::thread::sleep(QUIET);
        let seconds = QUIET.as_secs_f64();
        let spent: f64 = costs(&server)?.iter().zip(&cpu).map(|(after, before)| after - before).sum();
        table.row(
            format!("{} idle agents: server", self.idle_agents),
            format!(
                "{:.2} cores, {:.0} MiB resident, {:.1} database queries/s",
                spent / seconds,
                memory_mib(&pair.server)?,
                (raw::questions(&database)? - questions) / seconds
            ),
        );
        Ok(())
    }

    /// One request for many clusters, each with an agent.
    fn fan_out(&self, built: &Built, home: &Path, table: &mut Table) -> Result<()> {
        let database = MariaDb::start(home)?;
        let pair = started(built, home, &database)?;
        clusters(&pair, 1..=self.clusters)?;
        let count = self.clusters.to_string();
        let _crowd = crowd_of(built, home, &pair, 1, &["--agents", &count])?;
        connected(&pair, self.clusters)?;
        let uuids: Vec<String> = (1..=self.clusters).map(|number| format!("{number:032x}")).collect();
        let body = json!({"template_uuid": "bench", "cluster_uuids": uuids, "inputs": {"name": "world"}}).to_string();
        let mut times = Vec::new();
        for _ in 0..10 {
            let request = |_| ("POST", String::from("/api/v1/service"), body.clone());
            let mut answered = 0.0;
            let seconds = ended_after(
                &pair,
                || {
                    answered = load::run(pair.http_port(), 1, 1, None, &request)?.first().copied().unwrap_or_default();
                    Ok(())
                },
                self.clusters,
            )?;
            times.push((answered, seconds * 1e3));
        }
        let median = |of: &dyn Fn(&(f64, f64)) -> f64| Sorted::new(times.iter().map(of).collect()).percentile(50);
        table.row(
            format!("one POST for {} clusters, an agent in each, median of 10", self.clusters),
            format!(
                "stored, leased and answered in {:.0} ms, all final after {:.0} ms",
                median(&|time| time.0),
                median(&|time| time.1)
            ),
        );
        Ok(())
    }

    /// A page of tasks, and one task, over ever more stored tasks.
    fn lists(&self, built: &Built, home: &Path, table: &mut Table) -> Result<()> {
        let database = MariaDb::with(home, &["--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G"])?;
        let pair = started(built, home, &database)?;
        clusters(&pair, 1..=1)?;
        let _crowd = crowd(built, home, &pair, 1, &[])?;
        connected(&pair, 1)?;
        // One task that really ran, so that there is a snapshot to point at.
        send(&pair, 1, 1, 1)?;
        let newest = pair.get("/api/v1/service?limit=1")?;
        let task = newest.pointer("/0/uuid").and_then(Value::as_str).context("no task in the list")?.to_owned();
        let mut stored = raw::Stored::new(&database)?;
        for wanted in [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|wanted| *wanted <= self.stored) {
            let begun = Instant::now();
            stored.grow(&database, wanted)?;
            eprintln!("  {wanted} tasks stored after {:.0} s", begun.elapsed().as_secs_f64());
            let cluster = format!("{:032x}", 1);
            let paths = [
                ("newest 20 of all", "/api/v1/service".to_owned()),
                ("newest 20 of a cluster", format!("/api/v1/service?cluster_uuid={cluster}")),
                ("a page of 100 in the middle", format!("/api/v1/service?limit=100&cursor={}", stored.middle())),
                ("one task by its uuid", format!("/api/v1/cluster/{cluster}/service/{task}")),
            ];
            for (what, path) in paths {
                let times =
                    Sorted::new(load::run(pair.http_port(), 4, 400, None, &|_| ("GET", path.clone(), String::new()))?);
                table.row(
                    format!("{wanted} stored tasks: {what}"),
                    format!("p50 {:.1} ms, p99 {:.1} ms", times.percentile(50), times.percentile(99)),
                );
            }
        }
        Ok(())
    }
}

/// A server on the database, with the template.
fn started<'a>(built: &'a Built, home: &'a Path, database: &'a MariaDb) -> Result<Pair<'a>> {
    let pair = Pair::start(built, home, Some(database), (0, 0))?;
    let flow = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]);
    let schema = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}});
    pair.post(
        "/api/v1/template",
        &json!({"uuid": "bench", "name": "bench", "flow": flow.to_string(), "inputs": schema}),
    )?;
    Ok(pair)
}

fn clusters(pair: &Pair<'_>, numbers: std::ops::RangeInclusive<usize>) -> Result<()> {
    let mut connection = Connection::open(pair.http_port(), None)?;
    for number in numbers {
        let uuid = format!("{number:032x}");
        connection.ok("POST", "/api/v1/cluster", &json!({"uuid": uuid, "name": "one of many"}).to_string())?;
        let token = json!({"name": "t", "cluster_uuid": uuid, "token": TOKEN}).to_string();
        connection.ok("POST", "/api/v1/cluster_token", &token)?;
    }
    Ok(())
}

/// One agent of a cluster.
fn crowd(built: &Built, home: &Path, pair: &Pair<'_>, first: usize, more: &[&str]) -> Result<Process> {
    crowd_of(built, home, pair, first, &[&["--agents", "1"], more].concat())
}

fn crowd_of(built: &Built, home: &Path, pair: &Pair<'_>, first: usize, more: &[&str]) -> Result<Process> {
    let mut command = Command::new(built.program("examples/crowd"));
    command.args(["--server", &format!("127.0.0.1:{}", pair.grpc_port()), "--token", TOKEN]);
    command.args(["--first", &first.to_string()]).args(more);
    Process::start("crowd", &mut command, home)
}

fn request(cluster: usize) -> String {
    let uuid = format!("{cluster:032x}");
    json!({"template_uuid": "bench", "cluster_uuids": [uuid], "inputs": {"name": "world"}}).to_string()
}

fn send(pair: &Pair<'_>, connections: usize, tasks: usize, cluster: usize) -> Result<()> {
    let body = request(cluster);
    load::run(pair.http_port(), connections, tasks, None, &|_| ("POST", "/api/v1/service".into(), body.clone()))
        .map(drop)
}

/// Tasks a second until the last one's end is stored, after a tenth of them for warmth.
fn rate(pair: &Pair<'_>, tasks: usize, cluster: usize) -> Result<f64> {
    ended_after(pair, || send(pair, CONNECTIONS, tasks / 10, cluster), tasks / 10)?;
    Ok(tasks as f64 / ended_after(pair, || send(pair, CONNECTIONS, tasks, cluster), tasks)?)
}

/// One task after the other, created on one replica for a cluster whose agent is on the other; milliseconds to the result.
fn latency(created_on: &Pair<'_>, read_on: &Pair<'_>, cluster: usize, tasks: usize) -> Result<Sorted> {
    let (mut create, mut read) =
        (Connection::open(created_on.http_port(), None)?, Connection::open(read_on.http_port(), None)?);
    let body = request(cluster);
    let mut times = Vec::new();
    for number in 0..tasks + 50 {
        let begun = Instant::now();
        let answer: Value = serde_json::from_slice(&create.ok("POST", "/api/v1/service", &body)?)?;
        let uuid = answer.pointer("/0/uuid").and_then(Value::as_str).context("no uuid in the answer")?;
        let result = format!("/api/v1/cluster/{cluster:032x}/service/{uuid}/result");
        while read.call("GET", &result, "")?.0 != 200 {
            if begun.elapsed() > Duration::from_secs(10) {
                bail!("task {uuid} has no result after 10 s");
            }
        }
        if number >= 50 {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(Sorted::new(times))
}
