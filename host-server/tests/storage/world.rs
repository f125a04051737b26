//! A fresh database for one test, and what tests put into it.

use std::{path::PathBuf, str::FromStr as _, sync::Arc, time::Duration};

use claiflow_server::{
    model::{
        ids::{Id, Source, hex},
        inventory::{Command, Inventory, Plugin, PluginState},
        nouns::Cluster,
        options::Options,
        state::State,
        step::{STARTED, StepRow},
        task::{Finish, Holder, Kind, Lease, Place, Snapshot, Task},
    },
    storage::{Claim, Error, Maria, Store},
};
use sqlx::{ConnectOptions as _, Connection as _, MySqlConnection, SqliteConnection, mysql::MySqlConnectOptions};

/// How one step of a promise may take; a store that hangs is a failure, not a wait.
const LIMIT: Duration = Duration::from_secs(240);

pub(crate) enum Engine {
    Sqlite(PathBuf),
    Maria(Maria),
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) source: Source,
    /// A declared cluster's row.
    pub(crate) cluster: i64,
    _directory: tempfile::TempDir,
}

pub(crate) fn on_sqlite<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    run(async move {
        let directory = tempfile::tempdir().unwrap();
        let engine = Engine::Sqlite(directory.path().join("claiflow.db"));
        kept(promise(World::new(engine, directory).await)).await;
    });
}

pub(crate) fn on_mariadb<F: Future<Output = ()> + Send + 'static>(promise: fn(World) -> F) {
    let Some(mut maria) = server() else { return };
    run(async move {
        maria.dbname = format!("test_{}", hex(&Source.random()));
        shell(&maria, "", &format!("CREATE DATABASE {}", maria.dbname));
        let world = World::new(Engine::Maria(maria.clone()), tempfile::tempdir().unwrap()).await;
        let outcome = tokio::spawn(async move { kept(promise(world)).await }).await;
        shell(&maria, "", &format!("DROP DATABASE {}", maria.dbname));
        outcome.unwrap();
    });
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

async fn kept(promise: impl Future<Output = ()>) {
    tokio::time::timeout(LIMIT, promise).await.expect("the promise takes too long");
}

/// The server that the environment names: said loudly when there is none.
pub(crate) fn server() -> Option<Maria> {
    let Ok(url) = std::env::var("CLAIFLOW_TEST_MARIADB") else {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_MARIADB names no server");
        eprintln!("SKIPPED: CLAIFLOW_TEST_MARIADB names no server, so nothing was run on MariaDB");
        return None;
    };
    let options = MySqlConnectOptions::from_str(&url).unwrap();
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':')).unwrap().1;
    Some(Maria {
        hosts: vec![(options.get_host().into(), options.get_port())],
        dbname: String::new(),
        username: options.get_username().into(),
        password: password.into(),
        connections: 8,
    })
}

