//! Why a command failed.

/// What the task shows. `Display` is for a person; never put a secret into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// `invalid`, `not-found`, `conflict`, `failed`, …
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

impl Error {
    /// A failure without a better code.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: "failed", message: message.into() }
    }

    /// The inputs are wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid", message: message.into() }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
