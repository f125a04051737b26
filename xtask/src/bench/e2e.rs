//! From a POST to a stored result, with the release builds of server and agent, real wasm and real databases.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    Sorted,
    calls::Times,
    conditions,
    load::{self, Connection},
    measure::{Table, connected, costs, ended_after, memory_mib},
    raw,
};
use crate::{
    cluster_of_two::{Built, CLUSTER, Pair, TOKEN},
    database::MariaDb,
    process::{Process, until},
};

/// Clusters of one fan-out request.
const CLUSTERS: usize = 100;
const CONNECTIONS: usize = 64;

/// See [`super::Bench::E2e`].
#[derive(clap::Args)]
pub(crate) struct E2e {
    /// Tasks of each load.
    #[arg(long, default_value_t = 60_000)]
    tasks: usize,
    /// Tasks created one by one while nothing else runs.
    #[arg(long, default_value_t = 500)]
    idle: usize,
    /// Slots of the agent that serves single POSTs.
    #[arg(long, default_value_t = 256)]
    slots: usize,
    /// Only this engine.
    #[arg(long, value_parser = ["mariadb", "sqlite"])]
    database: Option<String>,
    /// Leave out the fan-out, which starts an agent for each of 100 clusters.
    #[arg(long)]
    no_fan_out: bool,
}

impl E2e {
    pub(super) fn run(&self) -> Result<()> {
        let built = Built::for_benchmarks()?;
        let directory = tempfile::tempdir()?;
        conditions::print(directory.path())?;
        let mut table = Table::default();
        for engine in ["mariadb", "sqlite"] {
            if self.database.as_deref().is_some_and(|only| only != engine) {
                continue;
            }
            let home = directory.path().join(engine);
            std::fs::create_dir_all(&home)?;
            let database = if engine == "mariadb" { Some(MariaDb::start(&home)?) } else { None };
            self.engine(&built, &home, database.as_ref(), &mut table).with_context(|| format!("on {engine}"))?;
        }
        sandbox(&built, &mut table)?;
        table.print();
        Ok(())
    }

