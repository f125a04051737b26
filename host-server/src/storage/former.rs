//! Agents of the first version: what they may be given, the leases that they hold, and their sessions.

use std::sync::Arc;

use sqlx::Row as _;

use super::{
    Error, Store, both,
    lease::{LEASES, leases},
    push_list, task_of,
};
use crate::model::{
    ids::Id,
    nouns::Session,
    state::State,
    task::{Lease, Task},
};

/// Narrows a selection from `ready` to tasks that an agent of the first version may run. It runs a flow from its beginning, so
/// none of whose steps anything is known.
macro_rules! push_former {
    ($query:expr, $except:expr) => {{
        $query.push(" AND NOT EXISTS (SELECT 1 FROM step WHERE step.task = ready.id AND step.cluster = ready.cluster)");
        if !$except.is_empty() {
            $query.push(" AND id NOT IN (");
            push_list!($query, $except.iter());
        }
    }};
}

/// Lets leases end with their run's time.
macro_rules! mark_former {
    ($tx:expr, $leases:expr) => {{
        let mut query = sqlx::QueryBuilder::new(
            "UPDATE lease SET kind = 1, deadline = created + 1000 * (SELECT run_timeout_ms FROM task WHERE task.id = lease.task AND task.cluster = lease.cluster) WHERE lease_id IN (",
        );
        push_list!(query, $leases.iter().map(|lease| lease.id));
        query.build().execute(&mut *$tx).await?;
    }};
}
pub(super) use {mark_former, push_former};

impl Store {
    /// What the first `limit` tasks run that an agent of the first version may take from a cluster, in their order: a hint
    /// for a claim. `snapshots`: what it can run; `except`: tasks that it holds.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn next_for_former(
        &self,
        cluster: i64,
        snapshots: impl IntoIterator<Item = &Id>,
        except: &[Id],
        limit: usize,
    ) -> Result<Vec<Id>, Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new("SELECT need FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND need IN (");
            push_list!(query, snapshots);
            push_former!(query, except);
            query.push(" ORDER BY `rank`, id LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
            let rows = query.build().fetch_all(pool).await?;
            rows.iter().map(|row| Ok(row.try_get::<Vec<u8>, _>(0)?.try_into().unwrap_or_default())).collect()
        })
    }

    /// The lease under which an agent of the first version in this cluster runs a task, and whether the task is in doubt.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn former_lease(&self, cluster: i64, task: &[u8]) -> Result<Option<(Arc<Lease>, State)>, Error> {
        let found: Result<Vec<(Arc<Lease>, State)>, Error> =
            leases!(self, "WHERE l.task = ? AND l.cluster = ? AND l.kind = 1", task.to_vec(), cluster);
        Ok(found?.pop())
    }

    /// Leases of agents of the first version whose run's time was over before `now_us`, and whose tasks are not in doubt yet.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn overdue_leases(&self, now_us: i64) -> Result<Vec<(Arc<Lease>, State)>, Error> {
        leases!(self, "WHERE l.kind = 1 AND l.deadline < ? AND t.state <> 64", now_us)
    }

    /// When the last of a journal's leases ends, microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn last_deadline(&self, journal: Id) -> Result<Option<i64>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT MAX(deadline) FROM lease WHERE journal = ? AND kind = 1")
            .bind(journal.to_vec()).fetch_one(pool).await?))
    }

    /// Stores the session of an agent of the first version; `library` is its library's version.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn insert_former_session(&self, session: &Session, library: &str) -> Result<(), Error> {
        both!(&self.db, pool => {
            sqlx::query("INSERT INTO session (uuid, cluster_uuid, token_uuid, agent_version, library_version, issued_at, expires_at, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(&session.uuid).bind(&session.cluster_uuid).bind(&session.token_uuid).bind(&session.agent_version).bind(library)
                .bind(session.issued_at).bind(session.expires_at).bind(session.created).bind(session.updated)
                .execute(pool).await?;
        });
        Ok(())
    }

    /// Lets sessions live at least until a time, microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn prolong_sessions(&self, uuids: &[String], until_us: i64, now_us: i64) -> Result<(), Error> {
        for chunk in uuids.chunks(256) {
            both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("UPDATE session SET updated = ");
                query.push_bind(now_us).push(", expires_at = CASE WHEN expires_at < ").push_bind(until_us);
                query.push(" THEN ").push_bind(until_us).push(" ELSE expires_at END WHERE uuid IN (");
                let mut list = query.separated(", ");
                for uuid in chunk {
                    list.push_bind(uuid.clone());
                }
                query.push(")");
                query.build().execute(pool).await?;
            });
        }
        Ok(())
    }

    /// The versions of an agent of the first version, and of its library, whose session in the cluster lives.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn former_versions(&self, cluster_uuid: &str, now_us: i64) -> Result<Option<(String, String)>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_as("SELECT agent_version, library_version FROM session WHERE cluster_uuid = ? AND expires_at > ? AND deleted IS NULL AND library_version IS NOT NULL ORDER BY id DESC LIMIT 1")
            .bind(cluster_uuid).bind(now_us).fetch_optional(pool).await?))
    }
}
