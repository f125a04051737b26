//! The OpenAPI document: what the handlers say about themselves, and what holds for all of them.

use axum::http::StatusCode;
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response,
        path::{Operation, Parameter},
        response::ResponseBuilder,
        server::Server,
    },
};

/// Title, description and words of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "claiflow",
        version = env!("CARGO_PKG_VERSION"),
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Run task templates on any number of Kubernetes clusters. Declare a cluster and a token, start an agent with them, store a template, create services (tasks) and read their results.\n\nA field that is optional may be absent or null: both mean \"not given\", and in an update \"no change\". Times are RFC 3339, UTC. A key that is unknown is named in the header `Warning`; on templates it is refused. Errors are `application/problem+json`."
    ),
    tags(
        (name = "cluster", description = "The clusters that agents speak for"),
        (name = "cluster_token", description = "The secrets that agents authenticate with"),
        (name = "session", description = "Authenticated agent connections"),
        (name = "template", description = "Flows with the JSON Schema of their inputs"),
        (name = "service", description = "Tasks: one run of a template on one cluster"),
        (name = "client", description = "Agents of the first version, where they speak HTTP; also served on the address of `ops.port`"),
        (name = "meta", description = "Health and metrics"),
    )
)]
pub(super) struct Document;

const META: &str = "meta";

/// Adds what no handler repeats: the refusals of the layers around them, descriptions of plain answers and parameters, and
/// the prefix that all paths have.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi, prefix: &str) -> utoipa::openapi::OpenApi {
    if !prefix.is_empty() {
        document.servers = Some(vec![Server::new(prefix)]);
    }
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            refusals(operation);
            describe(operation);
        }
    }
    document
}

fn refusals(operation: &mut Operation) {
    let is_meta = operation.tags.iter().flatten().any(|tag| tag == META);
    let mut statuses = vec![StatusCode::FORBIDDEN, StatusCode::INTERNAL_SERVER_ERROR];
    if !is_meta {
        statuses.push(StatusCode::SERVICE_UNAVAILABLE);
    }
    if operation.parameters.is_some() || operation.request_body.is_some() {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    if operation.request_body.is_some() {
        statuses.extend([
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
    for status in statuses {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().content("application/problem+json", problem).build();
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(response));
    }
}

fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(Response { description, .. }) = response
            && description.is_empty()
        {
            *description = meaning(status).to_owned();
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { name, description: description @ None, .. }) = parameter {
            *description = Some(match name.as_str() {
                "cluster_uuid" => "The cluster's uuid; hyphens and case do not matter.".to_owned(),
                _ => "The resource's uuid; hyphens and case do not matter, except for a template.".to_owned(),
            });
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "400" => "The request cannot be read, or a field is wrong",
        "403" => "The Host is not a loopback one, or an agent's session is unknown or has expired",
        "404" => "There is no such resource",
        "408" => "The body came too slowly",
        "409" => "The resource exists with other content",
        "413" => "The body is too large",
        "415" => "The body is not JSON, or compressed in a way that is not gzip",
        "422" => "The content does not fit; each mistake is in `errors`",
        "500" => "A bug of the server; its log tells more under the request id",
        "503" => "The database is away; try again",
        _ => "See the title",
    }
}
