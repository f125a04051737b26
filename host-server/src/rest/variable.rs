//! `/api/v1/global_variables`: what every replica reads while it runs.

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
    app::{App, variable::Change},
    model::{
        ids::time,
        nouns, query,
        variables::{Kind, MASK, known},
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_variables)).routes(routes!(get_variable, change_variable))
}

/// What a caller may say about a global variable.
#[derive(Deserialize, ToSchema)]
pub(super) struct VariableBody {
    /// It cannot change.
    #[schema(example = "af9a14a58b254d13ae69c065a27811b6")]
    uuid: Option<String>,
    /// It cannot change.
    #[schema(example = "ClientSession/ExpirationTime")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "longer, for the far sites")]
    summary: Option<String>,
    /// A duration such as `1m0s`; of `ClientSession/SignatureSecret` base64 of 16 bytes or more, never its mask.
    #[schema(example = "2m0s")]
    value: Option<String>,
}

impl Resource for VariableBody {}

impl From<VariableBody> for Change {
    fn from(body: VariableBody) -> Self {
        let VariableBody { uuid, name, summary, value } = body;
        Self { uuid, name, summary, value }
    }
}

/// Which variables a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct VariableFilter {
    /// Only the variable with this uuid.
    uuid: Option<String>,
    /// Only the variable of this name, without case.
    name: Option<String>,
    /// Only those created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only those created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for VariableFilter {
    const RESOURCE: query::Resource = query::Resource::GlobalVariables;
}

/// A global variable, as every call shows it.
#[derive(Serialize, ToSchema)]
struct GlobalVariable {
    #[schema(example = "af9a14a58b254d13ae69c065a27811b6")]
    uuid: String,
    #[schema(example = "ClientSession/ExpirationTime")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// As it was given; a secret is masked.
    #[schema(example = "1m0s")]
    value: String,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<nouns::Variable> for GlobalVariable {
    fn from(row: nouns::Variable) -> Self {
        let is_secret = known(&row.name).is_some_and(|known| known.kind == Kind::Secret);
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            value: if is_secret { MASK.to_owned() } else { row.value },
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// List global variables
///
/// All of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/global_variables", tag = "global_variables", params(Page, Query, VariableFilter), responses(
    (status = OK, body = [GlobalVariable]),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The list takes too long; ask for less of it"),
))]
async fn list_variables(
    State(app): State<App>,
    search: Search<VariableFilter>,
) -> Result<Listed<GlobalVariable>, Problem> {
    let VariableFilter { uuid, name, created_after, created_before } = &search.list.filter;
    let equal = [("uuid", uuid.clone()), ("name", name.clone())];
    let filter = search.filter(equal).and(search.created(created_after.as_deref(), created_before.as_deref())?);
    let fetch = move |listing| {
        let app = app.clone();
        async move { app.variables(&listing).await }
    };
    search.answer(filter, false, fetch, |row: &nouns::Variable| row.id).await
}

/// Read a global variable
#[utoipa::path(get, path = "/api/v1/global_variables/{uuid}", tag = "global_variables", params(("uuid" = String, Path)), responses(
    (status = OK, body = GlobalVariable),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_variable(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<GlobalVariable>, Problem> {
    Ok(Json(app.variable(&uuid).await?.into()))
}

/// Change a global variable
///
/// What is absent or null stays as it is. A change is in effect on every replica within 10 seconds. Another
/// `ClientSession/SignatureSecret` ends all sessions: agents authenticate again.
#[utoipa::path(put, path = "/api/v1/global_variables/{uuid}", tag = "global_variables", params(("uuid" = String, Path)), request_body = VariableBody, responses(
    (status = OK, body = GlobalVariable),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn change_variable(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<VariableBody>,
) -> Result<Json<GlobalVariable>, Problem> {
    Ok(Json(app.change_variable(&uuid, body.into()).await?.into()))
}