/// Types a text into the `mariadb` client, as an operator does.
pub(crate) fn shell(maria: &Maria, database: &str, text: &str) -> String {
    let (host, port) = &maria.hosts[0];
    let output = std::process::Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "--default-character-set=utf8mb4", "--batch", "--skip-column-names"])
        .arg(format!("--host={host}"))
        .arg(format!("--port={port}"))
        .arg(format!("--user={}", maria.username))
        .env("MYSQL_PWD", &maria.password)
        .args([&format!("--database={database}"), "--execute", text])
        .output()
        .unwrap();
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// See [`World::hold`].
pub(crate) enum Held {
    Maria(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl Held {
    pub(crate) async fn release(self) {
        match self {
            Self::Maria(connection) => connection.close().await.unwrap(),
            Self::Sqlite(connection) => connection.close().await.unwrap(),
        }
    }
}

impl World {
    async fn new(engine: Engine, directory: tempfile::TempDir) -> Self {
        let store = open(&engine).await;
        let cluster = declare(&store, &"0".repeat(32)).await;
        Self { store, engine, source: Source, cluster, _directory: directory }
    }

    /// The store, as another process sees it.
    pub(crate) async fn reopened(&self) -> Store {
        open(&self.engine).await
    }

    /// Runs statements as a person with a shell does.
    pub(crate) async fn type_sql(&self, text: &str) {
        match &self.engine {
            Engine::Maria(maria) => drop(shell(maria, &maria.dbname, text)),
            Engine::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    /// Holds what a writer needs, until it is released: the rows that these reads lock, or SQLite's right to write.
    pub(crate) async fn hold(&self, reads: [&'static str; 2]) -> Held {
        match &self.engine {
            Engine::Maria(maria) => {
                let mut connection = mysql(maria).await;
                sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
                for read in reads {
                    sqlx::query(read).fetch_all(&mut connection).await.unwrap();
                }
                Held::Maria(connection)
            }
            Engine::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                Held::Sqlite(connection)
            }
        }
    }

    /// The one number that a query answers.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        match &self.engine {
            Engine::Maria(maria) => {
                let mut connection = mysql(maria).await;
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
            Engine::Sqlite(file) => {
                let mut connection = sqlite(file).await;
                sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
            }
        }
    }

    /// A kept snapshot of a flow with this many top-level steps.
    pub(crate) async fn snapshot(&self, step_max: usize) -> Arc<Snapshot> {
        self.snapshot_of(step_max, "t", "{}").await
    }

    /// One of a template with these options.
    pub(crate) async fn snapshot_of(&self, step_max: usize, template: &str, options: &str) -> Arc<Snapshot> {
        let snapshot = Snapshot {
            id: self.source.random(),
            template_uuid: template.into(),
            flow: "[]".into(),
            step_max,
            language_level: 0,
            commands: vec!["helloworld".into()],
            options: Options::parse(options).unwrap(),
            options_text: Some(options.into()),
        };
        self.store.keep_snapshot(&snapshot).await.unwrap();
        Arc::new(snapshot)
    }

    /// A task that is not stored yet.
    pub(crate) fn task(&self, snapshot: &Arc<Snapshot>) -> Task {
        let id = self.source.id();
        Task {
            id,
            cluster: self.cluster,
            uuid: hex(&id),
            snapshot: Arc::clone(snapshot),
            name: "n".into(),
            summary: None,
            inputs: "{}".into(),
            channel: None,
            priority: 0,
            attempt: 1,
            epoch: 1,
            created: self.source.now_us(),
            request: None,
            valid_until: None,
            run_timeout_ms: 3_600_000,
            started: None,
            labels: None,
            traceparent: None,
            created_by: None,
            audit: None,
            request_id: None,
        }
    }

    /// A stored task that runs, with its lease.
    pub(crate) async fn running(&self, snapshot: &Arc<Snapshot>) -> Arc<Lease> {
        let task = self.task(snapshot);
        let lease = self.lease_of(&Arc::new(Task { started: Some(task.created), ..task }));
        self.store.create_tasks(&[(Arc::clone(&lease.task), Place::Lease(Arc::clone(&lease)))], &[]).await.unwrap();
        lease
    }

    /// A stored task that waits.
    pub(crate) async fn waiting(&self, task: Task, place: Place) -> Arc<Task> {
        let task = Arc::new(task);
        self.store.create_tasks(&[(Arc::clone(&task), place)], &[]).await.unwrap();
        task
    }

    pub(crate) fn lease_of(&self, task: &Arc<Task>) -> Arc<Lease> {
        let created = self.source.now_us();
        Arc::new(Lease {
            id: self.source.random(),
            journal: [7; 16],
            created,
            kind: Kind::Stream,
            task: Arc::clone(task),
        })
    }

    /// A success of the lease's task.
    pub(crate) fn success(&self, lease: &Arc<Lease>) -> Finish {
        Finish {
            lease: Arc::clone(lease),
            state: State::Succeeded as i16,
            result: Some("1".into()),
            error: None,
            timeline: "{\"steps\":[]}".into(),
            ended: self.source.now_us(),
            stepped: true,
            counted: true,
        }
    }

    /// Stores ends; the leases that were valid, and how their tasks ended.
    pub(crate) async fn ends(&self, ends: &[Finish]) -> Vec<(Id, State)> {
        self.store.finish(ends).await.unwrap().into_iter().collect()
    }

    /// Takes waiting tasks of the cluster that run `snapshot`.
    pub(crate) async fn claim(&self, snapshot: &Arc<Snapshot>, limit: usize) -> Vec<Arc<Lease>> {
        claim(&self.store, self.cluster, snapshot, limit).await
    }

    /// What a read of the task shows: its state.
    pub(crate) async fn state(&self, id: Id) -> State {
        State::of(self.store.task(self.cluster, &id).await.unwrap().expect("the task is stored").state)
    }
}

pub(crate) async fn claim(store: &Store, cluster: i64, snapshot: &Arc<Snapshot>, limit: usize) -> Vec<Arc<Lease>> {
    let snapshots = std::iter::once((snapshot.id, Arc::clone(snapshot))).collect();
    let holder = &Holder::Streaming([7; 16]);
    let now_us = Source.now_us();
    let claim = Claim { cluster, snapshots: &snapshots, limit, holder, now_us, cluster_limit: None };
    retried(|| store.claim(&claim, &|| Source.random())).await
}

/// Tries a whole transaction again after what may pass, as the dispatcher does.
pub(crate) async fn retried<T, F: Future<Output = Result<T, Error>>>(mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Err(error) if error.may_pass() => tokio::task::yield_now().await,
            outcome => return outcome.unwrap(),
        }
    }
}

/// What an agent with these commands serves.
pub(crate) fn serving(names: &[&str]) -> Inventory {
    let command = |name: &&str| Command { name: (*name).into(), plugin: "tool".into(), ..Command::default() };
    let plugin = Plugin { name: "tool".into(), state: PluginState::Ready, ..Plugin::default() };
    Inventory { plugins: vec![plugin], commands: names.iter().map(command).collect() }
}

/// Declares a cluster; its row's number.
pub(crate) async fn declare(store: &Store, uuid: &str) -> i64 {
    let cluster = Cluster {
        id: 0,
        uuid: uuid.into(),
        name: "c".into(),
        summary: None,
        labels: None,
        paused: false,
        concurrency: None,
        created: 1,
        updated: 1,
        deleted: None,
    };
    store.insert_cluster(&cluster).await.unwrap();
    store.cluster(uuid).await.unwrap().unwrap().id
}

/// Effects, as in the agents' protocol.
pub(crate) const READ: i16 = 1;
pub(crate) const VERIFY: i16 = 3;

/// A step's report.
pub(crate) fn step(path: &str, state: i16, effect: i16, output: &str) -> StepRow {
    let now = Source.now_us();
    StepRow {
        path: path.into(),
        attempt: 1,
        top: path.split('/').next().and_then(|top| top.parse().ok()).unwrap_or_default(),
        state,
        effect,
        started: now,
        ended: (state != STARTED).then_some(now),
        output: (!output.is_empty()).then(|| output.to_owned()),
        used: (state != STARTED).then(|| r#"{"cpu_us":1,"wall_us":2,"memory_bytes":3,"host_calls":4}"#.to_owned()),
    }
}

pub(crate) async fn open(engine: &Engine) -> Store {
    match engine {
        Engine::Sqlite(file) => Store::sqlite(file).await,
        Engine::Maria(maria) => Store::maria(maria).await,
    }
    .unwrap()
}

async fn sqlite(file: &std::path::Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    options.connect().await.unwrap()
}

pub(crate) async fn mysql(maria: &Maria) -> MySqlConnection {
    let (host, port) = &maria.hosts[0];
    let options = MySqlConnectOptions::new().host(host).port(*port).database(&maria.dbname);
    options.username(&maria.username).password(&maria.password).connect().await.unwrap()
}
