//! Why not, and what would allow it.

use std::fmt;

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
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), allow: None }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.allow {
            Some(allow) => write!(f, "; this in the grants file would allow it: {allow}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}
