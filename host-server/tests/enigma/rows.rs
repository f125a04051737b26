//! Rows of every table that holds a sealed column.

use std::sync::Arc;

use claiflow_server::{
    model::{
        ids::{Source, hex},
        log::{LogListing, LogRow},
        nouns::{Cluster, Token},
        options::Options,
        state::State,
        step::StepRow,
        task::{Finish, Holder, Kind, Lease, Place, Snapshot, Task, View},
        webhook::{DeliveryListing, Webhook},
    },
    storage::{Claim, Error, Store},
};

pub(crate) const CLUSTER: &str = "00000000000000000000000000000000";
pub(crate) const TOKEN: &str = "00000000000000000000000000000001";

/// The one cluster's row; it is declared where it is not there.
pub(crate) async fn cluster(store: &Store) -> i64 {
    if let Some(found) = store.cluster(CLUSTER).await.unwrap() {
        return found.id;
    }
    let cluster = Cluster {
        id: 0,
        uuid: CLUSTER.into(),
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
    store.cluster(CLUSTER).await.unwrap().unwrap().id
}

pub(crate) fn token(secret: &str) -> Token {
    Token {
        id: 0,
        uuid: TOKEN.into(),
        name: "t".into(),
        summary: None,
        cluster_uuid: CLUSTER.into(),
        token: secret.into(),
        issued_at: 1,
        expires_at: i64::MAX,
        created: 1,
        updated: 1,
    }
}

/// A webhook's uuid.
pub(crate) const HOOK: &str = "00000000000000000000000000000002";

pub(crate) fn webhook(secret: &str) -> Webhook {
    Webhook {
        id: 0,
        uuid: HOOK.into(),
        name: "h".into(),
        summary: None,
        url: "http://127.0.0.1:9/".into(),
        method: "POST".into(),
        headers: Some(format!(r#"{{"X-Key":["{secret}"]}}"#)),
        timeout: "0s".into(),
        condition_validator: None,
        condition_filter: None,
        secrets: Some(format!(r#"["{secret}"]"#)),
        created: 1,
        updated: 1,
    }
}

/// What was published to the webhook.
pub(crate) async fn published(store: &Store) -> Vec<Option<String>> {
    let listing = DeliveryListing { limit: 10, ..DeliveryListing::default() };
    store.deliveries(HOOK, &listing).await.unwrap().into_iter().map(|delivery| delivery.body).collect()
}

pub(crate) async fn snapshot(store: &Store) -> Arc<Snapshot> {
    let snapshot = Snapshot {
        id: [3; 16],
        template_uuid: "t".into(),
        flow: "[]".into(),
        step_max: 1,
        language_level: 0,
        commands: vec!["helloworld".into()],
        options: Options::default(),
        options_text: None,
    };
    store.keep_snapshot(&snapshot).await.unwrap();
    Arc::new(snapshot)
}

pub(crate) fn task(cluster: i64, snapshot: &Arc<Snapshot>, inputs: &str) -> Arc<Task> {
    let id = Source.id();
    Arc::new(Task {
        id,
        cluster,
        uuid: hex(&id),
        snapshot: Arc::clone(snapshot),
        name: "n".into(),
        summary: None,
        inputs: inputs.into(),
        channel: None,
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
    })
}

/// Tries a whole transaction again after what may pass, as the dispatcher does.
async fn retried<T, F: Future<Output = Result<T, Error>>>(mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Err(error) if error.may_pass() => tokio::task::yield_now().await,
            outcome => return outcome.unwrap(),
        }
    }
}

/// A stored task that waits.
pub(crate) async fn waiting(store: &Store, inputs: &str) -> Arc<Task> {
    let task = task(cluster(store).await, &snapshot(store).await, inputs);
    let tasks = [(Arc::clone(&task), Place::Ready)];
    retried(|| store.create_tasks(&tasks, &[])).await;
    task
}

/// A stored task that runs.
pub(crate) async fn running(store: &Store, inputs: &str) -> Arc<Lease> {
    let task = task(cluster(store).await, &snapshot(store).await, inputs);
    let lease = Lease { id: Source.random(), journal: [7; 16], created: Source.now_us(), kind: Kind::Stream, task };
    let lease = Arc::new(lease);
    store.create_tasks(&[(Arc::clone(&lease.task), Place::Lease(Arc::clone(&lease)))], &[]).await.unwrap();
    lease
}

/// All waiting tasks, taken by an agent.
pub(crate) async fn claim(store: &Store) -> Vec<Arc<Lease>> {
    let snapshot = snapshot(store).await;
    let snapshots = std::iter::once((snapshot.id, snapshot)).collect();
    let claim = Claim {
        cluster: cluster(store).await,
        snapshots: &snapshots,
        limit: 1_000,
        holder: &Holder::Streaming([7; 16]),
        now_us: Source.now_us(),
        cluster_limit: None,
    };
    retried(|| store.claim(&claim, &|| Source.random())).await
}

pub(crate) async fn finish(store: &Store, lease: &Arc<Lease>, outcome: Result<&str, &str>) {
    let finish = Finish {
        lease: Arc::clone(lease),
        state: outcome.map_or(State::Failed, |_| State::Succeeded) as i16,
        result: outcome.ok().map(Into::into),
        error: outcome.err().map(Into::into),
        timeline: r#"{"steps":[]}"#.into(),
        ended: Source.now_us(),
        stepped: true,
        counted: true,
    };
    assert_eq!(retried(|| store.finish(std::slice::from_ref(&finish))).await.len(), 1);
}

pub(crate) fn step(output: &str) -> StepRow {
    StepRow {
        path: "0".into(),
        attempt: 1,
        top: 0,
        state: 2,
        effect: 1,
        started: 1,
        ended: Some(2),
        output: Some(output.into()),
        used: None,
    }
}

pub(crate) fn line(seq: i64, message: &str) -> LogRow {
    let fields = Some(format!(r#"{{"said":"{message}"}}"#));
    LogRow { seq, at: 1, path: "0".into(), level: "info".into(), message: message.into(), fields }
}

pub(crate) async fn lines(store: &Store, task: &Task) -> Vec<LogRow> {
    let listing = LogListing { limit: 100, ..LogListing::default() };
    store.lines(&task.id, task.cluster, &listing).await.unwrap()
}

pub(crate) async fn view(store: &Store, task: &Task) -> View {
    store.task(task.cluster, &task.id).await.unwrap().unwrap()
}
