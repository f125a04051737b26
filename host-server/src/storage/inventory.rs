//! What agents serve, as every replica can read it.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Error, Store, both};
use crate::model::{
    ids::{Id, hex},
    inventory::{Command, Inventory, Of, Plugin},
};

/// Agents of one cluster whose inventories a list reads, the connected ones first and then the latest.
const AGENTS: i64 = 32;

/// What an agent said of itself, on its way into the database.
#[derive(Clone, Debug)]
pub struct InventoryRow {
    /// The cluster's row.
    pub cluster: i64,
    /// One journal is one agent.
    pub journal: Id,
    /// The session of the stream on which it was said.
    pub session: String,
    /// The agent's name for people, 255 characters at most.
    pub name: String,
    /// The agent's version, 64 characters at most.
    pub version: String,
    /// When it was said, microseconds since 1970.
    pub at: i64,
    /// What it serves, bounded.
    pub inventory: Inventory,
}

#[derive(sqlx::FromRow)]
struct Listed {
    journal: Vec<u8>,
    name: String,
    version: String,
    at: i64,
    connected: i64,
    list: String,
}

impl Store {
    /// Keeps what an agent serves, and says whether anything was written: nothing is where the same is kept already, or where
    /// another stream of the agent began meanwhile.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn keep_inventory(&self, row: &InventoryRow) -> Result<bool, Error> {
        let (plugins, commands) = (json(&row.inventory.plugins), json(&row.inventory.commands));
        let digest = digest([&row.name, &row.version, &plugins, &commands]);
        let known = "SELECT digest FROM inventory WHERE cluster = ? AND journal = ?";
        // Whose stream it is, is asked in the statement that writes: of two replicas, the one with the agent's last stream counts.
        let sql = "REPLACE INTO inventory (cluster, journal, name, version, at, digest, plugins, commands) \
             SELECT cluster, journal, ?, ?, ?, ?, ?, ? FROM agent WHERE cluster = ? AND journal = ? AND session = ?";
        both!(&self.db, pool => {
            let known: Option<Vec<u8>> = sqlx::query_scalar(known).bind(row.cluster).bind(row.journal.to_vec()).fetch_optional(pool).await?;
            if known.as_deref() == Some(digest.as_slice()) {
                return Ok(false);
            }
            let written = sqlx::query(sql)
                .bind(&row.name).bind(&row.version).bind(row.at).bind(&digest).bind(&plugins).bind(&commands)
                .bind(row.cluster).bind(row.journal.to_vec()).bind(&row.session).execute(pool).await?;
            Ok(written.rows_affected() > 0)
        })
    }

    /// The plugins of a cluster's agents.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn plugins(&self, cluster: i64) -> Result<Vec<Of<Plugin>>, Error> {
        self.inventories(cluster, "plugins").await
    }

    /// The commands of a cluster's agents.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn commands(&self, cluster: i64) -> Result<Vec<Of<Command>>, Error> {
        self.inventories(cluster, "commands").await
    }

    async fn inventories<T: serde::de::DeserializeOwned>(
        &self,
        cluster: i64,
        column: &'static str,
    ) -> Result<Vec<Of<T>>, Error> {
        let connected = "CASE WHEN a.detached IS NULL AND a.silent_us = 0 THEN 1 ELSE 0 END";
        let sql = format!(
            "SELECT i.journal, i.name, i.version, i.at, {connected} AS connected, i.{column} AS list FROM inventory i \
             JOIN agent a ON a.cluster = i.cluster AND a.journal = i.journal WHERE i.cluster = ? \
             ORDER BY {connected} DESC, a.attached DESC, i.journal LIMIT ?"
        );
        let rows: Vec<Listed> = both!(&self.db, pool => {
            Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(cluster).bind(AGENTS).fetch_all(pool).await?)
        })?;
        Ok(rows.into_iter().filter_map(of).collect())
    }
}

fn of<T: serde::de::DeserializeOwned>(row: Listed) -> Option<Of<T>> {
    let journal = Id::try_from(row.journal.as_slice()).ok()?;
    let list = serde_json::from_str(&row.list).unwrap_or_else(|error| {
        tracing::warn!(%error, agent.journal = hex(&journal), "what an agent serves cannot be read; it is shown as nothing");
        vec![]
    });
    let agent = if row.name.is_empty() { hex(&journal) } else { row.name };
    Some(Of { journal, agent, version: row.version, connected: row.connected != 0, at: row.at, list })
}

fn json<T: Serialize>(list: &[T]) -> String {
    // Texts, flags and words are always JSON.
    serde_json::to_string(list).unwrap_or_else(|_| "[]".into())
}

fn digest(parts: [&str; 4]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}
