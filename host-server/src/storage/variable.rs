//! Global variables.

use super::{Db, Error, Store, both, nouns::page};
use crate::model::{
    list::Listing,
    nouns::Variable,
    variables::{Known, SECRET},
};

const VARIABLE: &str = "SELECT id, uuid, name, summary, value, created, updated FROM global_variable";

impl Store {
    /// The value of a variable.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn variable(&self, name: &str) -> Result<Option<String>, Error> {
        let found: Result<Option<String>, Error> = both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT value FROM global_variable WHERE name = ?")
            .bind(name).fetch_optional(pool).await?));
        found?.map(|stored| self.open_variable(name, stored)).transpose()
    }

    /// Names and values of all variables.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn variable_values(&self) -> Result<Vec<(String, String)>, Error> {
        let found: Result<Vec<(String, String)>, Error> = both!(&self.db, pool => Ok(sqlx::query_as("SELECT name, value FROM global_variable").fetch_all(pool).await?));
        let open = |(name, stored): (String, String)| Ok((name.clone(), self.open_variable(&name, stored)?));
        found?.into_iter().map(open).collect()
    }

    /// A page of variables.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn variables(&self, listing: &Listing<i64>) -> Result<Vec<Variable>, Error> {
        let found: Result<Vec<Variable>, Error> = page!(self, VARIABLE, Variable, "1 = 1", "id", listing);
        found?.into_iter().map(|row| self.opened(row)).collect()
    }

    /// One variable by its uuid.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn variable_row(&self, uuid: &str) -> Result<Option<Variable>, Error> {
        let sql = format!("{VARIABLE} WHERE uuid = ?");
        let found: Result<Option<Variable>, Error> = both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(uuid).fetch_optional(pool).await?));
        found?.map(|row| self.opened(row)).transpose()
    }

    fn opened(&self, row: Variable) -> Result<Variable, Error> {
        Ok(Variable { value: self.open_variable(&row.name, row.value)?, ..row })
    }

    /// Changes a variable's summary and value.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn change_variable(&self, row: &Variable) -> Result<(), Error> {
        let value = self.seal_variable(&row.name, &row.value)?;
        both!(&self.db, pool => {
            sqlx::query("UPDATE global_variable SET summary = ?, value = ?, updated = ?, revision = revision + 1 WHERE uuid = ?")
                .bind(&row.summary).bind(&value).bind(row.updated).bind(&row.uuid).execute(pool).await?;
            Ok(())
        })
    }

    /// Writes a variable that is not there yet; another replica may have been faster.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn default_variable(&self, known: &Known, value: &str, now_us: i64) -> Result<(), Error> {
        let sql = match &self.db {
            Db::Maria(_) => {
                "INSERT IGNORE INTO global_variable (uuid, name, summary, value, created, updated) VALUES (?, ?, ?, ?, ?, ?)"
            }
            Db::Sqlite(_) => {
                "INSERT OR IGNORE INTO global_variable (uuid, name, summary, value, created, updated) VALUES (?, ?, ?, ?, ?, ?)"
            }
        };
        let value = self.seal_variable(known.name, value)?;
        both!(&self.db, pool => {
            sqlx::query(sql).bind(known.uuid).bind(known.name).bind(known.summary).bind(value).bind(now_us).bind(now_us)
                .execute(pool).await?;
            Ok(())
        })
    }

    /// Replaces an empty secret, under which everybody could sign.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn fill_secret(&self, value: &str, now_us: i64) -> Result<bool, Error> {
        let value = self.seal_variable(SECRET.name, value)?;
        both!(&self.db, pool => Ok(sqlx::query("UPDATE global_variable SET value = ?, updated = ? WHERE name = ? AND TRIM(value) = ''")
            .bind(value).bind(now_us).bind(SECRET.name).execute(pool).await?.rows_affected() > 0))
    }
}
