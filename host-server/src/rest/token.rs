//! `/api/v1/cluster_token`: the secrets that agents authenticate with.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Page, Parameters},
    problem::Problem,
};
use crate::{
    app::{App, token::Declare},
    model::{ids::time, nouns},
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
struct TokenBody {
    uuid: Option<String>,
    /// Required on create.
    #[schema(example = "test token")]
    name: Option<String>,
    summary: Option<String>,
    /// Required on create.
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: Option<String>,
    /// Random when absent.
    token: Option<String>,
}

impl From<TokenBody> for Declare {
    fn from(body: TokenBody) -> Self {
        Self {
            uuid: body.uuid,
            name: body.name,
            summary: body.summary,
            cluster_uuid: body.cluster_uuid,
            token: body.token,
        }
    }
}

/// A token, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Token {
    uuid: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    cluster_uuid: String,
    token: String,
    issued_at_time: DateTime<Utc>,
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
#[utoipa::path(post, path = "/api/v1/cluster_token", tag = "cluster_token", responses(
    (status = OK, body = Token),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn create_token(State(app): State<App>, Body(body): Body<TokenBody>) -> Result<Json<Token>, Problem> {
    Ok(Json(app.declare_token(body.into()).await?.into()))
}

/// List cluster tokens
#[utoipa::path(get, path = "/api/v1/cluster_token", tag = "cluster_token", params(Page), responses((status = OK, body = [Token])))]
async fn list_tokens(State(app): State<App>, Parameters(page): Parameters) -> Result<Json<Vec<Token>>, Problem> {
    Ok(Json(app.tokens(page.limit(i64::MAX)?).await?.into_iter().map(Into::into).collect()))
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
#[utoipa::path(put, path = "/api/v1/cluster_token/{uuid}", tag = "cluster_token", params(("uuid" = String, Path)), responses(
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
#[utoipa::path(put, path = "/api/v1/cluster_token/{uuid}/refresh", tag = "cluster_token", params(("uuid" = String, Path)), responses(
    (status = OK, body = Token),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn refresh_token(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Token>, Problem> {
    Ok(Json(app.refresh_token(&uuid).await?.into()))
}

/// End a cluster token's life now
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
