//! Tasks that no agent holds: what becomes ready in time, what expires, and what people end, pause or let go on.

use std::collections::BTreeSet;

use sqlx::Row as _;

use super::{
    Error, Store, both,
    outbox::{Subject, tell},
};
use crate::model::{
    ids::Id,
    state::State,
    task::{Lease, Timeline, Wish},
    told::{Told, last_step, of_end},
};

/// Rows of one round at most.
const ROUND: i64 = 256;
/// How often a task that is claimed at the same moment is looked at again.
const TRIES: u32 = 8;
/// What is kept of a final task, from its live row; values: state, end, timeline, error, task, cluster.
pub(super) const ARCHIVE: &str = "INSERT INTO history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, labels, created_by, started, created, ended, timeline, result, error, request_id) \
     SELECT id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, ?, attempt, labels, created_by, started, created, ?, ?, NULL, ?, request_id FROM task WHERE id = ? AND cluster = ?";

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// Nobody held it: it is done.
    Done,
    /// An agent holds it, and is to be told.
    Noted,
    /// The task stands elsewhere, where the wish has no meaning.
    Stands(State),
    /// There is no such live task.
    Gone,
}

/// What a task that nobody holds ends with.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// A final state.
    pub state: State,
    /// One sentence.
    pub error: &'a str,
    /// JSON text of what happened in earlier attempts.
    pub timeline: &'a str,
    /// Microseconds since 1970.
    pub now_us: i64,
}

/// Moves a live task that has no lease to the history, and tells its webhook; inside a transaction.
macro_rules! archive {
    ($store:expr, $tx:expr, $outbox:expr, $ending:expr, $subject:expr) => {{
        let ($crate::storage::waiting::Ending { state, error, timeline, now_us }, subject) = ($ending, $subject);
        $crate::storage::outbox::tell!($tx, $outbox, subject, |told| {
            let timeline = serde_json::from_str::<Timeline>(timeline).unwrap_or_default();
            of_end(told, &timeline, state, now_us)
        });
        let seal = |column, text| $store.seal_of_task(column, subject.id, subject.cluster, text);
        let timeline = seal($crate::storage::sealed::TIMELINE, timeline)?;
        let error = seal($crate::storage::sealed::ERROR, $crate::storage::cut(error))?;
        sqlx::query($crate::storage::waiting::ARCHIVE)
            .bind(state as i16)
            .bind(now_us)
            .bind(timeline)
            .bind(error)
            .bind(subject.id.to_vec())
            .bind(subject.cluster)
            .execute(&mut *$tx)
            .await?;
        for sql in ["DELETE FROM step WHERE task = ? AND cluster = ?", "DELETE FROM task WHERE id = ? AND cluster = ?"]
        {
            sqlx::query(sql).bind(subject.id.to_vec()).bind(subject.cluster).execute(&mut *$tx).await?;
        }
    }};
}

/// What is told of tasks that end together and of which only the keys are known: uuid and webhook of those that have one.
macro_rules! channels {
    ($tx:expr, $ids:expr) => {{
        let mut channels = std::collections::BTreeMap::<(Vec<u8>, i64), (String, String)>::new();
        let ids: Vec<Vec<u8>> = $ids.collect();
        if !ids.is_empty() {
            let mut query = sqlx::QueryBuilder::new(
                "SELECT id, cluster, uuid, channel FROM task WHERE channel IS NOT NULL AND id IN (",
            );
            super::push_list!(query, ids.iter());
            for row in query.build().fetch_all(&mut *$tx).await? {
                channels.insert((row.try_get(0)?, row.try_get(1)?), (row.try_get(2)?, row.try_get(3)?));
            }
        }
        channels
    }};
}

/// One of them.
fn subject_of<'a>(
    id: &'a [u8],
    cluster: i64,
    channels: &'a std::collections::BTreeMap<(Vec<u8>, i64), (String, String)>,
) -> Subject<'a> {
    let found = channels.get(&(id.to_vec(), cluster));
    let (uuid, channel) = found.map_or(("", None), |(uuid, channel)| (uuid.as_str(), Some(channel.as_str())));
    Subject { id, cluster, uuid, channel, journal: None }
}

/// Takes a task out of `ready` or `later`; whether it was there.
macro_rules! withdraw {
    ($tx:expr, $id:expr, $cluster:expr, $rank:expr) => {{
        let ready = sqlx::query("DELETE FROM ready WHERE cluster = ? AND `rank` = ? AND id = ?")
            .bind($cluster)
            .bind($rank)
            .bind($id)
            .execute(&mut *$tx)
            .await?
            .rows_affected();
        let later = sqlx::query("DELETE FROM later WHERE id = ? AND cluster = ?")
            .bind($id)
            .bind($cluster)
            .execute(&mut *$tx)
            .await?
            .rows_affected();
        ready + later > 0
    }};
}

