//! The places that credentials are kept in, by the names that inputs of tasks hold.

use std::fmt;

use super::failure::invalid;
use crate::kubernetes::Failure;

/// One place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storage {
    /// Files that an operator mounted; only read.
    Mounted,
    /// Encrypted files in a directory of the agent.
    Volume,
    /// A Secret in the agent's namespace.
    Secret,
}

impl Storage {
    /// As inputs and results write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mounted => "mounted",
            Self::Volume => "volume",
            Self::Secret => "k8s/secret",
        }
    }

    /// One that can be written to; empty is the Secret.
    ///
    /// # Errors
    /// `invalid`, with the names that there are.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "" | "k8s/secret" => Ok(Self::Secret),
            "volume" => Ok(Self::Volume),
            "mounted" => Err(invalid(
                "storage: `mounted` holds what the agent's operator mounts, and is only read; write `k8s/secret` or `volume`",
            )),
            _ => Err(invalid("storage: expected `k8s/secret` or `volume`")),
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
