//! Pages of other origins: closed, but for those that the configuration names.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};

use crate::config::{Cors, Origins};

/// What a page may send beside what browsers always let it.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("authorization, content-type, if-match, idempotency-key, last-event-id, x-request-id");
/// What a page may read of an answer beside its body.
const EXPOSED: HeaderValue = HeaderValue::from_static("etag, link, location, retry-after, warning, x-request-id");
/// For so long a browser does not ask again, seconds.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");

/// Lets pages of the configured origins read answers. Cookies are never allowed: callers name themselves by a header.
pub fn open_to(router: Router, cors: Option<&Cors>) -> Router {
    let Some(cors) = cors else { return router };
    let methods = HeaderValue::from_str(&cors.methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"));
    router.layer(from_fn_with_state(Arc::new(Open { origins: cors.origins.clone(), methods }), answer))
}

struct Open {
    origins: Origins,
    methods: HeaderValue,
}

impl Open {
    /// What is said of an origin; none where it is not allowed.
    fn allows(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Named(names) => {
                names.iter().any(|name| name.as_bytes() == origin.as_bytes()).then(|| origin.clone())
            }
        }
    }
}

/// Answers a browser's question before a request, and says of each answer who may read it.
async fn answer(State(open): State<Arc<Open>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    let is_question = request.method() == Method::OPTIONS
        && origin.is_some()
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_question { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    // Caches must not give one origin's answer to another.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(allowed) = origin.and_then(|origin| open.allows(&origin)) else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if is_question {
        question(headers, &open);
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn question(headers: &mut HeaderMap, open: &Open) {
    let answers: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, open.methods.clone()),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
    ];
    headers.extend(answers);
    headers.append(
        header::VARY,
        HeaderValue::from_static("access-control-request-method, access-control-request-headers"),
    );
}
