//! Around every request: its id, its place in the log and the metrics, and one form for everything that went wrong.

use std::{any::Any, time::Instant};

use axum::{
    body::{HttpBody as _, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use super::{body::Warnings, problem::Problem};
use crate::{app::App, telemetry};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// A caller's own request id at most; a longer one is not taken.
const REQUEST_ID_BYTES: usize = 128;
/// Only these routes are traced: probes and scrapes tell nobody anything.
const TRACED: &str = "/api/";
/// What a layer or an extractor said about a refusal, bytes.
const REFUSAL_BYTES: usize = 4_096;

/// A request's id, for handlers that write it down.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// A request's spans, for work that goes on in a task of its own: of what a log line looks for only what was entered there is found.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    log: tracing::Span,
    trace: tracing::Span,
}

impl Spans {
    /// The work, as a part of the request.
    pub(super) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.instrument(self.trace.clone()).instrument(self.log.clone())
    }
}

/// Takes or makes the request id, counts, and writes problems. Logs a failure, once.
pub(super) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let request_bytes = request.body().size_hint().exact();
    let id = given_id(request.headers()).unwrap_or_else(|| app.request_id());
    let warnings = Warnings::default();
    request.extensions_mut().insert(warnings.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", request.id = id, trace.id = tracing::field::Empty);
    let trace = traced(&span, method, &route, &id, request.headers());
    let headers = request.headers_mut();
    // From here on the headers say what was taken or made, and handlers read it there.
    set(headers, &REQUEST_ID, Some(&id));
    let traceparent = telemetry::traceparent(&trace).or_else(|| traceparent(headers));
    set(headers, &TRACEPARENT, traceparent.as_deref());
    if let Some(trace_id) = traceparent.as_deref().and_then(|text| text.get(3..35)) {
        span.record("trace.id", trace_id);
    }

    let spans = Spans { log: span.clone(), trace: trace.clone() };
    request.extensions_mut().insert(spans.clone());
    let mut response = spans.around(next.run(request)).await;
    let status = response.status();
    trace.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        trace.record("otel.status_code", "ERROR");
    }
    if status.is_client_error() || status.is_server_error() {
        let problem = problem_of(&mut response).await;
        if status.is_server_error() {
            span.in_scope(|| {
                tracing::error!(
                    http.method = method,
                    http.route = route,
                    http.status = status.as_u16(),
                    error = problem.cause(),
                    "a request failed"
                );
            });
        }
        response = problem.answer(&id, std::mem::take(response.headers_mut()));
    }
    warnings.write(response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }

    let labels = [method, route.as_str(), status.as_str()];
    let metrics = app.metrics();
    metrics.http_requests.with_label_values(&labels).inc();
    metrics.http_seconds.with_label_values(&labels).observe(started.elapsed().as_secs_f64());
    for (histogram, bytes) in [
        (&metrics.http_request_bytes, request_bytes),
        (&metrics.http_response_bytes, response.body().size_hint().exact()),
    ] {
        if let Some(bytes) = bytes {
            histogram.with_label_values(&labels).observe(bytes as f64);
        }
    }
    response
}

/// The caller's id, when it is a word that can stand in a log line, a header and a column as it is.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !br#""'\`<>"#.contains(&byte);
    ((1..=REQUEST_ID_BYTES).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

/// The request's id, as it was taken or made.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get(&REQUEST_ID)?.to_str().ok().map(str::to_owned)
}

/// The trace context under which what the request begins belongs: the server's own span where it traces, else the caller's.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<String> {
    telemetry::valid(headers.get(&TRACEPARENT)?.to_str().ok()?)
}

/// The request's span for the trace, below the caller's; a disabled one where nobody traces.
fn traced(log: &tracing::Span, method: &'static str, route: &str, id: &str, headers: &HeaderMap) -> tracing::Span {
    if !route.contains(TRACED) {
        return tracing::Span::none();
    }
    let span = tracing::info_span!(
        target: telemetry::TRACE,
        parent: log,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        request.id = id,
    );
    telemetry::join(&span, traceparent(headers).as_deref());
    span
}

/// Sets a header, or removes it.
fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<&str>) {
    match value.and_then(|value| HeaderValue::from_str(value).ok()) {
        Some(value) => headers.insert(name.clone(), value),
        None => headers.remove(name),
    };
}

/// Methods are callers' words; only the usual ones become labels.
fn method(method: &Method) -> &'static str {
    const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    USUAL.into_iter().find(|usual| method.as_str() == *usual).unwrap_or("other")
}

/// The problem that a handler gave, or one for the words of a layer or an extractor.
async fn problem_of(response: &mut Response) -> Problem {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return problem;
    }
    let body = std::mem::take(response.body_mut());
    let text = to_bytes(body, REFUSAL_BYTES).await.unwrap_or_default();
    Problem::of_status(response.status(), String::from_utf8_lossy(&text).trim())
}

/// The answer to a request whose handler panicked.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into());
    Problem::bug(format!("a handler panicked: {text}")).into_response()
}
