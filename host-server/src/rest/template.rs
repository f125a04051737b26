//! `/api/v1/template`: flows with the JSON Schema of their inputs.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    fields::{fields, quoted},
    list::{Page, pairs},
    problem::Problem,
    search::{Listed, Query, Search, Searched},
};
use crate::{
    app::{App, template::Declare},
    model::{nouns, predefined::ORIGINS, query},
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
pub(super) struct TemplateBody {
    /// 1 to 32 of `A-Z a-z 0-9 _ . -`; made by the server when absent.
    #[schema(example = "example_simple")]
    uuid: Option<String>,
    /// Required on create; 255 characters at most.
    #[schema(example = "example_simple")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "greets")]
    summary: Option<String>,
    /// The flow: an array of steps, or its JSON text. Required on create, and stored as it is written.
    #[schema(value_type = Option<Vec<Object>>, example = json!([{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}]))]
    flow: Option<Box<RawValue>>,
    /// JSON Schema of the inputs, an object or its JSON text; `{}`, which is the default, accepts any.
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>, example = json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}))]
    inputs: Option<Box<RawValue>>,
    /// `run_timeout` and `grace` (durations such as `1h30m`), `concurrency` (`{"cluster": 1, "total": 10}`: tasks at once) and
    /// `needs_agent` (refuse tasks that no connected agent can run).
    #[schema(value_type = Option<HashMap<String, serde_json::Value>>, example = json!({"run_timeout": "30m", "concurrency": {"cluster": 1}}))]
    options: Option<Box<RawValue>>,
}

impl Resource for TemplateBody {
    const TOLERANT: bool = false;
}

impl TemplateBody {
    fn declare(self) -> Result<Declare, Problem> {
        Ok(Declare {
            uuid: self.uuid,
            name: self.name,
            summary: self.summary,
            flow: self.flow.as_deref().map(text).transpose()?,
            inputs: self.inputs.as_deref().map(text).transpose()?,
            options: self.options.as_deref().map(text).transpose()?,
        })
    }
}

/// A JSON text inside a string, or the caller's own text of anything else: key order, spaces and digits as written.
fn text(value: &RawValue) -> Result<String, Problem> {
    if value.get().starts_with('"') {
        return serde_json::from_str(value.get()).map_err(|error| Problem::malformed(error.to_string()));
    }
    Ok(value.get().to_owned())
}

/// Which templates a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TemplateFilter {
    /// Only the template with this uuid, without case.
    uuid: Option<String>,
    /// Only templates of this name, without case.
    name: Option<String>,
    /// Only templates of this origin: `predefined` and `system` (what the server brings), `userdefined`.
    #[param(example = "userdefined")]
    origin: Option<String>,
    /// Only those created later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only those created earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl Searched for TemplateFilter {
    const RESOURCE: query::Resource = query::Resource::Template;
}

/// A template, as every call shows it.
#[derive(Serialize, ToSchema)]
struct Template {
    #[schema(example = "example_simple")]
    uuid: String,
    #[schema(example = "example_simple")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// JSON text, as it was stored.
    #[schema(example = r##"[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]"##)]
    flow: String,
    /// JSON text, as it was stored.
    #[schema(example = "{}")]
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<String>,
    /// JSON text, as it was stored; absent where all is as usual.
    #[schema(example = r#"{"run_timeout":"30m"}"#)]
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<String>,
    /// `predefined` or `system`: the server brought it and keeps it up to date; `userdefined`: it is yours.
    #[schema(example = "userdefined")]
    origin: String,
    /// Absent where somebody typed one into the database that is no time.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<DateTime<Utc>>,
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
            options: row.options,
            origin: row.origin,
            created: row.created.map(|time| time.and_utc()),
            updated: row.updated.map(|time| time.and_utc()),
        }
    }
}

/// How a template is stored.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DryRun {
    /// Only check, store nothing: `?dry_run` or `?dry_run=true`.
    #[param(value_type = Option<bool>)]
    #[allow(dead_code, reason = "its name is asked; what is given with it is read from the query itself")]
    dry_run: Option<String>,
}

/// Whether a template is only checked.
fn is_dry_run(query: Option<&str>) -> Result<bool, Problem> {
    let query = query.unwrap_or_default();
    match pairs(query, fields::<DryRun>())?.first().map(|(_, value)| value.as_str()) {
        None => Ok(!query.is_empty()),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(_) => Err(Problem::malformed("`dry_run` is `true` or `false`".into())),
    }
}

/// Store a template
///
/// Its flow, expressions and schema are checked; every mistake is told with its JSON pointer. `?dry_run` only checks.
#[utoipa::path(post, path = "/api/v1/template", tag = "template", params(DryRun), request_body = TemplateBody, responses(
    (status = OK, body = Template),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_template(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    Body(body): Body<TemplateBody>,
) -> Result<Json<Template>, Problem> {
    let dry_run = is_dry_run(query.as_deref())?;
    Ok(Json(app.declare_template(body.declare()?, dry_run).await?.into()))
}

/// List templates
///
/// In the order of their uuids; all of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/template", tag = "template", params(Page, Query, TemplateFilter), responses(
    (status = OK, body = [Template]),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json", description = "The list takes too long; ask for less of it"),
))]
async fn list_templates(State(app): State<App>, search: Search<TemplateFilter>) -> Result<Listed<Template>, Problem> {
    let TemplateFilter { uuid, name, origin, created_after, created_before } = &search.list.filter;
    let equal =
        [("uuid", uuid.clone()), ("name", name.clone()), ("origin", origin.as_deref().map(known_origin).transpose()?)];
    let filter = search.filter(equal).and(search.created(created_after.as_deref(), created_before.as_deref())?);
    let fetch = move |listing| {
        let app = app.clone();
        async move { app.templates(&listing).await }
    };
    search.answer(filter, false, fetch, |row: &nouns::Template| row.uuid.clone()).await
}

fn known_origin(text: &str) -> Result<String, Problem> {
    let found = ORIGINS.into_iter().find(|origin| origin.eq_ignore_ascii_case(text));
    found.map(str::to_owned).ok_or_else(|| {
        Problem::malformed(format!("`origin` is one of `{}`, not {}", ORIGINS.join("`, `"), quoted(text)))
    })
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
///
/// What is absent or null stays as it is; the whole is checked as on create. Tasks that exist keep what they were made from.
/// A predefined template that is changed becomes `userdefined`: the server does not bring it up to date any more.
#[utoipa::path(put, path = "/api/v1/template/{uuid}", tag = "template", params(("uuid" = String, Path)), request_body = TemplateBody, responses(
    (status = OK, body = Template),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn change_template(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<TemplateBody>,
) -> Result<Json<Template>, Problem> {
    Ok(Json(app.change_template(&uuid, body.declare()?).await?.into()))
}

/// Delete a template
///
/// Tasks that were made from it run on. A predefined template that was deleted does not come back.
#[utoipa::path(delete, path = "/api/v1/template/{uuid}", tag = "template", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn delete_template(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.delete_template(&uuid).await?;
    Ok(Json("OK"))
}
