//! HTTP: people's side of the server. Handlers are thin; the use cases are in `app`.

mod api_token;
mod audit;
mod body;
mod caller;
mod client;
mod cluster;
mod control;
mod cors;
mod delivery;
mod fields;
mod inventory;
mod list;
mod local;
mod meta;
mod observe;
mod openapi;
mod problem;
mod rates;
mod search;
mod serve;
mod service;
mod session;
mod stay;
mod story;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod variable;
mod webhook;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware::{from_fn, from_fn_with_state},
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, decompression::RequestDecompressionLayer,
    limit::RequestBodyLimitLayer,
};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use caller::Gate;
pub use cors::open_to;
use problem::Problem;
pub use serve::serve;

/// A request body at most, bytes, after decompression.
const BODY_BYTES: usize = 4 << 20;
/// What is longer is not read at all, and the connection ends; what is a little too long is read, so that the answer arrives.
const WIRE_BYTES: usize = BODY_BYTES + (64 << 10);

fn parts(prefix: &str) -> (Router<App>, utoipa::openapi::OpenApi) {
    let (router, document) = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(cluster::routes())
        .merge(inventory::routes())
        .merge(token::routes())
        .merge(session::routes())
        .merge(variable::routes())
        .merge(template::routes())
        .merge(service::routes())
        .merge(control::routes())
        .merge(story::routes())
        .merge(api_token::routes())
        .merge(audit::routes())
        .merge(webhook::routes())
        .merge(delivery::routes())
        .merge(client::routes())
        .merge(meta::routes())
        .split_for_parts();
    (router, openapi::complete(document, prefix))
}

/// The OpenAPI document, as pretty JSON.
///
/// # Errors
/// When it cannot be serialised.
pub fn openapi() -> Result<String, serde_json::Error> {
    parts("").1.to_pretty_json()
}

/// All routes, under `prefix`: empty, or `/` and words. `loopback`: no authentication, so only requests that no web page
/// can make are served; else every request shows who calls.
pub fn router(app: App, prefix: &str, loopback: bool) -> Router {
    let (routes, document) = parts(prefix);
    let gate = Arc::new(Gate::new(app.clone(), &document, prefix, loopback));
    let routes = if prefix.is_empty() { routes } else { Router::new().nest(prefix, routes) };
    let swagger = SwaggerUi::new(format!("{prefix}/swagger")).url(format!("{prefix}/swagger/openapi.json"), document);
    let help = format!("{prefix}/swagger/index.html");
    let mut router = routes.merge(swagger).fallback(async move |request: Request| {
        Problem::not_found(format!("there is no {} {}; {help} lists what is", request.method(), request.uri().path()))
    });
    router = router.layer(from_fn_with_state(gate, caller::recognise));
    if loopback {
        router = router.layer(from_fn(local::only_local));
    }
    dress(router, app)
}

/// `/healthz`, `/readyz` and `/metrics`, and under `prefix` the routes of agents, which authenticate: for an address that
/// probes and agents reach and people's calls do not.
pub fn operations(app: App, prefix: &str) -> Router {
    let (router, _) = meta::routes().split_for_parts();
    let (agents, _) = client::routes().split_for_parts();
    let agents = if prefix.is_empty() { agents } else { Router::new().nest(prefix, agents) };
    dress(router.merge(agents), app)
}

/// What surrounds every route.
fn dress(router: Router<App>, app: App) -> Router {
    router
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(RequestDecompressionLayer::new())
        // What is compressed may be as long as it likes and give nothing.
        .layer(RequestBodyLimitLayer::new(WIRE_BYTES))
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .layer(CompressionLayer::new())
        .with_state(app)
}
