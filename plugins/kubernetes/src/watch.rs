//! `watch`.

use std::{collections::BTreeMap, time::Duration};

use claiflow_sdk::{
    Context, Error, clock, command,
    kubernetes::{Api, Watching},
    task,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{duration::Time, json::Json, list, target};

const TIME: Duration = Duration::from_secs(10);
const EVENTS: usize = 100;
/// As long as this may pass before a stop is noticed.
const PIECE: Duration = Duration::from_secs(2);
/// Left of the call's time for its answer.
const RESERVE: Duration = Duration::from_millis(500);

/// What to watch, and for how long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Absent or empty: every namespace that the grant names.
    namespace: Option<String>,
    /// What the objects' labels must be, all of them.
    #[serde(default)]
    #[schemars(schema_with = "list::labels_schema")]
    labels: Option<BTreeMap<String, Value>>,
    /// Such as `metadata.name=web`.
    field_selector: Option<String>,
    /// Only these fields of each object.
    #[serde(default)]
    fields: Vec<String>,
    /// Begin behind this `metadata.resourceVersion`. Absent: with what is there.
    resource_version: Option<String>,
    /// Absent: 10 s.
    timeout: Option<Time>,
    /// It ends when so many events came. Absent: 100.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<usize>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
pub struct Watched {
    /// In their order; `ADDED` is also what was there when it began.
    events: Vec<Event>,
}

/// One thing that happened.
#[derive(Serialize, JsonSchema)]
pub struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`.
    #[serde(rename = "type")]
    what: String,
    object: Json,
}

/// Gathers what happens to objects for a while.
#[command(pattern = "kubernetes.{resource}.watch.{version+}", effect = "read")]
pub fn watch(inputs: Watch, context: &Context) -> Result<Watched, Error> {
    let api: Api<Json> = target::places(context, inputs.namespace.as_deref())?;
    let mut query = list::query(inputs.labels, inputs.field_selector, inputs.fields)?;
    if let Some(version) = inputs.resource_version.filter(|version| !version.is_empty()) {
        query = query.since(version);
    }
    let most = inputs.limit.unwrap_or(EVENTS);
    let end = clock::monotonic() + time(inputs.timeout.map_or(TIME, |time| time.0));
    let mut watching: Watching<Json> = api.watch(&query)?;
    let mut events = Vec::new();
    loop {
        task::keep_going()?;
        let left = end.saturating_sub(clock::monotonic());
        if left.is_zero() || events.len() >= most {
            return Ok(Watched { events });
        }
        let came = watching.next(left.min(PIECE))?;
        let came = came.into_iter().filter(|event| event.what != "BOOKMARK");
        events.extend(came.take(most - events.len()).map(|event| Event { what: event.what, object: event.object }));
    }
}

/// As much of the wanted time as the call has.
pub(crate) fn time(wanted: Duration) -> Duration {
    wanted.min(Duration::from_millis(task::remaining_ms()).saturating_sub(RESERVE))
}
