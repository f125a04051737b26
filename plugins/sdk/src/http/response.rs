//! What a server answered.

use serde::de::DeserializeOwned;

use crate::Error;

/// An answer that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// Who answered in the end, after redirections.
    pub url: String,
    /// Such as 200.
    pub status: u16,
    /// Lower-case name and value, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// At most 16 MiB.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, where that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The same where the status is one of 200 to 299.
    ///
    /// # Errors
    /// The code that the status stands for, with the `status` as a detail: `denied` for 401 and 403, `not-found`, `conflict`,
    /// `gone`, `invalid` for 400 and 422, `unavailable` for 429 and 502 to 504, otherwise `failed`.
    pub fn checked(self) -> Result<Self, Error> {
        let code = match self.status {
            200..=299 => return Ok(self),
            400 | 422 => "invalid",
            401 | 403 => "denied",
            404 => "not-found",
            409 | 412 => "conflict",
            410 => "gone",
            408 | 504 => "timeout",
            429 | 502 | 503 => "unavailable",
            _ => "failed",
        };
        let error =
            Error::new(code, format!("{} answered with {}", self.url, self.status)).detail("status", self.status);
        let seconds = self.header("retry-after").and_then(|value| value.trim().parse::<u64>().ok());
        Err(match seconds {
            Some(seconds) => error.retry_after_ms(seconds.saturating_mul(1_000)),
            None => error,
        })
    }

    /// The body as text.
    ///
    /// # Errors
    /// `failed` where it is not UTF-8.
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Error::failed(format!("the answer of {} is no text: {error}", self.url)))
    }

    /// The body as a type.
    ///
    /// # Errors
    /// `failed` where it is no JSON or does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::failed(format!("the answer of {} does not fit what the plugin expects: {error}", self.url))
        })
    }
}
