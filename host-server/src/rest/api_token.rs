//! `/api/v1/api_token`: what people and programs show to be recognised.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::{HeaderName, header},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    fields::fields,
    list::{List, Page, Rows, pairs},
    problem::Problem,
};
use crate::{
    app::{App, api_token::Declare},
    model::{
        ids::{lookup, stored, time},
        people::{self, Caller},
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_api_token, list_api_tokens)).routes(routes!(
        get_api_token,
        change_api_token,
        delete_api_token
    ))
}

/// What a caller may say about an API token.
#[derive(Deserialize, ToSchema)]
pub(super) struct ApiTokenBody {
    /// 32 hexadecimal digits; made by the server when absent.
    #[schema(example = "0000000000000000000000000000000f")]
    uuid: Option<String>,
    /// Required on create, and for ever: 1 to 128 characters of A-Z a-z 0-9 . _ - @. It stands in `created_by` and in the audit trail.
    #[schema(example = "release-pipeline")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "restarts what it deployed")]
    summary: Option<String>,
    /// Required on create: `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    role: Option<String>,
    /// Only these clusters, by their uuids; all when absent.
    #[schema(example = json!(["00000000000000000000000000000000"]))]
    clusters: Option<Vec<String>>,
    /// Only these templates, by their uuids; all when absent.
    #[schema(example = json!(["example_simple"]))]
    templates: Option<Vec<String>>,
    /// Until when it is known, a time to come; for ever when absent.
    #[schema(value_type = Option<DateTime<Utc>>, example = "2999-12-31T00:00:00Z")]
    expires: Option<String>,
}

impl Resource for ApiTokenBody {
    const TOLERANT: bool = false;
}

impl From<ApiTokenBody> for Declare {
    fn from(body: ApiTokenBody) -> Self {
        let ApiTokenBody { uuid, name, summary, role, clusters, templates, expires } = body;
        Self { uuid, name, summary, role, clusters, templates, expires }
    }
}

/// An API token, as every call shows it.
#[derive(Serialize, ToSchema)]
struct ApiToken {
    #[schema(example = "0000000000000000000000000000000f")]
    uuid: String,
    #[schema(example = "release-pipeline")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(example = "operator")]
    role: String,
    /// Absent where all clusters are within reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    clusters: Option<Vec<String>>,
    /// Absent where all templates are within reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    templates: Option<Vec<String>>,
    /// What its bearer shows. Here, and never again.
    #[schema(example = "claiflow_…")]
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Absent where it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<DateTime<Utc>>,
    /// To the minute; absent where it was never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<DateTime<Utc>>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<people::ApiToken> for ApiToken {
    fn from(row: people::ApiToken) -> Self {
        let list = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            role: row.role,
            clusters: list(row.clusters),
            templates: list(row.templates),
            token: None,
            expires: row.expires_at.map(time),
            last_used: row.last_used.map(time),
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// Which API tokens a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApiTokenFilter {
    /// Only the token with this uuid.
    uuid: Option<String>,
    /// Only the token of this name, without case.
    name: Option<String>,
    /// Only tokens of this role.
    #[param(example = "admin")]
    role: Option<String>,
}

/// What a token's end may bring about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Last {
    /// `true`: also where no other token lets anybody administer the whole afterwards.
    #[param(value_type = Option<bool>)]
    #[allow(dead_code, reason = "its name is asked; what is given with it is read from the query itself")]
    last: Option<String>,
}

fn even_last(query: Option<&str>) -> Result<bool, Problem> {
    match pairs(query.unwrap_or_default(), fields::<Last>())?.first().map(|(_, value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::malformed("`last` is `true` or `false`".into())),
    }
}

/// Make an API token
///
/// The answer shows the token, once: only a digest of it is stored. It can do no more than who makes it. Names are never used
/// again, also when their token was deleted.
#[utoipa::path(post, path = "/api/v1/api_token", tag = "api_token", request_body = ApiTokenBody, responses(
    (status = OK, body = ApiToken),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_api_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<ApiTokenBody>,
) -> Result<([(HeaderName, &'static str); 1], Json<ApiToken>), Problem> {
    let (row, secret) = app.make_api_token(&caller, body.into()).await?;
    // Nobody on the way keeps what is shown once.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(ApiToken { token: Some(secret), ..row.into() })))
}

/// List API tokens
///
/// Without what they show. All of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/api_token", tag = "api_token", params(Page, ApiTokenFilter), responses((status = OK, body = [ApiToken])))]
async fn list_api_tokens(State(app): State<App>, list: List<ApiTokenFilter>) -> Result<Rows<ApiToken>, Problem> {
    let ApiTokenFilter { uuid, name, role } = &list.filter;
    let plain = |text: &String| stored(text).to_owned();
    let equal =
        [("uuid", uuid.as_deref().map(lookup)), ("name", name.as_ref().map(plain)), ("role", role.as_ref().map(plain))];
    let rows = app.api_tokens(&list.listing(equal, false)?).await?;
    list.rows(rows, |row| row.id.to_string())
}

/// Read an API token
#[utoipa::path(get, path = "/api/v1/api_token/{uuid}", tag = "api_token", params(("uuid" = String, Path)), responses(
    (status = OK, body = ApiToken),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_api_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<ApiToken>, Problem> {
    Ok(Json(app.api_token(&uuid).await?.into()))
}

/// Change an API token
///
/// What is absent or null stays as it is; so a scope can be made another, and not be taken away.
#[utoipa::path(put, path = "/api/v1/api_token/{uuid}", tag = "api_token", params(("uuid" = String, Path), Last), request_body = ApiTokenBody, responses(
    (status = OK, body = ApiToken),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json", description = "It is the last token of an admin without a scope"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn change_api_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(uuid): Path<String>,
    RawQuery(query): RawQuery,
    Body(body): Body<ApiTokenBody>,
) -> Result<Json<ApiToken>, Problem> {
    let even_last = even_last(query.as_deref())?;
    Ok(Json(app.change_api_token(&caller, &uuid, body.into(), even_last).await?.into()))
}

/// Revoke an API token
///
/// Here at once, on other replicas within two seconds. An unknown one is no error.
#[utoipa::path(delete, path = "/api/v1/api_token/{uuid}", tag = "api_token", params(("uuid" = String, Path), Last), responses(
    (status = OK, body = String),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json", description = "It is the last token of an admin without a scope"),
))]
async fn delete_api_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(uuid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<&'static str>, Problem> {
    app.revoke_api_token(&caller, &uuid, even_last(query.as_deref())?).await?;
    Ok(Json("OK"))
}
