//! `/api/v1/session`: authenticated agent connections.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    cluster::{Alive, alive},
    list::Page,
    problem::Problem,
    search::{Listed, Query, Search, Searched},
};
use crate::{
    app::App,
    model::{ids::time, nouns, query, variables::MASK},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_sessions))
        .routes(routes!(get_session, revoke_session))
        .routes(routes!(session_alive))
}

/// Which sessions a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SessionFilter {
    /// Only the session with this uuid.
    uuid: Option<String>,
    /// Only sessions of this cluster.
    cluster_uuid: Option<String>,
    /// Only those created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only those created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for SessionFilter {
    const RESOURCE: query::Resource = query::Resource::Session;
}

/// A session; its token is masked.
#[derive(Serialize, ToSchema)]
struct Session {
    #[schema(example = 1)]
    id: i64,
    #[schema(example = "019ab2f43c7d7c0e9d8f6a5b4c3d2e1f")]
    uuid: String,
    #[schema(example = "00000000000000000000000000000000")]
    cluster_uuid: String,
    #[schema(example = "********")]
    token: &'static str,
    issued_at_time: DateTime<Utc>,
    expiration_time: DateTime<Utc>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
    /// Always this time: a revoked session is not shown.
    #[schema(example = "0001-01-01T00:00:00Z")]
    deleted: &'static str,
}

impl From<nouns::Session> for Session {
    fn from(row: nouns::Session) -> Self {
        Self {
            id: row.id,
            uuid: row.uuid,
            cluster_uuid: row.cluster_uuid,
            token: MASK,
            issued_at_time: time(row.issued_at),
            expiration_time: time(row.expires_at),
            created: time(row.created),
            updated: time(row.updated),
            deleted: "0001-01-01T00:00:00Z",
        }
    }
}

/// List sessions
///
/// The newest first; all of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", params(Page, Query, SessionFilter), responses(
    (status = OK, body = [Session]),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The list takes too long; ask for less of it"),
))]
async fn list_sessions(State(app): State<App>, search: Search<SessionFilter>) -> Result<Listed<Session>, Problem> {
    let SessionFilter { uuid, cluster_uuid, created_after, created_before } = &search.list.filter;
    let equal = [("uuid", uuid.clone()), ("cluster_uuid", cluster_uuid.clone())];
    let filter = search.filter(equal).and(search.created(created_after.as_deref(), created_before.as_deref())?);
    let fetch = move |listing| {
        let app = app.clone();
        async move { app.sessions(&listing).await }
    };
    search.answer(filter, true, fetch, |row: &nouns::Session| row.id).await
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
///
/// Its connection is closed. An unknown one is no error.
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
