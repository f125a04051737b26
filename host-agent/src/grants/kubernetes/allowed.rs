//! What was allowed, and what of the answer may be shown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Denial, Mask};

/// A request that may be sent. It holds for this one request: grants are asked again at every host call.
#[derive(Clone, Debug)]
pub struct Allowed {
    visits: Visits,
}

/// Where a list or a watch goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visits {
    /// A cluster-scoped kind.
    Cluster,
    /// Every namespace in one request: the grant says `*`.
    All,
    /// These, each with a request of its own.
    Namespaces(BTreeSet<String>),
}

impl Allowed {
    pub(super) fn nothing() -> Self {
        Self { visits: Visits::Namespaces(BTreeSet::new()) }
    }

    /// Where a list or a watch goes.
    #[must_use]
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// An object of the answer as the guest may see it; none: it is not granted, and is left out.
    #[must_use]
    pub fn show(&self, _object: Value) -> Option<Value> {
        None
    }

    /// An error's or an act's `Status` as the guest may see it.
    #[must_use]
    pub fn show_status(&self, _status: Value) -> Value {
        Value::Null
    }

    /// Narrows what [`Allowed::show`] gave to what the guest wants to see.
    #[must_use]
    pub fn project(&self, object: Value, _fields: &Mask) -> Value {
        object
    }

    /// Whether a replacement must be settled over the object as it is.
    #[must_use]
    pub fn needs_current(&self) -> bool {
        true
    }

    /// What is sent for a replacement: `body`, with everything that the rule does not let the plugin change as it is in
    /// `current`.
    ///
    /// # Errors
    /// `denied` for a change outside the write mask, `conflict` where `current` is not the version that the body names.
    pub fn settle(&self, _current: Value, _body: &Value) -> Result<Value, Denial> {
        Err(Denial::new("denied", "nothing is granted"))
    }
}
