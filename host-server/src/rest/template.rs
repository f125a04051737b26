//! `/api/v1/template`: flows with the JSON Schema of their inputs.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Page, Parameters},
    problem::Problem,
};
use crate::{
    app::{App, template::Declare},
    model::nouns,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_template, list_templates)).routes(routes!(
        get_template,
        change_template,
        delete_template
    ))
}

/// What a caller may say about a template.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplateBody {
    /// 1 to 32 of `A-Z a-z 0-9 _ . -`; made by the server when absent.
    #[schema(example = "example_simple")]
    uuid: Option<String>,
    /// Required on create.
    #[schema(example = "example_simple")]
    name: Option<String>,
    summary: Option<String>,
    /// The flow: an array of steps, or its JSON text. Required on create.
    #[schema(value_type = Object, example = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]))]
    flow: Option<Value>,
    /// JSON Schema of the inputs, an object or its JSON text; `{}` accepts any.
    #[schema(value_type = Object, example = json!({"type": "object", "required": ["name"]}))]
    inputs: Option<Value>,
}

impl From<TemplateBody> for Declare {
    fn from(body: TemplateBody) -> Self {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Self {
            uuid: body.uuid,
            name: body.name,
            summary: body.summary,
            flow: body.flow.map(text),
            inputs: body.inputs.map(text),
        }
    }
}

/// A template, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Template {
    uuid: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// JSON text, as it was stored.
    flow: String,
    /// JSON text, as it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<String>,
    origin: String,
    created: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<DateTime<Utc>>,
}

impl From<nouns::Template> for Template {
    fn from(row: nouns::Template) -> Self {
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            flow: row.flow,
            inputs: row.inputs,
            origin: row.origin,
            created: row.created.and_utc(),
            updated: row.updated.map(|time| time.and_utc()),
        }
    }
}

#[derive(Deserialize)]
struct DryRun {
    dry_run: Option<String>,
}

/// Store a template
///
/// Its flow, expressions and schema are checked; every mistake is told with its JSON pointer. `?dry_run` only checks.
#[utoipa::path(post, path = "/api/v1/template", tag = "template", params(("dry_run" = Option<String>, Query)), responses(
    (status = OK, body = Template),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_template(
    State(app): State<App>,
    Query(query): Query<DryRun>,
    Body(body): Body<TemplateBody>,
) -> Result<Json<Template>, Problem> {
    let dry_run = query.dry_run.is_some_and(|value| value != "false");
    Ok(Json(app.declare_template(body.into(), dry_run).await?.into()))
}

/// List templates
#[utoipa::path(get, path = "/api/v1/template", tag = "template", params(Page), responses((status = OK, body = [Template])))]
async fn list_templates(State(app): State<App>, Parameters(page): Parameters) -> Result<Json<Vec<Template>>, Problem> {
    Ok(Json(app.templates(page.origin.as_deref(), page.limit(i64::MAX)?).await?.into_iter().map(Into::into).collect()))
}

/// Read a template
#[utoipa::path(get, path = "/api/v1/template/{uuid}", tag = "template", params(("uuid" = String, Path)), responses(
    (status = OK, body = Template),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_template(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Template>, Problem> {
    Ok(Json(app.template(&uuid).await?.into()))
}

/// Change a template
#[utoipa::path(put, path = "/api/v1/template/{uuid}", tag = "template", params(("uuid" = String, Path)), responses(
    (status = OK, body = Template),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn change_template(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<TemplateBody>,
) -> Result<Json<Template>, Problem> {
    Ok(Json(app.change_template(&uuid, body.into()).await?.into()))
}

/// Delete a template
///
/// Tasks that were made from it run on.
#[utoipa::path(delete, path = "/api/v1/template/{uuid}", tag = "template", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn delete_template(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.delete_template(&uuid).await?;
    Ok(Json("OK"))
}
