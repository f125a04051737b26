//! Clusters, tokens, sessions, templates.

use super::{Error, Store, both, sql::Dialect};
use crate::model::{
    list::Listing,
    nouns::{Cluster, ClusterRules, Session, Template, Token},
};

const CLUSTER: &str =
    "SELECT id, uuid, name, summary, labels, paused, concurrency, created, updated, deleted FROM cluster";
const TOKEN: &str =
    "SELECT id, uuid, name, summary, cluster_uuid, token, issued_at, expires_at, created, updated FROM cluster_token";
const SESSION: &str = "SELECT id, uuid, cluster_uuid, token_uuid, agent_version, issued_at, expires_at, created, updated, deleted FROM session";

/// A template's times are what people typed: one that is none is read as NULL.
pub(super) const fn template(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Maria => {
            "SELECT uuid, name, summary, flow, inputs, origin, IF(MONTH(created) > 0 AND DAYOFMONTH(created) > 0, created, NULL) AS created, IF(MONTH(updated) > 0 AND DAYOFMONTH(updated) > 0, updated, NULL) AS updated, options FROM template"
        }
        Dialect::Sqlite => {
            "SELECT uuid, name, summary, flow, inputs, origin, CASE typeof(created) WHEN 'integer' THEN datetime(created, 'unixepoch') ELSE datetime(created) END AS created, CASE typeof(updated) WHEN 'integer' THEN datetime(updated, 'unixepoch') ELSE datetime(updated) END AS updated, options FROM template"
        }
    }
}

/// One row of a table by its uuid.
macro_rules! one {
    ($self:expr, $select:expr, $row:ty, $tail:literal, $($value:expr),*) => {
        both!(&$self.db, pool => Ok(sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe(format!("{} {}", $select, $tail)))
            $(.bind($value))* .fetch_optional(pool).await?))
    };
}

/// One page of a table's rows, in the order that the listing names and then in that of `$key`.
macro_rules! page {
    ($self:expr, $select:expr, $row:ty, $condition:literal, $key:literal, $listing:expr) => {{
        let mut sql =
            $crate::storage::sql::Sql::new($self.lists.dialect(), &format!("{} WHERE {}", $select, $condition));
        for (column, value) in &$listing.equal {
            // The column is one of the callers' fixed names; only the value is theirs.
            sql.push(" AND LOWER(").push(column).push(") = LOWER(").bind(value.clone()).push(")");
        }
        sql.and(&$listing.filter);
        if let Some(after) = &$listing.after {
            sql.push(concat!(" AND ", $key)).push(if $listing.descending { " < " } else { " > " }).bind(after.clone());
        }
        sql.order(&$listing.order, $key, $listing.descending);
        if let Some(limit) = $listing.limit {
            sql.push(" LIMIT ").bind(limit).push(" OFFSET ").bind($listing.offset);
        }
        $crate::storage::sql::rows!(&$self.lists, sql, $row)
    }};
}

/// A statement; answers how many rows it met.
macro_rules! run {
    ($self:expr, $sql:literal, $($value:expr),*) => {
        both!(&$self.db, pool => Ok(sqlx::query($sql) $(.bind($value))* .execute(pool).await?.rows_affected()))
    };
}

pub(super) use {one, page, run};

#[allow(missing_docs, clippy::missing_errors_doc, reason = "each is one statement, named after it")]
impl Store {
    pub async fn cluster(&self, uuid: &str) -> Result<Option<Cluster>, Error> {
        one!(self, CLUSTER, Cluster, "WHERE uuid = ?", uuid)
    }

    pub async fn cluster_rules(&self, id: i64) -> Result<ClusterRules, Error> {
        let sql = "SELECT paused, concurrency, deleted IS NOT NULL FROM cluster WHERE id = ?";
        both!(&self.db, pool => {
            let row: Option<(bool, Option<i32>, bool)> = sqlx::query_as(sql).bind(id).fetch_optional(pool).await?;
            // A cluster that is gone takes nothing.
            let Some((paused, limit, is_deleted)) = row else { return Ok(ClusterRules { paused: true, concurrency: None }) };
            Ok(ClusterRules { paused: paused || is_deleted, concurrency: limit.and_then(|limit| u32::try_from(limit).ok()) })
        })
    }

    pub async fn clusters(&self, listing: &Listing<i64>) -> Result<Vec<Cluster>, Error> {
        page!(self, CLUSTER, Cluster, "deleted IS NULL", "id", listing)
    }

    pub async fn insert_cluster(&self, cluster: &Cluster) -> Result<u64, Error> {
        let Cluster { uuid, name, summary, labels, paused, concurrency, created, .. } = cluster;
        run!(
            self,
            "INSERT INTO cluster (uuid, name, summary, labels, paused, concurrency, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            uuid,
            name,
            summary,
            labels,
            paused,
            concurrency,
            created,
            created
        )
    }

    /// Also revives a deleted one, so that its history stays readable under one row.
    pub async fn update_cluster(&self, cluster: &Cluster) -> Result<u64, Error> {
        let Cluster { uuid, name, summary, labels, paused, concurrency, updated, deleted, .. } = cluster;
        run!(
            self,
            "UPDATE cluster SET name = ?, summary = ?, labels = ?, paused = ?, concurrency = ?, updated = ?, deleted = ?, revision = revision + 1 WHERE uuid = ?",
            name,
            summary,
            labels,
            paused,
            concurrency,
            updated,
            deleted,
            uuid
        )
    }

