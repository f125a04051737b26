//! `/api/v1/service`: tasks, created on one cluster or many, and their results.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    fields::quoted,
    list::{Page, Rows, moment},
    observe,
    problem::Problem,
    search::{Query, Search, Searched},
};
use crate::{
    app::{
        App,
        service::{Create, Shown},
        text::Labels,
    },
    model::{
        ids::{hex, lookup, time, unhex},
        list::TaskListing,
        people::Asked,
        query,
        state::State as TaskState,
        statuses::{self, StatusRow},
        step::Used,
        task::View,
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
pub(super) struct ServiceBody {
    /// 32 hexadecimal digits, the same on each cluster; made by the server when absent.
    #[schema(example = "0f5658f37f2b45d881f19c7f56ea2e23")]
    uuid: Option<String>,
    /// The template's name when absent; 255 characters at most.
    #[schema(example = "greet the world")]
    name: Option<String>,
    /// The template's summary when absent.
    #[schema(example = "as the runbook says")]
    summary: Option<String>,
    /// Required.
    #[schema(example = "example_simple")]
    template_uuid: Option<String>,
    /// Where to run: one uuid, or an array. Not in a path that names the cluster.
    #[schema(value_type = Option<Vec<String>>, example = json!(["00000000000000000000000000000000"]))]
    cluster_uuids: Option<Value>,
    /// As `cluster_uuids`.
    #[schema(value_type = Option<String>)]
    cluster_uuid: Option<Value>,
    /// Checked against the template's schema; `{}` when absent.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>, example = json!({"name": "world"}))]
    inputs: Option<Map<String, Value>>,
    /// A webhook's uuid.
    subscribed_channel: Option<String>,
    /// Higher runs first, -100 to 100.
    #[schema(minimum = -100, maximum = 100, example = 0)]
    priority: Option<i32>,
    /// The task waits until this time.
    #[schema(value_type = Option<DateTime<Utc>>)]
    run_at: Option<String>,
    /// The first start happens before this time, or the task expires; `ClientConfig/ServiceValidityPeriod` from now when absent.
    #[schema(value_type = Option<DateTime<Utc>>)]
    deadline: Option<String>,
    /// A run ends after this time, over all attempts, such as `1h30m`; the template's when absent.
    #[schema(example = "30m")]
    run_timeout: Option<String>,
    /// Words by which people find tasks.
    #[schema(value_type = Option<HashMap<String, String>>, example = json!({"ticket": "OPS-7"}))]
    labels: Option<Labels>,
}

impl Resource for ServiceBody {}

impl ServiceBody {
    /// `cluster`: the one that the path names.
    fn create(self, cluster: Option<String>, headers: &HeaderMap, asked: Asked) -> Result<Create, Problem> {
        let template_uuid = self.template_uuid.filter(|uuid| !uuid.is_empty());
        let template_uuid =
            template_uuid.ok_or_else(|| Problem::malformed("`template_uuid` is required and not empty".into()))?;
        let priority = self.priority.unwrap_or_default();
        if !(-100..=100).contains(&priority) {
            return Err(Problem::malformed("`priority` is a number from -100 to 100".into()));
        }
        let mut named = clusters("cluster_uuids", self.cluster_uuids)?;
        named.extend(clusters("cluster_uuid", self.cluster_uuid)?);
        if let Some(cluster) = cluster {
            if let Some(other) = named.iter().find(|uuid| lookup(uuid) != lookup(&cluster)) {
                return Err(Problem::malformed(format!(
                    "the path names cluster {}, the body {}; POST /api/v1/service takes several",
                    quoted(&cluster),
                    quoted(other)
                )));
            }
            named = vec![cluster];
        }
        Ok(Create {
            uuid: self.uuid,
            name: self.name.filter(|name| !name.is_empty()),
            summary: self.summary,
            template_uuid,
            cluster_uuids: named,
            inputs: self.inputs.unwrap_or_default(),
            channel: self.subscribed_channel,
            priority,
            run_at: moment("run_at", self.run_at.as_deref())?,
            deadline: moment("deadline", self.deadline.as_deref())?,
            run_timeout: self.run_timeout,
            labels: self.labels,
            traceparent: observe::traceparent(headers),
            request_id: observe::request_id(headers),
            key: key(headers)?,
            asked: Some(asked),
        })
    }
}

/// `Idempotency-Key`, as the caller wrote it.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::malformed("`Idempotency-Key` is plain ASCII text".into()))?;
    Ok(Some(text.to_owned()))
}

/// One uuid, or an array of them.
fn clusters(field: &str, value: Option<Value>) -> Result<Vec<String>, Problem> {
    let wrong = || Problem::malformed(format!("`{field}` is a cluster's uuid or an array of them"));
    match value {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::String(uuid)) => Ok(vec![uuid]),
        Some(Value::Array(list)) => {
            list.into_iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Which tasks a list shows. `docs/lists.md` names the filters that an index serves; a list with another one is confined to the
/// tasks of 24 hours, unless `created_after` says otherwise.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ServiceFilter {
    /// Only tasks of this cluster.
    cluster_uuid: Option<String>,
    /// Only tasks with this uuid: a fan-out's, on all its clusters.
    uuid: Option<String>,
    /// Only tasks of this name, without case.
    name: Option<String>,
    /// Only tasks of this template.
    template_uuid: Option<String>,
    /// Only tasks in this state: a word, or the number of the first version.
    #[param(example = "failed")]
    state: Option<String>,
    /// The same as `state`.
    status: Option<String>,
    /// Only tasks with all of these labels, without case.
    #[param(example = "region=eu,tier=prod")]
    labels: Option<String>,
    /// Only tasks created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only tasks created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for ServiceFilter {
    const RESOURCE: query::Resource = query::Resource::Service;
    const PAGE: Option<i64> = Some(NEWEST);
}

impl ServiceFilter {
    fn state(&self) -> Result<Option<i16>, Problem> {
        let Some(text) = self.state.as_deref().or(self.status.as_deref()) else { return Ok(None) };
        if let (Some(state), Some(status)) = (&self.state, &self.status)
            && state != status
        {
            return Err(Problem::malformed("`state` and `status` are the same filter; give one".into()));
        }
        let states = TaskState::STORED.into_iter().map(|state| (state.word(), state as i16));
        let found = states.into_iter().find(|(word, number)| *word == text || number.to_string() == text);
        let words = TaskState::STORED.map(TaskState::word).join(", ");
        match found {
            Some((_, number)) => Ok(Some(number)),
            None => Err(Problem::malformed(format!("`state` is one of {words}, not {}", quoted(text)))),
        }
    }
}

/// A task, as every call shows it.
#[derive(Serialize, ToSchema)]
pub(super) struct Service {
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: String,
    #[schema(example = "0f5658f37f2b45d881f19c7f56ea2e23")]
    uuid: String,
    #[schema(example = "greet the world")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(example = "example_simple")]
    template_uuid: String,
    /// The template's text as it was stored.
    #[schema(example = r##"[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]"##)]
    flow: String,
    #[schema(value_type = HashMap<String, serde_json::Value>, example = json!({"name": "world"}))]
    inputs: Box<RawValue>,
    /// The flow's top-level steps.
    #[schema(example = 1)]
    step_max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribed_channel: Option<String>,
    priority: i32,
    /// `scheduled`, `ready`, `running`, `paused`, `succeeded`, `failed`, `timed_out`, `cancelled`, `expired`, `unknown`.
    #[schema(example = "succeeded")]
    state: &'static str,
    /// Why it stands where it stands, while it is not final: what it waits for, or what is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no agent has kubernetes.pods.get.v1")]
    reason: Option<String>,
    /// Somebody cancelled it: it ends as cancelled, whatever its agent reports.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancel_requested: bool,
    #[schema(value_type = Option<HashMap<String, String>>, example = json!({"ticket": "OPS-7"}))]
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Box<RawValue>>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "token:release-pipeline")]
    created_by: Option<String>,
    /// Counted from 1; grows when a lost attempt is run again.
    #[schema(example = 1)]
    attempt: i32,
    /// Why it did not succeed, one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Of the request that created it: the log lines of server and agent about this task carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "deploy-42")]
    request_id: Option<String>,
    created: DateTime<Utc>,
    /// When an agent was first given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
    statuses: Vec<Status>,
    /// Absent until success.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<ServiceResult>>,
}

