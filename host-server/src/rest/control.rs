//! What people ask of a task that lives: `cancel`, `pause`, `resume`, `resolve`.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    problem::Problem,
    service::Service,
};
use crate::{
    app::{App, control::Resolve},
    model::people::Asked,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(cancel_service))
        .routes(routes!(pause_service))
        .routes(routes!(resume_service))
        .routes(routes!(resolve_service))
}

/// What a person found out about a step in doubt.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResolveBody {
    /// The step's path; may be left out where only one step is in doubt, or where none is known to be.
    #[schema(example = "0")]
    path: Option<String>,
    /// `succeeded`: it has happened, and the flow goes on behind it. `rerun`: it has not happened, and runs again. `failed`: the
    /// task fails.
    #[schema(example = "succeeded")]
    outcome: Option<String>,
    /// What the step gave, where it succeeded; null when absent.
    #[schema(value_type = Option<Object>)]
    outputs: Option<Box<RawValue>>,
    /// Required: how it was found out.
    #[schema(example = "the release is there, revision 7")]
    reason: Option<String>,
}

impl Resource for ResolveBody {
    const TOLERANT: bool = false;
}

/// Cancel a task
///
/// The first commit wins: what no agent holds ends at once, what runs is stopped and ends as cancelled whatever it reports. 409
/// with the member `state` when the task was final before.
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/cancel", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), responses(
    (status = OK, body = Service),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn cancel_service(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Service>, Problem> {
    let shown = app.cancel_task(&cluster, &uuid, &asked).await?;
    Ok(Json(Service::of(&app, shown, true)))
}

/// Pause a task
///
/// It stops before its next step and waits for `resume`, holding no slot and no lease.
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/pause", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), responses(
    (status = OK, body = Service),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn pause_service(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Service>, Problem> {
    let shown = app.pause_task(&cluster, &uuid, &asked).await?;
    Ok(Json(Service::of(&app, shown, true)))
}

/// Let a paused task go on
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/resume", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), responses(
    (status = OK, body = Service),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn resume_service(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Service>, Problem> {
    let shown = app.resume_task(&cluster, &uuid, &asked).await?;
    Ok(Json(Service::of(&app, shown, true)))
}

/// Say what became of a step in doubt
///
/// For a task that is `unknown`. The lease ends with it: a report that comes later changes nothing. The audit trail names who said
/// so, and why.
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/resolve", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), request_body = ResolveBody, responses(
    (status = OK, body = Service),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn resolve_service(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
    Extension(asked): Extension<Asked>,
    Body(body): Body<ResolveBody>,
) -> Result<Json<Service>, Problem> {
    let resolve = Resolve {
        path: body.path,
        outcome: body.outcome,
        outputs: body.outputs.map(|outputs| outputs.get().to_owned()),
        reason: body.reason,
    };
    let shown = app.resolve_task(&cluster, &uuid, resolve, &asked).await?;
    Ok(Json(Service::of(&app, shown, true)))
}
