//! Reads of tasks, live and final.

use std::time::Duration;

use super::{Db, Error, Store, both};
use crate::model::{list::TaskListing, state::State, task::View};

// Every task has a cluster. LEFT JOIN all the same: MariaDB begins an inner join of a page of all clusters' tasks at `cluster`, and
// sorts every task that is stored.
pub(super) const LIVE: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     CASE WHEN t.state <> 0 THEN t.state WHEN l.created IS NULL THEN 0 ELSE 2 END AS state, t.cancel_requested, t.labels, t.created, t.started, l.created AS leased, NULL AS ended, NULL AS timeline, NULL AS result, t.reason AS error, t.request_id \
     FROM task t LEFT JOIN cluster c ON c.id = t.cluster LEFT JOIN lease l ON l.task = t.id AND l.cluster = t.cluster";
pub(super) const FINAL: &str = "SELECT t.id, t.cluster, c.uuid AS cluster_uuid, t.uuid, t.snapshot, t.name, t.summary, t.inputs, t.channel, t.priority, t.attempt, \
     t.state, 0 AS cancel_requested, t.labels, t.created, t.started, NULL AS leased, t.ended, t.timeline, t.result, t.error, t.request_id FROM history t LEFT JOIN cluster c ON c.id = t.cluster";

/// How long a list may take.
const LIST_TIME: Duration = Duration::from_secs(2);
/// MariaDB ends the statement itself, [`LIST_TIME`] too.
const LIST_TIME_SQL: &str = "SET STATEMENT max_statement_time = 2 FOR ";
/// MariaDB's number for a statement that ran out of that time.
const STATEMENT_TIMEOUT: u16 = 1969;
/// An id begins with the millisecond of its creation. It is made just before `created` is read, on the same machine.
const ID_SLACK_MS: i64 = 1_000;

/// One task, live or final: in one statement, so that one which ends meanwhile is found.
macro_rules! one_task {
    ($self:expr, $cluster:literal, $id:expr, $value:expr) => {{
        let sql = format!("{LIVE} WHERE t.id = ? AND {0} UNION ALL {FINAL} WHERE t.id = ? AND {0}", $cluster);
        both!(&$self.db, pool => Ok(sqlx::query_as::<_, View>(sqlx::AssertSqlSafe(sql))
            .bind($id.to_vec()).bind($value).bind($id.to_vec()).bind($value).fetch_optional(pool).await?))
    }};
}

/// The conditions of a list, after either select.
macro_rules! conditions {
    ($query:expr, $listing:expr, $is_live:expr) => {{
        $query.push(" WHERE 1 = 1");
        if let Some(cluster) = $listing.cluster {
            $query.push(" AND t.cluster = ").push_bind(cluster);
        }
        if let Some(state) = $listing.state {
            match (State::of(state), $is_live) {
                (State::Ready, true) => $query.push(" AND t.state = 0 AND l.created IS NULL"),
                (State::Running, true) => $query.push(" AND t.state = 0 AND l.created IS NOT NULL"),
                _ => $query.push(" AND t.state = ").push_bind(state),
            };
        }
        if let Some(uuid) = &$listing.uuid {
            $query.push(" AND t.uuid = ").push_bind(uuid.clone());
        }
        if let Some(name) = &$listing.name {
            $query.push(" AND LOWER(t.name) = LOWER(").push_bind(name.clone()).push(")");
        }
        if let Some(template) = &$listing.template_uuid {
            $query
                .push(" AND t.snapshot IN (SELECT id FROM snapshot WHERE LOWER(template_uuid) = LOWER(")
                .push_bind(template.clone())
                .push("))");
        }
        // The bounds on `id` are what an index serves; those on `created` are exact.
        if let Some(after) = $listing.created_after {
            $query
                .push(" AND t.created > ")
                .push_bind(after)
                .push(" AND t.id >= ")
                .push_bind(first_id(after / 1_000 - ID_SLACK_MS));
        }
        if let Some(before) = $listing.created_before {
            $query
                .push(" AND t.created < ")
                .push_bind(before)
                .push(" AND t.id < ")
                .push_bind(first_id(before / 1_000 + ID_SLACK_MS));
        }
        let (beyond, order) = if $listing.oldest_first { (">", "") } else { ("<", " DESC") };
        if let Some((id, cluster)) = &$listing.after {
            // The first condition alone is what the index serves.
            $query.push(format!(" AND t.id {beyond}= ")).push_bind(id.clone());
            $query.push(format!(" AND (t.id {beyond} ")).push_bind(id.clone());
            $query.push(format!(" OR t.cluster {beyond} ")).push_bind(*cluster).push(")");
        }
        $query.push(" ORDER BY t.id").push(order).push(", t.cluster").push(order);
        $query.push(" LIMIT ").push_bind($listing.limit);
    }};
}

