//! The history by days. On MariaDB each day is a partition, made ahead and dropped whole; SQLite deletes the same rows.

use std::fmt::Write as _;

use sqlx::{MySqlPool, Row as _, SqlitePool};

use super::{Db, Error, Store, both, list::first_id};
use crate::model::{ids::time, replica::Term};

/// One day, microseconds.
pub const DAY_US: i64 = 86_400_000_000;
/// Rows of one delete.
const BATCH: i64 = 1_000;

/// How long a statement that changes partitions waits for others that read or write the table. Whoever comes behind it waits too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// One second.
    Second,
}

/// A partition and the first time that it does not hold, microseconds since 1970.
struct Partition {
    name: String,
    end: i64,
}

impl Store {
    /// The days from now for which there are partitions; none where there are no partitions.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn history_days_ahead(&self) -> Result<Option<i64>, Error> {
        let Db::Maria(_) = &self.db else { return Ok(None) };
        let (now, _) = self.replicas(0).await?;
        let end = self.partitions().await?.last().map_or(now, |last| last.end);
        Ok(Some((end - now).div_euclid(DAY_US).max(0)))
    }

    /// Makes the partitions of the next `days` days, as a leader. Those that are there stay.
    ///
    /// # Errors
    /// [`Error`] of the engine: nothing has changed. It may pass where others used the table for longer than `patience`.
    pub async fn extend_history(&self, term: &Term, days: i64, patience: Patience) -> Result<(), Error> {
        self.must_lead(term).await?;
        if matches!(self.db, Db::Sqlite(_)) {
            return Ok(());
        }
        let (now, _) = self.replicas(0).await?;
        let today = now - now.rem_euclid(DAY_US);
        let last = self.partitions().await?.last().map_or(today, |last| last.end);
        let mut ranges = String::new();
        let mut end = last.max(today) + DAY_US;
        while end <= today + (days + 1) * DAY_US {
            // Named after the last day that it holds. A name that another leader made meanwhile is refused.
            let name = time(end - DAY_US).format("p%Y%m%d");
            // Writing to a text cannot fail.
            let _ = write!(ranges, "PARTITION {name} VALUES LESS THAN ({end}), ");
            end += DAY_US;
        }
        if ranges.is_empty() {
            return Ok(());
        }
        // The last partition is empty, or nearly: no row is moved for long.
        let change = format!("REORGANIZE PARTITION p_last INTO ({ranges}PARTITION p_last VALUES LESS THAN (MAXVALUE))");
        self.alter_history(term, patience, change).await
    }

    /// Removes the tasks that ended before a day, and what callers' own uuids said of them, as a leader; how many tasks.
    /// `before_us` is cut to the start of its day, UTC.
    ///
    /// # Errors
    /// [`Error`] of the engine: what was removed before stays removed. It may pass, as in [`Store::extend_history`].
    pub async fn retire_history(&self, term: &Term, before_us: i64, patience: Patience) -> Result<u64, Error> {
        self.must_lead(term).await?;
        let before = before_us - before_us.rem_euclid(DAY_US);
        match &self.db {
            Db::Maria(_) => {
                let mut gone = 0;
                for partition in self.partitions().await?.into_iter().filter(|partition| partition.end <= before) {
                    gone += self.forget_aliases(term, &partition.name).await?;
                    self.alter_history(term, patience, format!("DROP PARTITION {}", partition.name)).await?;
                }
                Ok(gone)
            }
            Db::Sqlite(pool) => delete_before(pool, before).await,
        }
    }

    /// The partitions with an end, in their order.
    async fn partitions(&self) -> Result<Vec<Partition>, Error> {
        let sql = "SELECT CAST(partition_name AS CHAR), CAST(partition_description AS CHAR) FROM information_schema.partitions \
             WHERE table_schema = DATABASE() AND table_name = 'history' AND partition_name <> 'p_last' ORDER BY partition_ordinal_position";
        both!(&self.db, pool => {
            let mut partitions = Vec::new();
            for row in &sqlx::query(sql).fetch_all(pool).await? {
                let (name, end): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                partitions.push(Partition { name, end: end.parse().unwrap_or(i64::MAX) });
            }
            Ok(partitions)
        })
    }

    async fn alter_history(&self, term: &Term, patience: Patience, change: String) -> Result<(), Error> {
        // A change of the schema commits by itself, so the lead is asked just before it. Whoever takes over meanwhile makes the
        // same change, and one of both finds it made.
        self.must_lead(term).await?;
        let wait = match patience {
            Patience::None => "NOWAIT",
            Patience::Second => "WAIT 1",
        };
        let sql = format!("ALTER TABLE history {wait} {change}");
        both!(&self.db, pool => {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
            Ok(())
        })
    }

    /// Removes the aliases of a partition's tasks in batches; how many tasks the partition holds.
    async fn forget_aliases(&self, term: &Term, partition: &str) -> Result<u64, Error> {
        let Db::Maria(link) = &self.db else { return Ok(0) };
        let (mut tasks, mut last) = (0, (vec![0; 16], i64::MIN));
        loop {
            self.must_lead(term).await?;
            let pool = &link.pool();
            let (seen, next) = link.held(pool, forget_batch(pool, partition, &last)).await?;
            tasks += seen;
            match next {
                Some(next) => last = next,
                None => return Ok(tasks),
            }
        }
    }
}

type Key = (Vec<u8>, i64);

/// Removes the aliases of the tasks that follow `last` in a partition; how many tasks were looked at, and the last of them.
async fn forget_batch(pool: &MySqlPool, partition: &str, (id, cluster): &Key) -> Result<(u64, Option<Key>), Error> {
    let sql = format!(
        "SELECT id, cluster, uuid FROM history PARTITION ({partition}) WHERE id >= ? AND (id > ? OR cluster > ?) ORDER BY id, cluster LIMIT ?"
    );
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(id).bind(cluster).bind(BATCH).fetch_all(pool).await?;
    let mut last = None;
    let mut query = sqlx::QueryBuilder::new("DELETE FROM alias WHERE ");
    let mut tasks = query.separated(" OR ");
    for row in &rows {
        let (id, cluster, uuid): (Vec<u8>, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        tasks.push("(cluster = ").push_bind_unseparated(cluster);
        tasks.push_unseparated(" AND uuid = ").push_bind_unseparated(uuid);
        tasks.push_unseparated(" AND id = ").push_bind_unseparated(id.clone()).push_unseparated(")");
        last = Some((id, cluster));
    }
    if last.is_some() {
        query.build().persistent(false).execute(pool).await?;
    }
    Ok((rows.len() as u64, last))
}

/// SQLite's way, in batches, so that no writer waits for long.
async fn delete_before(pool: &SqlitePool, before: i64) -> Result<u64, Error> {
    // A task does not end before it is made, and its id begins with that time: the key finds what is old.
    let old = "SELECT rowid FROM history WHERE id < ? AND ended < ? ORDER BY id LIMIT ?";
    let aliases = format!(
        "DELETE FROM alias WHERE (cluster, uuid, id) IN (SELECT cluster, uuid, id FROM history WHERE rowid IN ({old}))"
    );
    let tasks = format!("DELETE FROM history WHERE rowid IN ({old})");
    let id = first_id(before / 1_000 + 1);
    let mut gone = 0;
    loop {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut removed = 0;
        for sql in [&aliases, &tasks] {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(&id).bind(before).bind(BATCH);
            removed = query.execute(&mut *tx).await?.rows_affected();
        }
        tx.commit().await?;
        gone += removed;
        if removed == 0 {
            return Ok(gone);
        }
    }
}
