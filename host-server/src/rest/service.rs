//! `/api/v1/service`: tasks, created on one cluster or many, and their results.

use std::sync::Arc;

use axum::{
    Json,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Page, Parameters},
    problem::Problem,
};
use crate::{
    app::{
        App,
        service::{Create, Shown},
    },
    model::{
        ids::{hex, time, unhex},
        state::State as TaskState,
        statuses::{self, StatusRow},
    },
};

/// A list without paging parameters.
const NEWEST: i64 = 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_services, list_services))
        .routes(routes!(create_service))
        .routes(routes!(get_service))
        .routes(routes!(get_result))
}

/// What a caller may say about a task.
#[derive(Deserialize, ToSchema)]
struct ServiceBody {
    /// 32 hexadecimal digits, the same on each cluster; made by the server when absent.
    uuid: Option<String>,
    /// The template's name when absent.
    name: Option<String>,
    summary: Option<String>,
    /// Required.
    #[schema(example = "example_simple")]
    template_uuid: Option<String>,
    /// Where to run: one uuid, or an array. Not in a path that names the cluster.
    #[schema(value_type = Vec<String>, example = json!(["00000000000000000000000000000000"]))]
    cluster_uuids: Option<Value>,
    /// As `cluster_uuids`.
    #[schema(value_type = String)]
    cluster_uuid: Option<Value>,
    /// Checked against the template's schema; `{}` when absent.
    #[schema(value_type = Object, example = json!({"name": "world"}))]
    inputs: Option<Map<String, Value>>,
    /// A webhook's uuid.
    subscribed_channel: Option<String>,
    /// Higher runs first, -100 to 100.
    priority: Option<i32>,
}

impl ServiceBody {
    fn create(self, cluster: Option<String>) -> Result<Create, Problem> {
        let template_uuid = self.template_uuid.filter(|uuid| !uuid.is_empty());
        let template_uuid =
            template_uuid.ok_or_else(|| Problem::malformed("`template_uuid` is required and not empty".into()))?;
        let priority = self.priority.unwrap_or_default();
        if !(-100..=100).contains(&priority) {
            return Err(Problem::malformed("`priority` is a number from -100 to 100".into()));
        }
        let mut cluster_uuids: Vec<String> = cluster.into_iter().collect();
        if cluster_uuids.is_empty() {
            for (field, value) in [("cluster_uuids", self.cluster_uuids), ("cluster_uuid", self.cluster_uuid)] {
                let wrong = || Problem::malformed(format!("`{field}` is a cluster's uuid or an array of them"));
                match value {
                    None | Some(Value::Null) => {}
                    Some(Value::String(uuid)) => cluster_uuids.push(uuid),
                    Some(Value::Array(list)) => {
                        for item in list {
                            cluster_uuids.push(item.as_str().ok_or_else(wrong)?.to_owned());
                        }
                    }
                    Some(_) => return Err(wrong()),
                }
            }
        }
        Ok(Create {
            uuid: self.uuid,
            name: self.name.filter(|name| !name.is_empty()),
            summary: self.summary,
            template_uuid,
            cluster_uuids,
            inputs: self.inputs.unwrap_or_default(),
            channel: self.subscribed_channel,
            priority,
        })
    }
}

/// A task, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Service {
    cluster_uuid: String,
    uuid: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    template_uuid: String,
    /// The template's text as it was stored.
    flow: String,
    #[schema(value_type = Object)]
    inputs: Box<RawValue>,
    step_max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribed_channel: Option<String>,
    priority: i32,
    /// `ready`, `running`, `succeeded`, `failed`, `cancelled`, `expired`, `unknown`.
    state: &'static str,
    attempt: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
    statuses: Vec<Status>,
    /// Absent until success.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<ServiceResult>>,
}

/// One thing that happened: 0 registered, 1 sent, 2 processing, 4 succeeded, 8 failed, 16 cancelled, 32 expired, 64 unknown.
#[derive(Serialize, ToSchema)]
struct Status {
    step_seq: u32,
    status: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    created: DateTime<Utc>,
}

/// What the last step gave.
#[derive(Serialize, ToSchema)]
struct ServiceResult {
    save_type: i32,
    /// JSON text.
    #[schema(example = "\"hello world\"")]
    result: String,
    created: DateTime<Utc>,
}

