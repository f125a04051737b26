//! The one `Store`, on MariaDB and on SQLite. SQL is shared wherever both accept it; what differs stands side by side.

mod agent;
mod api_token;
mod audit;
mod clock;
mod delivery;
mod engine;
mod filter;
mod former;
mod import;
mod inventory;
mod leader;
mod lease;
mod limits;
mod link;
mod list;
mod log;
mod narrow;
mod nodes;
mod nouns;
mod original;
mod outbox;
mod partition;
mod pieces;
mod predefined;
mod queue;
mod read;
mod rekey;
mod replica;
mod request;
mod resolve;
mod schema;
mod sealed;
mod session;
mod sql;
mod step;
mod task;
mod together;
mod variable;
mod waiting;
mod webhook;

pub use agent::AgentRow;
pub use delivery::{Attempt, IN_FLIGHT};
pub use import::Stored;
pub use inventory::InventoryRow;
pub use lease::Leased;
pub use original::{Original, Place as OriginalPlace};
pub use partition::{DAY_US, Patience};
pub use predefined::Brought;
pub use queue::WaitingLine;
pub use rekey::{Count, Cursor, Piece, Table};
pub use resolve::Settlement;
pub use step::Kept;
pub use task::Claim;
pub(crate) use task::{push_list, task_of};
pub use waiting::{Ending, Wished};

use std::{collections::HashMap, path::Path, str::FromStr as _, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sqlx::{
    Connection as _, SqlitePool,
    mysql::{MySqlConnectOptions, MySqlDatabaseError},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    enigma::{self, Enigma},
    model::{ids::Id, task::Snapshot},
};
use link::Link;
use nodes::Nodes;
use together::Together;

pub use sqlx::Error as Cause;

/// What can go wrong below the use cases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row with this key exists.
    #[error("a row with this key exists")]
    Duplicate,
    /// A list met more rows than could be read in its time.
    #[error("the list took too long")]
    TooSlow,
    /// The engine says nothing.
    #[error("the database did not answer in time")]
    Silent,
    /// Another replica leads in this work, or nobody: nothing was done.
    #[error("this replica does not lead any more")]
    Superseded,
    /// The engine refused or is away.
    #[error("the database did not answer as it should")]
    Engine(#[source] sqlx::Error),
    /// A row holds something of another kind than its column is for.
    #[error("a stored row cannot be read")]
    Row(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The engine answers and cannot hold the promises: what is wrong, and how to mend it.
    #[error("the database cannot serve claiflow: {0}")]
    Unfit(String),
    /// A list was asked for by a column whose values are sealed.
    #[error("`{0}` is encrypted in the database, so that no list can ask for it; leave it out")]
    Hidden(&'static str),
    /// A value does not open: a key is missing, or somebody changed the value.
    #[error(transparent)]
    Sealed(enigma::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => Self::Duplicate,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Row(error),
            _ => Self::Engine(error),
        }
    }
}

/// Where MariaDB is.
#[derive(Clone, Debug)]
pub struct Maria {
    /// Host names or addresses with their ports: the first that can be written to is used.
    pub hosts: Vec<(String, u16)>,
    /// The schema, which must exist.
    pub dbname: String,
    /// Who connects.
    pub username: String,
    /// Never logged.
    pub password: String,
    /// Connections at most.
    pub connections: u32,
}

impl Error {
    /// Whether a value is sealed under a key that this server was not given: another server has it.
    pub(crate) fn lacks_key(&self) -> bool {
        matches!(self, Self::Sealed(enigma::Error::MissingKey { .. }))
    }

    /// Whether the whole transaction may be tried again: deadlock, lock wait, snapshot conflict, busy, or a node that stops, is
    /// away, cannot be written to or (Galera) is not ready.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Engine(sqlx::Error::Database(error)) if error.try_downcast_ref::<MySqlDatabaseError>().is_none() => {
                matches!(error.code().as_deref(), Some("5" | "6" | "517"))
            }
            _ => matches!(self.number(), Some(1213 | 1205 | 1020)) || self.may_be_the_node(),
        }
    }

    /// Whether another MariaDB node may do what this one did not.
    fn may_be_the_node(&self) -> bool {
        match self {
            Self::Silent => true,
            Self::Engine(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
            // It stops; the connection was ended; it is read-only (three ways); Galera is not ready, or refused the commit.
            _ => matches!(self.number(), Some(1053 | 1927 | 1290 | 1792 | 1836 | 1047 | 1180)),
        }
    }

    /// MariaDB's number of an error.
    fn number(&self) -> Option<u16> {
        let Self::Engine(error) = self else { return None };
        number(error)
    }
}

/// MariaDB's number of an error.
fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Lists that are read at once; the others wait, and nothing else does.
const LIST_CONNECTIONS: u32 = 4;
/// Texts that stay prepared on each connection to MariaDB: all of ours, in their few sizes.
const STATEMENTS: usize = 1_000;
/// The same of lists, whose texts are as many as callers' filters. One that is not kept costs 40 ms: nothing answers the statement that
/// is closed, so what follows it waits for a delayed acknowledgement.
const LIST_STATEMENTS: usize = 64;

