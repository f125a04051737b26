//! The database: killed, stopped, cut off, read-only, full, and full of other people's locks.

use std::{process::Child, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{BOTH, Case, Kind, MARIA, case, in_flight, load};
use crate::{
    database::MariaDb,
    faults::{server::Engine, stage::Stage},
};

pub(super) const CASES: &[Case] = &[
    case("database-killed", "MariaDB dies and comes back", MARIA, killed),
    case("database-restarted", "MariaDB is restarted in good order", MARIA, restarted).short_on(Kind::Maria),
    case("database-cut", "the connections to MariaDB are reset again and again", MARIA, cut),
    case("database-read-only", "MariaDB is read-only for a while", MARIA, read_only),
    case("database-full", "the database's disk is full for a while", BOTH, full).on_small_disk(),
    case(
        "database-locks",
        "somebody locks the rows in another order: lock waits, deadlocks, snapshot errors",
        MARIA,
        locks,
    ),
];

/// Somebody's transactions: they take rows from the last to the first, and hold them for longer than a lock is waited for.
const OTHERS: &str = "
SET innodb_lock_wait_timeout = 2;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
BEGIN;
SELECT COUNT(*) FROM task WHERE id > '' ORDER BY id DESC FOR UPDATE;
DO SLEEP(0.4);
UPDATE lease SET epoch = epoch ORDER BY lease_id DESC;
UPDATE step SET started = started ORDER BY path DESC;
DELETE FROM ready WHERE cluster = -1;
DO SLEEP(0.9);
COMMIT;
DO SLEEP(0.2);
";

fn database<'s>(stage: &'s mut Stage<'_>) -> Result<&'s mut MariaDb> {
    match &mut stage.engine {
        Engine::Maria { database, .. } => Ok(database),
        Engine::Sqlite => anyhow::bail!("this case needs MariaDB"),
    }
}

fn begin(stage: &mut Stage<'_>) -> Result<()> {
    stage.agent()?;
    stage.post(&load(80))?;
    stage.effects("steps run", |marks| in_flight(marks, "agent-0") >= 3)
}

fn killed(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    database(stage)?.process.kill()?;
    let away = stage.dice.between(500, 3_000);
    stage.sleep(Duration::from_millis(away))?;
    database(stage)?.start_again()?;
    stage.heal();
    Ok(())
}

fn restarted(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    let database = database(stage)?;
    database.process.stop()?;
    database.start_again()?;
    stage.heal();
    Ok(())
}

fn cut(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    for _ in 0..6 {
        let moment = stage.dice.between(50, 500);
        stage.sleep(Duration::from_millis(moment))?;
        if let Engine::Maria { line, .. } = &stage.engine {
            line.cut();
        }
    }
    stage.heal();
    Ok(())
}

fn read_only(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    database(stage)?.sql("SET GLOBAL read_only = 1")?;
    let long = stage.dice.between(1_000, 4_000);
    stage.sleep(Duration::from_millis(long))?;
    database(stage)?.sql("SET GLOBAL read_only = 0")?;
    stage.heal();
    Ok(())
}

fn full(stage: &mut Stage<'_>) -> Result<()> {
    begin(stage)?;
    stage.disk.as_ref().context("this case needs a small disk")?.fill()?;
    let long = stage.dice.between(1_000, 4_000);
    stage.sleep(Duration::from_millis(long))?;
    stage.disk.as_ref().context("this case needs a small disk")?.free()?;
    stage.heal();
    Ok(())
}

fn locks(stage: &mut Stage<'_>) -> Result<()> {
    let Engine::Maria { database, schema, line } = &mut stage.engine else {
        anyhow::bail!("this case needs MariaDB");
    };
    let schema = schema.clone();
    let before = lock_waits(database)?;
    // Not every MariaDB has the second one: it makes error 1020 of what would be a lost update.
    database.sql("SET GLOBAL innodb_lock_wait_timeout = 1")?;
    if let Err(error) = database.sql("SET GLOBAL innodb_snapshot_isolation = 1") {
        eprintln!("  database-locks: without snapshot errors, since this MariaDB has none: {error:#}");
    }
    // New connections have the new settings.
    line.cut();
    let others = (0..3).map(|_| database.shell_with(&schema, &OTHERS.repeat(6))).collect::<Result<Vec<Child>>>()?;
    begin(stage)?;
    for mut other in others {
        stage.wait("the others have done their work", || Ok(other.try_wait()?.is_some()))?;
    }
    let database = self::database(stage)?;
    database.sql("SET GLOBAL innodb_lock_wait_timeout = DEFAULT; SET GLOBAL innodb_snapshot_isolation = DEFAULT")?;
    let waits = lock_waits(database)? - before;
    ensure!(waits > 0, "nobody had to wait for a lock");
    stage.heal();
    Ok(())
}

/// How often a transaction has waited for a row since MariaDB began.
fn lock_waits(database: &MariaDb) -> Result<i64> {
    let answer = database.sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'")?;
    let count = answer.split_whitespace().last().context("MariaDB counts no lock waits")?;
    Ok(count.parse()?)
}
