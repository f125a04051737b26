//! A statement whose text is put together from fixed pieces, and whose values are bound.

use std::time::{Duration, Instant};

use sqlx::{Sqlite, pool::PoolConnection};

use super::{Db, Error};

/// How long a statement of a list may take.
pub(super) const LIST_TIME: Duration = Duration::from_secs(2);
/// MariaDB ends the statement itself, after [`LIST_TIME`].
pub(super) const LIST_TIME_SQL: &str = "SET STATEMENT max_statement_time = 2 FOR ";
/// MariaDB's number for a statement that ran out of that time.
const STATEMENT_TIMEOUT: u16 = 1969;
/// SQLite's code for one that was interrupted.
const INTERRUPTED: &str = "9";
/// SQLite's own instructions between two looks at the clock: some tens of microseconds.
const INSTRUCTIONS: i32 = 1_000;

/// Which engine a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Maria,
    Sqlite,
}

/// A value that a statement is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bind {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

impl From<String> for Bind {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Bind {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<Vec<u8>> for Bind {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A statement in the making.
#[derive(Clone, Debug)]
pub(super) struct Sql {
    pub(super) dialect: Dialect,
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
}

impl Sql {
    pub(super) fn new(dialect: Dialect, text: &str) -> Self {
        Self { dialect, text: text.to_owned(), binds: vec![] }
    }

    /// A piece of text, which is never a caller's.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value.
    pub(super) fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.text.push('?');
        self.binds.push(value.into());
        self
    }

    /// Values with commas between them.
    pub(super) fn list<T: Into<Bind>>(&mut self, values: impl IntoIterator<Item = T>) -> &mut Self {
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self
    }

    /// Another statement's text and values.
    pub(super) fn append(&mut self, other: Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.binds.extend(other.binds);
        self
    }
}

impl Db {
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Maria(_) => Dialect::Maria,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

impl Error {
    /// What became of a list: the engine says in its own way that the time was over.
    pub(super) fn of_list(self) -> Self {
        let interrupted =
            matches!(&self, Self::Engine(sqlx::Error::Database(error)) if error.code().as_deref() == Some(INTERRUPTED));
        if interrupted || self.number() == Some(STATEMENT_TIMEOUT) { Self::TooSlow } else { self }
    }
}

/// Lets the next statement of a connection run for [`LIST_TIME`]. Only connections that nothing but lists use are given such an
/// end: it stays with the connection until the next list sets its own.
pub(super) async fn end_in_time(connection: &mut PoolConnection<Sqlite>) -> Result<(), Error> {
    let end = Instant::now() + LIST_TIME;
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || Instant::now() < end);
    Ok(())
}

/// Gives the values of a statement to a query.
macro_rules! bound {
    ($query:expr, $binds:expr) => {{
        let mut query = $query;
        for value in $binds {
            query = match value {
                $crate::storage::sql::Bind::Text(text) => query.bind(text),
                $crate::storage::sql::Bind::Integer(integer) => query.bind(integer),
                $crate::storage::sql::Bind::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }};
}

/// The rows of a statement that may take as long as a list may. `$lists`: the connections for it.
macro_rules! rows {
    ($lists:expr, $sql:expr, $row:ty) => {{
        let $crate::storage::sql::Sql { text, binds, .. } = $sql;
        let read = match $lists {
            $crate::storage::Db::Maria(link) => {
                let pool = &link.pool();
                let text = format!("{}{text}", $crate::storage::sql::LIST_TIME_SQL);
                link.held(pool, async {
                    let query = sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe(text));
                    Ok($crate::storage::sql::bound!(query, binds).fetch_all(pool).await?)
                })
                .await
            }
            $crate::storage::Db::Sqlite(pool) => {
                $crate::storage::plainly(async {
                    let mut connection = pool.acquire().await?;
                    $crate::storage::sql::end_in_time(&mut connection).await?;
                    let query = sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe(text));
                    Ok($crate::storage::sql::bound!(query, binds).fetch_all(&mut *connection).await?)
                })
                .await
            }
        };
        read.map_err($crate::storage::Error::of_list)
    }};
}

pub(super) use {bound, rows};
