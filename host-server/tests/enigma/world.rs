//! A fresh database for one test: opened with and without keys, and looked into as a thief does.

use std::{path::PathBuf, str::FromStr as _, sync::Arc, time::Duration};

use claiflow_server::{
    enigma::{Enigma, Key},
    model::ids::{Source, hex},
    storage::{Error, Maria, Store},
};
use sqlx::{
    ConnectOptions as _, Connection as _, MySqlConnection, SqliteConnection, mysql::MySqlConnectOptions,
    sqlite::SqliteConnectOptions,
};
use zeroize::Zeroizing;

/// A server that hangs is a failure, not a wait.
const LIMIT: Duration = Duration::from_secs(240);

#[derive(Clone)]
pub(crate) enum Engine {
    Sqlite(PathBuf),
    Maria(Maria),
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) directory: tempfile::TempDir,
}

pub(crate) fn on_sqlite<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    run(async move {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Sqlite(directory.path().join("claiflow.db"));
        kept(promise(World { engine, directory })).await;
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
        let world = World { engine: Engine::Maria(maria.clone()), directory: tempfile::tempdir().unwrap() };
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

/// A ring of keys by their ids; an id stands for one key.
pub(crate) fn ring(ids: &[&str]) -> Enigma {
    let keys = ids.iter().map(|id| Key::new(id, Zeroizing::new(bytes_of(id))).unwrap());
    Enigma::new(keys.collect(), Arc::new(Source)).unwrap()
}

/// 32 bytes that an id stands for.
pub(crate) fn bytes_of(id: &str) -> Vec<u8> {
    id.bytes().cycle().take(31).chain([7]).collect()
}

impl World {
    /// A server's store with these keys.
    pub(crate) async fn open(&self, ids: &[&str]) -> Store {
        self.try_open(ring(ids)).await.unwrap()
    }

    pub(crate) async fn try_open(&self, enigma: Enigma) -> Result<Store, Error> {
        self.connect().await.sealing(enigma).await
    }

    /// A store that was given no word about keys.
    pub(crate) async fn connect(&self) -> Store {
        match &self.engine {
            Engine::Sqlite(file) => Store::sqlite(file).await,
            Engine::Maria(maria) => Store::maria(maria).await,
        }
        .unwrap()
    }

    /// Runs a statement as a person with a shell does.
    pub(crate) async fn type_sql(&self, text: &str) {
        match &self.engine {
            Engine::Maria(maria) => {
                let mut connection = mysql(maria).await;
                type_in(&mut connection, text).await;
                connection.close().await.unwrap();
            }
            Engine::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// The texts that a query answers, one in each row.
    pub(crate) async fn texts(&self, query: &str) -> Vec<String> {
        let query = sqlx::AssertSqlSafe(query.to_owned());
        match &self.engine {
            Engine::Maria(maria) => sqlx::query_scalar(query).fetch_all(&mut mysql(maria).await).await.unwrap(),
            Engine::Sqlite(file) => sqlx::query_scalar(query).fetch_all(&mut sqlite(file).await).await.unwrap(),
        }
    }

    /// The configuration of a server on this database, as YAML.
    pub(crate) fn yaml(&self) -> String {
        match &self.engine {
            Engine::Sqlite(_) => format!("dataDir: {}\n", self.directory.path().display()),
            Engine::Maria(maria) => format!(
                "database: {{type: mariadb, host: {}, port: {}, dbname: {}, username: {}, password: {}}}\n",
                maria.hosts[0].0, maria.hosts[0].1, maria.dbname, maria.username, maria.password
            ),
        }
    }
}

pub(crate) async fn sqlite(file: &std::path::Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10)).connect().await.unwrap()
}

pub(crate) async fn mysql(maria: &Maria) -> MySqlConnection {
    let (host, port) = &maria.hosts[0];
    let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
    options.username(&maria.username).password(&maria.password).connect().await.unwrap()
}
