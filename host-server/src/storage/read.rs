//! Reads of tasks, live and final.

use super::{Error, Store, both};
use crate::model::task::View;

// Every task has a cluster. LEFT JOIN all the same: MariaDB begins an inner join of a page of all clusters' tasks at `cluster`, and
// sorts every task that is stored.
pub(super) const LIVE: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     CASE WHEN t.state <> 0 THEN t.state WHEN l.created IS NULL THEN 0 ELSE 2 END AS state, t.cancel_requested, t.labels, t.created_by, t.created, t.started, l.created AS leased, NULL AS ended, NULL AS timeline, NULL AS result, t.reason AS error, t.request_id \
     FROM task t LEFT JOIN cluster c ON c.id = t.cluster LEFT JOIN lease l ON l.task = t.id AND l.cluster = t.cluster";
pub(super) const FINAL: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     t.state, 0 AS cancel_requested, t.labels, t.created_by, t.created, t.started, NULL AS leased, t.ended, t.timeline, t.result, t.error, t.request_id FROM history t LEFT JOIN cluster c ON c.id = t.cluster";

impl Store {
    /// One task, live or final, by the server's id and its cluster's row: in one statement, so that one which ends meanwhile is found.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn task(&self, cluster: i64, id: &[u8]) -> Result<Option<View>, Error> {
        let which = "WHERE t.id = ? AND t.cluster = ?";
        let sql = format!("{LIVE} {which} UNION ALL {FINAL} {which}");
        let found: Result<Option<View>, Error> = both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id.to_vec()).bind(cluster).bind(id.to_vec()).bind(cluster).fetch_optional(pool).await?));
        found?.map(|view| self.open_view(view)).transpose()
    }
}
