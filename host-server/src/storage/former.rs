//! Agents of the first version: what they may be given, the leases that they hold, and their sessions.

use sqlx::Row as _;

use super::{Error, Store, both, push_list};
use crate::model::{ids::Id, nouns::Session};

/// Narrows a selection from `ready` to tasks that an agent of the first version may run. It runs a flow from its beginning, so
/// none of whose steps anything is known.
macro_rules! push_former {
    ($query:expr, $except:expr) => {{
        $query.push(" AND NOT EXISTS (SELECT 1 FROM step WHERE step.task = ready.id AND step.cluster = ready.cluster)");
        if !$except.is_empty() {
            $query.push(" AND id NOT IN (");
            push_list!($query, $except.iter());
        }
    }};
}

pub(super) use push_former;

impl Store {
    /// What the first `limit` tasks run that an agent of the first version may take from a cluster, in their order: a hint
    /// for a claim. `snapshots`: what it can run; `except`: tasks that it holds.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn next_for_former(
        &self,
        cluster: i64,
        snapshots: &[Id],
        except: &[Id],
        limit: usize,
    ) -> Result<Vec<Id>, Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new("SELECT need FROM ready WHERE cluster = ");
            query.push_bind(cluster).push(" AND need IN (");
            push_list!(query, snapshots.iter());
            push_former!(query, except);
            query.push(" ORDER BY `rank`, id LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
            let rows = query.build().fetch_all(pool).await?;
            rows.iter().map(|row| Ok(row.try_get::<Vec<u8>, _>(0)?.try_into().unwrap_or_default())).collect()
        })
    }

    /// When the last of a journal's leases ends, microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn last_deadline(&self, journal: Id) -> Result<Option<i64>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT MAX(deadline) FROM lease WHERE journal = ? AND kind = 1")
            .bind(journal.to_vec()).fetch_one(pool).await?))
    }

    /// Stores the session of an agent of the first version; `library` is its library's version.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn insert_former_session(&self, session: &Session, library: &str) -> Result<(), Error> {
        both!(&self.db, pool => {
            sqlx::query("INSERT INTO session (uuid, cluster_uuid, token_uuid, agent_version, library_version, issued_at, expires_at, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
                .bind(&session.uuid).bind(&session.cluster_uuid).bind(&session.token_uuid).bind(&session.agent_version).bind(library)
                .bind(session.issued_at).bind(session.expires_at).bind(session.created).bind(session.updated)
                .execute(pool).await?;
            Ok(())
        })
    }

    /// Lets sessions live at least until a time, microseconds since 1970.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn prolong_sessions(&self, uuids: &[String], until_us: i64, now_us: i64) -> Result<(), Error> {
        for chunk in uuids.chunks(256) {
            both!(&self.db, pool => {
                let mut query = sqlx::QueryBuilder::new("UPDATE session SET updated = ");
                query.push_bind(now_us).push(", expires_at = CASE WHEN expires_at < ").push_bind(until_us);
                query.push(" THEN ").push_bind(until_us).push(" ELSE expires_at END WHERE uuid IN (");
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

    /// The versions of an agent of the first version, and of its library, whose session in the cluster lives.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn former_versions(&self, cluster_uuid: &str, now_us: i64) -> Result<Option<(String, String)>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_as("SELECT agent_version, library_version FROM session WHERE cluster_uuid = ? AND expires_at > ? AND deleted IS NULL AND library_version IS NOT NULL ORDER BY id DESC LIMIT 1")
            .bind(cluster_uuid).bind(now_us).fetch_optional(pool).await?))
    }
}