impl Store {
    /// One task by the server's id and its cluster's row.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn task(&self, cluster: i64, id: &[u8]) -> Result<Option<View>, Error> {
        one_task!(self, "t.cluster = ?", id, cluster)
    }

    /// One task by the server's id and its cluster's uuid; a deleted cluster's too.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn task_of(&self, cluster_uuid: &str, id: &[u8]) -> Result<Option<View>, Error> {
        one_task!(self, "c.uuid = ?", id, cluster_uuid)
    }

    /// A page of tasks, live and final together.
    ///
    /// # Errors
    /// [`Error::TooSlow`] when the filters meet too many rows, [`Error`] of the engine.
    pub async fn tasks(&self, listing: &TaskListing) -> Result<Vec<View>, Error> {
        let read = async {
            // Final rows last: a task that finishes in between is in both, never in neither.
            let mut all = self.some_tasks(true, listing).await?;
            all.extend(self.some_tasks(false, listing).await?);
            Ok(all)
        };
        let all = tokio::time::timeout(2 * LIST_TIME, read).await.unwrap_or(Err(Error::TooSlow))?;
        Ok(merge(all, listing))
    }

    async fn some_tasks(&self, is_live: bool, listing: &TaskListing) -> Result<Vec<View>, Error> {
        let select = if is_live { LIVE } else { FINAL };
        let elsewhere = listing.state.map(State::of).is_some_and(|state| state.is_final() == is_live);
        if elsewhere {
            return Ok(vec![]);
        }
        match &self.db {
            Db::Maria(link) => {
                let mut query = sqlx::QueryBuilder::new(LIST_TIME_SQL);
                query.push(select);
                conditions!(query, listing, is_live);
                let pool = &link.pool();
                let read = async { Ok(query.build_query_as().fetch_all(pool).await?) };
                link.held(pool, read)
                    .await
                    .map_err(|error| if error.number() == Some(STATEMENT_TIMEOUT) { Error::TooSlow } else { error })
            }
            Db::Sqlite(pool) => {
                let mut query = sqlx::QueryBuilder::new(select);
                conditions!(query, listing, is_live);
                Ok(query.build_query_as().fetch_all(pool).await?)
            }
        }
    }
}

/// The smallest id of a millisecond.
pub(super) fn first_id(ms: i64) -> Vec<u8> {
    let millisecond = ms.clamp(0, (1 << 48) - 1).to_be_bytes();
    millisecond.into_iter().skip(2).chain([0; 10]).collect()
}

/// Live and final rows in one order, each task once, a page at most.
fn merge(mut all: Vec<View>, listing: &TaskListing) -> Vec<View> {
    let key = |view: &View| (view.id.clone(), view.cluster);
    // Where a task is twice, its final row comes first and is the one that stays.
    all.sort_by_cached_key(|view| (key(view), view.ended.is_none()));
    all.dedup_by(|later, earlier| key(later) == key(earlier));
    if !listing.oldest_first {
        all.reverse();
    }
    all.truncate(usize::try_from(listing.limit).unwrap_or_default());
    all
}
