//! What every recording shares: what no cassette holds, and in what two documents differ. What is recorded of the cluster's API
//! stands in `kubernetes::tape`, what of HTTP in `http::tape`.

pub(crate) mod differ;
pub(crate) mod form;
pub(crate) mod redact;

use serde_json::Value;

pub use redact::{REDACTED, scrubbed, text as redacted_text, value as redacted_value};

/// In what two documents differ, times left aside; empty: in nothing.
#[must_use]
pub fn differences(recorded: &Value, found: &Value) -> String {
    differ::listed(&differ::of_values("result", recorded, found))
}
