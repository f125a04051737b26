//! With which credential Prometheus is asked.

use schemars::JsonSchema;
use serde::Deserialize;

/// The name of a credential that the operator grants for Prometheus's host: the agent puts it into the request, and nobody here
/// sees it. Absent, null or empty: none.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Credential(Option<String>);

impl Credential {
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|name| !name.is_empty())
    }
}
