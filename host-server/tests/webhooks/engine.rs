//! A fresh database for one test.

use std::{path::PathBuf, str::FromStr as _, time::Duration};

use claiflow_server::{
    model::ids::{Source, hex},
    storage::{Maria, Store},
};
use sqlx::{ConnectOptions as _, Connection as _, mysql::MySqlConnectOptions, sqlite::SqliteConnectOptions};

/// A promise that takes longer is broken.
const LIMIT: Duration = Duration::from_secs(240);

#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(PathBuf),
    Maria(Maria),
}

pub(crate) fn on_sqlite<F: Future<Output = ()> + Send + 'static>(promise: fn(Engine) -> F) {
    run(async move {
        let directory = tempfile::tempdir().unwrap();
        kept(promise(Engine::Sqlite(directory.path().join("claiflow.db")))).await;
    });
}

pub(crate) fn on_mariadb<F: Future<Output = ()> + Send + 'static>(promise: fn(Engine) -> F) {
    let Ok(url) = std::env::var("CLAIFLOW_TEST_MARIADB") else {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_MARIADB names no server");
        eprintln!("SKIPPED: CLAIFLOW_TEST_MARIADB names no server, so nothing was run on MariaDB");
        return;
    };
    let options = MySqlConnectOptions::from_str(&url).unwrap();
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':')).unwrap().1;
    let maria = Maria {
        hosts: vec![(options.get_host().into(), options.get_port())],
        dbname: format!("test_{}", hex(&Source.random())),
        username: options.get_username().into(),
        password: password.into(),
        connections: 8,
    };
    run(async move {
        let shell = async |sql: String| {
            let mut connection = options.clone().connect().await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        };
        shell(format!("CREATE DATABASE {}", maria.dbname)).await;
        let engine = Engine::Maria(maria.clone());
        let outcome = tokio::spawn(async move { kept(promise(engine)).await }).await;
        shell(format!("DROP DATABASE {}", maria.dbname)).await;
        outcome.unwrap();
    });
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

async fn kept(promise: impl Future<Output = ()>) {
    tokio::time::timeout(LIMIT, promise).await.expect("the promise takes too long");
}

impl Engine {
    pub(crate) async fn open(&self) -> Store {
        match self {
            Self::Sqlite(file) => Store::sqlite(file).await,
            Self::Maria(maria) => Store::maria(maria).await,
        }
        .unwrap()
    }

    /// Runs a statement as a person with a shell does.
    pub(crate) async fn type_sql(&self, sql: &'static str) {
        match self {
            Self::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
                let mut connection = options.connect().await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Maria(maria) => {
                let (host, port) = &maria.hosts[0];
                let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
                let mut connection =
                    options.username(&maria.username).password(&maria.password).connect().await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}
