//! What operators watch: which clusters' tasks wait and since when, and whether connections are free.

use super::{Error, Store, both};

/// A cluster whose tasks wait.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WaitingLine {
    /// The cluster's uuid.
    pub cluster: String,
    /// When the task was created that is next, milliseconds since 1970.
    #[sqlx(skip)]
    pub created_ms: i64,
    /// Its id, which begins with that time.
    id: Vec<u8>,
    /// Agents that are connected anywhere.
    pub agents: i64,
}

impl Store {
    /// The clusters whose tasks wait, but for those that are paused. The first of each line is found by its key: what it costs
    /// grows with the clusters, not with the tasks.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn waiting_lines(&self) -> Result<Vec<WaitingLine>, Error> {
        let sql = "SELECT c.uuid AS cluster, MIN(r.id) AS id, \
             (SELECT COUNT(*) FROM agent a WHERE a.cluster = c.id AND a.detached IS NULL AND a.silent_us = 0) AS agents \
             FROM (SELECT cluster, MIN(`rank`) AS first FROM ready GROUP BY cluster) f \
             JOIN ready r ON r.cluster = f.cluster AND r.`rank` = f.first \
             JOIN cluster c ON c.id = f.cluster AND c.paused = 0 GROUP BY c.id, c.uuid";
        both!(&self.db, pool => {
            let mut lines: Vec<WaitingLine> = sqlx::query_as(sql).fetch_all(pool).await?;
            for line in &mut lines {
                line.created_ms = line.id.iter().take(6).fold(0, |ms, byte| ms << 8 | i64::from(*byte));
            }
            Ok(lines)
        })
    }

    /// Waits until a connection is free, as work does, and gives it back.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn connection_is_free(&self) -> Result<(), Error> {
        both!(&self.db, pool => {
            drop(pool.acquire().await?);
            Ok(())
        })
    }
}
