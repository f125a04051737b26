//! What callers asked before, and who asked for what.

use super::{Error, Store, both};
use crate::model::{ids::Id, task::View};

/// Rows that one purge removes at most.
const PURGE: i64 = 10_000;

impl Store {
    /// The digest of the request that came with a key, and the id of the tasks that it created.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn request_of(&self, caller: &str, digest: [u8; 32]) -> Result<Option<(Vec<u8>, Vec<u8>)>, Error> {
        let sql = "SELECT request, id FROM idempotency WHERE caller = ? AND digest = ?";
        both!(&self.db, pool => Ok(sqlx::query_as(sql).bind(caller).bind(digest.to_vec()).fetch_optional(pool).await?))
    }

    /// The tasks of one id on all its clusters, live and final.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn tasks_of_id(&self, id: Id) -> Result<Vec<View>, Error> {
        let sql = format!(
            "{} WHERE t.id = ? UNION ALL {} WHERE t.id = ? ORDER BY cluster",
            super::read::LIVE,
            super::read::FINAL
        );
        both!(&self.db, pool => {
            self.open_views(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id.to_vec()).bind(id.to_vec()).fetch_all(pool).await?)
        })
    }

    /// Forgets keys that are older than `before_us`; how many.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn purge_requests(&self, before_us: i64) -> Result<u64, Error> {
        // MariaDB does not delete from a table that it reads unless the rows are set aside first.
        let sql = "DELETE FROM idempotency WHERE digest IN (SELECT digest FROM (SELECT digest FROM idempotency WHERE created < ? LIMIT ?) AS old) AND created < ?";
        both!(&self.db, pool => Ok(sqlx::query(sql).bind(before_us).bind(PURGE).bind(before_us).execute(pool).await?.rows_affected()))
    }
}