/// The inputs and the result of one task together, bytes: what MariaDB takes in one packet.
pub(crate) const TASK_BYTES: usize = 15 << 20;

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Maria(Link),
    Sqlite(SqlitePool),
}

/// Runs one piece of code against either engine: the inside of an async block that gives `Result<_, Error>`.
macro_rules! both {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::storage::Db::Maria(link) => {
                let $pool = &link.pool();
                link.held($pool, async { $body }).await
            }
            $crate::storage::Db::Sqlite($pool) => $crate::storage::plainly(async { $body }).await,
        }
    };
}
pub(crate) use both;

/// Says what an async block gives.
pub(crate) async fn plainly<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    Box::pin(work).await
}

/// Everything that is kept.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// The connections of the two writer lanes, which no other work takes: what a lane prepares stays prepared.
    creates: Db,
    finishes: Db,
    /// The connections of lists, which end what takes too long.
    lists: Db,
    /// Snapshots never change, so what was read once is read from here.
    snapshots: Arc<Mutex<HashMap<Id, Arc<Snapshot>>>>,
    /// Who waits for which single task.
    together: Arc<Together>,
    /// What seals values and opens them.
    enigma: Arc<Enigma>,
    /// Wakes the delivery of what was written into the outbox.
    told: Arc<Notify>,
    /// Ends, with the last clone, what looks after the connections.
    watched: Option<Arc<DropGuard>>,
}

impl Store {
    /// Opens (and makes) a SQLite database file.
    ///
    /// # Errors
    /// [`Error`] when the file cannot be opened or migrated.
    pub async fn sqlite(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .collation(filter::COLLATION, filter::collate);
        let lists = options.clone();
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // When SQLite ends a transaction by itself (the disk is full), the driver goes on to count it as open, and what is
            // committed inside it later is not durable. Whoever used the connection before has ended its own by now.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await?;
        sqlx::migrate!("../migrations/sqlite").run(&pool).await.map_err(Error::Migrate)?;
        let lists = SqlitePoolOptions::new().max_connections(LIST_CONNECTIONS).connect_lazy_with(lists);
        let pools = [pool.clone(), pool.clone(), pool, lists].map(Db::Sqlite);
        Self::over(pools).without_keys().await
    }

    /// Connects to MariaDB and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error`] when it is away, refuses, cannot hold the promises, or cannot be migrated.
    pub async fn maria(maria: &Maria) -> Result<Self, Error> {
        let options = MySqlConnectOptions::from_str("mysql://")?
            .database(&maria.dbname)
            .username(&maria.username)
            .password(&maria.password);
        let nodes = maria.hosts.iter().map(|(host, port)| options.clone().host(host).port(*port)).collect();
        let nodes = Nodes::find(nodes).await?;
        let (all, creates, finishes) =
            (nodes.link(maria.connections, STATEMENTS), nodes.link(1, STATEMENTS), nodes.link(1, STATEMENTS));
        let lists = nodes.link(LIST_CONNECTIONS, LIST_STATEMENTS);
        engine::check(&all.pool()).await?;
        schema::migrate(&all.pool()).await?;
        let stop = CancellationToken::new();
        tokio::spawn(nodes.watch([all.clone(), creates.clone(), finishes.clone(), lists.clone()], stop.clone()));
        let store = Self::over([all, creates, finishes, lists].map(Db::Maria));
        Self { watched: Some(Arc::new(stop.drop_guard())), ..store }.without_keys().await
    }

    /// On the connections of all work, of the two lanes, and of lists.
    fn over([db, creates, finishes, lists]: [Db; 4]) -> Self {
        let (snapshots, together, told) = (Arc::default(), Arc::<Together>::default(), Arc::default());
        let enigma = Arc::new(Enigma::off());
        Self { db, creates, finishes, lists, snapshots, together, enigma, told, watched: None }
    }

    /// How a transaction that writes begins, what locks the rows of a read in it, and what passes over locked ones. SQLite has
    /// one writer, which waits at the beginning.
    fn begin(&self) -> (&'static str, &'static str, &'static str) {
        match &self.db {
            Db::Maria(_) => ("BEGIN", " FOR UPDATE", " FOR UPDATE SKIP LOCKED"),
            Db::Sqlite(_) => ("BEGIN IMMEDIATE", "", ""),
        }
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// [`Error`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        both!(&self.db, pool => {
            sqlx::query("SELECT 1").execute(pool).await?;
            Ok(())
        })
    }

    /// Ends all connections.
    pub async fn close(&self) {
        if let Some(watched) = &self.watched {
            watched.token().cancel();
        }
        for db in [&self.lists, &self.creates, &self.finishes, &self.db] {
            match db {
                Db::Maria(link) => link.close().await,
                Db::Sqlite(pool) => pool.close().await,
            }
        }
    }
}

/// Words for people, cut to what a TEXT column holds.
pub(crate) fn cut(words: &str) -> &str {
    const BYTES: usize = 60_000;
    words.get(..words.floor_char_boundary(BYTES)).unwrap_or(words)
}
