//! `/api/v1/webhook/{uuid}/delivery`: what was sent to a webhook, and what became of it.

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::quoted,
    list::{List, Page, Rows},
    problem::Problem,
};
use crate::{
    app::App,
    model::{
        ids::{lookup, time},
        webhook::{self, DeliveryListing, DeliveryState},
    },
};

/// Rows where the caller does not say how many.
const USUAL: i64 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_deliveries)).routes(routes!(replay_delivery))
}

/// Which deliveries a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryFilter {
    /// Only `waiting`, `delivered`, `dead` or `filtered` ones.
    #[param(example = "dead")]
    state: Option<String>,
    /// Only of tasks with this uuid.
    service_uuid: Option<String>,
}

/// One document for a webhook, and what became of it.
#[derive(Serialize, ToSchema)]
struct Delivery {
    /// Names it in `replay`.
    #[schema(example = 7)]
    id: i64,
    /// The header `webhook-id` of each attempt.
    #[schema(example = "0192f0e4b3a87c1e9d5f6a7b8c9d0e1f.1.3")]
    webhook_id: String,
    /// Absent where it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_uuid: Option<String>,
    /// Absent where it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_uuid: Option<String>,
    /// Counts the statuses of a task from 1.
    #[schema(example = 3)]
    sequence: i32,
    /// The task's status that it tells of; absent where it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4)]
    status: Option<i16>,
    /// `waiting`: it is sent at `next_attempt`; `delivered`; `dead`: all attempts failed, only a replay sends it again; `filtered`: the
    /// filter said no.
    #[schema(example = "delivered")]
    state: &'static str,
    /// Since it was made, or replayed.
    #[schema(example = 1)]
    attempts: i32,
    /// The receiver's last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 200)]
    status_code: Option<i16>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the receiver answered 500")]
    error: Option<String>,
    created: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<DateTime<Utc>>,
    /// Not before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
}

impl From<webhook::Delivery> for Delivery {
    fn from(row: webhook::Delivery) -> Self {
        let state = DeliveryState::of(row.state);
        Self {
            id: row.id,
            webhook_id: row.message_id(),
            status: row.body.is_none().then_some(row.status),
            cluster_uuid: row.cluster_uuid,
            service_uuid: row.service_uuid,
            sequence: row.seq,
            state: state.word(),
            attempts: row.attempts,
            status_code: row.code,
            error: row.error,
            created: time(row.created),
            last_attempt: row.tried.map(time),
            next_attempt: (state == DeliveryState::Waiting).then(|| time(row.due)),
            ended: row.ended.map(time),
        }
    }
}

fn state(text: &str) -> Result<DeliveryState, Problem> {
    let found = DeliveryState::ALL.into_iter().find(|state| state.word() == text);
    found.ok_or_else(|| {
        let words: Vec<_> = DeliveryState::ALL.iter().map(|state| format!("`{}`", state.word())).collect();
        Problem::malformed(format!("`state` is one of {}, not {}", words.join(", "), quoted(text)))
    })
}

/// List what was sent to a webhook
///
/// The newest first, 100 unless `limit` says otherwise. Delivered and filtered ones are kept for `webhook.retention`, dead ones four
/// times as long.
#[utoipa::path(get, path = "/api/v1/webhook/{uuid}/delivery", tag = "webhook", params(("uuid" = String, Path), Page, DeliveryFilter), responses(
    (status = OK, body = [Delivery]),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn list_deliveries(
    State(app): State<App>,
    Path(uuid): Path<String>,
    list: List<DeliveryFilter>,
) -> Result<Rows<Delivery>, Problem> {
    let limit = list.limit()?.unwrap_or(USUAL);
    let listing = DeliveryListing {
        state: list.filter.state.as_deref().map(state).transpose()?,
        service_uuid: list.filter.service_uuid.as_deref().map(lookup),
        after: list.after(|text| text.parse().ok())?,
        oldest_first: !list.is_descending(true)?,
        limit: limit + 1,
    };
    let rows = app.deliveries(&uuid, &listing).await?;
    let (headers, rows) = list.cut(rows, Some(limit), |row| row.id.to_string(), &[]);
    Ok((headers, Json(rows.into_iter().map(Delivery::from).collect())))
}

/// Send a delivery again
///
/// Takes no body. It is sent at once under the same `webhook-id`, whatever became of it, and has all its attempts before it.
#[utoipa::path(post, path = "/api/v1/webhook/{uuid}/delivery/{id}/replay", tag = "webhook", params(("uuid" = String, Path), ("id" = i64, Path, description = "The delivery's `id`.")), responses(
    (status = OK, body = Delivery),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn replay_delivery(
    State(app): State<App>,
    Path((uuid, id)): Path<(String, i64)>,
) -> Result<Json<Delivery>, Problem> {
    Ok(Json(app.replay_delivery(&uuid, id).await?.into()))
}
