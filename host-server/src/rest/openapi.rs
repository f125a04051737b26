//! The OpenAPI document: what the handlers say about themselves, and what holds for all of them.

use axum::http::StatusCode;
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, Response, Type,
        header::HeaderBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        response::ResponseBuilder,
        schema::{AdditionalProperties, ArrayItems, Object, Schema, SchemaType},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        server::Server,
    },
};

use crate::app::rights::{Reach, Right, Who, right};

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
        (name = "global_variables", description = "What every replica reads while it runs"),
        (name = "template", description = "Flows with the JSON Schema of their inputs"),
        (name = "service", description = "Tasks: one run of a template on one cluster"),
        (name = "api_token", description = "What people and programs show to be recognised; each carries a role and, where given, a scope"),
        (name = "audit", description = "Who changed what, from where, under which request"),
        (name = "webhook", description = "Where statuses of tasks are sent to, and what became of what was sent"),
        (name = "client", description = "Agents of the first version, where they speak HTTP; also served on the address of `ops.port`"),
        (name = "meta", description = "Health and metrics"),
    )
)]
pub(super) struct Document;

const META: &str = "meta";
/// The name of the security scheme.
const BEARER: &str = "bearer";

/// Adds what no handler repeats: the refusals of the layers around them, descriptions of plain answers and parameters, and
/// the prefix that all paths have.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi, prefix: &str) -> utoipa::openapi::OpenApi {
    if !prefix.is_empty() {
        document.servers = Some(vec![Server::new(prefix)]);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API token, such as POST /api/v1/api_token makes. Not needed where `auth.mode` is `none`.",
    ));
    document
        .components
        .get_or_insert_default()
        .security_schemes
        .insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer.build())));
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            refusals(operation);
            protect(operation);
            describe(operation);
        }
    }
    for schema in document.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        free(schema);
    }
    document
}

/// Says which operations ask who calls, whom they let pass, and what they answer to nobody.
fn protect(operation: &mut Operation) {
    let right = operation.operation_id.as_deref().and_then(right);
    let Some(Right { who: Who::People(role), reach, .. }) = right else { return };
    operation.security = Some(vec![SecurityRequirement::new(BEARER, [""; 0])]);
    let whole = if *reach == Reach::Whole { ", without a scope" } else { "" };
    let needs = format!("Needs the role `{}`{whole}.", role.word());
    operation.description =
        Some(operation.description.take().map_or_else(|| needs.clone(), |text| format!("{text}\n\n{needs}")));
    let names_one = operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| matches!(parameter, RefOr::T(Parameter { parameter_in: ParameterIn::Path, .. })));
    for status in [Some(StatusCode::UNAUTHORIZED), names_one.then_some(StatusCode::NOT_FOUND)].into_iter().flatten() {
        refusal(operation, status);
    }
    refusal(operation, StatusCode::TOO_MANY_REQUESTS);
}

fn refusal(operation: &mut Operation, status: StatusCode) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new().content("application/problem+json", problem);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait."));
        response = response.header("Retry-After", header.build());
    }
    let response = response.build();
    operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(response));
}

/// An object of which no member is named holds any: said in words, since makers of clients take silence for an object that stays
/// empty.
fn free(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            if is_object(object) && object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
            }
            object.properties.values_mut().for_each(free);
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                free(items);
            }
        }
        Schema::OneOf(of) => of.items.iter_mut().for_each(free),
        Schema::AllOf(of) => of.items.iter_mut().for_each(free),
        Schema::AnyOf(of) => of.items.iter_mut().for_each(free),
        _ => {}
    }
}

fn is_object(object: &Object) -> bool {
    match &object.schema_type {
        SchemaType::Type(of) => *of == Type::Object,
        SchemaType::Array(of) => of.contains(&Type::Object),
        SchemaType::AnyValue => false,
    }
}

/// An answer that is one word, such as `"OK"`, is JSON as all answers are.
fn speak_json(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        if let Some(content) = response.content.swap_remove("text/plain") {
            response.content.insert("application/json".to_owned(), content);
        }
    }
}

fn refusals(operation: &mut Operation) {
    let is_meta = operation.tags.iter().flatten().any(|tag| tag == META);
    if !is_meta {
        speak_json(operation);
    }
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
        refusal(operation, status);
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
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Query
        {
            left_open(parameter);
        }
    }
}

/// Swagger UI fills in every example, and filters that are all given find nothing: what a filter looks like is told in words.
fn left_open(parameter: &mut Parameter) {
    let written = serde_json::to_value(&*parameter).unwrap_or_default();
    let Some(example) = written.get("example") else { return };
    let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    let description = parameter.description.take().unwrap_or_default();
    let description = format!("{description} Such as `{example}`.");
    *parameter =
        ParameterBuilder::from(parameter.clone()).example(None).description(Some(description.trim_start())).build();
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "400" => "The request cannot be read, or a field is wrong",
        "401" => "No token, or one that is unknown or has expired; all in the same words",
        "403" => {
            "The role or the scope is too small, the Host is not a loopback one, or an agent's session is unknown or has expired"
        }
        "404" => "There is no such resource",
        "408" => "The body came too slowly",
        "409" => "The resource exists with other content",
        "413" => "The body is too large",
        "415" => "The body is not JSON, or compressed in a way that is not gzip",
        "422" => "The content does not fit; each mistake is in `errors`",
        "429" => "The caller calls too often; the header `Retry-After` says in how many seconds to try again",
        "500" => "A bug of the server; its log tells more under the request id",
        "503" => "The database is away; try again",
        _ => "See the title",
    }
}
