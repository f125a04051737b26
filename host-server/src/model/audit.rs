//! The audit trail: who changed what, from where, under which request, and what came of it.

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Audit {
    /// Given by the database.
    pub id: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// As [`super::people::Caller::name`].
    pub caller: String,
    /// The operation's id.
    pub operation: String,
    /// The noun of what was changed, such as `cluster`; empty where nothing has a name.
    pub resource_type: String,
    /// Its uuid; empty where it is not known.
    pub resource_uuid: String,
    /// The cluster of a task.
    pub cluster_uuid: Option<String>,
    /// Where the request came from.
    pub address: String,
    /// Of the request.
    pub request_id: String,
    /// SHA-256 of the resource before, hexadecimal; none where there was none.
    pub digest_before: Option<String>,
    /// The same of what it is since.
    pub digest_after: Option<String>,
    /// The answer's HTTP status.
    pub code: i32,
    /// Words for people.
    pub detail: Option<String>,
}

/// Which rows a list shows; each filter is exact.
#[derive(Clone, Debug, Default)]
pub struct AuditListing {
    /// Columns and what they equal.
    pub equal: Vec<(&'static str, String)>,
    /// Only this status.
    pub code: Option<i32>,
    /// Only later rows, microseconds since 1970.
    pub created_after: Option<i64>,
    /// Only earlier rows.
    pub created_before: Option<i64>,
    /// The id of the last row of the page before.
    pub after: Option<i64>,
    /// From the newest to the oldest.
    pub descending: bool,
    /// Rows at most.
    pub limit: i64,
}
