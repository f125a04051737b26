//! A fresh database for one test.

use std::{path::PathBuf, str::FromStr as _, time::Duration};

use claiflow_server::{
    model::ids::{Source, hex},
    storage::{Maria, Store},
};
use sqlx::{
    ConnectOptions as _, Connection as _, MySqlConnection, mysql::MySqlConnectOptions, sqlite::SqliteConnectOptions,
};

/// A server that hangs is a failure, not a wait.
const LIMIT: Duration = Duration::from_secs(240);

enum Engine {
    Sqlite(PathBuf),
    Maria(Maria),
}

pub(crate) struct World {
    pub(crate) source: Source,
    engine: Engine,
    _directory: tempfile::TempDir,
}

pub(crate) fn on_sqlite<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    run(async move {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Sqlite(directory.path().join("claiflow.db"));
        kept(promise(World::new(engine, directory))).await;
    });
}

pub(crate) fn on_mariadb<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
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
        let mut admin = options.connect().await.unwrap();
        type_in(&mut admin, &format!("CREATE DATABASE {}", maria.dbname)).await;
        let world = World::new(Engine::Maria(maria.clone()), tempfile::tempdir().unwrap());
        let outcome = tokio::spawn(kept(promise(world))).await;
        type_in(&mut admin, &format!("DROP DATABASE {}", maria.dbname)).await;
        outcome.unwrap();
    });
}

async fn type_in(connection: &mut MySqlConnection, text: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

async fn kept(promise: impl Future<Output = ()>) {
    tokio::time::timeout(LIMIT, promise).await.expect("the promise takes too long");
}

impl World {
    /// The variables by which a server's program finds this database, and where it keeps what is not in it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        match &self.engine {
            Engine::Sqlite(file) => vec![("CLAIFLOW_DATADIR", file.parent().unwrap().display().to_string())],
            Engine::Maria(maria) => vec![
                ("CLAIFLOW_DATABASE_TYPE", "mariadb".into()),
                ("CLAIFLOW_DATABASE_HOST", maria.hosts[0].0.clone()),
                ("CLAIFLOW_DATABASE_PORT", maria.hosts[0].1.to_string()),
                ("CLAIFLOW_DATABASE_DBNAME", maria.dbname.clone()),
                ("CLAIFLOW_DATABASE_USERNAME", maria.username.clone()),
                ("CLAIFLOW_DATABASE_PASSWORD", maria.password.clone()),
            ],
        }
    }

    fn new(engine: Engine, directory: tempfile::TempDir) -> Self {
        Self { source: Source, engine, _directory: directory }
    }

    /// The store, as another process sees it.
    pub(crate) async fn reopened(&self) -> Store {
        open(&self.engine).await
    }

    /// Runs a statement as a person with a shell does.
    pub(crate) async fn type_sql(&self, text: &str) {
        match &self.engine {
            Engine::Maria(maria) => {
                let (host, port) = &maria.hosts[0];
                let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
                let options = options.username(&maria.username).password(&maria.password);
                let mut connection = options.connect().await.unwrap();
                type_in(&mut connection, text).await;
                connection.close().await.unwrap();
            }
            Engine::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

impl World {
    /// The first column of what a query answers, texts.
    pub(crate) async fn rows(&self, query: &'static str) -> Vec<String> {
        match &self.engine {
            Engine::Maria(maria) => {
                let (host, port) = &maria.hosts[0];
                let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
                let options = options.username(&maria.username).password(&maria.password);
                sqlx::query_scalar(query).fetch_all(&mut options.connect().await.unwrap()).await.unwrap()
            }
            Engine::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
                sqlx::query_scalar(query).fetch_all(&mut options.connect().await.unwrap()).await.unwrap()
            }
        }
    }
}

async fn open(engine: &Engine) -> Store {
    match engine {
        Engine::Sqlite(file) => Store::sqlite(file).await,
        Engine::Maria(maria) => Store::maria(maria).await,
    }
    .unwrap()
}
