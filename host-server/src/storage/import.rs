//! Takes over rows of the first version. Each call is one transaction; what is there already stays as it is, so that a call
//! that comes again changes nothing.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::Arc,
};

use sqlx::Row as _;

use super::{
    Db, Error, Store, both, cut,
    pieces::{padded, pieces},
    sealed::{ERROR, INPUTS, RESULT, TIMELINE},
    task::{SealedEnd, insert, push_list},
};
use crate::model::{
    ids::{Id, time},
    nouns::{Cluster, Template, Token, Variable},
    original::{Ended, Taken},
    predefined::USERDEFINED,
    task::{Place, Task},
    webhook::Webhook,
};

/// One day, microseconds.
const DAY_US: i64 = 86_400_000_000;
/// Days of the past that share a partition: few partitions keep reads by key short.
const PART_DAYS: i64 = 30;
/// Partitions of the past at most; the first of them also holds all before it.
const PARTS: usize = 60;

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// They are here now.
    pub written: u64,
    /// They were here before.
    pub there: u64,
}

impl std::ops::AddAssign for Stored {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.there += other.there;
    }
}

/// A cluster token as it is stored.
struct SealedToken {
    uuid: String,
    row: Token,
    token: String,
    mac: Option<String>,
}

/// Inserts the rows whose `uuid` is not there, in one transaction.
macro_rules! missing {
    ($self:expr, $table:literal, $rows:expr, $head:literal, $bytes:expr, |$b:ident, $row:pat_param| $push:expr) => {{
        let (begin, lock, _) = $self.begin();
        both!(&$self.db, pool => {
            let mut stored = Stored::default();
            let mut tx = pool.begin_with(begin).await?;
            for chunk in $rows.chunks(256) {
                let mut query = sqlx::QueryBuilder::new(concat!("SELECT uuid FROM ", $table, " WHERE uuid IN ("));
                let mut list = query.separated(", ");
                for uuid in padded(chunk.iter().map(|row| row.uuid.clone())) {
                    list.push_bind(uuid);
                }
                query.push(")").push(lock);
                let there: Vec<String> = query.build_query_scalar().fetch_all(&mut *tx).await?;
                let mut there: HashSet<String> = there.into_iter().map(|uuid| uuid.to_ascii_lowercase()).collect();
                // Of two rows with one uuid the first counts.
                let new: Vec<_> = chunk.iter().filter(|row| there.insert(row.uuid.to_ascii_lowercase())).collect();
                stored += Stored { written: new.len() as u64, there: (chunk.len() - new.len()) as u64 };
                insert!(tx, $head, new.as_slice(), $bytes, |$b, $row| $push);
            }
            tx.commit().await?;
            Ok(stored)
        })
    }};
}

