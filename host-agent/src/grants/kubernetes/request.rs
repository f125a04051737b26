//! What a plugin asks of the API, typed so that a request nobody can judge cannot be said.

use serde_json::Value;

use super::{Kind, Mask, Name, Namespace, Patch, Selectors, Verb};

/// One request on one kind.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// As discovery gave it.
    pub kind: &'a Kind,
    /// What is asked of it.
    pub request: Request<'a>,
}

/// Where an object is, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// None for cluster-scoped kinds, and only for them.
    pub namespace: Option<Namespace>,
    /// None only for [`Request::Create`].
    pub name: Option<Name>,
}

/// Which objects are listed or watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of a cluster-scoped kind.
    Cluster,
    /// One namespace.
    Namespace(Namespace),
    /// Every namespace that the grant names. It never means "all".
    Granted,
}

/// What is asked. Bodies are those that are sent: serialise the value that was judged, never the guest's text.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// One object.
    Get {
        /// Which.
        at: &'a Object,
        /// What the guest wants to see of it: narrows, and makes a denial's suggestion smaller. None: all.
        fields: Option<&'a Mask>,
    },
    /// Several objects.
    List {
        /// Where.
        scope: &'a Scope,
        /// Which.
        selectors: &'a Selectors,
        /// As in [`Request::Get`].
        fields: Option<&'a Mask>,
    },
    /// Several objects, and what becomes of them.
    Watch {
        /// Where.
        scope: &'a Scope,
        /// Which.
        selectors: &'a Selectors,
        /// As in [`Request::Get`].
        fields: Option<&'a Mask>,
    },
    /// Bytes of an object: `pods/log`.
    ReadStream {
        /// Whose.
        at: &'a Object,
    },
    /// Bytes in both directions: `pods/exec`. Granted as `create`.
    Connect {
        /// With which object.
        at: &'a Object,
    },
    /// A new object, or a subresource's act such as an eviction.
    Create {
        /// Its name may stand in the body alone, or be generated.
        at: &'a Object,
        /// A JSON object; see [`super::identify`].
        body: &'a Value,
    },
    /// Server-side apply.
    Apply {
        /// Which object.
        at: &'a Object,
        /// A JSON object.
        body: &'a Value,
        /// Take fields away from their managers.
        force: bool,
    },
    /// An object's new content. [`super::Allowed::settle`] decides about the fields, over the object as it is.
    Replace {
        /// Which object.
        at: &'a Object,
        /// A JSON object.
        body: &'a Value,
    },
    /// A change.
    Patch {
        /// Of which object.
        at: &'a Object,
        /// Which change.
        patch: &'a Patch,
    },
    /// One object, gone.
    Delete {
        /// Which.
        at: &'a Object,
    },
}

impl Request<'_> {
    /// The verb that the grants file names for it.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self {
            Self::Get { .. } | Self::ReadStream { .. } => Verb::Get,
            Self::List { .. } => Verb::List,
            Self::Watch { .. } => Verb::Watch,
            Self::Connect { .. } | Self::Create { .. } => Verb::Create,
            Self::Apply { force: false, .. } => Verb::Apply,
            Self::Apply { force: true, .. } => Verb::ForceApply,
            Self::Replace { .. } => Verb::Update,
            Self::Patch { .. } => Verb::Patch,
            Self::Delete { .. } => Verb::Delete,
        }
    }
}
