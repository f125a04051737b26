//! A kind as the cluster's discovery gave it: authority is decided over this, never over a guest's text.

use std::fmt;

/// One resource of the API, or one subresource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// Such as `v1`.
    pub version: String,
    /// Lower case, such as `deployments`.
    pub plural: String,
    /// Empty, or such as `scale`.
    pub subresource: String,
    /// What bodies and answers call it: `Deployment`; for a subresource its own, such as `Scale`.
    pub kind: String,
    /// What bodies and answers say as `apiVersion`: `apps/v1`; for a subresource its own, such as `autoscaling/v1`.
    pub api_version: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Kind {
    /// `plural` or `plural/subresource`, as the grants file writes it.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.subresource.is_empty() { self.plural.clone() } else { format!("{}/{}", self.plural, self.subresource) }
    }

    /// Whether it is this resource of this group; `resource` as [`Kind::resource`] gives it.
    #[must_use]
    pub fn is(&self, group: &str, resource: &str) -> bool {
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        self.group == group && self.plural == plural && self.subresource == subresource
    }

    /// Whether it answers bytes in place of objects: fields cannot be masked in it.
    #[must_use]
    pub fn streams(&self) -> bool {
        streams(&self.plural, &self.subresource)
    }
}

/// See [`Kind::streams`].
pub(super) fn streams(plural: &str, subresource: &str) -> bool {
    subresource == "proxy" || plural == "pods" && matches!(subresource, "log" | "exec" | "attach" | "portforward")
}

impl fmt::Display for Kind {
    /// `deployments.apps`, `pods/log`, `deployments/scale.apps`: for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource())?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}
