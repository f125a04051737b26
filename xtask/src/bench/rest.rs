//! What reading costs over REST, with authentication: one task, a page of tasks, and the same page by the query language.

use std::{path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    Sorted, conditions,
    load::{self, Connection},
    measure::{Table, connected, costs, ended_after},
};
use crate::{
    cluster_of_two::{Built, CLUSTER, Pair},
    database::MariaDb,
};

const CONNECTIONS: usize = 64;
/// What the callers of this benchmark show.
const BEARER: &str = "claiflow_of-the-benchmark-0123456789abcdef";
/// Plain and by query, one after the other, since a machine is not the same from minute to minute.
const TURNS: usize = 3;

/// See [`super::Bench::Rest`].
#[derive(clap::Args)]
pub(crate) struct Rest {
    /// Tasks that are stored, and read in turn.
    #[arg(long, default_value_t = 10_000)]
    tasks: usize,
    /// Requests of each measurement.
    #[arg(long, default_value_t = 60_000)]
    requests: usize,
    /// Only this engine.
    #[arg(long, value_parser = ["mariadb", "sqlite"])]
    database: Option<String>,
}

impl Rest {
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
        table.print();
        Ok(())
    }

    fn engine(&self, built: &Built, home: &Path, database: Option<&MariaDb>, table: &mut Table) -> Result<()> {
        let name = if database.is_some() { "MariaDB" } else { "SQLite" };
        eprintln!("→ {name}");
        let config = database.map(MariaDb::config_here).unwrap_or_default()
            + &format!(
                "auth:\n  mode: token\n  bootstrapToken: {BEARER}\nhttp:\n  rateLimit:\n    perSecond: 1000000\n    burst: 1000000\n"
            );
        let mut pair = Pair::start_with(built, home, config, (0, 0))?.called_with(BEARER);
        pair.declare()?;
        pair.start_agent()?;
        connected(&pair, 1)?;
        let body = json!({"template_uuid": "example_simple", "cluster_uuids": [CLUSTER], "inputs": {"name": "world"}})
            .to_string();
        let create = |_| ("POST", String::from("/api/v1/service"), body.clone());
        let fill = || load::run(pair.http_port(), CONNECTIONS, self.tasks, Some(BEARER), &create).map(drop);
        ended_after(&pair, fill, self.tasks)?;
        pair.agent = None;

        let mut uuids = Vec::new();
        let mut connection = Connection::open(pair.http_port(), Some(BEARER))?;
        for page in 1.. {
            let path = format!("/api/v1/service?p=%7B%22limit%22:100,%22page%22:{page}%7D");
            let tasks: Value = serde_json::from_slice(&connection.ok("GET", &path, "")?)?;
            let tasks = tasks.as_array().context("a list that is none")?;
            uuids.extend(tasks.iter().filter_map(|task| Some(task.get("uuid")?.as_str()?.to_owned())));
            if tasks.is_empty() || page == 100 {
                break;
            }
        }
        if uuids.is_empty() {
            bail!("no task is listed");
        }
        let one = |number: usize| {
            let uuid = uuids.get(number % uuids.len()).map(String::as_str).unwrap_or_default();
            format!("/api/v1/cluster/{CLUSTER}/service/{uuid}")
        };
        self.measure(&pair, database, table, &format!("{name}: GET of one task of {}", uuids.len()), &one)?;
        let page = |_: usize| "/api/v1/service?limit=20".to_owned();
        self.measure(&pair, database, table, &format!("{name}: a page of 20 tasks"), &page)?;
        let plain = |_: usize| "/api/v1/template?limit=20&name=example_simple".to_owned();
        let asked = |_: usize| {
            "/api/v1/template?p=%7B%22limit%22:20%7D&q=%7B%22EQ%22:%7B%22name%22:%22example_simple%22%7D%7D".to_owned()
        };
        let (mut without, mut with) = (f64::MAX, f64::MAX);
        for _ in 0..TURNS {
            without = without.min(self.seconds(&pair, &plain)?.0);
            with = with.min(self.seconds(&pair, &asked)?.0);
        }
        table.row(
            format!("{name}: the same list by a plain filter, and by `q`; the best of {TURNS} turns each"),
            format!(
                "{:.0}/s and {:.0}/s: {:+.0} %",
                self.requests as f64 / without,
                self.requests as f64 / with,
                (with / without - 1.0) * 100.0
            ),
        );
        Ok(())
    }

    /// Asks as fast as the server answers; the seconds, and the milliseconds of each request.
    fn seconds(&self, pair: &Pair<'_>, path: &dyn Fn(usize) -> String) -> Result<(f64, Sorted)> {
        let request = |number| ("GET", path(number), String::new());
        load::run(pair.http_port(), CONNECTIONS, self.requests / 10, Some(BEARER), &request)?;
        let started = Instant::now();
        let times = load::run(pair.http_port(), CONNECTIONS, self.requests, Some(BEARER), &request)?;
        Ok((started.elapsed().as_secs_f64(), Sorted::new(times)))
    }

    fn measure(
        &self,
        pair: &Pair<'_>,
        database: Option<&MariaDb>,
        table: &mut Table,
        what: &str,
        path: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let processes = [("server", Some(&pair.server)), ("MariaDB", database.map(|database| &database.process))];
        let before = costs(&processes)?;
        let (seconds, times) = self.seconds(pair, path)?;
        let after = costs(&processes)?;
        // The warm-up is a tenth more.
        let requests = self.requests as f64 * 1.1;
        let cpu: Vec<String> = processes
            .iter()
            .zip(before.iter().zip(&after))
            .filter(|((_, process), _)| process.is_some())
            .map(|((name, _), (before, after))| format!("{name} {:.0} µs", (after - before) * 1e6 / requests))
            .collect();
        table.row(
            format!("{what}, {CONNECTIONS} connections, with a token"),
            format!(
                "{:.0}/s; p50 {:.1} ms, p99 {:.1} ms; CPU {}",
                self.requests as f64 / seconds,
                times.percentile(50),
                times.percentile(99),
                cpu.join(", ")
            ),
        );
        Ok(())
    }
}
