//! A request that is answered out of a cassette: nothing is resolved, connected to or sent.

use std::error::Error;

use bytes::Bytes;
use http::{Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout_at;

use super::{
    BODY_MAX_BYTES,
    answer::{Answer, Source},
    client::Timing,
    failure::{Failure, late},
    prepare::too_long,
    tape::Player,
};
use crate::grants::http::Allowed;

/// Answers what was recorded. The request is read to its end, as a server would.
pub(super) async fn play<B, P>(
    player: &Player,
    allowed: &Allowed,
    (head, body): (Parts, B),
    timing: &Timing,
    begin: impl FnOnce() -> Result<(), Failure>,
    permit: P,
) -> Result<Response<Answer>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    P: Send + 'static,
{
    let url = &allowed.entry.url;
    begin()?;
    let body = timeout_at(timing.end, Limited::new(body, BODY_MAX_BYTES).collect()).await;
    let body = body.map_err(|_| late(url, "the request did not come to its end in time"))?;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => too_long(),
        Err(error) => Failure::new("failed", format!("the request's body broke off: {error}")),
    })?;
    let response = player.play(allowed, &head, &body.to_bytes())?;
    Ok(response.map(|played| {
        let body = Source::Played { bytes: played.bytes, broke: played.broke };
        Answer::new(body, url.to_string(), (None, None), timing, Box::new(permit))
    }))
}