    pub async fn forget_cluster_access(&self, uuid: &str) -> Result<u64, Error> {
        let sessions: Result<u64, Error> = run!(self, "DELETE FROM session WHERE cluster_uuid = ?", uuid);
        sessions?;
        run!(self, "DELETE FROM cluster_token WHERE cluster_uuid = ?", uuid)
    }

    pub async fn token(&self, uuid: &str) -> Result<Option<Token>, Error> {
        let found: Result<_, Error> = one!(self, TOKEN, Token, "WHERE uuid = ?", uuid);
        found?.map(|token| self.open_token(token)).transpose()
    }

    pub async fn tokens(&self, listing: &Listing<i64>) -> Result<Vec<Token>, Error> {
        let listing = &Listing { filter: self.on_sealed(&listing.filter)?, ..listing.clone() };
        let found: Result<Vec<Token>, Error> = page!(self, TOKEN, Token, "1 = 1", "id", listing);
        found?.into_iter().map(|token| self.open_token(token)).collect()
    }

    /// The tokens of a cluster that may be this one: it is for the caller to compare.
    pub async fn tokens_like(&self, cluster_uuid: &str, token: &str) -> Result<Vec<Token>, Error> {
        let macs = self.token_macs(token);
        let found: Result<Vec<Token>, Error> = both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new(format!("{TOKEN} WHERE cluster_uuid = "));
            query.push_bind(cluster_uuid).push(" AND (token_mac IS NULL");
            for mac in macs {
                query.push(" OR token_mac = ").push_bind(mac);
            }
            query.push(")");
            Ok(query.build_query_as().fetch_all(pool).await?)
        });
        found?.into_iter().map(|token| self.open_token(token)).collect()
    }

    pub async fn insert_token(&self, token: &Token) -> Result<u64, Error> {
        let Token { uuid, name, summary, cluster_uuid, token, issued_at, expires_at, created, updated, .. } = token;
        let (sealed, mac) = self.seal_token(uuid, token)?;
        run!(
            self,
            "INSERT INTO cluster_token (uuid, name, summary, cluster_uuid, token, token_mac, issued_at, expires_at, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            uuid,
            name,
            summary,
            cluster_uuid,
            &sealed,
            &mac,
            issued_at,
            expires_at,
            created,
            updated
        )
    }

    pub async fn update_token(&self, token: &Token) -> Result<u64, Error> {
        let Token { uuid, name, summary, token, issued_at, expires_at, updated, .. } = token;
        let (sealed, mac) = self.seal_token(uuid, token)?;
        run!(
            self,
            "UPDATE cluster_token SET name = ?, summary = ?, token = ?, token_mac = ?, issued_at = ?, expires_at = ?, updated = ?, revision = revision + 1 WHERE uuid = ?",
            name,
            summary,
            &sealed,
            &mac,
            issued_at,
            expires_at,
            updated,
            uuid
        )
    }

    pub async fn delete_token(&self, uuid: &str) -> Result<u64, Error> {
        run!(self, "DELETE FROM cluster_token WHERE uuid = ?", uuid)
    }

    pub async fn session(&self, uuid: &str) -> Result<Option<Session>, Error> {
        one!(self, SESSION, Session, "WHERE uuid = ? AND deleted IS NULL", uuid)
    }

    pub async fn sessions(&self, listing: &Listing<i64>) -> Result<Vec<Session>, Error> {
        page!(self, SESSION, Session, "deleted IS NULL", "id", listing)
    }

    pub async fn insert_session(&self, session: &Session) -> Result<u64, Error> {
        let Session { uuid, cluster_uuid, token_uuid, agent_version, issued_at, expires_at, created, updated, .. } =
            session;
        run!(
            self,
            "INSERT INTO session (uuid, cluster_uuid, token_uuid, agent_version, issued_at, expires_at, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            uuid,
            cluster_uuid,
            token_uuid,
            agent_version,
            issued_at,
            expires_at,
            created,
            updated
        )
    }

    pub async fn delete_session(&self, uuid: &str, now_us: i64) -> Result<u64, Error> {
        run!(self, "UPDATE session SET deleted = ? WHERE uuid = ? AND deleted IS NULL", now_us, uuid)
    }

    pub async fn template(&self, uuid: &str) -> Result<Option<Template>, Error> {
        one!(self, template(self.db.dialect()), Template, "WHERE uuid = ?", uuid)
    }

    pub async fn templates(&self, listing: &Listing<String>) -> Result<Vec<Template>, Error> {
        page!(self, template(self.lists.dialect()), Template, "1 = 1", "uuid", listing)
    }

    pub async fn insert_template(&self, template: &Template) -> Result<u64, Error> {
        let Template { uuid, name, summary, flow, inputs, origin, created, options, .. } = template;
        run!(
            self,
            "INSERT INTO template (uuid, name, summary, flow, inputs, origin, created, options) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            uuid,
            name,
            summary,
            flow,
            inputs,
            origin,
            created,
            options
        )
    }

    pub async fn update_template(&self, template: &Template) -> Result<u64, Error> {
        let Template { uuid, name, summary, flow, inputs, origin, updated, options, .. } = template;
        run!(
            self,
            "UPDATE template SET name = ?, summary = ?, flow = ?, inputs = ?, origin = ?, updated = ?, options = ? WHERE uuid = ?",
            name,
            summary,
            flow,
            inputs,
            origin,
            updated,
            options,
            uuid
        )
    }

    pub async fn delete_template(&self, uuid: &str) -> Result<u64, Error> {
        run!(self, "DELETE FROM template WHERE uuid = ?", uuid)
    }
}
