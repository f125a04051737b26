//! A server without sockets, and one call of it.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
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
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) store: Store,
    router: Router,
    directory: TempDir,
    _stop: DropGuard,
}

/// What a call was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_under("").await
    }

    pub(crate) async fn start_under(prefix: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&directory.path().join("claiflow.db")).await.unwrap();
        let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
        let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), Timing::default(), &stop);
        let jq = Pool::new(env!("CARGO_BIN_EXE_claiflow-server").into(), 1);
        let app = App::open(store.clone(), Source, dispatch, jq, metrics).await.unwrap();
        let router = rest::router(app.clone(), prefix, true);
        Self { app, store, router, directory, _stop: stop.drop_guard() }
    }

    /// Any request; a loopback Host is added unless it names one.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry("host").or_insert("127.0.0.1:8099".parse().unwrap());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 << 20).await.unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// A JSON body's bytes, as curl would send them.
    pub(crate) async fn write(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("content-length", body.len());
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A write that must succeed.
    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.write("POST", path, body.to_string()).await;
        assert_eq!(answer.status, 200, "POST {path} {body}: {}", answer.text);
        answer.json()
    }

    /// Takes the database away.
    pub(crate) async fn lose_database(&self) {
        self.store.close().await;
        assert!(self.directory.path().exists());
    }
}
