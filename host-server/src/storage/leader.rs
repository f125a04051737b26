//! Who does the periodic work of a kind: one row each, held for a time of the database's clock.

use super::{Db, Error, Store, both};
use crate::model::{ids::Id, replica::Term};

/// A condition that is true while a term is valid; its values are those of [`Term`]: name, holder, epoch. It stands in each
/// statement of a leader, or is asked in its transaction.
macro_rules! fence {
    ($now:expr) => {
        format!("EXISTS (SELECT 1 FROM leader WHERE name = ? AND holder = ? AND epoch = ? AND until > {})", $now)
    };
}
pub(super) use fence;

impl Store {
    /// Takes the lead in a kind of work where nobody has it, until `ttl_us` from now by the database's clock. None: another
    /// replica leads.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lead(&self, name: &str, holder: Id, ttl_us: i64) -> Result<Option<Term>, Error> {
        let (ignore, now) = match &self.db {
            Db::Maria(_) => ("IGNORE", self.db.now()),
            Db::Sqlite(_) => ("OR IGNORE", self.db.now()),
        };
        let make = format!("INSERT {ignore} INTO leader (name, holder, epoch, until) VALUES (?, ?, 0, 0)");
        let take = format!(
            "UPDATE leader SET holder = ?, epoch = epoch + 1, until = {now} + ? WHERE name = ? AND until <= {now}"
        );
        both!(&self.db, pool => {
            let known: Option<i64> = sqlx::query_scalar("SELECT epoch FROM leader WHERE name = ?").bind(name).fetch_optional(pool).await?;
            if known.is_none() {
                sqlx::query(sqlx::AssertSqlSafe(make)).bind(name).bind(holder.to_vec()).execute(pool).await?;
            }
            let taken = sqlx::query(sqlx::AssertSqlSafe(take))
                .bind(holder.to_vec()).bind(ttl_us).bind(name).execute(pool).await?.rows_affected();
            if taken == 0 {
                return Ok(None);
            }
            // Where somebody was faster than this read, the row says so.
            let epoch: Option<i64> = sqlx::query_scalar("SELECT epoch FROM leader WHERE name = ? AND holder = ?")
                .bind(name).bind(holder.to_vec()).fetch_optional(pool).await?;
            Ok(epoch.map(|epoch| Term { name: name.to_owned(), holder, epoch }))
        })
    }

    /// Keeps the lead until `ttl_us` from now. False: it is lost.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn renew(&self, term: &Term, ttl_us: i64) -> Result<bool, Error> {
        self.set_until(term, &format!("{} + {ttl_us}", self.db.now())).await
    }

    /// Gives the lead back, so that another replica need not wait.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn resign(&self, term: &Term) -> Result<bool, Error> {
        self.set_until(term, "0").await
    }

    async fn set_until(&self, term: &Term, until: &str) -> Result<bool, Error> {
        // The number of the epoch changes with each holder, so this meets the row only while the term lasts.
        let sql = format!("UPDATE leader SET until = {until} WHERE name = ? AND holder = ? AND epoch = ?");
        both!(&self.db, pool => {
            let met = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(&term.name).bind(term.holder.to_vec()).bind(term.epoch).execute(pool).await?.rows_affected();
            Ok(met > 0)
        })
    }

    /// Refuses what only a leader does.
    pub(super) async fn must_lead(&self, term: &Term) -> Result<(), Error> {
        if self.leads(term).await? { Ok(()) } else { Err(Error::Superseded) }
    }

    /// Whether a term is valid now.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn leads(&self, term: &Term) -> Result<bool, Error> {
        let sql = format!("SELECT {} AS valid", fence!(self.db.now()));
        both!(&self.db, pool => {
            let valid: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(&term.name).bind(term.holder.to_vec()).bind(term.epoch).fetch_one(pool).await?;
            Ok(valid != 0)
        })
    }
}
