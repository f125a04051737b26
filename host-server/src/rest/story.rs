//! `…/log` and `…/event`: what the commands of a task said, and what happens to it as it happens.

use std::convert::Infallible;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    caller::Passed,
    list::{List, Page, Rows},
    problem::Problem,
    service::{Status, Usage},
};
use crate::{
    app::{
        App,
        rights::Named,
        story::{Mark, Told},
    },
    model::{
        ids::time,
        log::{LogListing, LogRow},
        people::Caller,
        step::{StepRow, Used},
    },
};

/// A list without `limit`.
const LINES: i64 = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_lines)).routes(routes!(follow_service))
}

/// One line that a command wrote.
#[derive(Serialize, ToSchema)]
struct Line {
    /// The step's path.
    #[schema(example = "0")]
    path: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    #[schema(example = "info")]
    level: String,
    #[schema(example = "3 of 5 replicas are ready")]
    message: String,
    /// Names and values.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Box<RawValue>>,
    /// When it reached the server.
    created: DateTime<Utc>,
}

impl From<LogRow> for Line {
    fn from(row: LogRow) -> Self {
        Self {
            path: row.path,
            level: row.level,
            message: row.message,
            fields: row.fields.and_then(|fields| RawValue::from_string(fields).ok()),
            created: time(row.at),
        }
    }
}

/// A step as it begins or ends.
#[derive(Serialize)]
struct Step {
    path: String,
    r#try: i32,
    state: &'static str,
    started: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

impl From<StepRow> for Step {
    fn from(row: StepRow) -> Self {
        let state = row.word();
        let usage = row.used.as_deref().and_then(Used::read).map(Usage::from);
        Self {
            path: row.path,
            r#try: row.attempt,
            state,
            started: time(row.started),
            ended: row.ended.map(time),
            usage,
        }
    }
}

/// Which lines a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LineFilter {
    /// Only lines of the step with this path.
    path: Option<String>,
}

/// What the commands of a task said
///
/// The oldest first, 1,000 unless `limit` says otherwise. The header `Link` leads to the next page.
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/log", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path), Page, LineFilter), responses(
    (status = OK, body = [Line]),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn list_lines(
    State(app): State<App>,
    Path((cluster, uuid)): Path<(String, String)>,
    list: List<LineFilter>,
) -> Result<Rows<Line>, Problem> {
    if list.is_descending(false)? {
        return Err(Problem::malformed("lines are listed the oldest first; leave `order` out".into()));
    }
    let limit = list.limit()?.unwrap_or(LINES);
    let after = list.after(|cursor| cursor.parse::<i64>().ok())?.unwrap_or_default();
    let listing = LogListing { after, path: list.filter.path.clone(), limit: limit + 1 };
    let lines = app.lines(&cluster, &uuid, &listing).await?;
    let (headers, lines) = list.cut(lines, Some(limit), |line| line.seq.to_string(), &[]);
    Ok((headers, Json(lines.into_iter().map(Line::from).collect())))
}

/// Follow a task
///
/// Server-sent events: `status` (as in `statuses`), `step`, `log`, and at last `end` with the final state. A reader that was cut
/// off goes on where it was: browsers send `Last-Event-ID` by themselves. The stream ends with the right to read it: when the token has
/// expired or is revoked.
#[utoipa::path(get, path = "/api/v1/cluster/{cluster_uuid}/service/{uuid}/event", tag = "service", params(("cluster_uuid" = String, Path), ("uuid" = String, Path), ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was read")), responses(
    (status = OK, body = String, content_type = "text/event-stream"),
    (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
))]
async fn follow_service(
    State(app): State<App>,
    Extension(passed): Extension<Passed>,
    Extension(caller): Extension<Caller>,
    Path((cluster, uuid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mark = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(Mark::of).unwrap_or_default();
    let named = Named { cluster: Some(cluster.clone()), uuid: Some(uuid.clone()) };
    let stay = passed.stay(caller, &headers, named)?;
    let story = app.story(&cluster, &uuid, mark).await?;
    let events = ReceiverStream::new(story).map(|(mark, told)| Ok(event(mark, told))).take_until(stay.ends());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn event(mark: Mark, told: Told) -> Event {
    let (name, data) = match told {
        Told::Status(row) => ("status", serde_json::to_string(&Status::of(row))),
        Told::Step(row) => ("step", serde_json::to_string(&Step::from(row))),
        Told::Line(row) => ("log", serde_json::to_string(&Line::from(row))),
        Told::End(state) => ("end", serde_json::to_string(&serde_json::json!({ "state": state }))),
    };
    // What is made of such rows is always JSON.
    Event::default().id(mark.to_string()).event(name).data(data.unwrap_or_default())
}
