//! Which keys are in use, and which are not any more.

use sqlx::Row as _;

use super::{
    super::{Error, Store, both},
    tables::{Column, TABLES, Table},
};
use crate::enigma::Enigma;

/// How long a replica that was not heard of may still be there, microseconds.
const REPLICA_US: i64 = 60_000_000;

/// How many values of a column are stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The table.
    pub table: &'static str,
    /// Its column.
    pub column: &'static str,
    /// None: they are plain.
    pub key: Option<String>,
    /// Values.
    pub values: u64,
}

impl Store {
    /// How many values stand under which key, by column; keys without values are left out.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn count_sealed(&self) -> Result<Vec<Count>, Error> {
        let keys = self.registered_keys().await?;
        let mut counts = Vec::new();
        for table in &TABLES {
            for column in table.columns {
                counts.extend(self.count_column(table, *column, &keys).await?);
            }
        }
        Ok(counts)
    }

    async fn count_column(&self, table: &Table, column: Column, keys: &[String]) -> Result<Vec<Count>, Error> {
        let name = column.name;
        let begins =
            |length: usize| format!("COALESCE(SUM(CASE WHEN {} = ? THEN 1 ELSE 0 END), 0)", self.head(name, length));
        let prefixes: Vec<String> =
            keys.iter().map(|key| Enigma::prefix_of(key)).chain([Enigma::MAGIC.to_owned()]).collect();
        let sums: String =
            prefixes.iter().map(|prefix| format!(", CAST({} AS {})", begins(prefix.len()), self.integer())).collect();
        let sql = format!("SELECT COUNT({name}){sums} FROM {} WHERE 1 = 1{}", table.name, table.only);
        let numbers: Vec<i64> = both!(&self.db, pool => {
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for prefix in &prefixes {
                query = query.bind(prefix);
            }
            let row = query.fetch_one(pool).await?;
            (0..=prefixes.len()).map(|index| Ok(row.try_get(index)?)).collect()
        })?;
        let number = |index: usize| numbers.get(index).copied().unwrap_or_default();
        let known: i64 = (1..=keys.len()).map(number).sum();
        let sealed = number(prefixes.len());
        let others = [(None, number(0) - sealed), (Some("?".to_owned()), sealed - known)];
        let of_keys = keys.iter().enumerate().map(|(index, key)| (Some(key.clone()), number(index + 1)));
        let count = |(key, values): (Option<String>, i64)| Count {
            table: table.name,
            column: name,
            key,
            values: u64::try_from(values).unwrap_or_default(),
        };
        Ok(others.into_iter().chain(of_keys).map(count).filter(|count| count.values > 0).collect())
    }

    /// Values that are not sealed under the first key.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn count_unsealed(&self) -> Result<u64, Error> {
        let counts = self.count_sealed().await?;
        Ok(counts
            .iter()
            .filter(|count| count.key.as_deref() != self.enigma.sealing_key())
            .map(|count| count.values)
            .sum())
    }

    /// Forgets registered keys under which nothing is stored and no replica seals; answers those that are still needed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn forget_keys(&self) -> Result<Vec<String>, Error> {
        let counts = self.count_sealed().await?;
        let now = self.db.now();
        let sql = format!(
            "DELETE FROM enigma_key WHERE id = ? AND NOT EXISTS (SELECT 1 FROM replica WHERE seals_under = ? AND seen > {now} - ?)"
        );
        let mut needed = Vec::new();
        for key in self.registered_keys().await? {
            if Some(key.as_str()) == self.enigma.sealing_key() {
                continue;
            }
            let in_use =
                counts.iter().any(|count| count.key.as_deref() == Some(&key) || count.key.as_deref() == Some("?"));
            let gone = if in_use {
                0
            } else {
                both!(&self.db, pool => Ok(sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(&key).bind(&key).bind(REPLICA_US)
                    .execute(pool).await?.rows_affected()))?
            };
            if gone == 0 {
                needed.push(key);
            }
        }
        Ok(needed)
    }

    async fn registered_keys(&self) -> Result<Vec<String>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT id FROM enigma_key ORDER BY id").fetch_all(pool).await?))
    }
}
