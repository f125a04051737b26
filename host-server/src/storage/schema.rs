//! Brings MariaDB's schema up to date, whoever was killed while doing so.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, MySqlPool,
    migrate::{MigrateError, Migration, Migrator},
};

use super::{Error, number};

/// How long another replica's migration is waited for.
const MIGRATING: Duration = Duration::from_secs(600);

/// What MariaDB says of a statement that was made before: the table, the column or the key is there, or what it drops or renames is
/// gone. (ER_TABLE_EXISTS_ERROR, ER_DUP_FIELDNAME, ER_DUP_KEYNAME, ER_CANT_DROP_FIELD_OR_KEY, ER_BAD_FIELD_ERROR.)
const MADE: [u16; 5] = [1050, 1060, 1061, 1091, 1054];

/// Brings the schema up to date. Replicas that start together do so one after the other: each holds a row's lock while it looks
/// and works, which ends with its connection. (GET_LOCK, which the migrator would take, is refused by Galera.)
///
/// # Errors
/// [`Error::Migrate`], [`Error`] of the engine.
pub(super) async fn migrate(pool: &MySqlPool) -> Result<(), Error> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_lock (id INT NOT NULL PRIMARY KEY) ENGINE=InnoDB")
        .execute(pool)
        .await?;
    sqlx::query("INSERT IGNORE INTO schema_lock (id) VALUES (1)").execute(pool).await?;
    let until = Instant::now() + MIGRATING;
    let _held = loop {
        let mut held = pool.begin().await?;
        match sqlx::query("SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE").fetch_one(&mut *held).await {
            Ok(_) => break held,
            Err(error) => {
                let error = Error::from(error);
                if !error.may_pass() || Instant::now() >= until {
                    return Err(error);
                }
                tracing::info!("another replica brings the schema up to date; it is waited for");
            }
        }
    };
    let mut migrator = sqlx::migrate!("../migrations/mariadb");
    migrator.set_locking(false);
    let mut ended = migrator.run(pool).await;
    if let Err(MigrateError::Dirty(version)) = ended {
        resume(pool, &migrator, version).await?;
        ended = migrator.run(pool).await;
    }
    ended.map_err(Error::Migrate)
}

/// Goes on with the migration that a server began and did not end. MariaDB makes each statement of it whole or not at all, and for
/// itself (https://mariadb.com/kb/en/atomic-ddl/), so all are made again, except where it says that they were.
async fn resume(pool: &MySqlPool, migrator: &Migrator, version: i64) -> Result<(), Error> {
    let checksum: Vec<u8> = sqlx::query_scalar("SELECT checksum FROM _sqlx_migrations WHERE version = ?")
        .bind(version)
        .fetch_one(pool)
        .await?;
    // What another version of this server began is refused by the migrator.
    let is_ours = |one: &&Migration| one.version == version && *one.checksum == *checksum;
    let Some(migration) = migrator.iter().find(is_ours) else { return Ok(()) };
    tracing::warn!(
        database.migration = version,
        "a server was stopped while it brought the schema up to date; this one goes on with it"
    );
    for statement in migration.sql.as_str().split_inclusive(";\n") {
        match sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await {
            Err(error) if !number(&error).is_some_and(|number| MADE.contains(&number)) => {
                return Err(Error::Migrate(MigrateError::ExecuteMigration(error, version)));
            }
            _ => {}
        }
    }
    sqlx::query("UPDATE _sqlx_migrations SET success = TRUE WHERE version = ?").bind(version).execute(pool).await?;
    Ok(())
}
