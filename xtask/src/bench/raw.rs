//! The ceiling: plain multi-row inserts of the rows that a task leaves and passes through, with nothing around them.

use std::{
    fmt::Write as _,
    process::Stdio,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};

use crate::database::{DATABASE, MariaDb};

const BATCH: usize = 256;

/// Inserts the rows of `tasks` tasks through one connection, a commit for each [`BATCH`]; tasks a second.
///
/// A task's rows are those of `task`, `lease` and `history`; the tables are copies with the same keys and partitions.
pub(super) fn inserts(database: &MariaDb, tasks: usize) -> Result<f64> {
    let mut sql = String::from(
        "CREATE OR REPLACE TABLE raw_task LIKE task; CREATE OR REPLACE TABLE raw_lease LIKE lease; CREATE OR REPLACE TABLE raw_history LIKE history;\n",
    );
    let prepared = sql.len();
    for first in (0..tasks).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(tasks);
        let rows = |row: &dyn Fn(usize) -> String| numbers.clone().map(row).collect::<Vec<_>>().join(",");
        let (id, lease) = (
            |n: usize| format!("x'0190{n:028x}'"),
            |n: usize| format!("x'{:016x}{n:016x}'", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        );
        let snapshot = "x'00112233445566778899aabbccddeeff'";
        let inputs = r#"'{"name":"world"}'"#;
        writeln!(
            sql,
            "BEGIN; INSERT INTO raw_task (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, epoch, created) VALUES {}; \
             INSERT INTO raw_lease (lease_id, task, cluster, epoch, journal, created) VALUES {}; \
             INSERT INTO raw_history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, created, ended, timeline, result, error) VALUES {}; COMMIT;",
            rows(&|n| format!("({},1,'{n:032x}',{snapshot},'example_simple','',{inputs},NULL,0,0,1,{n})", id(n))),
            rows(&|n| format!("({},{},1,1,{snapshot},{n})", lease(n), id(n))),
            rows(&|n| format!(
                "({},1,'{n:032x}',{snapshot},'example_simple','',{inputs},NULL,0,4,1,{n},{n},'{{\"sent\":{n},\"steps\":[{{\"top\":0,\"started\":{n},\"ended\":{n},\"ok\":true}}]}}','\"hello world\"',NULL)",
                id(n)
            )),
        )?;
    }
    let (tables, inserts) = sql.split_at(prepared);
    client(database, tables)?;
    let started = Instant::now();
    client(database, inserts)?;
    let seconds = started.elapsed().as_secs_f64();
    client(database, "DROP TABLE raw_task, raw_lease, raw_history;\n")?;
    Ok(tasks as f64 / seconds)
}

fn client(database: &MariaDb, sql: &str) -> Result<()> {
    use std::io::Write as _;
    let mut client = database
        .shell()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("the program `mariadb` is missing")?;
    client.stdin.take().context("no standard input")?.write_all(sql.as_bytes())?;
    let status = client.wait()?;
    if !status.success() {
        bail!("mariadb ended with {status}");
    }
    Ok(())
}

/// Explicit commits that the engine has counted.
pub(super) fn commits(database: &MariaDb) -> Result<f64> {
    status(database, "Com_commit")
}

/// Statements that clients have sent.
pub(super) fn questions(database: &MariaDb) -> Result<f64> {
    status(database, "Questions")
}

fn status(database: &MariaDb, name: &str) -> Result<f64> {
    let text = database.sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"))?;
    text.split_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no {name} in {text:?}"))
}

/// Final tasks that were never run, spread evenly over the days for which the history has partitions.
pub(super) struct Stored {
    /// The first one's time, milliseconds since 1970.
    first_ms: u128,
    /// The cluster's row.
    cluster: String,
    count: usize,
}

/// Between two stored tasks, where ten million fill twelve days, milliseconds.
const STEP_MS: u128 = 104;

impl Stored {
    /// Of the only cluster that the database knows.
    pub(super) fn new(database: &MariaDb) -> Result<Self> {
        let cluster = database.sql(&format!("SELECT MIN(id) FROM {DATABASE}.cluster"))?.trim().to_owned();
        let first_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Ok(Self { first_ms, cluster, count: 0 })
    }

    /// Stores more of them, until there are `wanted`.
    pub(super) fn grow(&mut self, database: &MariaDb, wanted: usize) -> Result<()> {
        const ROWS: usize = 100_000;
        while self.count < wanted {
            let (from, to) = (self.count + 1, (self.count + ROWS).min(wanted));
            let (first, cluster) = (self.first_ms, &self.cluster);
            database.sql(&format!(
                "INSERT INTO {DATABASE}.history (id, cluster, uuid, snapshot, name, summary, inputs, priority, state, attempt, created, ended, timeline, result) \
                 SELECT UNHEX(CONCAT(LPAD(HEX({first} + seq * {STEP_MS}), 12, '0'), '7', LPAD(HEX(seq MOD 4096), 3, '0'), '8000', LPAD(HEX(seq), 12, '0'))), \
                 {cluster}, LPAD(HEX(seq), 32, '0'), (SELECT id FROM {DATABASE}.snapshot LIMIT 1), 'bench', '', '{{\"name\":\"world\"}}', 0, 4, 1, \
                 ({first} + seq * {STEP_MS}) * 1000, ({first} + seq * {STEP_MS}) * 1000 + 2000, '{{\"steps\":[]}}', '\"hello world\"' FROM {DATABASE}.seq_{from}_to_{to}"
            ))?;
            self.count = to;
        }
        Ok(())
    }

    /// Where a page in the middle of them begins, as a `Link` header would say it.
    pub(super) fn middle(&self) -> String {
        let number = self.count / 2;
        let ms = self.first_ms + number as u128 * STEP_MS;
        format!("{ms:012x}7{:03x}8000{number:012x}.{}", number % 4_096, self.cluster)
    }
}
