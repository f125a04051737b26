//! Reads of tasks, live and final.

use super::{Error, Store, both};
use crate::model::task::View;

const LIVE: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     CASE WHEN t.state = 64 THEN 64 WHEN l.created IS NULL THEN 0 ELSE 2 END AS state, t.created, l.created AS leased, NULL AS ended, NULL AS timeline, NULL AS result, t.reason AS error \
     FROM task t JOIN cluster c ON c.id = t.cluster LEFT JOIN lease l ON l.task = t.id AND l.cluster = t.cluster";
const FINAL: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     t.state, t.created, NULL AS leased, t.ended, t.timeline, t.result, t.error FROM history t JOIN cluster c ON c.id = t.cluster";

/// Which tasks a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this cluster's row.
    pub cluster: Option<i64>,
    /// Older than this id, hexadecimal.
    pub before: Option<Vec<u8>>,
    /// At most.
    pub limit: i64,
}

impl Store {
    /// One task by the server's id.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn task(&self, cluster: i64, id: &[u8]) -> Result<Option<View>, Error> {
        for select in [LIVE, FINAL] {
            let sql = format!("{select} WHERE t.id = ? AND t.cluster = ?");
            let found: Option<View> = both!(&self.db, pool => sqlx::query_as::<_, View>(sqlx::AssertSqlSafe(sql))
                .bind(id.to_vec()).bind(cluster).fetch_optional(pool).await?);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The newest tasks first, live and final together.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn tasks(&self, filter: &Filter) -> Result<Vec<View>, Error> {
        let mut all = Vec::new();
        for select in [LIVE, FINAL] {
            let rows: Vec<View> = both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new(select);
                query.push(" WHERE 1 = 1");
                if let Some(cluster) = filter.cluster {
                    query.push(" AND t.cluster = ").push_bind(cluster);
                }
                if let Some(before) = &filter.before {
                    query.push(" AND t.id < ").push_bind(before.clone());
                }
                query.push(" ORDER BY t.id DESC LIMIT ").push_bind(filter.limit);
                query.build_query_as().fetch_all(pool).await?
            });
            all.extend(rows);
        }
        all.sort_by(|a, b| (&b.id, b.cluster).cmp(&(&a.id, a.cluster)));
        // A task that finished between the two reads is in both; its final row is the later one.
        all.reverse();
        all.dedup_by(|a, b| a.id == b.id && a.cluster == b.cluster);
        all.reverse();
        all.truncate(usize::try_from(filter.limit).unwrap_or_default());
        Ok(all)
    }
}
