//! A request as it goes over the wire: with the host's own headers, and the credential in its place.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body::Body;
use http_body_util::Limited;

use super::{BODY_MAX_BYTES, credentials::Carried, failure::Failure};
use crate::grants::http::{Allowed, Use};

/// Headers that say how a message travels: the sender's business, not the guest's.
const TRAVEL: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// # Errors
/// `too-large` for a body that says so itself, `unavailable` for a credential that no header can carry.
pub(super) fn prepared<B>(
    allowed: &Allowed,
    request: Request<B>,
    carried: Option<&Carried>,
) -> Result<Request<Limited<B>>, Failure>
where
    B: Body<Data = Bytes>,
{
    if request.body().size_hint().lower() > u64::try_from(BODY_MAX_BYTES).unwrap_or(u64::MAX) {
        return Err(too_long());
    }
    let (mut head, body) = request.into_parts();
    let invalid = |error: &dyn Error| Failure::new("invalid", format!("url: {error}"));
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    head.uri = format!("{}{query}", allowed.path).parse::<Uri>().map_err(|error| invalid(&error))?;
    head.version = http::Version::HTTP_11;
    head.extensions.clear();
    for name in TRAVEL {
        head.headers.remove(name);
    }
    let host = HeaderValue::try_from(allowed.entry.url.authority()).map_err(|error| invalid(&error))?;
    head.headers.insert(header::HOST, host);
    if let (Some(Use { name, .. }), Some(Carried { header: carrier, value: secret })) = (&allowed.credential, carried) {
        let unusable = || Failure::new("unavailable", format!("the credential `{name}` is no value of a header"));
        let carrier = HeaderName::try_from(carrier.as_str()).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_bytes(secret.bytes()).map_err(|_| unusable())?;
        if value.is_empty() {
            return Err(unusable());
        }
        value.set_sensitive(true);
        head.headers.insert(carrier, value);
        // A part of a body, or a compressed one, could hold the credential in a form that is not known again.
        head.headers.remove(header::RANGE);
        head.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(Request::from_parts(head, Limited::new(body, BODY_MAX_BYTES)))
}

pub(super) fn too_long() -> Failure {
    Failure::new("too-large", format!("the request's body has more than {BODY_MAX_BYTES} bytes"))
}
