//! What no request from outside can bring about.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
    middleware::from_fn_with_state,
    routing::get,
};
use claiflow_flow_worker::Pool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    caller::{Gate, recognise},
    dress,
};
use crate::{app::App, dispatch::Dispatch, metrics::Metrics, model::ids::Source, storage::Store};

/// An application on a fresh database.
async fn app(directory: &tempfile::TempDir, stop: &CancellationToken) -> App {
    let store = Store::sqlite(&directory.path().join("claiflow.db")).await.unwrap();
    let metrics = Metrics::register().unwrap();
    let dispatch = Dispatch::start(store.clone(), Source, metrics.clone(), crate::dispatch::Timing::default(), stop);
    App::open(store, Source, dispatch, Pool::new("unused".into(), 1), metrics).await.unwrap()
}

#[tokio::test]
async fn a_route_that_nobody_was_given_a_right_to_is_refused_to_everybody() {
    let (directory, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let app = app(&directory, &stop).await;
    let document = utoipa::openapi::OpenApiBuilder::new().build();
    for is_open in [true, false] {
        let gate = Arc::new(Gate::new(app.clone(), &document, "", is_open));
        let forgotten = Router::new().route("/api/v1/forgotten", get(async || "secrets"));
        let router = dress(forgotten.layer(from_fn_with_state(gate, recognise)), app.clone());
        let response = router.oneshot(Request::get("/api/v1/forgotten").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 403);
        let body = to_bytes(response.into_body(), 65_536).await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("nobody was given a right") && !text.contains("secrets"), "{text}");
    }
    stop.cancel();
}

#[tokio::test]
async fn a_handler_that_panics_is_a_problem_with_a_request_id_and_tells_nothing() {
    let (directory, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let app = app(&directory, &stop).await;
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
