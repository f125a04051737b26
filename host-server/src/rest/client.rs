//! `/api/v1/client`: agents of the first version that speak HTTP. They authenticate, so these routes are served on any
//! address.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    fields::{fields, quoted},
    list::pairs,
    problem::Problem,
};
use crate::{
    app::{
        self, App,
        former::{Caller, Entry, Given, Report, Waited},
    },
    model::ids::time,
};

static SESSION: HeaderName = HeaderName::from_static("x-sudory-client-token");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(authenticate)).routes(routes!(poll, report))
}

/// An agent's proof.
#[derive(Deserialize, ToSchema)]
struct ClientAuth {
    /// The agent's cluster.
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: String,
    /// The cluster token.
    #[schema(example = "CLIENT_AUTHENTICATION_TOKEN")]
    assertion: String,
    /// The agent's version.
    client_version: Option<String>,
    /// Its library's version.
    client_lib_version: Option<String>,
}

impl Resource for ClientAuth {}

/// A session.
#[derive(Serialize, ToSchema)]
struct ClientSession {
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Sent back as `Authorization: Bearer …`, or as `X-Sudory-Client-Token: …`.
    access_token: String,
    /// For how long calls may wait with it, in seconds.
    #[schema(example = 60)]
    expires_in: u64,
}

/// A task for an agent.
#[derive(Serialize, ToSchema)]
struct ClientService {
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
    created: DateTime<Utc>,
}

impl TryFrom<Given> for ClientService {
    type Error = serde_json::Error;

    fn try_from(Given { cluster_uuid, task }: Given) -> Result<Self, Self::Error> {
        Ok(Self {
            cluster_uuid,
            uuid: task.uuid,
            name: task.name,
            summary: task.summary,
            template_uuid: task.snapshot.template_uuid.clone(),
            flow: task.snapshot.flow.clone(),
            inputs: RawValue::from_string(task.inputs)?,
            step_max: task.snapshot.step_max,
            subscribed_channel: task.channel,
            priority: task.priority,
            created: time(task.created),
        })
    }
}

/// What happened to a step.
#[derive(Deserialize, ToSchema)]
struct ClientReport {
    /// The task.
    #[schema(example = "0f5658f37f2b45d881f19c7f56ea2e23")]
    uuid: String,
    /// The top-level step, counted from 0.
    #[schema(example = 0)]
    sequence: i32,
    /// 2 it runs, 4 it succeeded, 8 it failed. With `ended`, 2 is the end of a step behind which another one comes.
    #[schema(example = 4)]
    status: i32,
    /// The task's result, where the last step succeeded.
    #[schema(example = "\"hello world\"")]
    result: Option<String>,
    /// What went wrong.
    error: Option<String>,
    /// Read, and not kept: times are the server's.
    #[allow(dead_code, reason = "its form is checked, and shown")]
    started: Option<DateTime<Utc>>,
    /// The first day of the year 1 means none.
    ended: Option<DateTime<Utc>>,
}

impl Resource for ClientReport {}

/// How much an agent takes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// Tasks at most.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, default = 1)]
    #[allow(dead_code, reason = "its name is read, and shown")]
    limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Limit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts.uri.query().unwrap_or_default(), fields::<Self>())?;
        Ok(Self { limit: pairs.into_iter().next().map(|(_, value)| value) })
    }
}

impl Limit {
    fn tasks(&self) -> Result<i64, Problem> {
        let Some(text) = &self.limit else { return Ok(1) };
        text.parse().map_err(|_| Problem::malformed(format!("`limit` is a number, not {}", quoted(text))))
    }
}

/// Who calls.
struct Agent(Caller);

impl FromRequestParts<App> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let given = parts.headers.get(&SESSION).or_else(|| parts.headers.get(header::AUTHORIZATION));
        let bearer = given.and_then(|value| value.to_str().ok()).and_then(|text| text.split_whitespace().next_back());
        let bearer = bearer.ok_or_else(|| {
            Problem::forbidden("send the session in `Authorization: Bearer …` or in `X-Sudory-Client-Token: …`".into())
        })?;
        Ok(Self(app.former(bearer).await?))
    }
}

/// Open an agent's session
///
/// For agents of the first version. The session is in the header `X-Sudory-Client-Token`, too.
#[utoipa::path(post, path = "/api/v1/client/auth", tag = "client", request_body = ClientAuth, responses((status = OK, body = ClientSession)))]
async fn authenticate(
    State(app): State<App>,
    Body(body): Body<ClientAuth>,
) -> Result<(HeaderMap, Json<ClientSession>), Problem> {
    let entry = Entry {
        cluster_uuid: &body.cluster_uuid,
        token: &body.assertion,
        version: body.client_version.as_deref().unwrap_or_default(),
        library: body.client_lib_version.as_deref().unwrap_or_default(),
    };
    let opened = app.open_former(entry).await.map_err(|error| match error {
        app::Error::Refused(detail) => Problem::malformed(detail),
        other => other.into(),
    })?;
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_str(&opened.token).ok().map(|token| (SESSION.clone(), token)));
    let expires_in = opened.life.as_secs();
    Ok((headers, Json(ClientSession { token_type: "Bearer", access_token: opened.token, expires_in })))
}

/// Wait for tasks
///
/// For agents of the first version: answered when there is a task, or when the server stops.
#[utoipa::path(get, path = "/api/v1/client/service", tag = "client", params(Limit), responses((status = OK, body = [ClientService])))]
async fn poll(State(app): State<App>, Agent(caller): Agent, limit: Limit) -> Result<Json<Vec<ClientService>>, Problem> {
    let tasks = match app.poll(&caller, limit.tasks()?).await? {
        Waited::Tasks(tasks) => tasks,
        Waited::Stopped => vec![],
    };
    let tasks: Result<Vec<ClientService>, _> = tasks.into_iter().map(ClientService::try_from).collect();
    tasks.map(Json).map_err(|error| Problem::bug(format!("stored inputs are not JSON: {error}")))
}

/// Report a step
///
/// For agents of the first version. A task that has ended stays as it is.
#[utoipa::path(put, path = "/api/v1/client/service", tag = "client", request_body = ClientReport, responses(
    (status = OK, body = String),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn report(
    State(app): State<App>,
    Agent(caller): Agent,
    Body(body): Body<ClientReport>,
) -> Result<Json<Value>, Problem> {
    let report = Report {
        uuid: body.uuid,
        sequence: body.sequence,
        status: body.status,
        result: body.result.unwrap_or_default(),
        error: body.error.unwrap_or_default(),
        ended: body.ended.is_some_and(|time| time.year() > 1),
    };
    app.report(&caller, report).await?;
    Ok(Json("OK".into()))
}
