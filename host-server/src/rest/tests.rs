//! What no request from outside can bring about.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
    routing::get,
};
use claiflow_flow_worker::Pool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::dress;
use crate::{app::App, dispatch::Dispatch, metrics::Metrics, model::ids::Source, storage::Store};

#[tokio::test]
async fn a_handler_that_panics_is_a_problem_with_a_request_id_and_tells_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&directory.path().join("claiflow.db")).await.unwrap();
    let (stop, metrics) = (CancellationToken::new(), Metrics::register().unwrap());
    let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), crate::dispatch::Timing::default(), &stop);
    let app = App::open(store, Source, dispatch, Pool::new("unused".into(), 1), metrics).await.unwrap();
    let broken = Router::new().route("/broken", get(async || -> &'static str { panic!("hunter2") }));

    let request = Request::get("/broken").header("x-request-id", "mine").body(Body::empty()).unwrap();
    let response = dress(broken, app).oneshot(request).await.unwrap();

    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-request-id"], "mine");
    let body = to_bytes(response.into_body(), 65_536).await.unwrap();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("\"request_id\":\"mine\"") && !text.contains("hunter2"), "{text}");
    stop.cancel();
}