impl Store {
    /// Where an import into this database was begun and has not ended: from where.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn unfinished_import(&self) -> Result<Option<String>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT source FROM import WHERE ended IS NULL").fetch_optional(pool).await?))
    }

    /// Notes that an import begins, or goes on. False: the database is in use, and no import was ever made into it.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn begin_import(&self, source: &str, now_us: i64) -> Result<bool, Error> {
        let (begin, ..) = self.begin();
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let begun: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM import").fetch_one(&mut *tx).await?;
            if begun == 0 {
                let clusters: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM cluster").fetch_one(&mut *tx).await?;
                if clusters > 0 {
                    return Ok(false);
                }
                sqlx::query("INSERT INTO import (id, source, began) VALUES (1, ?, ?)").bind(source).bind(now_us).execute(&mut *tx).await?;
            } else {
                sqlx::query("UPDATE import SET source = ?, ended = NULL WHERE id = 1").bind(source).execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Notes that all is here: a server may start.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn end_import(&self, now_us: i64) -> Result<(), Error> {
        both!(&self.db, pool => {
            sqlx::query("UPDATE import SET ended = ? WHERE id = 1").bind(now_us).execute(pool).await?;
            Ok(())
        })
    }

    /// Makes the history's partitions for a past that begins at `first_us`, as long as there are none. Elsewhere than on MariaDB
    /// there are no partitions.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn partition_past(&self, first_us: i64, now_us: i64) -> Result<(), Error> {
        let Db::Maria(link) = &self.db else { return Ok(()) };
        let pool = &link.pool();
        let ends = past_ends(first_us, now_us);
        if ends.is_empty() || self.has_parts().await? {
            return Ok(());
        }
        let mut sql = "ALTER TABLE history REORGANIZE PARTITION p_last INTO (".to_owned();
        for end in ends {
            // Named after the last day that it holds. Writing to a text cannot fail.
            let _ = write!(sql, "PARTITION {} VALUES LESS THAN ({end}), ", time(end - DAY_US).format("p%Y%m%d"));
        }
        sql.push_str("PARTITION p_last VALUES LESS THAN (MAXVALUE))");
        let made = link.held(pool, async {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await?;
            Ok(())
        });
        match made.await {
            // The statement of an import that was killed a moment ago has gone on by itself.
            Err(_) if self.has_parts().await? => Ok(()),
            outcome => outcome,
        }
    }

    async fn has_parts(&self) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM information_schema.partitions WHERE table_schema = DATABASE() AND table_name = 'history'";
        both!(&self.db, pool => {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
            Ok(count > 1)
        })
    }

    /// Takes over clusters; deleted ones too, since their history stays readable.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_clusters(&self, rows: &[Cluster]) -> Result<Stored, Error> {
        missing!(
            self,
            "cluster",
            rows,
            "INSERT INTO cluster (uuid, name, summary, created, updated, deleted) ",
            |_| 0,
            |b, row| b
                .push_bind(row.uuid.clone())
                .push_bind(row.name.clone())
                .push_bind(row.summary.clone())
                .push_bind(row.created)
                .push_bind(row.updated)
                .push_bind(row.deleted)
        )
    }

    /// Takes over cluster tokens.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_tokens(&self, rows: &[Token]) -> Result<Stored, Error> {
        let seal = |row: &Token| -> Result<SealedToken, Error> {
            let (token, mac) = self.seal_token(&row.uuid, &row.token)?;
            Ok(SealedToken { uuid: row.uuid.clone(), row: row.clone(), token, mac })
        };
        let rows = rows.iter().map(seal).collect::<Result<Vec<_>, Error>>()?;
        missing!(
            self,
            "cluster_token",
            rows,
            "INSERT INTO cluster_token (uuid, name, summary, cluster_uuid, token, token_mac, issued_at, expires_at, created, updated) ",
            |_| 0,
            |b, SealedToken { row, token, mac, .. }| b
                .push_bind(row.uuid.clone())
                .push_bind(row.name.clone())
                .push_bind(row.summary.clone())
                .push_bind(row.cluster_uuid.clone())
                .push_bind(token.clone())
                .push_bind(mac.clone())
                .push_bind(row.issued_at)
                .push_bind(row.expires_at)
                .push_bind(row.created)
                .push_bind(row.updated)
        )
    }

    /// Takes over templates. One that a server has installed and nobody has changed gives way to what stood under its uuid.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_templates(&self, rows: &[Template]) -> Result<Stored, Error> {
        for chunk in rows.chunks(256) {
            both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("DELETE FROM template WHERE origin <> ");
                query.push_bind(USERDEFINED).push(" AND uuid IN (");
                let mut list = query.separated(", ");
                for row in chunk {
                    list.push_bind(row.uuid.clone());
                }
                query.push(")");
                query.build().persistent(false).execute(pool).await?;
                Ok(())
            })?;
        }
        let bytes = |row: &&Template| row.flow.len() + row.inputs.as_ref().map_or(0, String::len);
        missing!(
            self,
            "template",
            rows,
            "INSERT INTO template (uuid, name, summary, flow, inputs, origin, created, updated) ",
            bytes,
            |b, row| b
                .push_bind(row.uuid.clone())
                .push_bind(row.name.clone())
                .push_bind(row.summary.clone())
                .push_bind(row.flow.clone())
                .push_bind(row.inputs.clone())
                .push_bind(row.origin.clone())
                .push_bind(row.created)
                .push_bind(row.updated)
        )
    }

    /// Takes over webhooks.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_webhooks(&self, rows: &[Webhook]) -> Result<Stored, Error> {
        let seal = |row: &Webhook| -> Result<Webhook, Error> {
            let (headers, secrets) = self.seal_webhook(row)?;
            Ok(Webhook { headers, secrets, ..row.clone() })
        };
        let rows = rows.iter().map(seal).collect::<Result<Vec<_>, Error>>()?;
        missing!(
            self,
            "webhook",
            rows,
            "INSERT INTO webhook (uuid, name, summary, url, method, headers, timeout, condition_validator, condition_filter, created, updated) ",
            |_| 0,
            |b, row| b
                .push_bind(row.uuid.clone())
                .push_bind(row.name.clone())
                .push_bind(row.summary.clone())
                .push_bind(row.url.clone())
                .push_bind(row.method.clone())
                .push_bind(row.headers.clone())
                .push_bind(row.timeout.clone())
                .push_bind(row.condition_validator.clone())
                .push_bind(row.condition_filter.clone())
                .push_bind(row.created)
                .push_bind(row.updated)
        )
    }

    /// Takes over variables. A default that nobody has changed gives way.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_variables(&self, rows: &[Variable]) -> Result<Stored, Error> {
        let (begin, lock, _) = self.begin();
        both!(&self.db, pool => {
            let mut stored = Stored::default();
            let mut tx = pool.begin_with(begin).await?;
            for row in rows {
                let sql = format!("SELECT revision, value FROM global_variable WHERE uuid = ? OR name = ?{lock}");
                let found: Option<(i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&row.uuid).bind(&row.name)
                    .fetch_optional(&mut *tx).await?;
                let found = found.map(|(revision, value)| Ok::<_, Error>((revision, self.open_variable(&row.name, value)?))).transpose()?;
                // What was taken over has a revision of 2, which no default has.
                let sql = match found {
                    None => "INSERT INTO global_variable (summary, value, created, updated, revision, uuid, name) VALUES (?, ?, ?, ?, 2, ?, ?)",
                    Some((1, value)) if value != row.value => {
                        "UPDATE global_variable SET summary = ?, value = ?, created = ?, updated = ?, revision = 2 WHERE uuid = ? OR name = ?"
                    }
                    Some(_) => {
                        stored.there += 1;
                        continue;
                    }
                };
                sqlx::query(sql).bind(&row.summary).bind(self.seal_variable(&row.name, &row.value)?).bind(row.created).bind(row.updated)
                    .bind(&row.uuid).bind(&row.name).execute(&mut *tx).await?;
                stored.written += 1;
            }
            tx.commit().await?;
            Ok(stored)
        })
    }

    /// The rows of clusters by their uuids, deleted ones too.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn cluster_rows(&self) -> Result<HashMap<String, i64>, Error> {
        both!(&self.db, pool => {
            let rows: Vec<(String, i64)> = sqlx::query_as("SELECT uuid, id FROM cluster").fetch_all(pool).await?;
            Ok(rows.into_iter().collect())
        })
    }

    /// Takes over tasks with what they ran. `request`: what no request that comes again is.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing was stored then.
    pub async fn import_tasks(&self, tasks: &[Taken], request: [u8; 32]) -> Result<Stored, Error> {
        for snapshot in
            tasks.iter().map(|task| (task.snapshot().id, task.snapshot())).collect::<HashMap<_, _>>().values()
        {
            self.keep_snapshot(snapshot).await?;
        }
        let there = self.tasks_there(tasks).await?;
        let mut new = HashSet::new();
        let fresh: Vec<&Taken> =
            tasks.iter().filter(|task| !there.contains(&task.key()) && new.insert(task.key())).collect();
        let stored = Stored { written: fresh.len() as u64, there: (tasks.len() - fresh.len()) as u64 };
        let ended: Vec<&Ended> = fresh
            .iter()
            .filter_map(|task| if let Taken::Ended(task, _) = task { Some(&**task) } else { None })
            .collect();
        self.import_ended(&ended, request).await?;
        let mut waiting = Vec::new();
        for task in &fresh {
            let Taken::Waits(task) = task else { continue };
            // Where a cluster has two tasks of one uuid, the first is found by it, as of those that have ended.
            let is_found = waiting.iter().any(|(other, _): &(Arc<Task>, Place)| {
                other.request.is_some() && other.cluster == task.cluster && other.uuid == task.uuid
            }) || self.alias(task.cluster, &task.uuid).await?.is_some();
            let task = if is_found { Arc::new(Task { request: None, ..Task::clone(task) }) } else { Arc::clone(task) };
            waiting.push((task, Place::Ready));
        }
        if !waiting.is_empty() {
            self.create_tasks(&waiting, &[]).await?;
        }
        Ok(stored)
    }

    async fn tasks_there(&self, tasks: &[Taken]) -> Result<HashSet<(Id, i64)>, Error> {
        if tasks.is_empty() {
            return Ok(HashSet::new());
        }
        both!(&self.db, pool => {
            let mut there = HashSet::new();
            for table in ["history", "task"] {
                let mut query = sqlx::QueryBuilder::new(format!("SELECT id, cluster FROM {table} WHERE id IN ("));
                push_list!(query, tasks.iter().map(|task| task.key().0));
                for row in query.build().persistent(false).fetch_all(pool).await? {
                    let id: Vec<u8> = row.try_get(0)?;
                    there.insert((id.try_into().unwrap_or_default(), row.try_get(1)?));
                }
            }
            Ok(there)
        })
    }

    async fn import_ended(&self, ended: &[&Ended], request: [u8; 32]) -> Result<(), Error> {
        let (begin, ..) = self.begin();
        let aliases = match &self.db {
            Db::Maria(_) => "INSERT IGNORE INTO alias (cluster, uuid, id, request) ",
            Db::Sqlite(_) => "INSERT OR IGNORE INTO alias (cluster, uuid, id, request) ",
        };
        let seal = |task: &Ended| -> Result<SealedEnd, Error> {
            let seal = |column, text: &str| self.seal_of_task(column, &task.id, task.cluster, text);
            Ok(SealedEnd {
                inputs: seal(INPUTS, &task.inputs)?,
                timeline: seal(TIMELINE, &task.timeline)?,
                result: task.result.as_deref().map(|result| seal(RESULT, result)).transpose()?,
                error: task.error.as_deref().map(|error| seal(ERROR, cut(error))).transpose()?,
            })
        };
        let sealed = ended.iter().map(|task| Ok((*task, seal(task)?))).collect::<Result<Vec<_>, Error>>()?;
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            for piece in pieces(ended, |_| 0) {
                // Where a cluster has two tasks of one uuid, the first is found by it; both are in lists.
                let mut query = sqlx::QueryBuilder::new(aliases);
                query.push_values(piece, |mut b, task| {
                    b.push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.id.to_vec()).push_bind(request.to_vec());
                });
                query.build().execute(&mut *tx).await?;
            }
            insert!(tx, "INSERT INTO history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, started, created, ended, timeline, result, error) ", sealed.as_slice(), |(_, sealed)| sealed.bytes(), |b, (task, sealed)| b
                .push_bind(task.id.to_vec()).push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.snapshot.to_vec())
                .push_bind(task.name.clone()).push_bind(task.summary.clone()).push_bind(sealed.inputs.clone()).push_bind(task.channel.clone())
                .push_bind(task.priority).push_bind(task.state).push_bind(1).push_bind(task.started).push_bind(task.created)
                .push_bind(task.ended).push_bind(sealed.timeline.clone()).push_bind(sealed.result.clone())
                .push_bind(sealed.error.clone()));
            tx.commit().await?;
            Ok(())
        })
    }
}

/// Where the partitions of the past end, in ascending order: the last one with today.
fn past_ends(first_us: i64, now_us: i64) -> Vec<i64> {
    let day = |us: i64| us.div_euclid(DAY_US);
    let (first, today) = (day(first_us), day(now_us));
    let mut ends = Vec::new();
    let mut last = today;
    while last >= first && first < today && ends.len() < PARTS {
        ends.push((last + 1) * DAY_US);
        last -= PART_DAYS;
    }
    ends.reverse();
    ends
}

#[cfg(test)]
mod tests {
    use super::{DAY_US, PART_DAYS, PARTS, past_ends};

    #[test]
    fn the_past_is_cut_into_few_parts_of_which_the_last_ends_with_today() {
        let now = 20_000 * DAY_US + 5;
        assert!(past_ends(now, now).is_empty(), "there is no past");
        for (days, parts) in [(1, 1), (PART_DAYS - 1, 1), (PART_DAYS, 2), (365, 13), (100_000, PARTS)] {
            let ends = past_ends(now - days * DAY_US, now);
            assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
            assert_eq!((ends.len(), ends.last()), (parts, Some(&(20_001 * DAY_US))), "{days} days");
        }
    }
}
