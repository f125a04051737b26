//! The writes of a task's life: create, claim, finish, give back. Each is one transaction for many tasks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sqlx::Row as _;

use super::{
    Db, Error, Store, both, cut,
    pieces::{padded, pieces},
};
use crate::model::{
    ids::Id,
    task::{Finish, Lease, Snapshot, Task},
};

/// Snapshots kept in memory at most.
const SNAPSHOTS: usize = 10_000;

/// A multi-row statement for either engine; several where the rows do not fit one. `$bytes`: the text that a row brings.
macro_rules! insert {
    ($tx:expr, $head:literal, $rows:expr, $bytes:expr, |$b:ident, $row:pat_param| $push:expr) => {{
        for piece in pieces($rows, $bytes) {
            let mut query = sqlx::QueryBuilder::new($head);
            query.push_values(piece, |mut $b, $row| {
                $push;
            });
            query.build().execute(&mut *$tx).await?;
        }
    }};
}

/// Leases that begin now.
macro_rules! insert_leases {
    ($tx:expr, $leases:expr) => {
        insert!(
            $tx,
            "INSERT INTO lease (lease_id, task, cluster, epoch, journal, created, seen) ",
            $leases.as_slice(),
            |_| 0,
            |b, lease| b
                .push_bind(lease.id.to_vec())
                .push_bind(lease.task.id.to_vec())
                .push_bind(lease.task.cluster)
                .push_bind(lease.task.epoch)
                .push_bind(lease.journal.to_vec())
                .push_bind(lease.created)
                .push_bind(lease.created)
        )
    };
}

/// A live task from its row; either engine's.
macro_rules! task_of {
    ($row:expr, $cluster:expr, $snapshot:expr) => {
        Task {
            id: $row.try_get::<Vec<u8>, _>("id")?.try_into().unwrap_or_default(),
            cluster: $cluster,
            uuid: $row.try_get("uuid")?,
            snapshot: $snapshot,
            name: $row.try_get("name")?,
            summary: $row.try_get("summary")?,
            inputs: $row.try_get("inputs")?,
            channel: $row.try_get("channel")?,
            priority: $row.try_get("priority")?,
            attempt: $row.try_get("attempt")?,
            epoch: $row.try_get("epoch")?,
            created: $row.try_get("created")?,
            request: None,
        }
    };
}

/// What ends tasks, by the ids of their leases. Keys of two columns are never listed: MariaDB's optimizer takes longer over
/// such a list than the rest of the transaction takes.
struct Ending {
    begin: &'static str,
    /// Behind the read of the leases that are valid.
    lock: &'static str,
    /// What goes before a list of leases, and what behind it.
    steps: (&'static str, &'static str),
    rows: &'static [(&'static str, &'static str)],
}

impl Ending {
    const fn of(db: &Db) -> &'static Self {
        match db {
            Db::Maria(_) => &Self {
                begin: "BEGIN",
                lock: " FOR UPDATE",
                steps: (
                    "DELETE step FROM lease JOIN step ON step.task = lease.task AND step.cluster = lease.cluster WHERE lease.lease_id IN (",
                    "",
                ),
                rows: &[(
                    "DELETE lease, task FROM lease JOIN task ON task.id = lease.task AND task.cluster = lease.cluster WHERE lease.lease_id IN (",
                    "",
                )],
            },
            Db::Sqlite(_) => &Self {
                begin: "BEGIN IMMEDIATE",
                lock: "",
                steps: (
                    "DELETE FROM step WHERE (task, cluster) IN (SELECT task, cluster FROM lease WHERE lease_id IN (",
                    ")",
                ),
                rows: &[
                    (
                        "DELETE FROM task WHERE (id, cluster) IN (SELECT task, cluster FROM lease WHERE lease_id IN (",
                        ")",
                    ),
                    ("DELETE FROM lease WHERE lease_id IN (", ""),
                ],
            },
        }
    }

    /// The statements in their order, each with its leases.
    fn deletes<'a>(
        &self,
        stepped: &'a [Id],
        all: &'a [Id],
    ) -> impl Iterator<Item = (&'static str, &'static str, &'a [Id])> {
        let steps = std::iter::once((self.steps.0, self.steps.1, stepped));
        steps.chain(self.rows.iter().map(move |(head, tail)| (*head, *tail, all)))
    }
}