/// Puts a task into `ready`, or into `later` where `$due` says when.
macro_rules! enter {
    ($tx:expr, $task:expr, $due:expr) => {{
        let task = $task;
        match $due {
            None => {
                sqlx::query("INSERT INTO ready (cluster, `rank`, id, need, valid_until) VALUES (?, ?, ?, ?, ?)")
                    .bind(task.cluster)
                    .bind(task.rank())
                    .bind(task.id.to_vec())
                    .bind(task.snapshot.id.to_vec())
                    .bind(task.valid_until)
                    .execute(&mut *$tx)
                    .await?
            }
            Some(due) => {
                sqlx::query("INSERT INTO later (due, cluster, id, `rank`, need, valid_until) VALUES (?, ?, ?, ?, ?, ?)")
                    .bind(due)
                    .bind(task.cluster)
                    .bind(task.id.to_vec())
                    .bind(task.rank())
                    .bind(task.snapshot.id.to_vec())
                    .bind(task.valid_until)
                    .execute(&mut *$tx)
                    .await?
            }
        };
    }};
}
/// The lease ends, and what counted under it counts no more; inside a transaction.
macro_rules! release {
    ($tx:expr, $lease:expr) => {{
        for sql in ["DELETE FROM lease WHERE lease_id = ?", "DELETE FROM slot WHERE lease_id = ?"] {
            sqlx::query(sql).bind($lease.to_vec()).execute(&mut *$tx).await?;
        }
    }};
}
pub(super) use {archive, enter, release};

impl Store {
    /// Moves what is due into `ready`; of which clusters.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn due(&self, now_us: i64) -> Result<BTreeSet<i64>, Error> {
        let (begin, _, skip) = self.begin();
        both!(&self.db, pool => {
            let mut clusters = BTreeSet::new();
            let mut tx = pool.begin_with(begin).await?;
            let sql = format!("SELECT due, cluster, id, `rank`, need, valid_until FROM later WHERE due <= ? ORDER BY due LIMIT ?{skip}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now_us).bind(ROUND).fetch_all(&mut *tx).await?;
            for row in &rows {
                let (cluster, id): (i64, Vec<u8>) = (row.try_get("cluster")?, row.try_get("id")?);
                sqlx::query("DELETE FROM later WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                sqlx::query("UPDATE task SET state = 0 WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                sqlx::query("INSERT INTO ready (cluster, `rank`, id, need, valid_until) VALUES (?, ?, ?, ?, ?)")
                    .bind(cluster).bind(row.try_get::<i64, _>("rank")?).bind(&id).bind(row.try_get::<Vec<u8>, _>("need")?)
                    .bind(row.try_get::<Option<i64>, _>("valid_until")?).execute(&mut *tx).await?;
                clusters.insert(cluster);
            }
            tx.commit().await?;
            Ok(clusters)
        })
    }

    /// Ends tasks that nobody started within their validity; how many.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn expire(&self, error: &str, now_us: i64) -> Result<u64, Error> {
        let ((begin, _, skip), outbox) = (self.begin(), self.outbox());
        let ending = Ending { state: State::Expired, error, timeline: r#"{"steps":[]}"#, now_us };
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let sql = format!("SELECT cluster, `rank`, id FROM ready WHERE valid_until <= ? ORDER BY valid_until LIMIT ?{skip}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now_us).bind(ROUND).fetch_all(&mut *tx).await?;
            let ids = rows.iter().map(|row| row.try_get::<Vec<u8>, _>(2)).collect::<Result<Vec<_>, _>>()?;
            let channels = channels!(tx, ids.into_iter());
            for row in &rows {
                let (cluster, rank, id): (i64, i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                sqlx::query("DELETE FROM ready WHERE cluster = ? AND `rank` = ? AND id = ?").bind(cluster).bind(rank).bind(&id)
                    .execute(&mut *tx).await?;
                archive!(self, tx, outbox, ending, subject_of(&id, cluster, &channels));
            }
            tx.commit().await?;
            self.told(channels.values().map(|(_, channel)| Some(channel.as_str())));
            Ok(rows.len() as u64)
        })
    }

    /// Cancels a task: at once where nobody holds it, else by a mark on its lease, which decides however the run ends.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn cancel(&self, cluster: i64, task: Id, rank: i64, ending: Ending<'_>) -> Result<Wished, Error> {
        self.wish(cluster, task, rank, Wish::Cancel, Some(ending)).await
    }

