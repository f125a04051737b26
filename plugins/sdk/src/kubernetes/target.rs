//! What a call is about: a resource of the API, one of its objects, or where to look for them.

use std::{borrow::Cow, fmt};

/// A resource, such as `deployments` of `apps/v1`. What is wrong with it is said by the host, which asks the API server.
///
/// ```
/// use claiflow_sdk::kubernetes::Resource;
///
/// const DEPLOYMENTS: Resource = Resource::new("apps", "v1", "deployments");
/// assert_eq!(DEPLOYMENTS.sub("scale").to_string(), "deployments/scale.apps/v1");
/// assert_eq!(Resource::of("apps/v1", "deployments/scale"), DEPLOYMENTS.sub("scale"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    /// Empty: the version that the API server prefers.
    pub version: Cow<'static, str>,
    /// `pods`, not `Pod`.
    pub plural: Cow<'static, str>,
    /// Empty, or `status`, `scale`, `eviction`, …: granted apart, as `pods/eviction`.
    pub subresource: Cow<'static, str>,
}

impl Resource {
    /// `Resource::new("", "v1", "pods")` is one of the core group.
    pub const fn new(group: &'static str, version: &'static str, plural: &'static str) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            subresource: Cow::Borrowed(""),
        }
    }

    /// From what people write: `apps/v1` or `v1`, and `deployments` or `deployments/scale`.
    pub fn of(api_version: &str, resource: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let own = |text: &str| Cow::Owned(text.to_owned());
        Self { group: own(group), version: own(version), plural: own(plural), subresource: own(subresource) }
    }

    /// The same with a subresource.
    #[must_use]
    pub fn sub(&self, subresource: impl Into<Cow<'static, str>>) -> Self {
        Self { subresource: subresource.into(), ..self.clone() }
    }

    /// `apps/v1`, or `v1` of the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Resource {
    /// `deployments/scale.apps/v1`, or `pods` of the core group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}/{}", self.group, self.version) }
    }
}

/// One object, which need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its resource.
    pub resource: Resource,
    /// None for cluster-scoped kinds, and only for them.
    pub namespace: Option<String>,
    /// Empty only where the API server makes the name: `create` with `generateName`.
    pub name: String,
}

impl fmt::Display for Object {
    /// `pods shop/web-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.resource, self.name),
            None => write!(f, "{} {}", self.resource, self.name),
        }
    }
}

/// Where to look for objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A cluster-scoped kind.
    Cluster,
    /// One namespace.
    Namespace(String),
    /// Every namespace that the grant names. It never means "all".
    Granted,
}
