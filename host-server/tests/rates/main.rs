//! How often one caller may call: what passes, what is told to wait, and who is never counted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails says so by a panic")]

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::Request,
};
use claiflow_flow_worker::Pool;
use claiflow_server::{
    app::App,
    dispatch::{Dispatch, Timing},
    metrics::Metrics,
    model::{ids::Source, rate::Rate},
    rest,
    storage::Store,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

const TOKEN: &str = "claiflow_0123456789abcdef0123456789abcdef";
const HERE: &str = "10.0.0.1:5000";

struct Server {
    router: Router,
    _directory: TempDir,
    _stop: DropGuard,
}

struct Answer {
    status: u16,
    retry_after_s: Option<u64>,
    body: Value,
}

impl Server {
    /// `open`: nobody says who they are.
    async fn start(rate: Option<Rate>, open: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&directory.path().join("claiflow.db")).await.unwrap();
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let app = App::open(store, Source, dispatch, Pool::new("unused".into(), 1), metrics).await.unwrap();
        app.limit_callers(rate);
        app.bring_bootstrap_token(Some(TOKEN)).await.unwrap();
        let router = rest::router(app, "", open);
        Self { router, _directory: directory, _stop: stop.drop_guard() }
    }

    async fn call(&self, method: &str, path: &str, from: &str, bearer: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let mut request = request.header("content-type", "application/json").body(Body::from("{}")).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(from.parse().unwrap()));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let retry_after_s = response.headers().get("retry-after").map(|text| text.to_str().unwrap().parse().unwrap());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, retry_after_s, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    async fn status(&self, method: &str, path: &str, from: &str, bearer: Option<&str>) -> u16 {
        self.call(method, path, from, bearer).await.status
    }
}

/// So slow that nothing comes back during a test.
const SLOW: Rate = Rate { per_second: 1, burst: 20 };

#[tokio::test]
async fn whoever_calls_too_often_is_told_how_long_to_wait() {
    let server = Server::start(Some(Rate { per_second: 1, burst: 100 }), false).await;
    for _ in 0..50 {
        assert_ne!(server.status("POST", "/api/v1/cluster", HERE, Some(TOKEN)).await, 429);
    }
    let mut refused = server.call("POST", "/api/v1/cluster", HERE, Some(TOKEN)).await;
    while refused.status != 429 {
        refused = server.call("POST", "/api/v1/cluster", HERE, Some(TOKEN)).await;
    }
    assert!((1..=2).contains(&refused.retry_after_s.unwrap()), "{:?}", refused.retry_after_s);
    assert_eq!(
        (refused.body["type"].as_str(), refused.body["status"].as_u64()),
        (Some("too-many-requests"), Some(429))
    );
    assert!(refused.body["request_id"].is_string());
}

#[tokio::test]
async fn a_share_is_a_callers_and_goes_where_they_go() {
    let server = Server::start(Some(SLOW), false).await;
    for port in 0..30 {
        server.status("GET", "/api/v1/cluster", &format!("10.0.{port}.1:1"), Some(TOKEN)).await;
    }
    while server.status("GET", "/api/v1/cluster", "10.1.0.1:1", Some(TOKEN)).await != 429 {}
    // Nobody's calls are not the caller's.
    assert_eq!(server.status("GET", "/api/v1/cluster", "10.1.0.1:1", None).await, 401);
}

#[tokio::test]
async fn where_nobody_says_who_they_are_an_address_has_a_share() {
    let server = Server::start(Some(SLOW), true).await;
    for port in 1..=40 {
        server.status("GET", "/api/v1/cluster", &format!("127.0.0.1:{port}"), None).await;
    }
    while server.status("GET", "/api/v1/cluster", "127.0.0.1:99", None).await != 429 {}
    assert_eq!(server.status("GET", "/api/v1/cluster", "127.0.0.2:99", None).await, 200);
}

#[tokio::test]
async fn probes_metrics_agents_and_documentation_are_not_counted() {
    let server = Server::start(Some(SLOW), false).await;
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/swagger/index.html"),
        ("POST", "/api/v1/client/auth"),
    ] {
        for _ in 0..100 {
            assert_ne!(server.status(method, path, HERE, Some("wrong")).await, 429, "{path}");
        }
    }
    assert_eq!(server.status("GET", "/api/v1/cluster", HERE, Some(TOKEN)).await, 200);
}

#[tokio::test]
async fn guesses_are_limited_where_they_come_from_and_lock_out_nobody_who_is_right() {
    let server = Server::start(None, false).await;
    let mut statuses = Vec::new();
    for guess in 0..300 {
        let bearer = format!("claiflow_{guess:032}");
        statuses.push(server.status("GET", "/api/v1/cluster", HERE, Some(&bearer)).await);
    }
    assert_eq!(statuses[..60], [401; 60]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(server.status("GET", "/api/v1/cluster", HERE, Some(TOKEN)).await, 200);
    assert_eq!(server.status("GET", "/api/v1/cluster", "10.0.0.2:1", Some("wrong")).await, 401);
    // What has no use as a guess makes none right: health is not asked who they are.
    server.status("GET", "/healthz", HERE, Some("claiflow_fresh")).await;
    let after = server.call("GET", "/api/v1/cluster", HERE, Some("claiflow_fresh")).await;
    assert!([401, 429].contains(&after.status), "{}", after.status);
}

#[tokio::test]
async fn without_a_rate_nobody_waits() {
    let server = Server::start(None, true).await;
    for _ in 0..500 {
        assert_eq!(server.status("GET", "/api/v1/cluster", "127.0.0.1:1", None).await, 200);
    }
}

#[test]
fn every_operation_of_people_documents_the_wait() {
    let document: Value = serde_json::from_str(&rest::openapi().unwrap()).unwrap();
    let mut documented = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_counted = operation["security"].is_array();
            let refusal = &operation["responses"]["429"];
            assert_eq!(refusal.is_object(), is_counted, "{method} {path}");
            if is_counted {
                assert!(refusal["headers"]["Retry-After"]["schema"].is_object(), "{method} {path}");
                documented += 1;
            }
        }
    }
    assert!(documented > 20, "{documented}");
}
