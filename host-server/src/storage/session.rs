//! Session rows live as long as their streams, and a while longer for people who look back.

use std::collections::HashSet;

use super::{Error, Store, both, pieces::padded};

/// Rows that one purge removes at most.
const PURGE: i64 = 10_000;

impl Store {
    /// The sessions that were opened with a token, by their uuids.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn sessions_of_token(&self, token_uuid: &str) -> Result<Vec<String>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT uuid FROM session WHERE token_uuid = ? AND deleted IS NULL")
            .bind(token_uuid).fetch_all(pool).await?))
    }

    /// Which of these sessions were revoked or removed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn gone_sessions(&self, mut uuids: Vec<String>) -> Result<Vec<String>, Error> {
        let mut open = HashSet::new();
        for chunk in uuids.chunks(256) {
            let found: Vec<String> = both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("SELECT uuid FROM session WHERE deleted IS NULL AND uuid IN (");
                let mut list = query.separated(", ");
                for uuid in padded(chunk) {
                    list.push_bind(uuid.clone());
                }
                query.push(")");
                Ok(query.build_query_scalar().fetch_all(pool).await?)
            })?;
            open.extend(found);
        }
        uuids.retain(|uuid| !open.contains(uuid));
        Ok(uuids)
    }

    /// Notes that these sessions have an open stream.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn touch_sessions(&self, uuids: &[String], now_us: i64) -> Result<(), Error> {
        for chunk in uuids.chunks(256) {
            both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("UPDATE session SET updated = ");
                query.push_bind(now_us).push(" WHERE uuid IN (");
                let mut list = query.separated(", ");
                for uuid in chunk {
                    list.push_bind(uuid.clone());
                }
                query.push(")");
                query.build().execute(pool).await?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Removes the oldest sessions that had expired, and had no stream, since `before_us`. Answers how many went.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn purge_sessions(&self, before_us: i64) -> Result<u64, Error> {
        // MariaDB does not delete from a table that it reads unless the rows are set aside first.
        let sql = "DELETE FROM session WHERE id IN (SELECT id FROM (SELECT id FROM session WHERE updated < ? AND expires_at < ? ORDER BY id LIMIT ?) AS old)";
        both!(&self.db, pool => Ok(sqlx::query(sql).bind(before_us).bind(before_us).bind(PURGE).execute(pool).await?.rows_affected()))
    }
}
