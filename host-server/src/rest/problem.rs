//! The one place where an error of the use cases becomes an HTTP answer (RFC 9457).

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::app::{self, chain};

/// When to ask again for what is away, seconds.
const AGAIN_S: u64 = 10;

/// Why a request was refused. Boxed, since it travels in every `Result` of the handlers.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Document>);

/// Why a request was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
struct Document {
    /// A word for programs.
    #[schema(example = "not-found")]
    r#type: &'static str,
    /// What it means.
    #[schema(example = "There is no such resource")]
    title: &'static str,
    /// The answer's status.
    #[schema(example = 404)]
    status: u16,
    /// What was wrong, where, and what would be right.
    #[schema(example = "there is no template `example_simpel`; GET /api/v1/template lists those that are stored")]
    detail: String,
    /// The same as `status`, for scripts of the first version.
    #[schema(example = 404)]
    code: u16,
    /// The same as `detail`, for scripts of the first version.
    message: String,
    /// Each mistake, where there are several or where it has a place in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
    /// As in the header `X-Request-Id` and in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0f5658f37f2b45d881f19c7f56ea2e23")]
    request_id: Option<String>,
    /// Where the task stands, when that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "succeeded")]
    state: Option<&'static str>,
    /// What the log gets and the caller does not.
    #[serde(skip)]
    cause: Option<String>,
    /// When to come back, seconds from now: the header `Retry-After`.
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

/// One mistake in a body.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Mistake {
    /// JSON pointer into the body.
    #[schema(example = "/inputs/name")]
    pointer: String,
    /// What was wrong there.
    detail: String,
}

impl Problem {
    pub(super) fn of(status: StatusCode, r#type: &'static str, title: &'static str, detail: String) -> Self {
        let code = status.as_u16();
        Self(Box::new(Document {
            r#type,
            title,
            status: code,
            code,
            message: detail.clone(),
            detail,
            errors: vec![],
            request_id: None,
            state: None,
            cause: None,
            retry_after_s: None,
        }))
    }

    pub(super) fn not_found(detail: String) -> Self {
        Self::of(StatusCode::NOT_FOUND, "not-found", "There is no such resource", detail)
    }

    pub(super) fn malformed(detail: String) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "malformed", "The request cannot be read", detail)
    }

    pub(super) fn forbidden(detail: String) -> Self {
        Self::of(StatusCode::FORBIDDEN, "forbidden", "This is not allowed", detail)
    }

    /// Nobody was recognised.
    fn unauthenticated(detail: String) -> Self {
        Self::of(StatusCode::UNAUTHORIZED, "unauthenticated", "Say who you are", detail)
    }

    /// Whether somebody was kept from something.
    pub(super) fn is_denial(&self) -> bool {
        [403, 404].contains(&self.0.status)
    }

    pub(super) fn status(&self) -> u16 {
        self.0.status
    }

    /// What the caller reads.
    pub(super) fn detail(&self) -> String {
        self.0.detail.clone()
    }

    pub(super) fn too_large(detail: String) -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    pub(super) fn slow(detail: String) -> Self {
        Self::of(StatusCode::REQUEST_TIMEOUT, "slow", "The body came too slowly", detail)
    }

    pub(super) fn media_type(detail: String) -> Self {
        Self::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "A body is JSON", detail)
    }

    /// A bug: the caller learns nothing but the request id.
    pub(super) fn bug(cause: String) -> Self {
        let detail = "this is a bug of the server; its log tells more under the request id";
        let mut problem = Self::of(StatusCode::INTERNAL_SERVER_ERROR, "bug", "The server failed", detail.into());
        problem.0.cause = Some(cause);
        problem
    }

    /// For a status that no handler gave: of the router, of an extractor or of a layer.
    pub(super) fn of_status(status: StatusCode, text: &str) -> Self {
        let or = |words: &str| if text.is_empty() { words.to_owned() } else { text.to_owned() };
        match status {
            StatusCode::BAD_REQUEST => Self::malformed(or("the request cannot be read")),
            StatusCode::NOT_FOUND => Self::not_found(or("there is nothing here")),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(or("the body is too large")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::media_type(or("send JSON, plain or gzip-compressed")),
            StatusCode::METHOD_NOT_ALLOWED => Self::of(
                status,
                "method-not-allowed",
                "The method is not served here",
                or("the header `Allow` names the methods that are"),
            ),
            status if status.is_server_error() => Self::bug(or("no handler answered")),
            status => Self::of(status, "about:blank", "The request was refused", or("the request was refused")),
        }
    }

    /// With the time to come back, seconds from now.
    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// With each mistake: pointer into the body and sentence.
    pub(super) fn with(mut self, errors: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.errors = errors.into_iter().map(|(pointer, detail)| Mistake { pointer, detail }).collect();
        self
    }

    /// What the log gets and the caller does not.
    pub(super) fn cause(&self) -> &str {
        self.0.cause.as_deref().unwrap_or(&self.0.detail)
    }

    /// The answer under its request id, with the headers that an earlier form of it had.
    pub(super) fn answer(mut self, request_id: &str, headers: HeaderMap) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.0.request_id = Some(request_id.to_owned());
        let retry_after_s = self.0.retry_after_s;
        let mut response = (status, Json(self.0)).into_response();
        let own = [header::CONTENT_TYPE, header::CONTENT_LENGTH];
        response
            .headers_mut()
            .extend(headers.into_iter().filter(|(name, _)| !name.as_ref().is_some_and(|name| own.contains(name))));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Document::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Document::schemas(schemas);
    }
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        let detail = error.to_string();
        match error {
            app::Error::NotFound(_) => Self::not_found(detail),
            app::Error::Malformed(_) => Self::malformed(detail),
            app::Error::Refused(_) => Self::forbidden(detail),
            app::Error::Unauthenticated(_) => Self::unauthenticated(detail),
            app::Error::Conflict(_) => {
                Self::of(StatusCode::CONFLICT, "conflict", "The resource exists with other content", detail)
            }
            app::Error::Invalid { errors, .. } => {
                Self::of(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The content does not fit", detail).with(errors)
            }
            app::Error::Away(_) => {
                Self::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again", detail).after(AGAIN_S)
            }
            app::Error::Unready(_) => {
                Self::of(StatusCode::SERVICE_UNAVAILABLE, "unready", "Use another replica", detail)
            }
            app::Error::Stands { state, .. } => {
                let mut problem =
                    Self::of(StatusCode::CONFLICT, "state", "The task stands where this has no meaning", detail);
                problem.0.state = Some(state);
                problem
            }
            app::Error::Unreadable(cause) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let mut problem = Self::of(status, "unreadable", "A stored value cannot be read", detail);
                problem.0.cause = Some(chain(&cause));
                problem
            }
            app::Error::Unavailable(cause) => {
                let mut problem = Self::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again", detail);
                problem.0.cause = Some(chain(&cause));
                problem
            }
        }
    }
}

/// A problem travels as an extension to [`super::observe`], which knows the request id and writes the answer.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
