//! Why not, and what would allow it.

use std::fmt;

use super::kubernetes::Invalid;

/// A request that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `denied`, `invalid` or `conflict`, as in `types.wit`.
    pub code: &'static str,
    /// One sentence without a full stop; it holds nothing of the object.
    pub message: String,
    /// The rule that would allow exactly this, as YAML to paste; none where no grant can.
    pub allow: Option<String>,
}

impl Denial {
    pub(in crate::grants) fn denied(message: impl Into<String>, allow: Option<String>) -> Self {
        Self { code: "denied", message: message.into(), allow }
    }

    pub(in crate::grants) fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid", message: message.into(), allow: None }
    }

    pub(in crate::grants) fn conflict(message: impl Into<String>) -> Self {
        Self { code: "conflict", message: message.into(), allow: None }
    }
}

impl From<Invalid> for Denial {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.to_string())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.allow {
            Some(allow) => write!(f, "; in the grants file this would allow it: {allow}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}
