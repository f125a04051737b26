//! The one place where an error of the use cases becomes an HTTP answer (RFC 9457).

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app;

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    #[schema(example = "not-found")]
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// What was wrong, where, and what would be right.
    detail: String,
    /// The same as `status`, for scripts of the first version.
    code: u16,
    /// The same as `detail`, for scripts of the first version.
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
}

/// One mistake in a body.
#[derive(Debug, Serialize, ToSchema)]
struct Mistake {
    /// JSON pointer into the body.
    #[schema(example = "/inputs/name")]
    pointer: String,
    detail: String,
}

impl Problem {
    pub(super) fn of(status: StatusCode, r#type: &'static str, title: &'static str, detail: String) -> Self {
        let code = status.as_u16();
        Self { r#type, title, status: code, code, message: detail.clone(), detail, errors: vec![] }
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
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        let detail = error.to_string();
        match error {
            app::Error::NotFound(_) => Self::not_found(detail),
            app::Error::Malformed(_) => Self::malformed(detail),
            app::Error::Refused(_) => Self::forbidden(detail),
            app::Error::Conflict(_) => {
                Self::of(StatusCode::CONFLICT, "conflict", "The resource exists with other content", detail)
            }
            app::Error::Invalid { errors, .. } => {
                let mut problem =
                    Self::of(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The content does not fit", detail);
                problem.errors = errors.into_iter().map(|(pointer, detail)| Mistake { pointer, detail }).collect();
                problem
            }
            app::Error::Unavailable(cause) => {
                // What the caller may read ends here; the cause goes to the log, once.
                tracing::error!(error = &cause as &dyn std::error::Error, "the database did not serve a request");
                Self::of(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response()
    }
}
