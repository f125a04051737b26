//! A server without sockets over a given store, and an agent of the first version that runs its tasks over HTTP.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::App,
    dispatch::{Dispatch, Timing},
    metrics::Metrics,
    model::ids::Source,
    rest,
    storage::Store,
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

pub(crate) struct Server {
    people: Router,
    agents: Router,
    _stop: DropGuard,
}

impl Server {
    pub(crate) async fn over(store: Store) -> Self {
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store, Source, dispatch, jq, metrics).await.unwrap();
        let (people, agents) = (rest::router(app.clone(), "", true), rest::operations(app, ""));
        Self { people, agents, _stop: stop.drop_guard() }
    }

    /// A call of a person: status and body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        send(&self.people, method, path, "", body).await
    }

    /// A call that must succeed.
    pub(crate) async fn make(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// An agent's session.
    pub(crate) async fn authenticate(&self, cluster: &str, token: &str) -> Option<String> {
        let proof = json!({"cluster_uuid": cluster, "assertion": token, "client_version": "dev", "client_lib_version": "0.1.0"});
        let (status, opened) = send(&self.agents, "POST", "/api/v1/client/auth", "", proof).await;
        (status == 200).then(|| opened["access_token"].as_str().unwrap().to_owned())
    }

    /// An agent takes a task and ends it: its inputs, as the agent sees them.
    pub(crate) async fn run_one(&self, session: &str, ending: Result<&str, &str>) -> Value {
        let service = "/api/v1/client/service";
        let (status, given) = send(&self.agents, "GET", service, session, Value::Null).await;
        assert_eq!(status, 200, "{given}");
        let said = json!({
            "uuid": given[0]["uuid"], "sequence": 0, "status": if ending.is_ok() { 4 } else { 8 },
            "result": ending.ok(), "error": ending.err(),
            "started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:01Z",
        });
        let (status, answer) = send(&self.agents, "PUT", service, session, said).await;
        assert_eq!(status, 200, "{answer}");
        given[0]["inputs"].clone()
    }
}

async fn send(router: &Router, method: &str, path: &str, session: &str, body: Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8099");
    let request = request.header("content-type", "application/json").header("x-sudory-client-token", session);
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let (parts, body) = router.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
}
