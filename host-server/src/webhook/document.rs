//! The document that a webhook gets of a status: built when it is sent, from what is stored by then.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{
    ids::{hex, time},
    state::State,
    task::{Snapshot, View},
    webhook::{Delivery, Webhook},
};

/// The keys of the first version, and `sequence`.
#[derive(Serialize)]
struct Document<'a> {
    /// The agent that has the task, or had it: the id that it keeps over its connections.
    assigned_client_uuid: Option<String>,
    cluster_uuid: &'a str,
    error: Option<&'a str>,
    inputs: Box<RawValue>,
    /// Only with the status that brings it.
    result: Option<Box<RawValue>>,
    /// Counts the statuses of the task from 1.
    sequence: i32,
    service_name: &'a str,
    service_uuid: &'a str,
    status: i16,
    status_description: &'static str,
    step_count: usize,
    step_ended: Option<DateTime<Utc>>,
    /// Index of the top-level step, from 0, as `step_seq` of the API.
    step_position: i32,
    step_started: Option<DateTime<Utc>>,
    step_status: i16,
    template_uuid: &'a str,
    webhook: About<'a>,
}

#[derive(Serialize)]
struct About<'a> {
    uuid: &'a str,
    name: &'a str,
}

/// The document, as JSON text.
///
/// # Errors
/// A sentence, where what is stored of the task is no JSON.
pub(super) fn document(
    webhook: &Webhook,
    delivery: &Delivery,
    task: &View,
    snapshot: &Snapshot,
) -> Result<String, String> {
    let raw = |text: &str| {
        RawValue::from_string(text.to_owned()).map_err(|error| format!("the task is stored wrongly: {error}"))
    };
    // What the task came to stands beside the status that says so, not beside an earlier one that is sent late.
    let is_where_it_stands = State::of(task.state).status() == delivery.status;
    let has_result = is_where_it_stands && delivery.status == State::Succeeded as i16;
    let document = Document {
        assigned_client_uuid: delivery.journal.as_deref().map(hex),
        cluster_uuid: &task.cluster_uuid,
        error: task.error.as_deref().filter(|_| is_where_it_stands),
        inputs: raw(&task.inputs)?,
        result: task.result.as_deref().filter(|_| has_result).map(raw).transpose()?,
        sequence: delivery.seq,
        service_name: &task.name,
        service_uuid: &task.uuid,
        status: delivery.status,
        status_description: description(delivery.status),
        step_count: snapshot.step_max,
        step_ended: delivery.step_ended.map(time),
        step_position: delivery.step,
        step_started: delivery.step_started.map(time),
        step_status: delivery.step_status,
        template_uuid: &snapshot.template_uuid,
        webhook: About { uuid: &webhook.uuid, name: &webhook.name },
    };
    serde_json::to_string(&document).map_err(|error| format!("the document cannot be written: {error}"))
}

/// The first version's words, and ours for what it had not.
fn description(status: i16) -> &'static str {
    match status {
        0 => "regist",
        1 => "sent",
        2 => "processing",
        other => State::of(other).word(),
    }
}
