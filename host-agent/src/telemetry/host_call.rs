//! Calls of plugins into the host, as spans that are made once the call is over: some of them end in another task than the one that
//! began them.

use std::time::SystemTime;

use opentelemetry::{
    KeyValue,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{is_active, send};
use crate::metrics::HostCall;

/// The span of the call that a plugin is in; none where nobody traces.
#[derive(Clone, Debug, Default)]
pub struct Parent(Option<SpanContext>);

impl Parent {
    /// The span in which this is asked.
    #[must_use]
    pub fn here() -> Self {
        if !is_active() {
            return Self(None);
        }
        let context = tracing::Span::current().context();
        let context = context.span().span_context().clone();
        Self(context.is_sampled().then_some(context))
    }
}

/// A call into the host has ended just now. Those that only waited for news are not shown.
pub fn host_call(call: &HostCall<'_>) {
    let (Some(parent), Some(took)) = (&call.parent.0, call.took) else { return };
    send(|scope| {
        let end_time = SystemTime::now();
        let id = SpanId::from_bytes(rand::random());
        let state = TraceState::NONE;
        Some(SpanData {
            span_context: SpanContext::new(parent.trace_id(), id, parent.trace_flags(), false, state),
            parent_span_id: parent.span_id(),
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: format!("host {}", call.verb).into(),
            start_time: end_time.checked_sub(took)?,
            end_time,
            attributes: vec![
                KeyValue::new("plugin.name", call.plugin.to_owned()),
                KeyValue::new("host.verb", call.verb),
                KeyValue::new("host.resource", call.resource.to_owned()),
                KeyValue::new("host.outcome", call.outcome.to_owned()),
            ],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if call.outcome == "ok" { Status::Unset } else { Status::error("") },
            instrumentation_scope: scope.clone(),
        })
    });
}
