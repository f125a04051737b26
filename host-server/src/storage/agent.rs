//! Agents: where each is connected, and for how long of the servers' healthy time nothing was heard of it.
//!
//! A row is written when a stream begins and when it ends, never with a heartbeat: an idle agent costs nothing.

use super::{Error, Store, both};
use crate::model::ids::Id;

/// Where an agent is, or was last, connected.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
#[allow(missing_docs, reason = "columns; times in microseconds")]
pub struct AgentRow {
    pub cluster: i64,
    pub journal: Vec<u8>,
    pub session: String,
    pub replica: Vec<u8>,
    pub detached: Option<i64>,
    pub silent_us: i64,
}

const COLUMNS: &str = "cluster, journal, session, replica, detached, silent_us";
/// Silence is not counted beyond this, microseconds.
const LONGEST_US: i64 = 7 * 24 * 3_600 * 1_000_000;

impl Store {
    /// Where an agent is connected.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agent(&self, cluster: i64, journal: Id) -> Result<Option<AgentRow>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM agent WHERE cluster = ? AND journal = ?");
        both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(cluster).bind(journal.to_vec()).fetch_optional(pool).await?))
    }

    /// An agent's stream begins on a replica.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agent_attached(
        &self,
        cluster: i64,
        journal: Id,
        session: &str,
        replica: Id,
        now_us: i64,
    ) -> Result<(), Error> {
        let sql = "REPLACE INTO agent (cluster, journal, session, replica, attached, detached, silent_us) VALUES (?, ?, ?, ?, ?, NULL, 0)";
        both!(&self.db, pool => {
            sqlx::query(sql).bind(cluster).bind(journal.to_vec()).bind(session).bind(replica.to_vec()).bind(now_us).execute(pool).await?;
            Ok(())
        })
    }

    /// The stream of a session has ended; a later stream of the same agent is not touched.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agent_detached(&self, cluster: i64, journal: Id, session: &str, now_us: i64) -> Result<(), Error> {
        let sql =
            "UPDATE agent SET detached = ? WHERE cluster = ? AND journal = ? AND session = ? AND detached IS NULL";
        both!(&self.db, pool => {
            sqlx::query(sql).bind(now_us).bind(cluster).bind(journal.to_vec()).bind(session).execute(pool).await?;
            Ok(())
        })
    }

    /// Counts healthy time for agents that are not connected, or whose replica says nothing. `alive`: the replicas that do.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agents_silent(&self, alive: &[Id], passed_us: i64) -> Result<(), Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new("UPDATE agent SET silent_us = silent_us + ");
            query.push_bind(passed_us).push(" WHERE silent_us < ").push_bind(LONGEST_US).push(" AND (detached IS NOT NULL");
            if !alive.is_empty() {
                query.push(" OR replica NOT IN (");
                let mut list = query.separated(", ");
                for replica in alive {
                    list.push_bind(replica.to_vec());
                }
                query.push(")");
            }
            query.push(")");
            query.build().execute(pool).await?;
            let mut query = sqlx::QueryBuilder::new("UPDATE agent SET silent_us = 0 WHERE silent_us > 0 AND detached IS NULL AND replica IN (");
            let mut list = query.separated(", ");
            // No replica has this id.
            for replica in alive.iter().chain([&Id::default()]) {
                list.push_bind(replica.to_vec());
            }
            query.push(")");
            query.build().execute(pool).await?;
            Ok(())
        })
    }

    /// Agents that hold leases and have no row count as gone from now on; how many. A fail-over may have lost their rows.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agents_unknown(&self, now_us: i64) -> Result<u64, Error> {
        let sql = "INSERT INTO agent (cluster, journal, session, replica, attached, detached, silent_us) \
             SELECT DISTINCT l.cluster, l.journal, '', l.journal, ?, ?, 0 FROM lease l LEFT JOIN agent a \
             ON a.cluster = l.cluster AND a.journal = l.journal WHERE l.kind = 0 AND a.journal IS NULL";
        both!(&self.db, pool => Ok(sqlx::query(sql).bind(now_us).bind(now_us).execute(pool).await?.rows_affected()))
    }

    /// Agents that were silent for so long and hold leases.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn agents_suspect(&self, silent_us: i64) -> Result<Vec<AgentRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM agent WHERE silent_us >= ? AND EXISTS (SELECT 1 FROM lease WHERE lease.journal = agent.journal AND lease.cluster = agent.cluster)"
        );
        both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(silent_us).fetch_all(pool).await?))
    }

    /// Whether an agent of a cluster is connected anywhere.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn is_cluster_connected(&self, cluster: i64) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM agent WHERE cluster = ? AND detached IS NULL AND silent_us = 0";
        both!(&self.db, pool => {
            let count: i64 = sqlx::query_scalar(sql).bind(cluster).fetch_one(pool).await?;
            Ok(count > 0)
        })
    }

    /// Forgets agents that have been silent for so long and hold nothing, and what they served.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn purge_agents(&self, silent_us: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM agent WHERE silent_us >= ? AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.journal = agent.journal AND lease.cluster = agent.cluster)";
        let inventories = "DELETE FROM inventory WHERE NOT EXISTS (SELECT 1 FROM agent WHERE agent.journal = inventory.journal AND agent.cluster = inventory.cluster)";
        both!(&self.db, pool => {
            let purged = sqlx::query(sql).bind(silent_us).execute(pool).await?.rows_affected();
            sqlx::query(inventories).execute(pool).await?;
            Ok(purged)
        })
    }
}
