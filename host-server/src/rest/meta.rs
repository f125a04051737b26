//! Health and metrics.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

#[derive(Serialize, ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process is alive
#[utoipa::path(get, path = "/healthz", tag = "meta", responses((status = OK, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The server can serve: its database answers
#[utoipa::path(get, path = "/readyz", tag = "meta", responses(
    (status = OK, body = Health),
    (status = SERVICE_UNAVAILABLE, body = Problem, content_type = "application/problem+json"),
))]
async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    app.ready().await?;
    Ok(Json(Health { status: "ok" }))
}

/// Prometheus metrics
#[utoipa::path(get, path = "/metrics", tag = "meta", responses((status = OK, body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics().text())
}
