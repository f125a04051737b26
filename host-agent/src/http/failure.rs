//! Why a request came to nothing, in the words of `types.wit`.

use std::{error::Error, fmt};

use crate::grants::{Denial, http::Origin};

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
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new(denial.code, denial.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for Failure {}

/// Something did not happen in time.
pub(super) fn late(url: &Origin, what: &str) -> Failure {
    Failure::new("timeout", format!("{url}: {what}"))
}

/// An error with what caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}
