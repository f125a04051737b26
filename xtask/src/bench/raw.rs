//! The ceiling: plain multi-row inserts of the rows that a task leaves and passes through, with nothing around them.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::database::MariaDb;

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
             INSERT INTO raw_lease (lease_id, task, cluster, epoch, journal, created, seen) VALUES {}; \
             INSERT INTO raw_history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, created, ended, timeline, result, error) VALUES {}; COMMIT;",
            rows(&|n| format!("({},1,'{n:032x}',{snapshot},'example_simple','',{inputs},NULL,0,0,1,{n})", id(n))),
            rows(&|n| format!("({},{},1,1,{snapshot},{n},{n})", lease(n), id(n))),
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
    let mut command: Command = database.shell();
    let output =
        command.args(["--batch", "--skip-column-names", "-e", "SHOW GLOBAL STATUS LIKE 'Com_commit'"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no count of commits in {text:?}"))
}
