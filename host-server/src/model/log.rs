//! Lines that commands wrote.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LogRow {
    /// Ascending with the arrival at a server.
    pub seq: i64,
    /// When it arrived, microseconds since 1970.
    pub at: i64,
    /// Of the step that says it.
    pub path: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
    /// A JSON object of texts.
    pub fields: Option<String>,
}

/// Which lines of a task are read.
#[derive(Clone, Debug, Default)]
pub struct LogListing {
    /// The last line of the page before.
    pub after: i64,
    /// Only this step's.
    pub path: Option<String>,
    /// Lines at most.
    pub limit: i64,
}
