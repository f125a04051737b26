//! Leases: who may report on which task, and what is in doubt.

use std::sync::Arc;

use sqlx::Row as _;

use super::{Error, Store, both, push_list, task_of};
use crate::model::{
    ids::Id,
    state::State,
    task::{Lease, Task},
};

const LEASES: &str = "SELECT l.lease_id, l.journal, l.created AS leased, l.epoch, t.id, t.cluster, t.uuid, t.snapshot, t.name, t.summary, t.inputs, \
     t.channel, t.priority, t.attempt, t.state, t.created FROM lease l JOIN task t ON t.id = l.task AND t.cluster = l.cluster";

/// Leases that a condition over one or two values meets, each with where its task stands.
macro_rules! leases {
    ($self:expr, $condition:literal, $($value:expr),*) => {{
        both!(&$self.db, pool => {
            let mut leases = Vec::new();
            let sql = format!("{LEASES} {}", $condition);
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)) $(.bind($value))* .fetch_all(pool).await?;
            for row in &rows {
                let Some(snapshot) = $self.snapshot(&row.try_get::<Vec<u8>, _>("snapshot")?).await? else { continue };
                let task = Arc::new(task_of!(row, row.try_get("cluster")?, snapshot));
                let lease = Lease {
                    id: row.try_get::<Vec<u8>, _>("lease_id")?.try_into().unwrap_or_default(),
                    journal: row.try_get::<Vec<u8>, _>("journal")?.try_into().unwrap_or_default(),
                    created: row.try_get("leased")?,
                    task,
                };
                // Whether an offer was taken is not stored: the careful reading is that it was.
                let in_doubt = row.try_get::<i16, _>("state")? == State::Unknown as i16;
                leases.push((Arc::new(lease), if in_doubt { State::Unknown } else { State::Running }));
            }
            Ok(leases)
        })
    }};
}

impl Store {
    /// The leases of an agent in a cluster, and whether their tasks run or are in doubt. Another cluster's are never given,
    /// whatever journal an agent names.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leases_of(&self, cluster: i64, journal: Id) -> Result<Vec<(Arc<Lease>, State)>, Error> {
        leases!(self, "WHERE l.journal = ? AND l.cluster = ?", journal.to_vec(), cluster)
    }

    /// The leases of every cluster whose holder was last known to be connected before a time, microseconds since 1970; as
    /// [`Store::leases_of`].
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leases_unseen_since(&self, before_us: i64) -> Result<Vec<(Arc<Lease>, State)>, Error> {
        leases!(self, "WHERE l.seen < ?", before_us)
    }

    /// The lease of a task in doubt, under which its agent may still settle it.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lease_in_doubt(&self, cluster: i64, lease: Id) -> Result<Option<Arc<Lease>>, Error> {
        let found: Result<Vec<(Arc<Lease>, State)>, Error> =
            leases!(self, "WHERE l.lease_id = ? AND l.cluster = ? AND t.state = 64", lease.to_vec(), cluster);
        Ok(found?.pop().map(|(lease, _)| lease))
    }

    /// Notes that the holders of these leases are connected.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn extend_leases(&self, leases: &[Id], now_us: i64) -> Result<(), Error> {
        for chunk in leases.chunks(256) {
            both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("UPDATE lease SET seen = ");
                query.push_bind(now_us).push(" WHERE lease_id IN (");
                push_list!(query, chunk.iter());
                query.build().execute(pool).await?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// When a lease's holder was last known to be connected, microseconds since 1970; none when the lease has ended.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lease_seen(&self, lease: Id) -> Result<Option<i64>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT seen FROM lease WHERE lease_id = ?").bind(lease.to_vec()).fetch_optional(pool).await?))
    }

    /// An effect is in doubt: the task keeps its lease id, under which a true report may settle it. False: the lease was
    /// not valid, and nothing has changed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn mark_unknown(&self, lease: &Lease, reason: &str) -> Result<bool, Error> {
        let reason = super::cut(reason);
        both!(&self.db, pool => {
            let met = sqlx::query("UPDATE task SET state = 64, reason = ? WHERE id = ? AND cluster = ? AND EXISTS (SELECT 1 FROM lease WHERE lease_id = ?)")
                .bind(reason).bind(lease.task.id.to_vec()).bind(lease.task.cluster).bind(lease.id.to_vec())
                .execute(pool).await?.rows_affected();
            Ok(met > 0)
        })
    }
}
