//! One row a server process, with its heartbeat.

use sqlx::Row as _;

use super::{Db, Error, Store, both, leader::fence};
use crate::model::{
    ids::Id,
    replica::{Peer, Term},
};

impl Store {
    /// Writes this replica's heartbeat, in the database's time. `address` is empty where others cannot reach it.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn beat(&self, id: Id, address: &str) -> Result<(), Error> {
        let now = self.db.now();
        let again = match &self.db {
            Db::Maria(_) => {
                "ON DUPLICATE KEY UPDATE address = VALUES(address), seen = VALUES(seen), seals_under = VALUES(seals_under)"
            }
            Db::Sqlite(_) => {
                "ON CONFLICT (id) DO UPDATE SET address = excluded.address, seen = excluded.seen, seals_under = excluded.seals_under"
            }
        };
        let sql = format!(
            "INSERT INTO replica (id, address, started, seen, seals_under) VALUES (?, ?, {now}, {now}, ?) {again}"
        );
        both!(&self.db, pool => {
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_vec()).bind(address).bind(self.enigma.sealing_key()).execute(pool).await?;
            Ok(())
        })
    }

    /// The database's time, microseconds since 1970, and the replicas that were seen within `age_us` of it.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn replicas(&self, age_us: i64) -> Result<(i64, Vec<Peer>), Error> {
        let now = self.db.now();
        // The first row is the time alone, so that there is one in an empty table too.
        let sql = format!(
            "SELECT {now} AS now, NULL AS id, NULL AS address UNION ALL SELECT 0, id, address FROM replica WHERE seen > {now} - ?"
        );
        both!(&self.db, pool => {
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(age_us).fetch_all(pool).await?;
            let (mut at, mut peers) = (0, Vec::new());
            for row in &rows {
                at = at.max(row.try_get::<i64, _>(0)?);
                let (id, address): (Option<Vec<u8>>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
                if let (Some(Ok(id)), Some(address)) = (id.map(Id::try_from), address) {
                    peers.push(Peer { id, address });
                }
            }
            Ok((at, peers))
        })
    }

    /// Takes this replica's row away: it stops.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn forget_replica(&self, id: Id) -> Result<(), Error> {
        both!(&self.db, pool => {
            sqlx::query("DELETE FROM replica WHERE id = ?").bind(id.to_vec()).execute(pool).await?;
            Ok(())
        })
    }

    /// Removes the rows of replicas that have not been seen for `age_us`, as a leader; how many.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn purge_replicas(&self, term: &Term, age_us: i64) -> Result<u64, Error> {
        let now = self.db.now();
        let sql = format!("DELETE FROM replica WHERE seen < {now} - ? AND {}", fence!(now));
        both!(&self.db, pool => Ok(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(age_us)
            .bind(&term.name).bind(term.holder.to_vec()).bind(term.epoch).execute(pool).await?.rows_affected()))
    }
}
