//! Why a command failed.

use std::{borrow::Cow, fmt, time::Duration};

use serde_json::{Map, Value};

/// A failure, as the task shows it: a code for programs, one sentence for a person, and details.
///
/// `?` turns every standard error into one with the code `failed`. Never put a secret into a message: it is stored
/// with the task and anybody who may read the task reads it.
///
/// ```
/// use claiflow_sdk::{Applied, Error};
///
/// fn parse(text: &str) -> Result<u16, Error> {
///     Ok(text.parse::<u16>()?)
/// }
/// assert_eq!(parse("x").unwrap_err().code(), "failed");
///
/// let busy = Error::unavailable("the queue is full").retry_after_ms(2_000).applied(Applied::No);
/// assert_eq!(busy.details().unwrap().to_string(), r#"{"effect":"none","retry-after-ms":2000}"#);
/// ```
#[derive(Clone)]
pub struct Error {
    code: Cow<'static, str>,
    message: String,
    details: Map<String, Value>,
}

/// Whether a failed call had its effect after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing happened.
    No,
    /// It happened, and only what came after it failed.
    Yes,
    /// Nobody can tell.
    Unknown,
}

impl Error {
    /// A failure with a code of its own: lower-case words with `-`. Who does not know it takes it as `failed`.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Map::new() }
    }

    /// `failed`: a failure without a better code.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new("failed", message)
    }

    /// `invalid`: the inputs are wrong; the same call would fail again.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    /// `not-found`: what the inputs name is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("not-found", message)
    }

    /// `exists`: what the call would make is there.
    pub fn exists(message: impl Into<String>) -> Self {
        Self::new("exists", message)
    }

    /// `conflict`: somebody else changed the same thing.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("conflict", message)
    }

    /// `unavailable`: what the command needs does not answer; later it may.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new("unavailable", message)
    }

    /// `timeout`: the command gave up waiting.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new("timeout", message)
    }

    /// `stopped`: the command ended because of [`crate::task::stop_requested`].
    pub fn stopped(message: impl Into<String>) -> Self {
        Self::new("stopped", message)
    }

    /// Adds whether the call had its effect.
    #[must_use]
    pub fn applied(self, applied: Applied) -> Self {
        self.detail(
            "effect",
            match applied {
                Applied::No => "none",
                Applied::Yes => "done",
                Applied::Unknown => "unknown",
            },
        )
    }

    /// Adds when to try again, in milliseconds from now.
    #[must_use]
    pub fn retry_after_ms(self, milliseconds: u64) -> Self {
        self.detail("retry-after-ms", milliseconds)
    }

    /// Puts words before the message: what was tried when it happened.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Adds a detail, such as `status` (of HTTP) or `reason` (of Kubernetes).
    #[must_use]
    pub fn detail(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// For programs.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// One sentence for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What an HTTP server answered, such as 404: none where nobody answered.
    pub fn status(&self) -> Option<u16> {
        self.details.get("status")?.as_u64()?.try_into().ok()
    }

    /// The word of the Kubernetes API for it, such as `NotFound`.
    pub fn reason(&self) -> Option<&str> {
        self.details.get("reason")?.as_str()
    }

    /// How long to wait before it is worth trying again, where somebody said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.get("retry-after-ms")?.as_u64().map(Duration::from_millis)
    }

    /// Whether the same call, made later, may go well. Of `conflict` and `gone` only what was read anew may.
    pub fn may_pass_later(&self) -> bool {
        matches!(self.code(), "unavailable" | "timeout")
    }

    /// Whether it had its effect, as far as the error says.
    pub fn had_effect(&self) -> Option<Applied> {
        match self.details.get("effect")?.as_str()? {
            "none" => Some(Applied::No),
            "done" => Some(Applied::Yes),
            _ => Some(Applied::Unknown),
        }
    }

    /// A JSON object, or none.
    pub fn details(&self) -> Option<Value> {
        (!self.details.is_empty()).then(|| Value::Object(self.details.clone()))
    }
}

impl<E: std::error::Error> From<E> for Error {
    /// `failed`, with the error and its sources in one sentence.
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::failed(message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " {}", Value::Object(self.details.clone())) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Applied, Error};
    use std::time::Duration;

    #[test]
    fn every_code_of_an_author_is_one_of_the_contract() {
        for (error, code) in [
            (Error::failed("x"), "failed"),
            (Error::invalid("x"), "invalid"),
            (Error::not_found("x"), "not-found"),
            (Error::exists("x"), "exists"),
            (Error::conflict("x"), "conflict"),
            (Error::unavailable("x"), "unavailable"),
            (Error::timeout("x"), "timeout"),
            (Error::stopped("x"), "stopped"),
            (Error::new("quota-spent", "x"), "quota-spent"),
        ] {
            assert_eq!((error.code(), error.message(), error.details()), (code, "x", None));
        }
    }

    #[test]
    fn a_standard_error_keeps_its_causes() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("no port")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from(Outer("x".parse::<u16>().unwrap_err()));
        assert_eq!(error.to_string(), "failed: no port: invalid digit found in string");
    }

    #[test]
    fn what_an_api_server_said_can_be_read() {
        let error = Error::unavailable("busy").detail("status", 429).detail("reason", "TooManyRequests");
        let error = error.retry_after_ms(1_500).applied(Applied::No).while_doing("evicting web-1");
        assert_eq!((error.status(), error.reason()), (Some(429), Some("TooManyRequests")));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
        assert_eq!((error.had_effect(), error.may_pass_later()), (Some(Applied::No), true));
        assert_eq!(error.message(), "evicting web-1: busy");
        let error = Error::conflict("changed");
        assert_eq!((error.status(), error.reason(), error.retry_after(), error.had_effect()), (None, None, None, None));
        assert!(!error.may_pass_later());
    }

    #[test]
    fn details_are_the_contracts_words() {
        for (applied, word) in [(Applied::No, "none"), (Applied::Yes, "done"), (Applied::Unknown, "unknown")] {
            assert_eq!(Error::failed("x").applied(applied).details().unwrap()["effect"], word);
        }
        let error = Error::failed("x").detail("status", 503);
        assert_eq!(format!("{error:?}"), r#"failed: x {"status":503}"#);
    }
}
