//! What the API server answers instead of what was asked for: a `Status`, in the words of the contract.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use serde_json::{Value, json};

use super::{Effect, Failure};

const TEXT_MAX_BYTES: usize = 1 << 10;
/// A server that asks for more patience than this is heard as if it asked for this much.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// An answer that refuses. `status` may name objects and fields: it is masked before anyone reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// HTTP status.
    pub http: u16,
    /// An object of kind `Status`; made here where the server answered something else.
    pub status: Value,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the request has done.
    pub effect: Effect,
}

impl Refusal {
    /// Reads an answer's body, which need not be a `Status`: proxies and unknown paths answer text.
    pub(super) fn read(http: u16, headers: &HeaderMap, body: &[u8], writes: bool) -> Self {
        let status = match serde_json::from_slice::<Value>(body) {
            Ok(status) if status.get("kind").and_then(Value::as_str) == Some("Status") => status,
            _ => made(http, body),
        };
        Self { http, retry_after: retry_after(headers, &status), effect: effect_of(http, writes), status }
    }

    /// A `Status` that came as a watch's event or out of a websocket's handshake.
    pub(super) fn of(status: Value, writes: bool) -> Self {
        let code = status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        let http = code.unwrap_or(500);
        Self { http, retry_after: retry_after(&HeaderMap::new(), &status), effect: effect_of(http, writes), status }
    }

    /// In the words of the contract. `show` masks the `Status`, and what it answers is all that is read.
    #[must_use]
    pub fn failure(self, show: impl FnOnce(Value) -> Value) -> Failure {
        let shown = show(self.status);
        let text = |key: &str| shown.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let reason = text("reason").map(ToOwned::to_owned);
        let code = code_of(self.http, reason.as_deref());
        let mut message = match text("message") {
            Some(message) => cut(message.trim_end_matches('.')).to_owned(),
            None => format!("the API server answered {}", self.http),
        };
        // RBAC says who may not do what; nothing else that forbids speaks so.
        if code == "denied" && message.contains("User \"") && message.contains(" cannot ") {
            message.push_str(
                "; the grant allows it and RBAC does not: `claiflow-agent inspect FILE --rbac` prints the Role that is \
                 missing",
            );
        }
        Failure { code, message, status: Some(self.http), reason, retry_after: self.retry_after, effect: self.effect }
    }

    /// Whether the same request may be answered otherwise in a moment.
    pub(super) fn is_passing(&self) -> bool {
        self.http == 429 || self.http >= 500
    }
}

/// A code of `types.wit`.
fn code_of(http: u16, reason: Option<&str>) -> &'static str {
    match (http, reason) {
        (_, Some("AlreadyExists")) => "exists",
        (_, Some("Expired")) | (410, _) => "gone",
        (401 | 403, _) => "denied",
        (404, _) => "not-found",
        (409, _) => "conflict",
        (413, _) => "too-large",
        (400 | 405 | 406 | 415 | 422, _) => "invalid",
        (429, _) | (500.., _) => "unavailable",
        (408, _) => "timeout",
        _ => "failed",
    }
}

/// A server that refuses has done nothing; one that has a fault may have had it after the deed.
fn effect_of(http: u16, writes: bool) -> Effect {
    if writes && http >= 500 { Effect::Unknown } else { Effect::None }
}

fn made(http: u16, body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body.get(..TEXT_MAX_BYTES).unwrap_or(body));
    let text = text.trim();
    let message = if text.is_empty() { format!("the API server answered {http}") } else { text.to_owned() };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": http})
}

fn retry_after(headers: &HeaderMap, status: &Value) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let said = || status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
    let seconds = header.or_else(said).filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(4 * TEXT_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
    use serde_json::{Value, json};

    use super::Refusal;
    use crate::kubernetes::Effect;

    fn status(code: u16, reason: &str, message: &str) -> Vec<u8> {
        json!({"kind": "Status", "code": code, "reason": reason, "message": message}).to_string().into_bytes()
    }

    #[test]
    fn every_answer_has_its_code_and_says_what_it_did() {
        for (http, reason, writes, code, effect) in [
            (404, "NotFound", false, "not-found", Effect::None),
            (409, "Conflict", true, "conflict", Effect::None),
            (409, "AlreadyExists", true, "exists", Effect::None),
            (410, "Expired", false, "gone", Effect::None),
            (410, "Gone", false, "gone", Effect::None),
            (403, "Forbidden", true, "denied", Effect::None),
            (401, "Unauthorized", true, "denied", Effect::None),
            (422, "Invalid", true, "invalid", Effect::None),
            (400, "BadRequest", true, "invalid", Effect::None),
            (405, "MethodNotAllowed", true, "invalid", Effect::None),
            (413, "RequestEntityTooLarge", true, "too-large", Effect::None),
            (429, "TooManyRequests", true, "unavailable", Effect::None),
            (500, "InternalError", true, "unavailable", Effect::Unknown),
            (500, "InternalError", false, "unavailable", Effect::None),
            (503, "ServiceUnavailable", true, "unavailable", Effect::Unknown),
            (504, "Timeout", true, "unavailable", Effect::Unknown),
            (418, "", false, "failed", Effect::None),
        ] {
            let body = status(http, reason, "because");
            let failure = Refusal::read(http, &HeaderMap::new(), &body, writes).failure(|status| status);
            assert_eq!((failure.code, failure.effect), (code, effect), "{http} {reason}");
            assert_eq!(failure.message, "because");
            assert_eq!(failure.status, Some(http));
        }
    }

    #[test]
    fn patience_is_read_from_the_header_or_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        let refusal = Refusal::read(429, &headers, b"{}", true);
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
        let body = json!({"kind": "Status", "details": {"retryAfterSeconds": 7}}).to_string();
        let failure = Refusal::read(429, &HeaderMap::new(), body.as_bytes(), true).failure(|status| status);
        assert_eq!(failure.details(), json!({"status": 429, "retry-after-ms": 7000, "effect": "none"}));
    }

    #[test]
    fn an_answer_that_is_no_status_is_cut_and_kept_as_text() {
        for (body, message) in [
            ("404 page not found\n".to_owned(), "404 page not found".to_owned()),
            ("x".repeat(9_999), "x".repeat(1024)),
        ] {
            let failure = Refusal::read(404, &HeaderMap::new(), body.as_bytes(), false).failure(|status| status);
            assert_eq!((failure.code, failure.message), ("not-found", message));
        }
        let silent = Refusal::read(500, &HeaderMap::new(), b"", false).failure(|status| status);
        assert_eq!(silent.message, "the API server answered 500");
    }

    #[test]
    fn what_is_masked_is_not_read() {
        let body = status(403, "Forbidden", "secrets \"db\" is forbidden");
        let failure = Refusal::read(403, &HeaderMap::new(), &body, false).failure(|_| Value::Null);
        assert_eq!((failure.code, failure.message.as_str()), ("denied", "the API server answered 403"));
        assert_eq!(failure.reason, None);
    }

    #[test]
    fn a_refusal_of_rbac_says_how_to_make_the_role() {
        let said = "pods is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"pods\"";
        let failure =
            Refusal::read(403, &HeaderMap::new(), &status(403, "Forbidden", said), false).failure(|status| status);
        assert!(failure.message.starts_with(said) && failure.message.contains("--rbac"), "{failure}");
    }
}
