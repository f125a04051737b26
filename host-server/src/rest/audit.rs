//! `/api/v1/audit`: who changed what.

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::{fields, quoted},
    list::{List, Page, Rows, moment, pairs},
    problem::Problem,
};
use crate::{
    app::App,
    model::{
        audit::{Audit, AuditListing},
        ids::{lookup, stored, time},
    },
};

/// A list without `limit`.
const ROWS: i64 = 100;
/// Rows that are read at once of an export.
const EXPORT_ROWS: i64 = 1_000;
/// Parts of an export that wait for a slow reader.
const QUEUE: usize = 4;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(export_audit))
}

/// A row of the audit trail.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    /// Grows with each row.
    #[schema(example = 42)]
    id: i64,
    created: DateTime<Utc>,
    /// `token:NAME`, `oidc:SUBJECT`, `anonymous`; `shell` and `configuration` for what
    /// the server's commands and its start did.
    #[schema(example = "token:release-pipeline")]
    caller: String,
    /// The operation's id in this document.
    #[schema(example = "change_cluster")]
    operation: String,
    /// What was changed, or would have been.
    #[schema(example = "cluster")]
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_type: String,
    #[schema(example = "00000000000000000000000000000000")]
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_uuid: String,
    /// The cluster of a task, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_uuid: Option<String>,
    /// Where the connection came from.
    #[schema(example = "10.0.0.7")]
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    /// As in the header `X-Request-Id`.
    #[schema(example = "0f5658f37f2b45d881f19c7f56ea2e23")]
    request_id: String,
    /// SHA-256 of the resource before, without secrets; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_before: Option<String>,
    /// SHA-256 of the resource afterwards; of the request, where tasks were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_after: Option<String>,
    /// The answer's HTTP status: 200, or 403 and 404 where it was denied.
    #[schema(example = 200)]
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl From<Audit> for AuditEntry {
    fn from(row: Audit) -> Self {
        Self {
            id: row.id,
            created: time(row.at),
            caller: row.caller,
            operation: row.operation,
            resource_type: row.resource_type,
            resource_uuid: row.resource_uuid,
            cluster_uuid: row.cluster_uuid,
            address: row.address,
            request_id: row.request_id,
            digest_before: row.digest_before,
            digest_after: row.digest_after,
            code: row.code,
            detail: row.detail,
        }
    }
}

/// Which rows a list shows; every filter is exact.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditFilter {
    /// Only what this caller asked for.
    #[param(example = "token:release-pipeline")]
    caller: Option<String>,
    /// Only this operation.
    operation: Option<String>,
    /// Only changes of this noun.
    resource_type: Option<String>,
    /// Only changes of the resource with this uuid; hyphens and case do not matter, except for a template.
    resource_uuid: Option<String>,
    /// Only what was asked under this request id.
    request_id: Option<String>,
    /// Only answers with this status.
    #[param(value_type = Option<i32>, example = 403)]
    code: Option<String>,
    /// Only rows later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only rows earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl AuditFilter {
    fn equal(&self) -> Vec<(&'static str, String)> {
        let plain = |text: &String| stored(text).to_owned();
        let uuid = |text: &String| {
            let digits = lookup(text);
            if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { digits } else { plain(text) }
        };
        let all = [
            ("caller", self.caller.clone()),
            ("operation", self.operation.as_ref().map(plain)),
            ("resource_type", self.resource_type.as_ref().map(plain)),
            ("resource_uuid", self.resource_uuid.as_ref().map(uuid)),
            ("request_id", self.request_id.clone()),
        ];
        all.into_iter().filter_map(|(column, value)| Some((column, value?))).collect()
    }

    fn code(&self) -> Result<Option<i32>, Problem> {
        let Some(text) = &self.code else { return Ok(None) };
        match text.parse() {
            Ok(code @ 100..=599) => Ok(Some(code)),
            _ => Err(Problem::malformed(format!("`code` is an HTTP status such as 403, not {}", quoted(text)))),
        }
    }
}

/// List the audit trail
///
/// The newest first, 100 unless `limit` says otherwise.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Page, AuditFilter), responses((status = OK, body = [AuditEntry])))]
async fn list_audit(State(app): State<App>, list: List<AuditFilter>) -> Result<Rows<AuditEntry>, Problem> {
    let (filter, limit) = (&list.filter, list.limit()?.unwrap_or(ROWS));
    let listing = AuditListing {
        equal: filter.equal(),
        code: filter.code()?,
        created_after: moment("created_after", filter.created_after.as_deref())?,
        created_before: moment("created_before", filter.created_before.as_deref())?,
        after: list.after(|cursor| cursor.parse().ok())?,
        descending: list.is_descending(true)?,
        limit: limit + 1,
    };
    let rows = app.audits(&listing).await?;
    let (headers, rows) = list.cut(rows, Some(limit), |row| row.id.to_string(), &[]);
    Ok((headers, axum::Json(rows.into_iter().map(AuditEntry::from).collect())))
}

/// From when to when an export goes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Span {
    /// Only rows later than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_after: Option<String>,
    /// Only rows earlier than this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    created_before: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Span {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts.uri.query().unwrap_or_default(), fields::<Self>())?;
        let of = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Ok(Self { created_after: of("created_after"), created_before: of("created_before") })
    }
}

/// Export the audit trail
///
/// One JSON document a line, the oldest first. A connection that ends without its last chunk was cut off: ask again from the
/// last line's `created`.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(Span), responses((status = OK, body = String, content_type = "application/x-ndjson")))]
async fn export_audit(State(app): State<App>, span: Span) -> Result<Response, Problem> {
    let mut listing = AuditListing {
        created_after: moment("created_after", span.created_after.as_deref())?,
        created_before: moment("created_before", span.created_before.as_deref())?,
        limit: EXPORT_ROWS,
        ..AuditListing::default()
    };
    let mut rows = app.audits(&listing).await?;
    let (lines, reader) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        while let Some(last) = rows.last().map(|row| row.id) {
            listing.after = Some(last);
            let text: String = rows.drain(..).map(line).collect();
            if lines.send(Ok(text)).await.is_err() {
                return;
            }
            match app.audits(&listing).await {
                Ok(more) => rows = more,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an export of the audit trail was cut off"
                    );
                    // A reader that has gone does not need to be told.
                    let _ = lines.send(Err(std::io::Error::other("the export was cut off"))).await;
                    return;
                }
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(ReceiverStream::new(reader))).into_response())
}

fn line(row: Audit) -> String {
    // What is made of such a row is always JSON.
    serde_json::to_string(&AuditEntry::from(row)).unwrap_or_default() + "\n"
}
