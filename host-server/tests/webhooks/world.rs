//! A server without sockets of its own, its webhooks, and tasks that run.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, body::Body, http::Request};
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::{App, webhook::Declare},
    dispatch::{Dispatch, Timing},
    metrics::Metrics,
    model::{
        ids::{Id, Source, hex},
        nouns::Cluster,
        options::Options,
        state::State,
        step::StepRow,
        task::{Finish, Holder, Kind, Lease, Place, Snapshot, Task, Timeline},
        webhook::{Delivery, DeliveryListing, DeliveryState},
    },
    rest,
    storage::{Claim, Store},
    webhook::{self, Network, Resolve, Settings},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

use crate::engine::Engine;

/// The webhook of most tests.
pub(crate) const HOOK: &str = "00000000000000000000000000000002";
/// Runs the filters.
const SERVER: &str = env!("CARGO_BIN_EXE_claiflow-server");

/// Names that lead where a test says; how often each was asked for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) known: BTreeMap<&'static str, Vec<&'static str>>,
    pub(crate) asked: Mutex<usize>,
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        *self.asked.lock() += 1;
        let found = self.known.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(found.iter().map(|address| address.parse().unwrap()).collect())
    }
}

/// Webhooks that are delivered by one replica; dropped, it stops.
pub(crate) struct Replica {
    pub(crate) stop: CancellationToken,
    pub(crate) ended: JoinHandle<()>,
    _guard: DropGuard,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) store: Store,
    pub(crate) app: App,
    pub(crate) cluster: i64,
    pub(crate) snapshot: Arc<Snapshot>,
    router: Router,
    _stop: DropGuard,
}

