//! Before every handler: who calls, and whether they may. Behind every change: its row in the audit trail.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, FromRequestParts as _, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::openapi::{OpenApi, path::Operation};

use super::{
    observe::{RequestId, Spans},
    problem::Problem,
    rates::Rates,
    stay::{Admission, Stay, Stays},
};
use crate::{
    app::{
        App,
        recognise::nobody,
        rights::{Named, Noun, Right, Who, right},
    },
    model::people::{Asked, Caller},
};

/// An answer whose resource is to be written down, bytes at most.
const ANSWER_BYTES: usize = 8 << 20;

/// What decides about requests.
pub(super) struct Gate {
    app: App,
    /// Nobody has to say who they are.
    is_open: bool,
    rates: Rates,
    stays: Stays,
    /// By the patterns of paths: methods, and who may use them; none: nobody.
    routes: HashMap<String, Vec<(Method, Option<&'static Right>)>>,
    /// Below it lies the documentation, which anybody may read.
    help: String,
}

/// How a request was let in.
#[derive(Clone)]
pub(super) struct Passed {
    gate: Arc<Gate>,
    right: &'static Right,
}

impl Passed {
    /// Begins an answer that goes on, to a request with these headers.
    ///
    /// # Errors
    /// The answer to a caller who holds too many.
    pub(super) fn stay(&self, caller: Caller, headers: &HeaderMap, named: Named) -> Result<Stay, Problem> {
        let Gate { app, is_open, stays, .. } = &*self.gate;
        let bearer = if *is_open { None } else { bearer(headers).map(str::to_owned) };
        stays.begin(Admission { app: app.clone(), bearer, caller, right: self.right, named })
    }
}

/// The operations of a path with their methods.
pub(super) fn operations(item: &utoipa::openapi::PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let methods = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

impl Gate {
    pub(super) fn new(app: App, document: &OpenApi, prefix: &str, is_open: bool) -> Self {
        let routes = document.paths.paths.iter().map(|(path, item)| {
            let rights = operations(item)
                .map(|(method, operation)| (method, operation.operation_id.as_deref().and_then(right)))
                .collect();
            (format!("{prefix}{path}"), rights)
        });
        Self {
            rates: Rates::new(app.rate()),
            stays: Stays::default(),
            app,
            is_open,
            routes: routes.collect(),
            help: format!("{prefix}/swagger"),
        }
    }
}

/// Recognises the caller, refuses what is not theirs, and sees to the audit trail.
pub(super) async fn recognise(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let Some(pattern) = pattern else { return next.run(request).await };
    let is_help = pattern.strip_prefix(&gate.help).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let Some(methods) = gate.routes.get(&pattern) else {
        return if is_help { next.run(request).await } else { unknown(&pattern) };
    };
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let Some((_, right)) = methods.iter().find(|(known, _)| known == method) else { return not_served(methods) };
    let Some(right) = *right else { return unknown(&pattern) };
    if !matches!(right.who, Who::People(_)) {
        return next.run(request).await;
    }
    match pass(&gate, right, request).await {
        Ok((asked, named, request)) => match right.changes {
            None => next.run(request).await,
            Some(noun) => changed(&gate.app, right, noun, asked, named, request, next).await,
        },
        Err(problem) => problem.into_response(),
    }
}

fn unknown(pattern: &str) -> Response {
    Problem::forbidden(format!("nobody was given a right to {pattern}")).into_response()
}

fn not_served(methods: &[(Method, Option<&'static Right>)]) -> Response {
    let mut allowed: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let mut response = Problem::of_status(StatusCode::METHOD_NOT_ALLOWED, "").into_response();
    response.headers_mut().extend(HeaderValue::from_str(&allowed.join(",")).ok().map(|text| (header::ALLOW, text)));
    response
}

/// The caller and what the path names, in the request too; or why it does not pass.
async fn pass(gate: &Arc<Gate>, right: &'static Right, request: Request) -> Result<(Asked, Named, Request), Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = caller(gate, &parts).await?;
    let named = named(&mut parts).await?;
    let asked = Asked {
        caller,
        operation: right.operation,
        address: address(&parts),
        request_id: parts.extensions.get::<RequestId>().map_or_else(String::new, |RequestId(id)| id.clone()),
    };
    if let Err(error) = gate.app.let_pass(&asked.caller, right, &named).await {
        let why = error.to_string();
        let problem = Problem::from(error);
        if problem.is_denial() {
            gate.app.note_denial(&asked, right, &named, problem.status(), &why).await?;
        }
        return Err(problem);
    }
    parts.extensions.insert(Passed { gate: Arc::clone(gate), right });
    parts.extensions.insert(asked.caller.clone());
    parts.extensions.insert(asked.clone());
    Ok((asked, named, Request::from_parts(parts, body)))
}

/// Who calls, and not too often.
async fn caller(gate: &Gate, parts: &Parts) -> Result<Caller, Problem> {
    let from = peer(parts);
    let share = |caller: Option<&Caller>| gate.rates.share(caller, from, &parts.method);
    let caller = if gate.is_open {
        Caller::anonymous()
    } else if let Some(bearer) = bearer(&parts.headers) {
        let recognise = async { Ok(gate.app.caller_of(bearer).await?) };
        gate.rates.recognised(from, recognise).await?
    } else {
        share(None)?;
        return Err(nobody().into());
    };
    share(Some(&caller))?;
    Ok(caller)
}

/// What `Authorization: Bearer …` shows; none where there is no such header, or more than one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, bearer) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| bearer.trim()).filter(|bearer| !bearer.is_empty())
}

async fn named(parts: &mut Parts) -> Result<Named, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = parameters.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let of = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    Ok(Named { cluster: of("cluster_uuid"), uuid: of("uuid") })
}

fn address(parts: &Parts) -> String {
    peer(parts).map_or_else(String::new, |address| address.to_string())
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// Lets the handler change something, and writes it down, also when the caller goes away meanwhile.
async fn changed(
    app: &App,
    right: &'static Right,
    noun: Noun,
    asked: Asked,
    named: Named,
    request: Request,
    next: Next,
) -> Response {
    let (app, spans) = (app.clone(), request.extensions().get::<Spans>().cloned());
    let change = async move {
        let before = match &named.uuid {
            Some(uuid) => app.digest(noun, uuid).await?,
            None => None,
        };
        let response = next.run(request).await;
        if response.status() == StatusCode::FORBIDDEN {
            let why = response.extensions().get::<Problem>().map_or_else(String::new, Problem::detail);
            app.note_denial(&asked, right, &named, 403, &why).await?;
            return Ok(response);
        }
        // What becomes of tasks is written down by their use cases, with more than is known here.
        if !response.status().is_success() || noun == Noun::Service {
            return Ok(response);
        }
        let (uuid, response) = match named.uuid {
            Some(uuid) => (uuid, response),
            None => made(response).await?,
        };
        app.note_change(&asked, noun, &uuid, before).await?;
        Ok(response)
    };
    let change = match spans {
        Some(spans) => tokio::spawn(spans.around(change)),
        None => tokio::spawn(change),
    };
    match change.await {
        Ok(outcome) => outcome.unwrap_or_else(|problem: Problem| problem.into_response()),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Problem::bug(format!("a change was given up: {error}")).into_response(),
    }
}

/// The uuid of what was made, and the answer that names it.
async fn made(response: Response) -> Result<(String, Response), Problem> {
    #[derive(Deserialize)]
    struct Made {
        uuid: String,
    }
    let (parts, body) = response.into_parts();
    let unread = |error: &dyn std::fmt::Display| Problem::bug(format!("what was made is not named: {error}"));
    let bytes = to_bytes(body, ANSWER_BYTES).await.map_err(|error| unread(&error))?;
    let Made { uuid } = serde_json::from_slice(&bytes).map_err(|error| unread(&error))?;
    Ok((uuid, Response::from_parts(parts, Body::from(bytes))))
}

#[cfg(test)]
mod tests {
    use super::bearer;
    use axum::http::{HeaderMap, header::AUTHORIZATION};

    #[test]
    fn a_bearer_is_one_header_of_one_scheme() {
        for (value, expected) in [
            ("Bearer a", Some("a")),
            ("bearer  a ", Some("a")),
            ("BEARER a", Some("a")),
            ("Basic a", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("a", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(bearer(&headers), expected, "{value}");
        }
        let mut two = HeaderMap::from_iter([(AUTHORIZATION, "Bearer a".parse().unwrap())]);
        two.append(AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!((bearer(&two), bearer(&HeaderMap::new())), (None, None));
    }
}
