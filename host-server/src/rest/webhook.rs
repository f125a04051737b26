//! `/api/v1/webhook`: where statuses of tasks are sent to.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Path, Request, State, rejection::BytesRejection},
    http::StatusCode,
    response::IntoResponse as _,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Body, Resource},
    list::{List, Page, Rows},
    problem::Problem,
};
use crate::{
    app::{
        App,
        webhook::{Declare, Headers},
    },
    model::{
        ids::{lookup, time},
        webhook,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_webhook, list_webhooks))
        .routes(routes!(get_webhook, change_webhook, delete_webhook))
        .routes(routes!(publish_webhook))
}

/// One value of a header, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

/// What a caller may say about a webhook.
#[derive(Deserialize, ToSchema)]
pub(super) struct WebhookBody {
    /// 32 hexadecimal digits; made by the server when absent.
    #[schema(example = "00000000000000000000000000000002")]
    uuid: Option<String>,
    /// Required on create; 255 characters at most.
    #[schema(example = "chat of the on-call team")]
    name: Option<String>,
    /// Any words.
    #[schema(example = "failures only")]
    summary: Option<String>,
    /// Required on create. It is looked at when something is sent: `https` or `http`, and no private address unless
    /// `webhook.allowAddresses` of the configuration says so.
    #[schema(example = "https://hooks.example.com/claiflow")]
    url: Option<String>,
    /// Required on create: a method of HTTP, in any case.
    #[schema(example = "POST")]
    method: Option<String>,
    /// Headers that are sent with each document: a text or an array of texts for each name.
    #[schema(value_type = Option<Object>, example = json!({"X-Team": ["on-call"]}))]
    headers: Option<BTreeMap<String, Values>>,
    /// For one attempt, a Go duration of at most 10m; 30 seconds where it is `0s` or absent.
    #[schema(example = "10s")]
    timeout: Option<String>,
    /// `jq`: `conditionFilter` decides what is sent. Anything else is `none`: all is sent.
    #[schema(example = "jq")]
    #[serde(rename = "conditionValidator")]
    condition_validator: Option<String>,
    /// A jq program over the document. It is sent when at least one output reads as a boolean and all of those are true.
    #[schema(example = ".status == 8")]
    #[serde(rename = "conditionFilter")]
    condition_filter: Option<String>,
    /// What documents are signed with, at most two while receivers change from one to the other: `whsec_` and the base64 of 24 to 64
    /// bytes each. They are never shown; an empty array ends signing.
    #[schema(example = json!(["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]))]
    secrets: Option<Vec<String>>,
}

impl Resource for WebhookBody {}

impl From<WebhookBody> for Declare {
    fn from(body: WebhookBody) -> Self {
        let list = |values| match values {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        };
        Self {
            uuid: body.uuid,
            name: body.name,
            summary: body.summary,
            url: body.url,
            method: body.method,
            headers: body
                .headers
                .map(|headers| headers.into_iter().map(|(name, values)| (name, list(values))).collect()),
            timeout: body.timeout,
            validator: body.condition_validator,
            filter: body.condition_filter,
            secrets: body.secrets,
        }
    }
}

/// Which webhooks a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WebhookFilter {
    /// Only the webhook with this uuid.
    uuid: Option<String>,
    /// Only webhooks of this name, without case.
    name: Option<String>,
}

/// A webhook, as every call shows it. Its secrets are not shown.
#[derive(Serialize, ToSchema)]
struct Webhook {
    #[schema(example = "00000000000000000000000000000002")]
    uuid: String,
    #[schema(example = "chat of the on-call team")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[schema(example = "https://hooks.example.com/claiflow")]
    url: String,
    #[schema(example = "POST")]
    method: String,
    #[schema(value_type = Option<Object>, example = json!({"X-Team": ["on-call"]}))]
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
    #[schema(example = "10s")]
    timeout: String,
    #[schema(example = "jq")]
    #[serde(rename = "conditionValidator", skip_serializing_if = "Option::is_none")]
    condition_validator: Option<String>,
    #[schema(example = ".status == 8")]
    #[serde(rename = "conditionFilter", skip_serializing_if = "Option::is_none")]
    condition_filter: Option<String>,
    created: DateTime<Utc>,
    updated: DateTime<Utc>,
}

