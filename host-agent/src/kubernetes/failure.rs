//! Why a request came to nothing, in the words of `types.wit`.

use std::{fmt, time::Duration};

use serde_json::{Map, Value};

use super::Refusal;

/// What a request that failed has done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Certainly nothing.
    None,
    /// It took effect; only its answer is of no use.
    Done,
    /// Nobody can tell.
    Unknown,
}

impl Effect {
    /// As the contract writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }
}

/// A failure that a plugin and a person may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As in `types.wit`.
    pub code: &'static str,
    /// One sentence without a full stop; it holds no secret.
    pub message: String,
    /// HTTP status of the API server's answer.
    pub status: Option<u16>,
    /// Kubernetes's own word, such as `NotFound`.
    pub reason: Option<String>,
    /// When the API server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the request has done.
    pub effect: Effect,
}

impl Failure {
    /// One that nothing was sent for, or that only read.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: None, reason: None, retry_after: None, effect: Effect::None }
    }

    /// The same after a request that may have done something.
    #[must_use]
    pub fn with(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// `details` of the contract: a JSON object.
    #[must_use]
    pub fn details(&self) -> Value {
        let mut details = Map::new();
        if let Some(status) = self.status {
            details.insert("status".to_owned(), status.into());
        }
        if let Some(reason) = &self.reason {
            details.insert("reason".to_owned(), reason.as_str().into());
        }
        if let Some(retry_after) = self.retry_after {
            let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            details.insert("retry-after-ms".to_owned(), ms.into());
        }
        details.insert("effect".to_owned(), self.effect.as_str().into());
        Value::Object(details)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Why a request came to nothing.
#[derive(Clone, Debug)]
pub enum Error {
    /// The API server's own words, not masked yet: see [`Refusal::failure`].
    Refused(Box<Refusal>),
    /// Everything else; its words are ours.
    Failed(Failure),
}

impl Error {
    /// In the words of the contract; `show` masks what the API server said.
    #[must_use]
    pub fn failure(self, show: impl FnOnce(Value) -> Value) -> Failure {
        match self {
            Self::Refused(refusal) => refusal.failure(show),
            Self::Failed(failure) => failure,
        }
    }

    /// What the request has done.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::Refused(refusal) => refusal.effect,
            Self::Failed(failure) => failure.effect,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
