//! `/api/v1/session`: authenticated agent connections.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Page, Parameters},
    cluster::{Alive, alive},
    problem::Problem,
};
use crate::{
    app::App,
    model::{ids::time, nouns},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_sessions))
        .routes(routes!(get_session, revoke_session))
        .routes(routes!(session_alive))
}

/// A session; its token is masked.
#[derive(Serialize, ToSchema)]
struct Session {
    id: i64,
    uuid: String,
    cluster_uuid: String,
    #[schema(example = "********")]
    token: &'static str,
    issued_at_time: DateTime<Utc>,
    expiration_time: DateTime<Utc>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<nouns::Session> for Session {
    fn from(row: nouns::Session) -> Self {
        Self {
            id: row.id,
            uuid: row.uuid,
            cluster_uuid: row.cluster_uuid,
            token: "********",
            issued_at_time: time(row.issued_at),
            expiration_time: time(row.expires_at),
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// List sessions, the newest first
#[utoipa::path(get, path = "/api/v1/session", tag = "session", params(Page), responses((status = OK, body = [Session])))]
async fn list_sessions(State(app): State<App>, Parameters(page): Parameters) -> Result<Json<Vec<Session>>, Problem> {
    Ok(Json(app.sessions(page.limit(i64::MAX)?).await?.into_iter().map(Into::into).collect()))
}

/// Read a session
#[utoipa::path(get, path = "/api/v1/session/{uuid}", tag = "session", params(("uuid" = String, Path)), responses(
    (status = OK, body = Session),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_session(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Session>, Problem> {
    Ok(Json(app.session(&uuid).await?.into()))
}

/// Revoke a session
#[utoipa::path(delete, path = "/api/v1/session/{uuid}", tag = "session", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn revoke_session(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.revoke_session(&uuid).await?;
    Ok(Json("OK"))
}

/// Is an agent of the cluster connected?
#[utoipa::path(get, path = "/api/v1/session/cluster/{cluster_uuid}/alive", tag = "session", params(("cluster_uuid" = String, Path)), responses((status = OK, body = Alive)))]
async fn session_alive(state: State<App>, path: Path<String>) -> Result<Json<Alive>, Problem> {
    alive(state, path).await
}