/// One thing that happened: 0 registered, 1 sent, 2 processing, 4 succeeded, 8 failed, 16 cancelled, 32 expired, 64 unknown.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// The top-level step, from 0.
    #[schema(example = 0)]
    step_seq: u32,
    #[schema(example = 4)]
    status: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    created: DateTime<Utc>,
    /// What the step's calls used, where it ended on an agent that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// What the calls of a step used.
#[derive(Serialize, ToSchema)]
pub(super) struct Usage {
    /// Processor time, microseconds.
    #[schema(example = 310)]
    cpu_us: u64,
    /// From start to end, microseconds.
    #[schema(example = 420)]
    wall_us: u64,
    /// The most memory of one call, with what the agent held for it.
    #[schema(example = 1_179_648)]
    memory_bytes: u64,
    /// Calls into the agent's host functions.
    #[schema(example = 2)]
    host_calls: u32,
}

impl From<Used> for Usage {
    fn from(used: Used) -> Self {
        let Used { cpu_us, wall_us, memory_bytes, host_calls } = used;
        Self { cpu_us, wall_us, memory_bytes, host_calls }
    }
}

/// What the last step gave.
#[derive(Serialize, ToSchema)]
struct ServiceResult {
    /// Always 1: kept in the database.
    #[schema(example = 1)]
    save_type: i32,
    /// JSON text.
    #[schema(example = "\"hello world\"")]
    result: String,
    created: DateTime<Utc>,
}

