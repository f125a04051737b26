//! Ends tasks that nobody has begun: the arrow from ready to cancelled.

use super::{Db, Error, Store, both};
use crate::model::state::State;

/// The tasks of a cluster that nobody holds.
const WAITING: &str = "WHERE cluster = ? AND state = 0 AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.task = task.id AND lease.cluster = task.cluster)";

impl Store {
    /// Moves a cluster's waiting tasks to the history as cancelled, with `reason`; how many. Those that an agent holds are left
    /// alone, and what is claimed at the same time counts as held.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing has changed then.
    pub async fn cancel_waiting(&self, cluster: i64, reason: &str, now_us: i64) -> Result<u64, Error> {
        let begin = match &self.db {
            Db::Maria(_) => "BEGIN",
            Db::Sqlite(_) => "BEGIN IMMEDIATE",
        };
        let archive = format!(
            "INSERT INTO history (id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, state, attempt, labels, created_by, created, ended, timeline, result, error) \
             SELECT id, cluster, uuid, snapshot, name, summary, inputs, channel, priority, {}, attempt, labels, created_by, created, ?, '{{\"steps\":[]}}', NULL, ? FROM task {WAITING}",
            State::Cancelled as i16
        );
        both!(&self.db, pool => {
            let mut tx = pool.begin_with(begin).await?;
            // A claimer locks what it takes here: from now on each task is either held or ours.
            sqlx::query("DELETE FROM ready WHERE cluster = ?").bind(cluster).execute(&mut *tx).await?;
            sqlx::query(sqlx::AssertSqlSafe(archive)).bind(now_us).bind(super::cut(reason)).bind(cluster).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM step WHERE cluster = ? AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.task = step.task AND lease.cluster = step.cluster)")
                .bind(cluster).execute(&mut *tx).await?;
            let gone = sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM task {WAITING}"))).bind(cluster).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(gone.rows_affected())
        })
    }
}
