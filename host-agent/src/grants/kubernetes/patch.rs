//! Patches and bodies.

use serde_json::Value;

use super::{Invalid, Kind, Object};

/// A patch that is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    value: Value,
}

impl Patch {
    /// # Errors
    /// What it is instead of a patch of that type.
    pub fn parse(_patch_type: &str, value: Value) -> Result<Self, Invalid> {
        Ok(Self { value })
    }

    /// What is sent.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The media type of the request.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        "application/merge-patch+json"
    }
}

/// Says in a body what it leaves out of `apiVersion`, `kind`, `metadata.namespace` and `metadata.name`.
pub fn identify(_kind: &Kind, _at: &Object, _body: &mut Value) {}
