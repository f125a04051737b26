//! The spans of a run and of its steps.

use tracing::{Span, field::Empty, info_span};

use super::{TRACE, context::join};

/// What a run says of itself in every log line and in its trace: two spans, the one for lines around the one for the trace.
/// `traceparent` and `request_id` are the server's words and may be empty.
#[must_use]
pub fn run(task: &str, attempt: u32, request_id: &str, traceparent: &str) -> (Span, Span) {
    let line = info_span!("run", task.uuid = task, request.id = Empty, trace.id = Empty);
    if !request_id.is_empty() {
        line.record("request.id", request_id);
    }
    if let Some(trace_id) = traceparent.get(3..35) {
        line.record("trace.id", trace_id);
    }
    let trace = info_span!(
        target: TRACE,
        parent: &line,
        "run",
        otel.kind = "consumer",
        otel.status_code = Empty,
        task.uuid = task,
        task.attempt = i64::from(attempt),
        task.verdict = Empty,
        request.id = request_id,
    );
    join(&trace, traceparent);
    (line, trace)
}

/// One step of a run; a disabled span where nobody traces.
#[must_use]
pub fn step(path: &str, command: &str) -> Span {
    info_span!(
        target: TRACE,
        "step",
        otel.name = format!("step {path}"),
        otel.status_code = Empty,
        step.path = path,
        step.command = command,
        step.effect = Empty,
        "error.type" = Empty,
    )
}

/// Says in a span how its work ended: with a code of the plugin contract, or well.
pub fn step_ended(span: &Span, code: Option<&str>) {
    if let Some(code) = code {
        span.record("otel.status_code", "ERROR").record("error.type", code);
    }
}
