//! A task's time between its creation and an agent: a span that is known only when it is over, since no process lives through it.

use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use sha2::{Digest as _, Sha256};

use super::{context, is_active, send};
use crate::model::task::{Lease, Task};

/// A task goes to an agent at `now_us`, microseconds since 1970: ends the span of its wait, and says under which trace context its
/// run belongs. Each further lease is linked with the one before.
#[must_use]
pub fn offered(lease: &Lease, now_us: i64) -> Option<String> {
    let task = &lease.task;
    let created = task.traceparent.as_deref()?;
    if !is_active() {
        return Some(created.to_owned());
    }
    let parent = context::parse(created)?;
    let waited = in_trace(&parent, task, task.epoch);
    if parent.is_sampled() {
        send(|scope| {
            let mut links = SpanLinks::default();
            if task.epoch > 1 {
                let before = in_trace(&parent, task, task.epoch - 1);
                links.links.push(Link::new(before, vec![KeyValue::new("claiflow.link", "the lease before")], 0));
            }
            let mut attributes = vec![
                KeyValue::new("task.uuid", task.uuid.clone()),
                KeyValue::new("task.template", task.snapshot.template_uuid.clone()),
                KeyValue::new("task.attempt", i64::from(task.attempt)),
            ];
            attributes.extend(task.request_id.clone().map(|id| KeyValue::new("request.id", id)));
            let moment = |us: i64| UNIX_EPOCH + Duration::from_micros(us.unsigned_abs());
            // From the second lease on it is not known since when the task waited.
            let began = if task.epoch > 1 { lease.created } else { task.created };
            Some(SpanData {
                span_context: waited.clone(),
                parent_span_id: parent.span_id(),
                parent_span_is_remote: true,
                span_kind: SpanKind::Producer,
                name: "queue".into(),
                start_time: moment(began.min(now_us)),
                end_time: moment(now_us),
                attributes,
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links,
                status: Status::Unset,
                instrumentation_scope: scope.clone(),
            })
        });
    }
    Some(context::format(&waited))
}

/// The span of one lease's wait. Its id follows from the lease, so that whoever gives the next one can name it.
fn in_trace(parent: &SpanContext, task: &Task, epoch: i64) -> SpanContext {
    let digest = Sha256::new()
        .chain_update(task.id)
        .chain_update(task.cluster.to_be_bytes())
        .chain_update(epoch.to_be_bytes())
        .finalize();
    let id = digest.first_chunk().copied().unwrap_or_default();
    SpanContext::new(parent.trace_id(), SpanId::from_bytes(id), parent.trace_flags(), false, TraceState::NONE)
}
