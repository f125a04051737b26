//! A database of the first version, an empty target, and what a server shows of it.

use std::{collections::BTreeMap, path::PathBuf, process::Command, str::FromStr as _, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::App,
    dispatch::{Dispatch, Timing},
    import::{Error, Import, Summary},
    metrics::Metrics,
    model::ids::{Source, hex},
    rest,
    storage::{Maria, OriginalPlace, Store},
};
use serde_json::Value;
use sqlx::mysql::MySqlConnectOptions;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

/// How one promise may take; what hangs is a failure, not a wait.
const LIMIT: Duration = Duration::from_secs(240);

/// Where claiflow is to keep its own.
#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Maria(Maria),
}

pub(crate) struct World {
    /// The first version's database.
    pub(crate) original: Maria,
    /// Its address, with the password.
    pub(crate) url: String,
    pub(crate) target: Target,
    directory: TempDir,
}

pub(crate) fn into_sqlite<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    with_original(move |original, url| async move {
        let directory = tempfile::tempdir().unwrap();
        let target = Target::Sqlite(directory.path().join("claiflow.db"));
        promise(World { original, url, target, directory }).await;
    });
}

pub(crate) fn into_mariadb<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    with_original(move |original, url| async move {
        let target = Maria { dbname: format!("test_{}", hex(&Source.random())), ..original.clone() };
        shell(&target, "", &format!("CREATE DATABASE {}", target.dbname));
        let directory = tempfile::tempdir().unwrap();
        let world = World { original, url, target: Target::Maria(target.clone()), directory };
        let outcome = tokio::spawn(promise(world)).await;
        shell(&target, "", &format!("DROP DATABASE {}", target.dbname));
        outcome.unwrap();
    });
}

/// Makes the first version's database from `original.sql`.
fn with_original<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Maria, String) -> F) {
    let Ok(server) = std::env::var("CLAIFLOW_TEST_MARIADB") else {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_MARIADB names no server");
        eprintln!("SKIPPED: CLAIFLOW_TEST_MARIADB names no server, so there is no database of the first version");
        return;
    };
    let options = MySqlConnectOptions::from_str(&server).unwrap();
    let password = server.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':')).unwrap().1;
    let original = Maria {
        hosts: vec![(options.get_host().into(), options.get_port())],
        dbname: format!("test_{}", hex(&Source.random())),
        username: options.get_username().into(),
        password: password.into(),
        connections: 8,
    };
    shell(&original, "", &format!("CREATE DATABASE {}", original.dbname));
    shell(&original, &original.dbname, include_str!("original.sql"));
    let url = format!("{}/{}", server.trim_end_matches('/'), original.dbname);
    let test = test(original.clone(), url);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        tokio::spawn(async move { tokio::time::timeout(LIMIT, test).await.expect("the promise takes too long") }).await
    });
    shell(&original, "", &format!("DROP DATABASE {}", original.dbname));
    outcome.unwrap();
}

/// Types a text into the `mariadb` client.
pub(crate) fn shell(maria: &Maria, database: &str, text: &str) -> String {
    let (host, port) = &maria.hosts[0];
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "--default-character-set=utf8mb4", "--batch", "--skip-column-names"])
        .arg(format!("--host={host}"))
        .arg(format!("--port={port}"))
        .arg(format!("--user={}", maria.username))
        .env("MYSQL_PWD", &maria.password)
        .args([&format!("--database={database}"), "--execute", text])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl World {
    pub(crate) fn place(&self) -> OriginalPlace {
        OriginalPlace::beside(&self.original, &self.original.dbname)
    }

    /// Types statements into the first version's database; what they answer.
    pub(crate) fn sql(&self, text: &str) -> String {
        shell(&self.original, &self.original.dbname, text)
    }

    /// What the first version's tables hold, as digests.
    pub(crate) fn digests(&self) -> String {
        let tables = self.sql("SHOW TABLES").lines().collect::<Vec<_>>().join(", ");
        self.sql(&format!("CHECKSUM TABLE {tables} EXTENDED"))
    }

    pub(crate) async fn store(&self) -> Store {
        match &self.target {
            Target::Sqlite(file) => Store::sqlite(file).await,
            Target::Maria(maria) => Store::maria(maria).await,
        }
        .unwrap()
    }

    /// Runs the import as the command does.
    pub(crate) async fn import(&self, stopped: bool) -> Result<Summary, Error> {
        let store = self.store().await;
        let outcome = Import { stopped, ..Import::default() }.run(&self.place(), &store, &Source).await;
        store.close().await;
        outcome
    }

    /// The directory in which a server would keep its SQLite file.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The server's command, with the target configured by variables.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claiflow-server"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CLAIFLOW_")) {
            command.env_remove(name);
        }
        command.env("CLAIFLOW_HTTP_PORT", "0").env("CLAIFLOW_GRPC_PORT", "0");
        match &self.target {
            Target::Sqlite(_) => drop(command.env("CLAIFLOW_DATADIR", self.directory())),
            Target::Maria(maria) => on(&mut command, maria),
        }
        command
    }

    /// A server on the target, without sockets.
    pub(crate) async fn serve(&self) -> Server {
        let store = self.store().await;
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store.clone(), Source, dispatch, jq, metrics).await.unwrap();
        app.bring_templates().await.unwrap();
        let router = rest::router(app.clone(), "", true);
        Server { app, store, router, _stop: stop.drop_guard() }
    }
}

/// Configures a database by variables.
pub(crate) fn on(command: &mut Command, maria: &Maria) {
    let (host, port) = &maria.hosts[0];
    command
        .env("CLAIFLOW_DATABASE_TYPE", "mariadb")
        .env("CLAIFLOW_DATABASE_HOST", host)
        .env("CLAIFLOW_DATABASE_PORT", port.to_string())
        .env("CLAIFLOW_DATABASE_DBNAME", &maria.dbname)
        .env("CLAIFLOW_DATABASE_USERNAME", &maria.username)
        .env("CLAIFLOW_DATABASE_PASSWORD", &maria.password);
}

pub(crate) struct Server {
    pub(crate) app: App,
    store: Store,
    router: Router,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).header("host", "127.0.0.1:8099").body(Body::empty()).unwrap();
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::post(path)
            .header("host", "127.0.0.1:8099")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    /// Everything that was declared and every task, by kind and uuid; what changes by itself is left out.
    pub(crate) async fn everything(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for kind in ["cluster", "cluster_token", "global_variables", "template", "webhook", "service"] {
            let (status, rows) = self.get(&format!("/api/v1/{kind}?limit=1000")).await;
            assert_eq!(status, 200, "{kind}: {rows}");
            for mut row in rows.as_array().unwrap().clone() {
                let key = format!("{kind} {} {}", row["cluster_uuid"], row["uuid"]);
                row.as_object_mut().unwrap().remove("reason");
                assert!(all.insert(key.clone(), row).is_none(), "{key} is there twice");
            }
        }
        all
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}