macro_rules! push_list {
    ($query:expr, $ids:expr) => {{
        let mut list = $query.separated(", ");
        for id in $crate::storage::pieces::padded($ids) {
            list.push_bind(id.to_vec());
        }
        $query.push(")");
    }};
}
pub(crate) use {push_list, task_of};

impl Store {
    /// Keeps what tasks run. A repeated one is a no-op.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn keep_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let sql = match &self.db {
            Db::Maria(_) => {
                "INSERT IGNORE INTO snapshot (id, template_uuid, flow, step_max, language_level, commands) VALUES (?, ?, ?, ?, ?, ?)"
            }
            Db::Sqlite(_) => {
                "INSERT OR IGNORE INTO snapshot (id, template_uuid, flow, step_max, language_level, commands) VALUES (?, ?, ?, ?, ?, ?)"
            }
        };
        let commands = serde_json::to_string(&snapshot.commands).unwrap_or_default();
        both!(&self.db, pool => {
            sqlx::query(sql)
            .bind(snapshot.id.to_vec()).bind(&snapshot.template_uuid).bind(&snapshot.flow)
            .bind(i32::try_from(snapshot.step_max).unwrap_or(i32::MAX)).bind(i32::try_from(snapshot.language_level).unwrap_or(i32::MAX))
            .bind(commands).execute(pool).await?;
            Ok(())
        })
    }

    /// A snapshot by its id, from memory where it was read before.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn snapshot(&self, id: &[u8]) -> Result<Option<Arc<Snapshot>>, Error> {
        let Ok(id) = Id::try_from(id) else { return Ok(None) };
        if let Some(known) = self.snapshots.lock().get(&id) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(snapshot) = self.read_snapshot(id).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.snapshots.lock();
        if known.len() >= SNAPSHOTS {
            known.clear();
        }
        known.insert(id, Arc::clone(&snapshot));
        Ok(Some(snapshot))
    }

    async fn read_snapshot(&self, id: Id) -> Result<Option<Snapshot>, Error> {
        both!(&self.db, pool => {
            let row = sqlx::query("SELECT template_uuid, flow, step_max, language_level, commands FROM snapshot WHERE id = ?")
                .bind(id.to_vec()).fetch_optional(pool).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Snapshot {
                id,
                template_uuid: row.try_get(0)?,
                flow: row.try_get(1)?,
                step_max: usize::try_from(row.try_get::<i32, _>(2)?).unwrap_or_default(),
                language_level: u32::try_from(row.try_get::<i32, _>(3)?).unwrap_or_default(),
                commands: serde_json::from_str(&row.try_get::<String, _>(4)?).unwrap_or_default(),
            }))
        })
    }

    /// Stores tasks, each with its lease or as `ready`, in one commit.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when one of the callers' own uuids exists; nothing is stored then.
    pub async fn create_tasks(&self, tasks: &[(Arc<Task>, Option<Arc<Lease>>)]) -> Result<(), Error> {
        both!(&self.creates, pool => {
            let mut tx = pool.begin().await?;
            let aliases: Vec<_> = tasks.iter().filter_map(|(task, _)| Some((task, task.request?))).collect();
            insert!(tx, "INSERT INTO alias (cluster, uuid, id, request) ", aliases.as_slice(), |_| 0, |b, (task, request)|
                b.push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.id.to_vec()).push_bind(request.to_vec()));
            insert!(tx, "INSERT INTO task (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, epoch, created) ", tasks, |(task, _)| task.inputs.len(), |b, (task, lease)|
                b.push_bind(task.id.to_vec()).push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.snapshot.id.to_vec())
                    .push_bind(task.name.clone()).push_bind(task.summary.clone()).push_bind(task.inputs.clone()).push_bind(task.channel.clone())
                    .push_bind(task.priority).push_bind(0_i16).push_bind(i64::from(lease.is_some())).push_bind(task.created));
            let leases: Vec<_> = tasks.iter().filter_map(|(_, lease)| lease.clone()).collect();
            insert_leases!(tx, leases);
            let ready: Vec<_> = tasks.iter().filter(|(_, lease)| lease.is_none()).map(|(task, _)| task).collect();
            insert!(tx, "INSERT INTO ready (cluster, `rank`, id, need) ", ready.as_slice(), |_| 0, |b, task|
                b.push_bind(task.cluster).push_bind(task.rank()).push_bind(task.id.to_vec()).push_bind(task.snapshot.id.to_vec()));
            tx.commit().await?;
            Ok(())
        })
    }

    /// The request's digest and the id behind a uuid that a caller chose.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn alias(&self, cluster: i64, uuid: &str) -> Result<Option<(Vec<u8>, Vec<u8>)>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>("SELECT id, request FROM alias WHERE cluster = ? AND uuid = ?")
            .bind(cluster).bind(uuid).fetch_optional(pool).await?))
    }

    /// Which snapshots have tasks waiting, per cluster: one loose scan that serves what a hint missed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn clusters_with_ready(&self) -> Result<Vec<i64>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT DISTINCT cluster FROM ready").fetch_all(pool).await?))
    }

    /// The snapshots of a cluster's waiting tasks: of the first `limit` in their order, or of all where `limit` is none.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn needs(&self, cluster: i64, limit: Option<i64>) -> Result<Vec<Vec<u8>>, Error> {
        let sql = match limit {
            Some(_) => {
                "SELECT DISTINCT need FROM (SELECT need FROM ready WHERE cluster = ? ORDER BY `rank`, id LIMIT ?) AS first"
            }
            None => "SELECT DISTINCT need FROM ready WHERE cluster = ? AND ? IS NULL",
        };
        both!(&self.db, pool => Ok(sqlx::query_scalar(sql).bind(cluster).bind(limit).fetch_all(pool).await?))
    }

    /// Takes up to `limit` waiting tasks of a cluster that run one of `snapshots`, and leases them to `journal`.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing is taken then.
    pub async fn claim(
        &self,
        cluster: i64,
        snapshots: &HashMap<Id, Arc<Snapshot>>,
        limit: usize,
        journal: Id,
        now_us: i64,
        mut lease_id: impl FnMut() -> Id,
    ) -> Result<Vec<Arc<Lease>>, Error> {
        // SQLite has one writer: the second claimer waits for the first one's commit and reads what is left.
        let (begin, lock) = match &self.db {
            Db::Maria(_) => ("BEGIN", " FOR UPDATE SKIP LOCKED"),
            Db::Sqlite(_) => ("BEGIN IMMEDIATE", ""),
        };
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let mut query = sqlx::QueryBuilder::new("SELECT id, `rank` FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND need IN (");
            push_list!(query, snapshots.keys());
            query.push(" ORDER BY `rank`, id LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX)).push(lock);
            let found = query.build().fetch_all(&mut *tx).await?;
            if found.is_empty() {
                return Ok(vec![]);
            }
            let mut keys = Vec::new();
            for row in &found {
                keys.push((row.try_get::<Vec<u8>, _>(0)?, row.try_get::<i64, _>(1)?));
            }
            let mut query = sqlx::QueryBuilder::new("DELETE FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND (");
            for (index, (id, rank)) in padded(keys.iter()).into_iter().enumerate() {
                query.push(if index == 0 { "(id = " } else { " OR (id = " });
                query.push_bind(id.clone()).push(" AND `rank` = ").push_bind(*rank).push(")");
            }
            query.push(")");
            query.build().execute(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new("UPDATE task SET epoch = epoch + 1 WHERE cluster = ");
            query.push_bind(cluster).push(" AND id IN (");
            push_list!(query, keys.iter().map(|(id, _)| id));
            query.build().execute(&mut *tx).await?;
            let mut query = sqlx::QueryBuilder::new(
                "SELECT id, uuid, snapshot, name, summary, inputs, channel, priority, attempt, epoch, created FROM task WHERE cluster = ");
            query.push_bind(cluster).push(" AND id IN (");
            push_list!(query, keys.iter().map(|(id, _)| id));
            let rows = query.build().fetch_all(&mut *tx).await?;
            let mut leases = Vec::new();
            for row in &rows {
                let snapshot: Vec<u8> = row.try_get("snapshot")?;
                let Some(snapshot) = snapshots.get(snapshot.as_slice()).map(Arc::clone) else { continue };
                let task = Arc::new(task_of!(row, cluster, snapshot));
                leases.push(Arc::new(Lease { id: lease_id(), journal, created: now_us, task }));
            }
            leases.sort_by_key(|lease| (lease.task.rank(), lease.task.id));
            insert_leases!(tx, leases);
            tx.commit().await?;
            Ok(leases)
        })
    }

    /// Moves tasks to the history, fenced by their lease ids. Answers the leases that were still valid.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn finish(&self, ends: &[Finish]) -> Result<Vec<Id>, Error> {
        let sql = Ending::of(&self.db);
        both!(&self.finishes, pool => {
            let mut tx = pool.begin_with(sql.begin).await?;
            let mut query = sqlx::QueryBuilder::new("SELECT lease_id FROM lease WHERE lease_id IN (");
            push_list!(query, ends.iter().map(|end| end.lease.id));
            query.push(sql.lock);
            let rows = query.build().fetch_all(&mut *tx).await?;
            let mut valid: Vec<Id> = Vec::with_capacity(rows.len());
            for row in &rows {
                valid.push(row.try_get::<Vec<u8>, _>(0)?.try_into().unwrap_or_default());
            }
            // An outcome that an agent repeated may be in the batch twice: its first report is the one that counts.
            let mut open: HashSet<Id> = valid.iter().copied().collect();
            let accepted: Vec<&Finish> = ends.iter().filter(|end| open.remove(&end.lease.id)).collect();
            if accepted.is_empty() {
                return Ok(valid);
            }
            let stepped: Vec<Id> = accepted.iter().filter(|end| end.stepped).map(|end| end.lease.id).collect();
            for (head, tail, leases) in sql.deletes(&stepped, &valid).filter(|(.., leases)| !leases.is_empty()) {
                let mut query = sqlx::QueryBuilder::new(head);
                push_list!(query, leases.iter());
                query.push(tail);
                query.build().execute(&mut *tx).await?;
            }
            insert!(tx, "INSERT INTO history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, created, ended, timeline, result, error) ", accepted.as_slice(), |end| end.lease.task.inputs.len() + end.result.as_ref().map_or(0, String::len), |b, end| {
                let task = &end.lease.task;
                b.push_bind(task.id.to_vec()).push_bind(task.cluster).push_bind(task.uuid.clone()).push_bind(task.snapshot.id.to_vec())
                    .push_bind(task.name.clone()).push_bind(task.summary.clone()).push_bind(task.inputs.clone()).push_bind(task.channel.clone())
                    .push_bind(task.priority).push_bind(end.state).push_bind(task.attempt).push_bind(task.created).push_bind(end.ended)
                    .push_bind(end.timeline.clone()).push_bind(end.result.clone()).push_bind(end.error.as_deref().map(|error| cut(error).to_owned()))
            });
            tx.commit().await?;
            Ok(valid)
        })
    }

    /// Gives tasks back to `ready`; `spent` counts the attempt. Leases that were gone are left alone.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn requeue(&self, lease: &Lease, spent: bool) -> Result<bool, Error> {
        both!(&self.db, pool => {
            let mut tx = pool.begin().await?;
            let gone = sqlx::query("DELETE FROM lease WHERE lease_id = ?").bind(lease.id.to_vec()).execute(&mut *tx).await?.rows_affected();
            if gone == 0 {
                return Ok(false);
            }
            sqlx::query("UPDATE task SET attempt = attempt + ? WHERE id = ? AND cluster = ?")
                .bind(i32::from(spent)).bind(lease.task.id.to_vec()).bind(lease.task.cluster).execute(&mut *tx).await?;
            sqlx::query("INSERT INTO ready (cluster, `rank`, id, need) VALUES (?, ?, ?, ?)")
                .bind(lease.task.cluster).bind(lease.task.rank()).bind(lease.task.id.to_vec()).bind(lease.task.snapshot.id.to_vec())
                .execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}