    fn engine(&self, built: &Built, home: &Path, database: Option<&MariaDb>, table: &mut Table) -> Result<()> {
        let name = if database.is_some() { "MariaDB" } else { "SQLite" };
        eprintln!("→ {name}");
        let pair = Pair::start(built, home, database, (0, 0))?;
        pair.declare()?;
        let schema =
            json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}});
        let flow = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]);
        pair.post(
            "/api/v1/template",
            &json!({"uuid": "bench", "name": "bench", "flow": flow.to_string(), "inputs": schema}),
        )?;
        let mut command = pair.agent_command(TOKEN);
        command.args(["--slots", &self.slots.to_string(), "--loglevel", "warn"]);
        let agent = Process::start("agent", &mut command, home)?;
        let alive = format!("/api/v1/cluster/{CLUSTER}/session/alive");
        until("the agent is connected", Duration::from_secs(60), || match pair.get(&alive)?.get("alive") {
            Some(Value::Bool(true)) => Ok(()),
            _ => bail!("it is not"),
        })?;
        if database.is_some() {
            table.row(
                "agent's memory with the example plugins, idle",
                format!("{:.1} MiB resident", memory_mib(&agent)?),
            );
        }
        let idle = self.idle(&pair)?;
        table.row(
            format!("{name}: create → result, idle"),
            format!("p50 {:.2} ms, p99 {:.2} ms", idle.percentile(50), idle.percentile(99)),
        );
        let single = self.load(&pair, &agent, database, table, name, "single POSTs at 64 connections", &|_| {
            (
                "POST",
                "/api/v1/service".into(),
                json!({"template_uuid": "bench", "cluster_uuids": [CLUSTER], "inputs": {"name": "world"}}).to_string(),
            )
        })?;
        self.reads(&pair, table, name)?;
        if database.is_some() {
            table.row("agent's memory after the load", format!("{:.1} MiB resident", memory_mib(&agent)?));
        }
        if !self.no_fan_out {
            self.fan_out(built, &pair, database, home, table, name)?;
        }
        if let Some(database) = database {
            let ceiling = raw::inserts(database, self.tasks)?;
            table.row(
                "MariaDB: raw multi-row inserts of the same rows, batch 256, one connection",
                format!("{ceiling:.0} tasks/s"),
            );
            table.row("MariaDB: single POSTs against raw inserts", format!("{:.0} %", single * 100.0 / ceiling));
        }
        Ok(())
    }

    /// One task after the other; the milliseconds from the request to a readable result.
    fn idle(&self, pair: &Pair<'_>) -> Result<Sorted> {
        let mut connection = Connection::open(pair.http_port(), None)?;
        let body =
            json!({"template_uuid": "bench", "cluster_uuids": [CLUSTER], "inputs": {"name": "world"}}).to_string();
        let mut times = Vec::new();
        for number in 0..self.idle + 50 {
            let started = Instant::now();
            let answer: Value = serde_json::from_slice(&connection.ok("POST", "/api/v1/service", &body)?)?;
            let uuid = answer.pointer("/0/uuid").and_then(Value::as_str).context("no uuid in the answer")?;
            let result = format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result");
            while connection.call("GET", &result, "")?.0 != 200 {
                if started.elapsed() > Duration::from_secs(10) {
                    bail!("task {uuid} has no result after 10 s");
                }
            }
            // The first ones warm caches and statements up.
            if number >= 50 {
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        Ok(Sorted::new(times))
    }

    /// Creates tasks as fast as the server takes them; tasks a second until the last one's final state is stored.
    #[expect(clippy::too_many_arguments, reason = "each is one column of the table")]
    fn load(
        &self,
        pair: &Pair<'_>,
        agent: &Process,
        database: Option<&MariaDb>,
        table: &mut Table,
        name: &str,
        what: &str,
        request: &dyn Fn(usize) -> (&'static str, String, String),
    ) -> Result<f64> {
        // Statements of every batch size are prepared, and the agent's sandboxes are warm.
        ended_after(
            pair,
            || load::run(pair.http_port(), CONNECTIONS, self.tasks / 10, None, request).map(drop),
            self.tasks / 10,
        )?;
        let processes = [
            ("server", Some(&pair.server)),
            ("agent", Some(agent)),
            ("MariaDB", database.map(|database| &database.process)),
        ];
        let before = costs(&processes)?;
        let commits = database.map(raw::commits).transpose()?;
        let mut times = Vec::new();
        let seconds = ended_after(
            pair,
            || {
                times = load::run(pair.http_port(), CONNECTIONS, self.tasks, None, request)?;
                Ok(())
            },
            self.tasks,
        )?;
        let after = costs(&processes)?;
        let (rate, times) = (self.tasks as f64 / seconds, Sorted::new(times));
        table.row(
            format!("{name}: durable tasks/s, {what}"),
            format!("{rate:.0}/s; POST p50 {:.1} ms, p99 {:.1} ms", times.percentile(50), times.percentile(99)),
        );
        let cpu: Vec<String> = processes
            .iter()
            .zip(before.iter().zip(&after))
            .filter(|((_, process), _)| process.is_some())
            .map(|((process, _), (before, after))| {
                format!("{process} {:.0} µs", (after - before) * 1e6 / self.tasks as f64)
            })
            .collect();
        table.row(format!("{name}: CPU a task under that load"), cpu.join(", "));
        if let (Some(database), Some(before)) = (database, commits) {
            let count = (raw::commits(database)? - before) * 100.0 / self.tasks as f64;
            table.row(format!("{name}: commits per 100 tasks under that load"), format!("{count:.1}"));
        }
        Ok(rate)
    }

    fn reads(&self, pair: &Pair<'_>, table: &mut Table, name: &str) -> Result<()> {
        let list = pair.get("/api/v1/service?limit=1")?;
        let uuid = list.pointer("/0/uuid").and_then(Value::as_str).context("no task in the list")?;
        let path = format!("/api/v1/cluster/{CLUSTER}/service/{uuid}");
        let started = Instant::now();
        let count = self.tasks / 2;
        let times = Sorted::new(load::run(pair.http_port(), CONNECTIONS, count, None, &|_| {
            ("GET", path.clone(), String::new())
        })?);
        let rate = count as f64 / started.elapsed().as_secs_f64();
        table.row(
            format!("{name}: GET of one task, 64 connections"),
            format!("{rate:.0}/s; p50 {:.1} ms, p99 {:.1} ms", times.percentile(50), times.percentile(99)),
        );
        Ok(())
    }

    /// One template on 100 clusters a POST, with an agent in each cluster.
    fn fan_out(
        &self,
        built: &Built,
        pair: &Pair<'_>,
        database: Option<&MariaDb>,
        home: &Path,
        table: &mut Table,
        name: &str,
    ) -> Result<()> {
        let clusters: Vec<String> = (1..=CLUSTERS).map(|number| format!("{number:032x}")).collect();
        let mut agents = Vec::new();
        for cluster in &clusters {
            pair.post("/api/v1/cluster", &json!({"uuid": cluster, "name": "one of many"}))?;
            pair.post("/api/v1/cluster_token", &json!({"name": "t", "cluster_uuid": cluster, "token": TOKEN}))?;
            let directory = home.join(cluster);
            std::fs::create_dir_all(&directory)?;
            let mut command = built.agent(pair.grpc_port(), cluster, TOKEN, &directory);
            command.args(["--slots", "16", "--loglevel", "warn"]).arg("--cache").arg(home.join("compiled"));
            agents.push(Process::start("agent", &mut command, &directory)?);
            if agents.len() == 1 {
                // The others find its compiled plugins.
                connected(pair, 2)?;
            }
        }
        connected(pair, CLUSTERS + 1)?;
        let body =
            json!({"template_uuid": "bench", "cluster_uuids": clusters, "inputs": {"name": "world"}}).to_string();
        let posts = self.tasks / CLUSTERS;
        let request = |_| ("POST", String::from("/api/v1/service"), body.clone());
        ended_after(
            pair,
            || load::run(pair.http_port(), 16, posts / 10, None, &request).map(drop),
            posts / 10 * CLUSTERS,
        )?;
        let mut processes: Vec<(&str, Option<&Process>)> =
            vec![("server", Some(&pair.server)), ("MariaDB", database.map(|database| &database.process))];
        processes.extend(agents.iter().map(|agent| ("agents", Some(agent))));
        let before = costs(&processes)?;
        let seconds =
            ended_after(pair, || load::run(pair.http_port(), 16, posts, None, &request).map(drop), posts * CLUSTERS)?;
        let after = costs(&processes)?;
        let tasks = (posts * CLUSTERS) as f64;
        table.row(
            format!("{name}: durable tasks/s, 100 clusters a POST, 100 agents, 16 connections"),
            format!("{:.0}/s", tasks / seconds),
        );
        let spent = |wanted: &str| -> f64 {
            let each = processes.iter().zip(before.iter().zip(&after)).filter(|((name, _), _)| *name == wanted);
            each.map(|(_, (before, after))| after - before).sum::<f64>() * 1e6 / tasks
        };
        table.row(
            format!("{name}: CPU a task under that load"),
            format!(
                "server {:.0} µs, agents {:.0} µs, database {:.0} µs",
                spent("server"),
                spent("agents"),
                spent("MariaDB")
            ),
        );
        let started = Instant::now();
        ended_after(pair, || load::run(pair.http_port(), 1, 1, None, &request).map(drop), CLUSTERS)?;
        table.row(
            format!("{name}: one POST for 100 clusters until all are final"),
            format!("{:.0} ms", started.elapsed().as_secs_f64() * 1e3),
        );
        Ok(())
    }
}

/// One command in fresh sandboxes, with no server.
fn sandbox(built: &Built, table: &mut Table) -> Result<()> {
    for concurrency in ["1", "16"] {
        let mut bench = Command::new(built.program("claiflow-agent"));
        bench.arg("bench").arg(built.plugins.join("example.wasm"));
        bench.args(["math_pow", "--inputs", r#"{"x":3,"y":2}"#, "--calls", "100000", "--concurrency", concurrency]);
        let Times { p50_us, p99_us, calls_per_s, .. } = Times::of(&mut bench)?;
        table.row(
            format!("one command in a fresh sandbox, concurrency {concurrency}"),
            format!("p50 {p50_us:.1} µs, p99 {p99_us:.1} µs, {calls_per_s:.0} calls/s"),
        );
    }
    Ok(())
}