impl From<webhook::Webhook> for Webhook {
    fn from(row: webhook::Webhook) -> Self {
        Self {
            uuid: row.uuid,
            name: row.name,
            summary: row.summary,
            url: row.url,
            method: row.method,
            headers: row.headers.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            timeout: row.timeout,
            condition_validator: row.condition_validator,
            condition_filter: row.condition_filter,
            created: time(row.created),
            updated: time(row.updated),
        }
    }
}

/// Declare a webhook
///
/// Tasks that name it as `subscribed_channel` tell it of each of their statuses. The same `uuid` with the same content answers as the
/// first time; with other content it is a conflict.
#[utoipa::path(post, path = "/api/v1/webhook", tag = "webhook", request_body = WebhookBody, responses(
    (status = OK, body = Webhook),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn create_webhook(State(app): State<App>, Body(body): Body<WebhookBody>) -> Result<Json<Webhook>, Problem> {
    Ok(Json(app.declare_webhook(body.into()).await?.into()))
}

/// List webhooks
///
/// All of them, unless `limit` is given.
#[utoipa::path(get, path = "/api/v1/webhook", tag = "webhook", params(Page, WebhookFilter), responses((status = OK, body = [Webhook])))]
async fn list_webhooks(State(app): State<App>, list: List<WebhookFilter>) -> Result<Rows<Webhook>, Problem> {
    let WebhookFilter { uuid, name } = &list.filter;
    let equal = [("uuid", uuid.as_deref().map(lookup)), ("name", name.clone())];
    let rows = app.webhooks(&list.listing(equal, false)?).await?;
    list.rows(rows, |row| row.id.to_string())
}

/// Read a webhook
#[utoipa::path(get, path = "/api/v1/webhook/{uuid}", tag = "webhook", params(("uuid" = String, Path)), responses(
    (status = OK, body = Webhook),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn get_webhook(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<Webhook>, Problem> {
    Ok(Json(app.webhook(&uuid).await?.into()))
}

/// Change a webhook
///
/// What is absent or null stays as it is. What waits to be sent is sent as the webhook says then.
#[utoipa::path(put, path = "/api/v1/webhook/{uuid}", tag = "webhook", params(("uuid" = String, Path)), request_body = WebhookBody, responses(
    (status = OK, body = Webhook),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    (status = UNPROCESSABLE_ENTITY, body = Problem, content_type = "application/problem+json"),
))]
async fn change_webhook(
    State(app): State<App>,
    Path(uuid): Path<String>,
    Body(body): Body<WebhookBody>,
) -> Result<Json<Webhook>, Problem> {
    Ok(Json(app.change_webhook(&uuid, body.into()).await?.into()))
}

/// Delete a webhook
///
/// What waits to be sent to it, and its log, go with it.
#[utoipa::path(delete, path = "/api/v1/webhook/{uuid}", tag = "webhook", params(("uuid" = String, Path)), responses((status = OK, body = String)))]
async fn delete_webhook(State(app): State<App>, Path(uuid): Path<String>) -> Result<Json<&'static str>, Problem> {
    app.delete_webhook(&uuid).await?;
    Ok(Json("OK"))
}

/// Send a document to a webhook
///
/// Any JSON, `{}` where there is no body: it takes the way that statuses of tasks take, through the filter too, and is stored when this
/// call answers. The list of deliveries tells what became of it.
#[utoipa::path(post, path = "/api/v1/webhook/{uuid}/publish", tag = "webhook", params(("uuid" = String, Path)), request_body(content = Object, example = json!({"text": "is anybody there?"})), responses(
    (status = OK, body = String),
    (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn publish_webhook(
    State(app): State<App>,
    Path(uuid): Path<String>,
    document: Document,
) -> Result<Json<&'static str>, Problem> {
    app.publish(&uuid, &document.0).await?;
    Ok(Json("OK"))
}

/// Any JSON, as its text.
struct Document(String);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            let detail = rejection.body_text();
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::too_large(format!("a body has at most {} bytes", super::BODY_BYTES))
            } else {
                Problem::malformed(detail)
            }
        })?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self("{}".into()));
        }
        let wrong = |error: &dyn std::fmt::Display| Problem::malformed(format!("the body is not JSON: {error}"));
        let text = str::from_utf8(&bytes).map_err(|error| wrong(&error))?;
        claiflow_flow::read_json(text).map_err(|error| wrong(&error))?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        Ok(Self(raw.get().to_owned()))
    }
}
