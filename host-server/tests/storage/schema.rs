//! A server that is killed while it changes MariaDB's schema leaves one that the next server completes.

use claiflow_server::storage::{Error, Maria, Store};
use sqlx::{MySqlPool, migrate::Migration, mysql::MySqlConnectOptions};

use crate::world::{Engine, World, on_mariadb, shell};

#[test]
fn what_a_killed_server_began_is_ended_by_the_next_on_mariadb() {
    on_mariadb(what_a_killed_server_began_is_ended_by_the_next);
}

#[test]
fn what_another_version_began_is_refused_on_mariadb() {
    on_mariadb(what_another_version_began_is_refused);
}

/// A server was killed in the middle of each migration, and after all of its statements: each says of itself that it was made.
async fn what_a_killed_server_began_is_ended_by_the_next(world: World) {
    let Engine::Maria(whole) = &world.engine else { unreachable!() };
    let expected = schema(whole);
    let migrator = sqlx::migrate!("../migrations/mariadb");
    for migration in migrator.iter() {
        let statements: Vec<&str> = migration.sql.as_str().split_inclusive(";\n").collect();
        for made in [statements.len() / 2, statements.len()] {
            let at = format!("migration {}, killed after {made} statements", migration.version);
            let maria = Maria { dbname: format!("{}_killed", whole.dbname), ..whole.clone() };
            killed(&maria, migration, &statements[..made]).await;
            let store = Store::maria(&maria).await.unwrap_or_else(|error| panic!("{at}: {error:?}"));
            store.close().await;
            assert_eq!(schema(&maria), expected, "{at}");
            let left = shell(&maria, &maria.dbname, "SELECT version FROM _sqlx_migrations WHERE NOT success");
            assert_eq!(left, "", "{at}");
            shell(&maria, "", &format!("DROP DATABASE {}", maria.dbname));
        }
    }
}

async fn what_another_version_began_is_refused(world: World) {
    let Engine::Maria(maria) = &world.engine else { unreachable!() };
    world.type_sql("UPDATE _sqlx_migrations SET success = FALSE, checksum = 'x' WHERE version = 13").await;
    let refusal = Store::maria(maria).await.map(drop).unwrap_err();
    assert!(matches!(refusal, Error::Migrate(sqlx::migrate::MigrateError::Dirty(13))), "{refusal:?}");
}

/// Makes a database as it is when a server was killed in the migration, after these statements of it.
async fn killed(maria: &Maria, migration: &Migration, made: &[&str]) {
    shell(maria, "", &format!("CREATE DATABASE {}", maria.dbname));
    let pool = connect(maria);
    let mut migrator = sqlx::migrate!("../migrations/mariadb");
    migrator.set_locking(false).run_to(migration.version - 1, &pool).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (?, ?, FALSE, ?, -1)")
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(&*migration.checksum)
        .execute(&pool)
        .await
        .unwrap();
    for statement in made {
        sqlx::raw_sql(sqlx::AssertSqlSafe(*statement)).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

fn connect(maria: &Maria) -> MySqlPool {
    let (host, port) = &maria.hosts[0];
    let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
    MySqlPool::connect_lazy_with(options.username(&maria.username).password(&maria.password))
}

/// All columns and keys of a database, a line each.
fn schema(maria: &Maria) -> String {
    let columns = "SELECT table_name, column_name, ordinal_position, column_type, is_nullable, column_default, collation_name, extra FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 1, 3";
    let keys = "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2, 3";
    [columns, keys].map(|text| shell(maria, &maria.dbname, text)).concat()
}
