//! The audit trail: rows are added and read, and never changed.

use super::{Error, Store, both, cut};
use crate::model::audit::{Audit, AuditListing};

const COLUMNS: &str = "SELECT id, at, caller, operation, resource_type, resource_uuid, cluster_uuid, address, request_id, digest_before, digest_after, code, detail FROM audit";
/// Characters that a column of names holds.
const NAME_CHARACTERS: usize = 255;

/// The values of a row, in the order of its columns.
macro_rules! push_audit {
    ($b:ident, $audit:expr) => {{
        let audit = $audit;
        $b.push_bind(audit.at)
            .push_bind($crate::storage::audit::short(&audit.caller))
            .push_bind(audit.operation.clone())
            .push_bind(audit.resource_type.clone())
            .push_bind($crate::storage::audit::short(&audit.resource_uuid))
            .push_bind(audit.cluster_uuid.as_deref().map($crate::storage::audit::short))
            .push_bind($crate::storage::audit::short(&audit.address))
            .push_bind($crate::storage::audit::short(&audit.request_id))
            .push_bind(audit.digest_before.clone())
            .push_bind(audit.digest_after.clone())
            .push_bind(audit.code)
            .push_bind(audit.detail.as_deref().map(|words| $crate::storage::cut(words).to_owned()))
    }};
}
pub(super) use push_audit;

/// What a column of names holds of a text.
pub(super) fn short(text: &str) -> String {
    text.chars().take(NAME_CHARACTERS).collect()
}

impl Store {
    /// Writes down who did what.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn audit(&self, row: &Audit) -> Result<(), Error> {
        let sql = "INSERT INTO audit (at, caller, operation, resource_type, resource_uuid, cluster_uuid, address, request_id, digest_before, digest_after, code, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        both!(&self.db, pool => {
            sqlx::query(sql)
                .bind(row.at).bind(short(&row.caller)).bind(&row.operation).bind(&row.resource_type).bind(short(&row.resource_uuid))
                .bind(row.cluster_uuid.as_deref().map(short)).bind(short(&row.address)).bind(short(&row.request_id))
                .bind(&row.digest_before).bind(&row.digest_after).bind(row.code).bind(row.detail.as_deref().map(cut))
                .execute(pool).await?;
            Ok(())
        })
    }

    /// A page of the trail.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn audits(&self, listing: &AuditListing) -> Result<Vec<Audit>, Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new(COLUMNS);
            query.push(" WHERE 1 = 1");
            for (column, value) in &listing.equal {
                // The column is one of the callers' fixed names; only the value is theirs.
                query.push(" AND ").push(*column).push(" = ").push_bind(value.clone());
            }
            if let Some(code) = listing.code {
                query.push(" AND code = ").push_bind(code);
            }
            if let Some(after) = listing.created_after {
                query.push(" AND at > ").push_bind(after);
            }
            if let Some(before) = listing.created_before {
                query.push(" AND at < ").push_bind(before);
            }
            if let Some(after) = listing.after {
                query.push(if listing.descending { " AND id < " } else { " AND id > " }).push_bind(after);
            }
            query.push(" ORDER BY id").push(if listing.descending { " DESC" } else { "" });
            query.push(" LIMIT ").push_bind(listing.limit);
            Ok(query.build_query_as::<Audit>().fetch_all(pool).await?)
        })
    }
}