impl World {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::over(engine, true, Path::new(SERVER)).await
    }

    /// Another replica on the same database.
    pub(crate) async fn beside(other: &Self) -> Self {
        Self::over(other.engine.clone(), false, Path::new(SERVER)).await
    }

    /// Another replica on the same database; where its filters would run there is no program.
    pub(crate) async fn without_jq(other: &Self) -> Self {
        Self::over(other.engine.clone(), false, Path::new("/missing")).await
    }

    async fn over(engine: Engine, is_first: bool, evaluator: &Path) -> Self {
        let store = engine.open().await;
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(evaluator.into(), 1);
        let app = App::open(store.clone(), Source, dispatch, jq, metrics).await.unwrap();
        let cluster = Cluster {
            id: 0,
            uuid: "0".repeat(32),
            name: "c".into(),
            summary: None,
            labels: None,
            paused: false,
            concurrency: None,
            created: 1,
            updated: 1,
            deleted: None,
        };
        if is_first {
            store.insert_cluster(&cluster).await.unwrap();
        }
        let cluster = store.cluster(&cluster.uuid).await.unwrap().unwrap().id;
        let snapshot = Arc::new(Snapshot {
            id: Source.random(),
            template_uuid: "example_simple".into(),
            flow: "[]".into(),
            step_max: 2,
            language_level: 0,
            commands: vec![],
            options: Options::parse("{}").unwrap(),
            options_text: None,
        });
        store.keep_snapshot(&snapshot).await.unwrap();
        let router = rest::router(app.clone(), "", true);
        Self { engine, store, app, cluster, snapshot, router, _stop: stop.drop_guard() }
    }

    /// Declares the webhook [`HOOK`]; `change` says what is not as usual.
    pub(crate) async fn hook(&self, url: String, change: impl FnOnce(&mut Declare)) {
        self.hook_of(HOOK, url, change).await;
    }

    pub(crate) async fn hook_of(&self, uuid: &str, url: String, change: impl FnOnce(&mut Declare)) {
        let mut declare = Declare {
            uuid: Some(uuid.into()),
            name: Some("hook".into()),
            url: Some(url),
            method: Some("post".into()),
            ..Declare::default()
        };
        change(&mut declare);
        self.app.declare_webhook(declare).await.unwrap();
    }

    /// Delivers, to loopback too.
    pub(crate) async fn deliver(&self) -> Replica {
        self.deliver_with(&["127.0.0.0/8"], None, Arc::new(Names::default())).await
    }

    pub(crate) async fn deliver_with(
        &self,
        allowed: &[&str],
        ca_file: Option<PathBuf>,
        names: Arc<dyn Resolve>,
    ) -> Replica {
        let allowed = allowed.iter().map(|text| Network::parse(text).unwrap()).collect();
        let (settings, stop) = (Settings { ca_file, allowed, ..Settings::default() }, CancellationToken::new());
        let ended = webhook::start(&self.app, &settings, names, &stop).await.unwrap();
        Replica { ended, _guard: stop.clone().drop_guard(), stop }
    }

    /// A task of the webhook [`HOOK`] that is not stored yet.
    pub(crate) fn task(&self) -> Task {
        self.task_of(Some(HOOK))
    }

    pub(crate) fn task_of(&self, channel: Option<&str>) -> Task {
        let id = Source.id();
        Task {
            id,
            cluster: self.cluster,
            uuid: hex(&id),
            snapshot: Arc::clone(&self.snapshot),
            name: "greet".into(),
            summary: None,
            inputs: r#"{"name":"world"}"#.into(),
            channel: channel.map(str::to_owned),
            priority: 0,
            attempt: 1,
            epoch: 1,
            created: Source.now_us(),
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

    pub(crate) async fn waits(&self, task: Task) -> Arc<Task> {
        let task = Arc::new(task);
        self.store.create_tasks(&[(Arc::clone(&task), Place::Ready)], &[]).await.unwrap();
        task
    }

    pub(crate) async fn runs(&self, task: Task) -> Arc<Lease> {
        let created = Source.now_us();
        let task = Arc::new(Task { started: Some(created), ..task });
        let lease =
            Lease { id: Source.random(), journal: [7; 16], created, kind: Kind::Stream, task: Arc::clone(&task) };
        let lease = Arc::new(lease);
        self.store.create_tasks(&[(task, Place::Lease(Arc::clone(&lease)))], &[]).await.unwrap();
        lease
    }

    pub(crate) async fn claim(&self) -> Vec<Arc<Lease>> {
        let snapshots = std::iter::once((self.snapshot.id, Arc::clone(&self.snapshot))).collect();
        let holder = &Holder::Streaming([7; 16]);
        let now_us = Source.now_us();
        let claim =
            Claim { cluster: self.cluster, snapshots: &snapshots, limit: 9, holder, now_us, cluster_limit: None };
        self.store.claim(&claim, &|| Source.random()).await.unwrap()
    }

    /// The task ends under its lease, with what was reported of its steps.
    pub(crate) async fn ends(&self, lease: &Arc<Lease>, state: State, reports: &[StepRow]) {
        let timeline = serde_json::to_string(&Timeline::of(Some(lease.created), reports)).unwrap();
        let finish = Finish {
            lease: Arc::clone(lease),
            state: state as i16,
            result: Some(r#""hello world""#.into()),
            error: (state != State::Succeeded).then(|| "it went wrong".into()),
            timeline,
            ended: Source.now_us(),
            stepped: true,
            counted: true,
        };
        assert_eq!(self.store.finish(&[finish]).await.unwrap().len(), 1);
    }

    /// All of a task with two steps: six statuses.
    pub(crate) async fn whole_run(&self, task: Task) -> Id {
        let lease = self.runs(task).await;
        let reports = [step("0", 2), step("1", 2)];
        self.store.keep_step(&lease, &step("0", 1)).await.unwrap();
        self.store.keep_step(&lease, &reports[0]).await.unwrap();
        self.ends(&lease, State::Succeeded, &reports).await;
        lease.task.id
    }

    pub(crate) async fn deliveries(&self) -> Vec<Delivery> {
        let listing = DeliveryListing { oldest_first: true, limit: 1_000, ..DeliveryListing::default() };
        self.store.deliveries(HOOK, &listing).await.unwrap()
    }

    /// Status, step and step's status of all that was told of a task.
    pub(crate) async fn told(&self, task: Id) -> Vec<(i16, i32, i16)> {
        let all = self.deliveries().await;
        let mut of_task: Vec<&Delivery> = all.iter().filter(|delivery| delivery.task == task).collect();
        of_task.sort_by_key(|delivery| delivery.seq);
        let numbers: Vec<i32> = of_task.iter().map(|delivery| delivery.seq).collect();
        assert!(numbers.iter().copied().eq(1..=i32::try_from(numbers.len()).unwrap()), "{numbers:?}");
        of_task.iter().map(|delivery| (delivery.status, delivery.step, delivery.step_status)).collect()
    }

    /// Waits until a delivery of the list stands as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        loop {
            let all = self.deliveries().await;
            if wanted(&all) {
                return all;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_all(&self, state: DeliveryState) -> Vec<Delivery> {
        self.until(|all| !all.is_empty() && all.iter().all(|delivery| delivery.state == state as i16)).await
    }

    /// The next attempts are due now.
    pub(crate) async fn hurry(&self) {
        self.engine.type_sql("UPDATE webhook_delivery SET due = 1 WHERE state = 0").await;
    }

    /// One call of the API; status and answer.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, text) =
            self.call_text(method, path, if body.is_null() { String::new() } else { body.to_string() }).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    pub(crate) async fn call_text(&self, method: &str, path: &str, body: String) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1:8099")
            .header("content-type", "application/json")
            .header("content-length", body.len());
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a new webhook needs, for the API.
    pub(crate) fn body(url: &str) -> Value {
        json!({"uuid": HOOK, "name": "hook", "url": url, "method": "post"})
    }
}

/// The report of a step: 1 started, 2 succeeded, 3 failed.
pub(crate) fn step(path: &str, state: i16) -> StepRow {
    let now = Source.now_us();
    StepRow {
        path: path.into(),
        attempt: 1,
        top: path.split('/').next().and_then(|top| top.parse().ok()).unwrap_or_default(),
        state,
        effect: 1,
        started: now,
        ended: (state != 1).then_some(now),
        output: None,
        used: None,
    }
}
