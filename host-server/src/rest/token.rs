//! `/api/v1/cluster_token`: the secrets that agents authenticate with.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    list::Page,
    problem::Problem,
    search::{Listed, Query, Search, Searched},
};
use crate::{
    app::{App, token::Declare},
    model::{ids::time, nouns, people::Caller, query},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_token, list_tokens))
        .routes(routes!(get_token, change_token, delete_token))
        .routes(routes!(refresh_token))
        .routes(routes!(expire_token))
}

/// What a caller may say about a token.
#[derive(Deserialize, ToSchema)]
pub(super) struct TokenBody {
    /// 32 hexadecimal digits; made by the server when absent.
    #[schema(example = "00000000000000000000000000000001")]
    uuid: Option<String>,
    /// Required on create; 255 characters at most.
    #[schema(example = "test token")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "for the agents of one cluster")]
    summary: Option<String>,
    /// Required on create; it cannot change.
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: Option<String>,
    /// What the agent shows, 512 characters at most; random when absent.
    #[schema(example = "CLIENT_AUTHENTICATION_TOKEN")]
    token: Option<String>,
}

impl Resource for TokenBody {}

/// Which tokens a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TokenFilter {
    /// Only the token with this uuid.
    uuid: Option<String>,
    /// Only tokens of this name, without case.
    name: Option<String>,
    /// Only tokens of this cluster.
    cluster_uuid: Option<String>,
    /// Only those created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only those created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for TokenFilter {
    const RESOURCE: query::Resource = query::Resource::ClusterToken;
}

impl From<TokenBody> for Declare {
    fn from(body: TokenBody) -> Self {
        Self {
            uuid: body.uuid,
            name: body.name,
            summary: body.summary,
            cluster_uuid: body.cluster_uuid,
            token: body.token,
            caller: None,
        }
    }
}

/// A token, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Token {
    #[schema(example = "00000000000000000000000000000001")]
    uuid: String,
    #[schema(example = "test token")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: String,
    /// A secret.
    #[schema(example = "CLIENT_AUTHENTICATION_TOKEN")]
    token: String,
    issued_at_time: DateTime<Utc>,
    /// `ClusterToken/ExpirationTime` after its making or its refresh, from midnight (UTC) on where that is a day or more.
    expiration_time: DateTime<Utc>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<nouns::Token> for Token {
    fn from(row: nouns::Token) -> Self {
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            cluster_uuid: row.cluster_uuid,
            token: row.token,
            issued_at_time: time(row.issued_at),
            expiration_time: time(row.expires_at),
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// Make a cluster token
///
/// The same `uuid` with the same content answers as the first time; with other content it is a conflict.
#[utoipa::path(post, path = "/api/v1/cluster_token", tag = "cluster_token", request_body = TokenBody, responses(
    (status = OK, body = Token),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn create_token(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Body(body): Body<TokenBody>,
) -> Result<Json<Token>, Problem> {
    Ok(Json(app.declare_token(Declare { caller: Some(caller), ..body.into() }).await?.into()))
}

/// List cluster tokens
///
/// All of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/cluster_token", tag = "cluster_token", params(Page, Query, TokenFilter), responses(
    (status = OK, body = [Token]),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The list takes too long; ask for less of it"),
))]
async fn list_tokens(State(app): State<App>, search: Search<TokenFilter>) -> Result<Listed<Token>, Problem> {
    let TokenFilter { uuid, name, cluster_uuid, created_after, created_before } = &search.list.filter;
    let equal = [("uuid", uuid.clone()), ("name", name.clone()), ("cluster_uuid", cluster_uuid.clone())];
    let filter = search.filter(equal).and(search.created(created_after.as_deref(), created_before.as_deref())?);
    let fetch = move |listing| {
        let app = app.clone();
        async move { app.tokens(&listing).await }
    };
    search.answer(filter, false, fetch, |row: &nouns::Token| row.id).await
}

/// Read a cluster token
#[utoipa::path(get, path = "/api/v1/cluster_token/{uuid}", tag = "cluster_token", params(("uuid" = String, Path)), responses(
    (status = OK, body = Token),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(app.token(&uuid).await?.into()))
}

/// Change a cluster token
///
/// What is absent or null stays as it is.
#[utoipa::path(put, path = "/api/v1/cluster_token/{uuid}", tag = "cluster_token", params(("uuid" = String, Path)), request_body = TokenBody, responses(
    (status = OK, body = Token),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn change_token(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<TokenBody>,
) -> Result<Json<Token>, Problem> {
    Ok(Json(app.change_token(&uuid, body.into()).await?.into()))
}

/// Let a cluster token live anew
///
/// Takes no body. `issued_at_time` stays.
#[utoipa::path(put, path = "/api/v1/cluster_token/{uuid}/refresh", tag = "cluster_token", params(("uuid" = String, Path)), responses(
    (status = OK, body = Token),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn refresh_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(app.refresh_token(&uuid).await?.into()))
}

/// End a cluster token's life now
///
/// Takes no body. No agent can authenticate with it from here on.
#[utoipa::path(put, path = "/api/v1/cluster_token/{uuid}/expire", tag = "cluster_token", params(("uuid" = String, Path)), responses(
    (status = OK, body = Token),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn expire_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(app.expire_token(&uuid).await?.into()))
}

/// Delete a cluster token
#[utoipa::path(delete, path = "/api/v1/cluster_token/{uuid}", tag = "cluster_token", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn delete_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.delete_token(&uuid).await?;
    Ok(Json("OK"))
}