impl Service {
    fn of(shown: Shown, with_results: bool) -> Self {
        let statuses = statuses::rows(&shown.view, &shown.steps).into_iter().map(Status::of).collect();
        let Shown { view, snapshot, .. } = shown;
        let ended = view.ended.map(time);
        let results = match (view.result, ended) {
            (Some(result), Some(created)) if with_results => {
                Some(vec![ServiceResult { save_type: 1, result, created }])
            }
            _ => None,
        };
        let (template_uuid, flow, step_max) = match Arc::try_unwrap(snapshot) {
            Ok(snapshot) => (snapshot.template_uuid, snapshot.flow, snapshot.step_max),
            Err(shared) => (shared.template_uuid.clone(), shared.flow.clone(), shared.step_max),
        };
        Self {
            cluster_uuid: view.cluster_uuid,
            uuid: view.uuid,
            name: view.name,
            summary: view.summary,
            template_uuid,
            flow,
            inputs: RawValue::from_string(view.inputs).unwrap_or_else(|_| RawValue::NULL.to_owned()),
            step_max,
            subscribed_channel: view.channel,
            priority: view.priority,
            state: TaskState::of(view.state).word(),
            attempt: view.attempt,
            error: view.error,
            created: time(view.created),
            ended,
            statuses,
            results,
        }
    }
}

impl Status {
    fn of(row: StatusRow) -> Self {
        Self {
            step_seq: row.step_seq,
            status: row.status,
            started: row.started.map(time),
            ended: row.ended.map(time),
            message: row.message,
            created: time(row.created),
        }
    }
}

/// Create tasks
///
/// One task on each cluster, on all of them or on none. A `uuid` that comes again with the same request gives the stored answer.
#[utoipa::path(post, path = "/api/v1/service", tag = "service", request_body = ServiceBody, responses(
    (status = OK, body = [Service]),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_services(State(app): State<App>, Body(body): Body<ServiceBody>) -> Result<Json<Vec<Service>>, Problem> {
    let created = app.create_tasks(body.create(None)?).await?;
    Ok(Json(created.into_iter().map(|shown| Service::of(shown, false)).collect()))
}

/// Create a task on a cluster
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service", tag = "service", params(("cluster_uuid" = String, Path)), request_body = ServiceBody, responses(
    (status = OK, body = Service),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_service(
    State(app): State<App>,
    Path(cluster): Path<String>,
    Body(body): Body<ServiceBody>,
) -> Result<Json<Service>, Problem> {
    let mut created = app.create_tasks(body.create(Some(cluster))?).await?;
    let one = created.pop().ok_or_else(|| Problem::not_found("no task was created".into()))?;
    Ok(Json(Service::of(one, false)))
}

/// List tasks, the newest first
///
/// The next page's cursor is in the `Link` header.
#[utoipa::path(get, path = "/api/v1/service", tag = "service", params(Page), responses(
    (status = OK, body = [Service]),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
))]
async fn list_services(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Parameters(page): Parameters,
) -> Result<impl IntoResponse, Problem> {
    let limit = page.limit(NEWEST)?;
    let before = page.cursor.as_deref().map(cursor).transpose()?;
    let shown = app.tasks(page.cluster_uuid.as_deref(), before, limit).await?;
    let mut headers = HeaderMap::new();
    if i64::try_from(shown.len()).is_ok_and(|count| count == limit)
        && let Some(last) = shown.last()
    {
        let cluster = page.cluster_uuid.map(|uuid| format!("&cluster_uuid={uuid}")).unwrap_or_default();
        let link = format!("<{}?limit={limit}&cursor={}{cluster}>; rel=\"next\"", uri.path(), hex(&last.view.id));
        headers.extend(HeaderValue::from_str(&link).ok().map(|link| (header::LINK, link)));
    }
    let list: Vec<Service> = shown.into_iter().map(|shown| Service::of(shown, false)).collect();
    Ok((headers, Json(list)))
}

/// Read a task
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), responses(
    (status = OK, body = Service),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_service(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
) -> Result<Json<Service>, Problem> {
    Ok(Json(Service::of(app.task(&cluster, &uuid).await?, true)))
}

/// Read a task's result
///
/// 404 until it succeeded, and after a failure.
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/result", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path)), responses(
    (status = OK, body = ServiceResult),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_result(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
) -> Result<Json<ServiceResult>, Problem> {
    let view = app.task(&cluster, &uuid).await?.view;
    match (view.result, view.ended) {
        (Some(result), Some(ended)) => Ok(Json(ServiceResult { save_type: 1, result, created: time(ended) })),
        _ => {
            let reason = view.error.map(|error| format!(": {error}")).unwrap_or_default();
            Err(Problem::not_found(format!(
                "task `{uuid}` is {} and has no result{reason}",
                TaskState::of(view.state).word()
            )))
        }
    }
}

fn cursor(text: &str) -> Result<Vec<u8>, Problem> {
    unhex(text).map(Vec::from).ok_or_else(|| Problem::malformed("`cursor` is not one that a `Link` header gave".into()))
}
