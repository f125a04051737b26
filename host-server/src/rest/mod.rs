//! HTTP: people's side of the server. Handlers are thin; the use cases are in `app`.

mod body;
mod cluster;
mod meta;
mod problem;
mod service;
mod session;
mod template;
mod token;

use std::time::Instant;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tower_http::{compression::CompressionLayer, decompression::RequestDecompressionLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use problem::Problem;

/// A request body at most, bytes.
const BODY_BYTES: usize = 4 << 20;
const REQUEST_ID: &str = "x-request-id";

#[derive(OpenApi)]
#[openapi(info(
    title = "claiflow",
    description = "Run task templates on any number of Kubernetes clusters. Declare a cluster and a token, start an agent with them, store a template, create services (tasks) and read their results."
))]
struct Document;

fn parts() -> (Router<App>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(cluster::routes())
        .merge(token::routes())
        .merge(session::routes())
        .merge(template::routes())
        .merge(service::routes())
        .merge(meta::routes())
        .split_for_parts()
}

/// The OpenAPI document, as pretty JSON.
///
/// # Errors
/// When it cannot be serialised.
pub fn openapi() -> Result<String, serde_json::Error> {
    parts().1.to_pretty_json()
}

/// All routes. `loopback`: no authentication, so only requests that no web page can make are served.
pub fn router(app: App, loopback: bool) -> Router {
    let (router, document) = parts();
    let mut router = router
        .merge(SwaggerUi::new("/swagger").url("/swagger/openapi.json", document))
        .fallback(async |request: Request| {
            Problem::not_found(format!(
                "there is no {} {}; /swagger/index.html lists what is",
                request.method(),
                request.uri().path()
            ))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES));
    if loopback {
        router = router.layer(axum::middleware::from_fn(only_local));
    }
    router
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Without authentication a browser's page must not reach the API: a loopback Host, and JSON bodies only.
async fn only_local(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let local =
        matches!(name, "localhost" | "[::1]") || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    if !local && !host.is_empty() {
        return Problem::forbidden(format!("without authentication only a loopback Host is served, not `{host}`"))
            .into_response();
    }
    let writes = matches!(request.method().as_str(), "POST" | "PUT" | "PATCH");
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let has_body = request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    if writes
        && has_body
        && !kind.is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        })
    {
        return Problem::of(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "A body is JSON",
            "send the header `Content-Type: application/json`".into(),
        )
        .into_response();
    }
    next.run(request).await
}

/// Takes or makes the request id, and counts.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("other", |path| path.as_str()).to_owned();
    let given = request.headers().get(REQUEST_ID).filter(|id| id.len() <= 128).cloned();
    let id = given.or_else(|| HeaderValue::from_str(&app.request_id()).ok());
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(id) = id {
        if status.is_server_error() {
            tracing::error!(http.method = method, http.route = route, http.status = status.as_u16(), request.id = ?id, "a request failed");
        }
        response.headers_mut().insert(REQUEST_ID, id);
    }
    app.metrics().http_requests.with_label_values(&[method.as_str(), route.as_str(), status.as_str()]).inc();
    app.metrics().http_seconds.observe(started.elapsed().as_secs_f64());
    response
}

/// Serves HTTP until `stop`, then lets open requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    router: Router,
    stop: tokio_util::sync::CancellationToken,
) -> std::io::Result<()> {
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
