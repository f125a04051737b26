//! Leases: who may report on which task, and what is in doubt.

use std::sync::Arc;

use sqlx::Row as _;

use super::{
    Error, Store, both,
    outbox::{Subject, tell},
    sealed::ERROR,
    task::LIVE_COLUMNS,
    task_of,
};
use crate::model::{
    ids::Id,
    state::State,
    task::{Kind, Lease, Task, Wish},
    told::{Told, last_step},
};

/// A lease with its task, where the task stands and what somebody asked of its holder.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The lease.
    pub lease: Arc<Lease>,
    /// Running, or unknown: whether an offer was taken is not stored, and the careful reading is that it was.
    pub state: State,
    /// See [`Wish`].
    pub wish: Wish,
}

fn leases_sql(condition: &str) -> String {
    format!(
        "SELECT l.lease_id, l.journal, l.created AS leased, l.kind, l.wish, {LIVE_COLUMNS} FROM lease l JOIN task t ON t.id = l.task AND t.cluster = l.cluster {condition}"
    )
}

/// Leases that a condition over one or two values meets, each with where its task stands.
macro_rules! leases {
    ($self:expr, $condition:literal, $($value:expr),*) => {{
        both!(&$self.db, pool => {
            let mut leases = Vec::new();
            let rows = sqlx::query(sqlx::AssertSqlSafe(leases_sql($condition))) $(.bind($value))* .fetch_all(pool).await?;
            for row in &rows {
                let Some(snapshot) = $self.snapshot(&row.try_get::<Vec<u8>, _>("snapshot")?).await? else { continue };
                let task = match $self.open_task(task_of!(row, row.try_get("cluster")?, snapshot)) {
                    Ok(task) => Arc::new(task),
                    // Another server has the key already: an agent that is told `gone` would drop what it runs.
                    Err(error) if error.lacks_key() => return Err(error),
                    // It was logged. What nobody can read, nobody can run.
                    Err(_) => continue,
                };
                let lease = Lease {
                    id: row.try_get::<Vec<u8>, _>("lease_id")?.try_into().unwrap_or_default(),
                    journal: row.try_get::<Vec<u8>, _>("journal")?.try_into().unwrap_or_default(),
                    created: row.try_get("leased")?,
                    kind: Kind::of(row.try_get("kind")?),
                    task,
                };
                let in_doubt = row.try_get::<i16, _>("state")? == State::Unknown as i16;
                let state = if in_doubt { State::Unknown } else { State::Running };
                leases.push(Leased { lease: Arc::new(lease), state, wish: Wish::of(row.try_get("wish")?) });
            }
            Ok(leases)
        })
    }};
}

impl Store {
    /// The leases of an agent in a cluster. Another cluster's are never given, whatever journal an agent names.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leases_of(&self, cluster: i64, journal: Id) -> Result<Vec<Leased>, Error> {
        leases!(self, "WHERE l.journal = ? AND l.cluster = ?", journal.to_vec(), cluster)
    }

    /// Cluster and id of the leases whose agents have a stream on a replica, but for those of tasks in doubt, which nobody runs.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leases_at(&self, replica: Id) -> Result<Vec<(i64, Id)>, Error> {
        let sql = "SELECT l.cluster, l.lease_id FROM agent a JOIN lease l ON l.journal = a.journal AND l.cluster = a.cluster \
             JOIN task t ON t.id = l.task AND t.cluster = l.cluster \
             WHERE a.replica = ? AND a.detached IS NULL AND l.kind = 0 AND t.state <> 64";
        both!(&self.db, pool => {
            let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(sql).bind(replica.to_vec()).fetch_all(pool).await?;
            Ok(rows.into_iter().map(|(cluster, lease)| (cluster, lease.try_into().unwrap_or_default())).collect())
        })
    }

    /// The lease of a task, if it has one.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lease_of(&self, cluster: i64, task: Id) -> Result<Option<Leased>, Error> {
        let found: Result<Vec<Leased>, Error> =
            leases!(self, "WHERE l.task = ? AND l.cluster = ?", task.to_vec(), cluster);
        Ok(found?.pop())
    }

    /// A lease by its id, in a cluster.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lease(&self, cluster: i64, lease: Id) -> Result<Option<Leased>, Error> {
        let found: Result<Vec<Leased>, Error> =
            leases!(self, "WHERE l.lease_id = ? AND l.cluster = ?", lease.to_vec(), cluster);
        Ok(found?.pop())
    }

    /// Leases of agents of the first version whose time is over.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leases_past(&self, now_us: i64) -> Result<Vec<Leased>, Error> {
        leases!(self, "WHERE l.kind = 1 AND t.state <> 64 AND l.deadline < ?", now_us)
    }

    /// An effect is in doubt: the task keeps its lease id, under which a true report may settle it. False: the lease was
    /// not valid, and nothing has changed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn mark_unknown(&self, lease: &Lease, reason: &str) -> Result<bool, Error> {
        let ((begin, ..), outbox) = (self.begin(), self.outbox());
        let reason = self.seal_of_task(ERROR, &lease.task.id, lease.task.cluster, super::cut(reason))?;
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            let met = sqlx::query("UPDATE task SET state = 64, reason = ? WHERE id = ? AND cluster = ? AND EXISTS (SELECT 1 FROM lease WHERE lease_id = ?)")
                .bind(reason).bind(lease.task.id.to_vec()).bind(lease.task.cluster).bind(lease.id.to_vec())
                .execute(&mut *tx).await?.rows_affected();
            if met > 0 {
                // A report that is repeated changes nothing, and tells nothing.
                tell!(tx, outbox, Subject::of_lease(lease), |told| {
                    let is_told = told.last().is_some_and(|row| row.status == State::Unknown as i16);
                    if is_told { vec![] } else { vec![Told::stands(State::Unknown, last_step(told), None)] }
                });
            }
            tx.commit().await?;
            self.told(std::iter::once(lease.task.channel.as_deref()));
            Ok(met > 0)
        })
    }
}
