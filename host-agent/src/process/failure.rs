//! Why a program was not started or could not be followed, in the words of `types.wit`.

use std::fmt;

/// A failure that a plugin and a person may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// As in `types.wit`.
    pub code: &'static str,
    /// One sentence without a full stop; it holds no secret.
    pub message: String,
}

impl Failure {
    /// A code and a sentence.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// `invalid`: the arguments are wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    /// `unavailable`: the machine does not give what is needed.
    pub(super) fn unavailable(what: &str, error: &std::io::Error) -> Self {
        Self::new("unavailable", format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
