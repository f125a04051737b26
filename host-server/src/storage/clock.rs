//! The database's clock, in which replicas compare times: theirs may differ.

use super::Db;

impl Db {
    /// Microseconds since 1970, UTC, as an expression.
    pub(super) const fn now(&self) -> &'static str {
        match self {
            Self::Maria(_) => "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
            Self::Sqlite(_) => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        }
    }
}
