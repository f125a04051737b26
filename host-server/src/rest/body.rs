//! Bodies and list parameters, with errors that say what was wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::IntoResponse as _,
};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::problem::Problem;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            let detail = rejection.body_text();
            if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
                return Problem::of(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    "The body is too large",
                    format!("a body has at most {} bytes", super::BODY_BYTES),
                );
            }
            Problem::malformed(detail)
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::malformed(format!("the body is not the JSON that is expected: {error}")))
    }
}

/// Paging of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Rows at most, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limit: Option<i64>,
    /// From the `Link` header of the page before.
    pub(super) cursor: Option<String>,
    /// Only templates of this origin: `predefined`, `system`, `userdefined`.
    pub(super) origin: Option<String>,
    /// Only tasks of this cluster.
    pub(super) cluster_uuid: Option<String>,
}

impl Page {
    pub(super) fn limit(&self, default: i64) -> Result<i64, Problem> {
        match self.limit {
            None => Ok(default),
            Some(limit @ 1..=1_000) => Ok(limit),
            Some(other) => Err(Problem::malformed(format!("`limit` is a number from 1 to 1000, not {other}"))),
        }
    }
}

/// A query string; what cannot be read is a problem document too.
pub(super) struct Parameters(pub(super) Page);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(page) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::malformed(rejection.body_text()))?;
        Ok(Self(page))
    }
}
