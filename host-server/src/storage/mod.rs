//! The one `Store`, on MariaDB and on SQLite. SQL is shared wherever both accept it; what differs stands side by side.

mod agent;
mod engine;
mod former;
mod lease;
mod limits;
mod nouns;
mod pieces;
mod read;
mod request;
mod resolve;
mod session;
mod step;
mod task;
mod waiting;

pub use agent::AgentRow;
pub use lease::Leased;
pub use request::AuditRow;
pub use resolve::Settlement;
pub use step::Kept;
pub use task::Claim;
pub(crate) use task::{push_list, task_of};
pub use waiting::{Ending, Wished};

use std::{collections::HashMap, path::Path, str::FromStr as _, sync::Arc, time::Duration};

use parking_lot::Mutex;
use sqlx::{
    Connection as _, MySqlPool, SqlitePool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::model::{ids::Id, task::Snapshot};

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
    /// The engine refused or is away.
    #[error("the database did not answer as it should")]
    Engine(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The engine answers and cannot hold the promises: what is wrong, and how to mend it.
    #[error("the database cannot serve claiflow: {0}")]
    Unfit(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner) if inner.is_unique_violation() => Self::Duplicate,
            _ => Self::Engine(error),
        }
    }
}

/// Where MariaDB is.
#[derive(Clone, Debug)]
pub struct Maria {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
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
    /// Whether the whole transaction may be tried again: deadlock, lock wait, snapshot conflict, busy, lost connection, an
    /// engine that stops or (Galera) is not ready.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Engine(sqlx::Error::Database(error)) => {
                match error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                    Some(error) => matches!(error.number(), 1213 | 1205 | 1020 | 1053 | 1927 | 1047),
                    None => matches!(error.code().as_deref(), Some("5" | "6" | "517")),
                }
            }
            Self::Engine(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
            _ => false,
        }
    }
}

/// The inputs and the result of one task together, bytes: what MariaDB takes in one packet.
pub(crate) const TASK_BYTES: usize = 15 << 20;

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Maria(MySqlPool),
    Sqlite(SqlitePool),
}

/// Runs one piece of code against either engine.
macro_rules! both {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::storage::Db::Maria($pool) => $body,
            $crate::storage::Db::Sqlite($pool) => $body,
        }
    };
}
pub(crate) use both;

/// Everything that is kept.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// The connections of the two writer lanes, which no other work takes: what a lane prepares stays prepared.
    creates: Db,
    finishes: Db,
    /// Snapshots never change, so what was read once is read from here.
    snapshots: Arc<Mutex<HashMap<Id, Arc<Snapshot>>>>,
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
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::migrate!("../migrations/sqlite").run(&pool).await.map_err(Error::Migrate)?;
        Ok(Self::over(Db::Sqlite(pool.clone()), Db::Sqlite(pool.clone()), Db::Sqlite(pool)))
    }

    /// Connects to MariaDB and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error`] when it is away, refuses, cannot hold the promises, or cannot be migrated.
    pub async fn maria(maria: &Maria) -> Result<Self, Error> {
        let options = MySqlConnectOptions::from_str("mysql://")?
            .host(&maria.host)
            .port(maria.port)
            .database(&maria.dbname)
            .username(&maria.username)
            .password(&maria.password)
            .statement_cache_capacity(1_000);
        let pool = pool_of(options.clone(), maria.connections).await?;
        engine::check(&pool).await?;
        // GET_LOCK, which the migrator would take, is refused by Galera.
        let mut migrator = sqlx::migrate!("../migrations/mariadb");
        migrator.set_locking(false);
        migrator.run(&pool).await.map_err(Error::Migrate)?;
        let lane = || pool_of(options.clone(), 1);
        Ok(Self::over(Db::Maria(pool), Db::Maria(lane().await?), Db::Maria(lane().await?)))
    }

    fn over(db: Db, creates: Db, finishes: Db) -> Self {
        Self { db, creates, finishes, snapshots: Arc::default() }
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// [`Error`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        both!(&self.db, pool => { sqlx::query("SELECT 1").execute(pool).await?; });
        Ok(())
    }

    /// Ends all connections.
    pub async fn close(&self) {
        for db in [&self.creates, &self.finishes, &self.db] {
            both!(db, pool => pool.close().await);
        }
    }
}

/// A connection that rested for longer is asked whether it lives before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// Connections to MariaDB that are set up alike.
async fn pool_of(options: MySqlConnectOptions, connections: u32) -> Result<MySqlPool, sqlx::Error> {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        // To ask a busy connection whether it lives would cost each statement a second round trip.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                for statement in engine::SESSION {
                    sqlx::query(*statement).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
}

/// Words for people, cut to what a TEXT column holds.
pub(crate) fn cut(words: &str) -> &str {
    const BYTES: usize = 60_000;
    words.get(..words.floor_char_boundary(BYTES)).unwrap_or(words)
}
