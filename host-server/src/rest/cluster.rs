//! `/api/v1/cluster`: the clusters that agents speak for.

use axum::{
    Json,
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
    app::{App, cluster::Declare, text::Labels},
    model::{ids::time, nouns, query},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_cluster, list_clusters))
        .routes(routes!(get_cluster, change_cluster, delete_cluster))
        .routes(routes!(cluster_alive))
}

/// What a caller may say about a cluster.
#[derive(Deserialize, ToSchema)]
pub(super) struct ClusterBody {
    /// 32 hexadecimal digits; made by the server when absent.
    #[schema(example = "00000000000000000000000000000000")]
    uuid: Option<String>,
    /// Required on create; 255 characters at most.
    #[schema(example = "test cluster")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "EU, production")]
    summary: Option<String>,
    /// Words by which people choose clusters.
    #[schema(value_type = Option<HashMap<String, String>>, example = json!({"region": "eu"}))]
    labels: Option<Labels>,
    /// Nothing is offered to its agents while it is paused; what runs goes on.
    #[schema(example = false)]
    paused: Option<bool>,
    /// Tasks that run at once on the cluster; 0 is no limit.
    #[schema(example = 0)]
    concurrency: Option<u32>,
}

impl Resource for ClusterBody {}

/// Which clusters a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ClusterFilter {
    /// Only the cluster with this uuid.
    uuid: Option<String>,
    /// Only clusters of this name, without case.
    name: Option<String>,
    /// Only those with all of these labels, without case.
    #[param(example = "region=eu,tier=prod")]
    labels: Option<String>,
    /// Only those created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only those created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for ClusterFilter {
    const RESOURCE: query::Resource = query::Resource::Cluster;
}

impl From<ClusterBody> for Declare {
    fn from(body: ClusterBody) -> Self {
        let ClusterBody { uuid, name, summary, labels, paused, concurrency } = body;
        Self { uuid, name, summary, labels, paused, concurrency }
    }
}

/// A cluster, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Cluster {
    #[schema(example = "00000000000000000000000000000000")]
    uuid: String,
    #[schema(example = "test cluster")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(value_type = Option<HashMap<String, String>>, example = json!({"region": "eu"}))]
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    /// Absent where it is not paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    /// Tasks that run at once; absent where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<i32>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<nouns::Cluster> for Cluster {
    fn from(row: nouns::Cluster) -> Self {
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            labels: row.labels.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            paused: row.paused,
            concurrency: row.concurrency,
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// Whether an agent of a cluster is connected.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    alive: bool,
    /// The agent's version, when it is connected.
    #[schema(example = "0.1.0")]
    #[serde(rename = "clientVersion", skip_serializing_if = "Option::is_none")]
    client_version: Option<String>,
    /// The same, unless it is an agent of the first version.
    #[schema(example = "0.1.0")]
    #[serde(rename = "clientLibVersion", skip_serializing_if = "Option::is_none")]
    client_lib_version: Option<String>,
}

/// Declare a cluster
///
/// The same `uuid` with the same content answers as the first time; with other content it is a conflict.
#[utoipa::path(post, path = "/api/v1/cluster", tag = "cluster", request_body = ClusterBody, responses(
    (status = OK, body = Cluster),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
))]
async fn create_cluster(State(app): State<App>, Body(body): Body<ClusterBody>) -> Result<Json<Cluster>, Problem> {
    Ok(Json(app.declare_cluster(body.into()).await?.into()))
}

/// List clusters
///
/// All of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/cluster", tag = "cluster", params(Page, Query, ClusterFilter), responses(
    (status = OK, body = [Cluster]),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The list takes too long; ask for less of it"),
))]
async fn list_clusters(State(app): State<App>, search: Search<ClusterFilter>) -> Result<Listed<Cluster>, Problem> {
    let ClusterFilter { uuid, name, labels, created_after, created_before } = &search.list.filter;
    let equal = [("uuid", uuid.clone()), ("name", name.clone())];
    let created = search.created(created_after.as_deref(), created_before.as_deref())?;
    let filter = search.filter(equal).and(search.labelled(labels.as_deref())?).and(created);
    let fetch = move |listing| {
        let app = app.clone();
        async move { app.clusters(&listing).await }
    };
    search.answer(filter, false, fetch, |row: &nouns::Cluster| row.id).await
}

/// Read a cluster
#[utoipa::path(get, path = "/api/v1/cluster/{uuid}", tag = "cluster", params(("uuid" = String, Path)), responses(
    (status = OK, body = Cluster),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_cluster(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Cluster>, Problem> {
    Ok(Json(app.cluster(&uuid).await?.into()))
}

/// Change a cluster
///
/// What is absent or null stays as it is.
#[utoipa::path(put, path = "/api/v1/cluster/{uuid}", tag = "cluster", params(("uuid" = String, Path)), request_body = ClusterBody, responses(
    (status = OK, body = Cluster),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn change_cluster(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<ClusterBody>,
) -> Result<Json<Cluster>, Problem> {
    Ok(Json(app.change_cluster(&uuid, body.into()).await?.into()))
}

/// Delete a cluster
///
/// Its tokens and sessions go with it, and its waiting tasks are cancelled; all of its tasks stay readable.
#[utoipa::path(delete, path = "/api/v1/cluster/{uuid}", tag = "cluster", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn delete_cluster(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.delete_cluster(&uuid).await?;
    Ok(Json("OK"))
}

/// Is an agent connected?
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/session/alive", tag = "cluster", params(("cluster_uuid" = String, Path)), responses((status = OK, body = Alive)))]
async fn cluster_alive(state: State<App>, path: Path<String>) -> Result<Json<Alive>, Problem> {
    alive(state, path).await
}

/// Unknown or never seen: not alive.
pub(super) async fn alive(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Alive>, Problem> {
    let cluster = match app.cluster(&uuid).await {
        Ok(cluster) => Some(cluster),
        Err(crate::app::Error::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let (client_version, client_lib_version) = app.alive(cluster.as_ref()).await?.unzip();
    Ok(Json(Alive { alive: client_version.is_some(), client_version, client_lib_version }))
}