    /// Pauses a task: at once where nobody holds it, else before its next step.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn pause(&self, cluster: i64, task: Id, rank: i64) -> Result<Wished, Error> {
        self.wish(cluster, task, rank, Wish::Pause, None).await
    }

    async fn wish(
        &self,
        cluster: i64,
        task: Id,
        rank: i64,
        wish: Wish,
        ending: Option<Ending<'_>>,
    ) -> Result<Wished, Error> {
        let ((begin, lock, _), outbox) = (self.begin(), self.outbox());
        let id = task.to_vec();
        let state_sql = format!("SELECT state, uuid, channel FROM task WHERE id = ? AND cluster = ?{lock}");
        for _ in 0..TRIES {
            let wished = both!(&self.db, pool => {
                let mut tx = pool.begin_with(begin).await?;
                // The lease first, as everything that ends one does. What a stronger wish said stays.
                let held = sqlx::query("UPDATE lease SET wish = CASE WHEN wish < ? THEN ? ELSE wish END WHERE task = ? AND cluster = ?")
                    .bind(wish as i16).bind(wish as i16).bind(&id).bind(cluster).execute(&mut *tx).await?.rows_affected() > 0;
                let waits = !held && withdraw!(tx, &id, cluster, rank);
                // Locked, so that a task which somebody lets go on meanwhile is not archived under it.
                let found: Option<(i16, String, Option<String>)> = sqlx::query_as(sqlx::AssertSqlSafe(state_sql.as_str()))
                    .bind(&id).bind(cluster).fetch_optional(&mut *tx).await?;
                let state = found.as_ref().map(|(state, ..)| State::of(*state));
                let (uuid, channel) = found.as_ref().map_or(("", None), |(_, uuid, channel)| (uuid.as_str(), channel.as_deref()));
                let wished = match (state, ending) {
                    (None, _) => Some(Wished::Gone),
                    (Some(State::Unknown), _) => Some(Wished::Stands(State::Unknown)),
                    (Some(_), Some(_)) if held => {
                        sqlx::query("UPDATE task SET cancel_requested = 1 WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                        Some(Wished::Noted)
                    }
                    (Some(_), None) if held => Some(Wished::Noted),
                    (Some(state), Some(ending)) if waits || state == State::Paused => {
                        archive!(self, tx, outbox, ending, Subject { id: &id, cluster, uuid, channel, journal: None });
                        Some(Wished::Done)
                    }
                    (Some(State::Paused), None) => Some(Wished::Done),
                    (Some(_), None) if waits => {
                        sqlx::query("UPDATE task SET state = 128 WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                        Some(Wished::Done)
                    }
                    // It is between two places: another transaction moves it at this moment.
                    (Some(_), _) => None,
                };
                match wished {
                    Some(Wished::Done | Wished::Noted) => {
                        tx.commit().await?;
                        self.told(std::iter::once(channel));
                    }
                    _ => tx.rollback().await?,
                }
                Ok(wished)
            })?;
            match wished {
                Some(wished) => return Ok(wished),
                None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
        Err(Error::Engine(sqlx::Error::WorkerCrashed))
    }

    /// Lets a paused task go on, or takes back the wish to pause.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn resume(&self, task: &crate::model::task::Task) -> Result<Wished, Error> {
        let (begin, lock, _) = self.begin();
        let (id, cluster) = (task.id.to_vec(), task.cluster);
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let held = sqlx::query("UPDATE lease SET wish = 0 WHERE task = ? AND cluster = ? AND wish = 1").bind(&id).bind(cluster)
                .execute(&mut *tx).await?.rows_affected() > 0;
            let sql = format!("SELECT state FROM task WHERE id = ? AND cluster = ?{lock}");
            let state: Option<i16> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&id).bind(cluster).fetch_optional(&mut *tx).await?;
            let wished = match state.map(State::of) {
                None => Wished::Gone,
                Some(State::Paused) => {
                    // Who lets it go on wants it to start, whenever that was to happen at first.
                    sqlx::query("UPDATE task SET state = 0, valid_until = NULL WHERE id = ? AND cluster = ?").bind(&id).bind(cluster).execute(&mut *tx).await?;
                    let mut again = crate::model::task::Task::clone(task);
                    again.valid_until = None;
                    enter!(tx, &again, None::<i64>);
                    Wished::Done
                }
                Some(_) if held => Wished::Noted,
                Some(State::Ready) => {
                    let leases: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lease WHERE task = ? AND cluster = ?").bind(&id).bind(cluster)
                        .fetch_one(&mut *tx).await?;
                    Wished::Stands(if leases > 0 { State::Running } else { State::Ready })
                }
                Some(state) => Wished::Stands(state),
            };
            tx.commit().await?;
            Ok(wished)
        })
    }

    /// Gives a task back to `ready`, or to `later` until `due`; `spent` counts the attempt. A pause that was asked for holds it
    /// there instead. False: the lease was gone, a step is started that must not happen twice, or somebody cancelled the task,
    /// which is then for the caller to end.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn requeue(&self, lease: &Lease, spent: bool, due: Option<i64>) -> Result<bool, Error> {
        let ((begin, lock, _), outbox) = (self.begin(), self.outbox());
        let task = &lease.task;
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let sql = format!("SELECT wish FROM lease WHERE lease_id = ?{lock}");
            let wish: Option<i16> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(lease.id.to_vec()).fetch_optional(&mut *tx).await?;
            let Some(wish) = wish.map(Wish::of).filter(|wish| *wish != Wish::Cancel) else { return Ok(false) };
            // Whoever gives it back looked at its steps before, and under the lease another may have started since.
            let in_doubt: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM step WHERE task = ? AND cluster = ? AND state = 1 AND effect NOT IN (1, 2, 3)")
                .bind(task.id.to_vec()).bind(task.cluster).fetch_one(&mut *tx).await?;
            if in_doubt > 0 {
                return Ok(false);
            }
            release!(tx, lease.id);
            let state = if wish == Wish::Pause { State::Paused } else { State::Ready };
            let steps: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM step WHERE task = ? AND cluster = ?")
                .bind(task.id.to_vec()).bind(task.cluster).fetch_one(&mut *tx).await?;
            let mut again = crate::model::task::Task::clone(task);
            // Validity concerns the first start only.
            again.valid_until = again.valid_until.filter(|_| !spent && steps == 0);
            sqlx::query("UPDATE task SET attempt = attempt + ?, state = ?, valid_until = ?, reason = NULL WHERE id = ? AND cluster = ?")
                .bind(i32::from(spent)).bind(state as i16).bind(again.valid_until).bind(task.id.to_vec()).bind(task.cluster)
                .execute(&mut *tx).await?;
            if state == State::Ready {
                enter!(tx, &again, due);
            }
            tell!(tx, outbox, Subject::of_lease(lease), |told| vec![Told::registered(last_step(told))]);
            tx.commit().await?;
            self.told(std::iter::once(task.channel.as_deref()));
            Ok(true)
        })
    }

    /// Cancels all tasks of a cluster that nobody holds, and marks those that an agent holds; how many ended. What is in doubt
    /// stays so.
    ///
    /// # Errors
    /// [`Error`] of the engine; what has ended stays so.
    pub async fn cancel_cluster(&self, cluster: i64, ending: Ending<'_>) -> Result<u64, Error> {
        let ((begin, lock, _), outbox) = (self.begin(), self.outbox());
        let paused_sql = format!("SELECT id FROM task WHERE cluster = ? AND state = 128 LIMIT ?{lock}");
        let mut ended = 0;
        loop {
            let gone = both!(&self.db, pool => {
                let mut tx = pool.begin_with(begin).await?;
                for sql in [
                    "UPDATE lease SET wish = 2 WHERE cluster = ? AND NOT EXISTS (SELECT 1 FROM task t WHERE t.id = lease.task AND t.cluster = lease.cluster AND t.state = 64)",
                    "UPDATE task SET cancel_requested = 1 WHERE cluster = ? AND EXISTS (SELECT 1 FROM lease l WHERE l.task = task.id AND l.cluster = task.cluster AND l.wish = 2)",
                ] {
                    sqlx::query(sql).bind(cluster).execute(&mut *tx).await?;
                }
                let mut rows: Vec<(Vec<u8>, i64)> = sqlx::query_as("SELECT id, `rank` FROM ready WHERE cluster = ? ORDER BY `rank`, id LIMIT ?")
                    .bind(cluster).bind(ROUND).fetch_all(&mut *tx).await?;
                rows.extend(sqlx::query_as::<_, (Vec<u8>, i64)>("SELECT id, `rank` FROM later WHERE cluster = ? LIMIT ?")
                    .bind(cluster).bind(ROUND).fetch_all(&mut *tx).await?);
                let mut gone = 0;
                let channels = channels!(tx, rows.iter().map(|(id, _)| id.clone()));
                for (id, rank) in &rows {
                    if withdraw!(tx, id, cluster, *rank) {
                        archive!(self, tx, outbox, ending, subject_of(id, cluster, &channels));
                        gone += 1;
                    }
                }
                let paused: Vec<Vec<u8>> = sqlx::query_scalar(sqlx::AssertSqlSafe(paused_sql.as_str()))
                    .bind(cluster).bind(ROUND).fetch_all(&mut *tx).await?;
                let others = channels!(tx, paused.iter().cloned());
                for id in &paused {
                    archive!(self, tx, outbox, ending, subject_of(id, cluster, &others));
                    gone += 1;
                }
                tx.commit().await?;
                self.told(channels.values().chain(others.values()).map(|(_, channel)| Some(channel.as_str())));
                Ok(gone)
            })?;
            ended += gone;
            if gone == 0 {
                return Ok(ended);
            }
        }
    }
}
