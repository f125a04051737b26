//! People's tokens. A revoked one keeps its row, so that its name means nobody else later.

use super::{Error, Store, both, nouns::page};
use crate::model::{list::Listing, people::ApiToken};

const COLUMNS: &str = "SELECT id, uuid, name, summary, role, clusters, templates, digest, expires_at, last_used, created, updated, deleted FROM api_token";

impl Store {
    /// A token by its uuid, unless it was revoked.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn api_token(&self, uuid: &str) -> Result<Option<ApiToken>, Error> {
        let sql = format!("{COLUMNS} WHERE uuid = ? AND deleted IS NULL");
        both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(uuid).fetch_optional(pool).await?))
    }

    /// A token by its name; a revoked one too.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn api_token_named(&self, name: &str) -> Result<Option<ApiToken>, Error> {
        let sql = format!("{COLUMNS} WHERE name = ?");
        both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(name).fetch_optional(pool).await?))
    }

    /// The token behind the digest of what somebody shows, unless it was revoked.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn api_token_shown(&self, digest: [u8; 32]) -> Result<Option<ApiToken>, Error> {
        let sql = format!("{COLUMNS} WHERE digest = ? AND deleted IS NULL");
        both!(&self.db, pool => Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(digest.to_vec()).fetch_optional(pool).await?))
    }

    /// Tokens in the order of their making.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn api_tokens(&self, listing: &Listing<i64>) -> Result<Vec<ApiToken>, Error> {
        page!(self, COLUMNS, ApiToken, "deleted IS NULL", "id", listing)
    }

    /// Whether a token other than this one lets its bearer do everything everywhere, and does so later too.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn has_other_admin_token(&self, uuid: &str, now_us: i64) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM api_token WHERE uuid <> ? AND deleted IS NULL AND role = 'admin' AND clusters IS NULL AND templates IS NULL AND (expires_at IS NULL OR expires_at > ?)";
        both!(&self.db, pool => {
            let count: i64 = sqlx::query_scalar(sql).bind(uuid).bind(now_us).fetch_one(pool).await?;
            Ok(count > 0)
        })
    }

    /// Stores a new token.
    ///
    /// # Errors
    /// [`Error::Duplicate`] for a uuid or a name that was used before, [`Error`] of the engine.
    pub async fn insert_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let sql = "INSERT INTO api_token (uuid, name, summary, role, clusters, templates, digest, expires_at, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        both!(&self.db, pool => {
            sqlx::query(sql)
                .bind(&token.uuid).bind(&token.name).bind(&token.summary).bind(&token.role).bind(&token.clusters).bind(&token.templates)
                .bind(&token.digest).bind(token.expires_at).bind(token.created).bind(token.updated)
                .execute(pool).await?;
            Ok(())
        })
    }

    /// Keeps what changed of a token, `deleted` too. The name stays.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn update_api_token(&self, token: &ApiToken) -> Result<(), Error> {
        let sql = "UPDATE api_token SET summary = ?, role = ?, clusters = ?, templates = ?, digest = ?, expires_at = ?, updated = ?, deleted = ?, revision = revision + 1 WHERE uuid = ?";
        both!(&self.db, pool => {
            sqlx::query(sql)
                .bind(&token.summary).bind(&token.role).bind(&token.clusters).bind(&token.templates).bind(&token.digest)
                .bind(token.expires_at).bind(token.updated).bind(token.deleted).bind(&token.uuid)
                .execute(pool).await?;
            Ok(())
        })
    }

    /// Notes that a token was shown.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn api_token_used(&self, uuid: &str, now_us: i64) -> Result<(), Error> {
        let sql = "UPDATE api_token SET last_used = ? WHERE uuid = ? AND (last_used IS NULL OR last_used < ?)";
        both!(&self.db, pool => {
            sqlx::query(sql).bind(now_us).bind(uuid).bind(now_us).execute(pool).await?;
            Ok(())
        })
    }
}