impl Service {
    pub(super) fn of(app: &App, shown: Shown, with_results: bool) -> Self {
        let reason = app.reason(&shown);
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
            reason,
            cancel_requested: view.cancel_requested && view.ended.is_none(),
            labels: view.labels.and_then(|text| RawValue::from_string(text).ok()),
            created_by: view.created_by,
            attempt: view.attempt,
            error: view.error.filter(|_| view.ended.is_some()),
            request_id: view.request_id,
            created: time(view.created),
            started: view.started.map(time),
            ended,
            statuses,
            results,
        }
    }
}

impl Status {
    pub(super) fn of(row: StatusRow) -> Self {
        Self {
            step_seq: row.step_seq,
            status: row.status,
            started: row.started.map(time),
            ended: row.ended.map(time),
            message: row.message,
            created: time(row.created),
            usage: row.used.map(Usage::from),
        }
    }
}

/// Create tasks
///
/// One task on each cluster, on all of them or on none. A `uuid` or a header `Idempotency-Key` that comes again
/// with the same request gives the stored answer; with another one it is a conflict. Keys are kept for 24 hours.
#[utoipa::path(post, path = "/api/v1/service", tag = "service", params(("Idempotency-Key" = Option<String>, Header, description = "Names the request, for 24 hours")), request_body = ServiceBody, responses(
    (status = OK, body = [Service]),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_services(
    State(app): State<App>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    Body(body): Body<ServiceBody>,
) -> Result<Json<Vec<Service>>, Problem> {
    let created = app.create_tasks(body.create(None, &headers, asked)?).await?;
    Ok(Json(created.into_iter().map(|shown| Service::of(&app, shown, false)).collect()))
}

/// Create a task on a cluster
#[utoipa::path(post, path = "/api/v1/cluster/{cluster_uuid}/service", tag = "service", params(("cluster_uuid" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names the request, for 24 hours")), request_body = ServiceBody, responses(
    (status = OK, body = Service),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_service(
    State(app): State<App>,
    Path(cluster): Path<String>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    Body(body): Body<ServiceBody>,
) -> Result<Json<Service>, Problem> {
    let mut created = app.create_tasks(body.create(Some(cluster), &headers, asked)?).await?;
    let one = created.pop().ok_or_else(|| Problem::not_found("no task was created".into()))?;
    Ok(Json(Service::of(&app, one, false)))
}

/// List tasks
///
/// The newest first, 20 unless `limit` says otherwise. The header `Link` leads to the next page.
#[utoipa::path(get, path = "/api/v1/service", tag = "service", params(Page, Query, ServiceFilter), responses(
    (status = OK, body = [Service]),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json", description = "There is no such cluster"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The window holds too many tasks to be searched in time"),
))]
async fn list_services(State(app): State<App>, search: Search<ServiceFilter>) -> Result<Rows<Service>, Problem> {
    let (list, filter) = (&search.list, &search.list.filter);
    let (offset, limit) = match search.numbered() {
        Some(numbered) => numbered,
        None => (0, list.limit()?.unwrap_or(NEWEST)),
    };
    let equal =
        [("uuid", filter.uuid.clone()), ("name", filter.name.clone()), ("template_uuid", filter.template_uuid.clone())];
    let listing = TaskListing {
        cluster: None,
        state: filter.state()?,
        ids: None,
        filter: search.filter(equal).and(search.labelled(filter.labels.as_deref())?),
        created_after: moment("created_after", filter.created_after.as_deref())?,
        created_before: moment("created_before", filter.created_before.as_deref())?,
        order: search.order().to_vec(),
        after: list.after(place)?,
        oldest_first: !list.is_descending(true)?,
        limit: limit + 1,
        offset,
    };
    let page = app.tasks(&list.scope, filter.cluster_uuid.as_deref(), listing).await?;
    // The window holds for the further pages too, or it would move on between them.
    let window = page.created_after.map(|us| ("created_after", time(us).to_rfc3339_opts(SecondsFormat::Micros, true)));
    let (headers, tasks) = search.cut(page.tasks, Some(limit), |shown| cursor(&shown.view), window.as_slice());
    Ok((headers, Json(tasks.into_iter().map(|shown| Service::of(&app, shown, false)).collect())))
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
    Ok(Json(Service::of(&app, app.task(&cluster, &uuid).await?, true)))
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

/// A task's place in a list. A fan-out shares one id, so the cluster's row belongs to it.
fn cursor(view: &View) -> String {
    format!("{}.{}", hex(&view.id), view.cluster)
}

fn place(cursor: &str) -> Option<(Vec<u8>, i64)> {
    let (id, cluster) = cursor.split_once('.')?;
    Some((unhex(id)?.to_vec(), cluster.parse().ok()?))
}
