//! One rule of the grants file over the cluster's API.

use std::collections::BTreeSet;

use super::{Kind, Mask, Verb};
use crate::grants::Glob;

/// What a plugin may do with some kinds. A request is allowed by one rule or by none: a verb of one and a name of another
/// allow nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Empty text is the core group, `*` any.
    pub groups: Vec<String>,
    /// `plural`, `plural/subresource`, `*` (any, without subresources) or `*/subresource`.
    pub resources: Vec<String>,
    /// What may be done.
    pub verbs: BTreeSet<Verb>,
    /// Where, for kinds that live in namespaces.
    pub namespaces: Namespaces,
    /// To objects of these names; empty: of any.
    pub names: Vec<Glob>,
    /// `scope: cluster` was said: cluster-scoped kinds too.
    pub cluster_scope: bool,
    /// `dangerous: true` was said.
    pub dangerous: bool,
    /// What answers may show.
    pub read: Mask,
    /// What bodies may set.
    pub write: Mask,
}

/// Where a rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// `*` was said.
    All,
    /// Here; empty: nowhere.
    These(BTreeSet<String>),
}

impl Default for Rule {
    /// Allows nothing.
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            resources: Vec::new(),
            verbs: BTreeSet::new(),
            namespaces: Namespaces::These(BTreeSet::new()),
            names: Vec::new(),
            cluster_scope: false,
            dangerous: false,
            read: Mask::everything(),
            write: Mask::everything(),
        }
    }
}

impl Namespaces {
    /// Whether it holds there.
    #[must_use]
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(namespace),
        }
    }

    /// As the grants file writes it.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::All => vec!["*".to_owned()],
            Self::These(names) => names.iter().cloned().collect(),
        }
    }
}

impl Rule {
    /// Whether it speaks of the kind, by group and resource.
    pub(super) fn covers_kind(&self, kind: &Kind) -> bool {
        let resource = |text: &String| match text.split_once('/') {
            Some((plural, subresource)) => kind.subresource == subresource && (plural == "*" || plural == kind.plural),
            None => kind.subresource.is_empty() && (text == "*" || *text == kind.plural),
        };
        self.groups.iter().any(|group| group == "*" || *group == kind.group) && self.resources.iter().any(resource)
    }

    /// Whether it has the verb. A server-side apply creates what is not there, and needs both.
    pub(super) fn has_verb(&self, verb: Verb) -> bool {
        let creates = matches!(verb, Verb::Apply | Verb::ForceApply);
        self.verbs.contains(&verb) && (!creates || self.verbs.contains(&Verb::Create))
    }

    /// Whether it holds there; none: for cluster-scoped kinds.
    pub(super) fn covers_namespace(&self, namespace: Option<&str>) -> bool {
        match namespace {
            None => self.cluster_scope,
            Some(namespace) => self.namespaces.contains(namespace),
        }
    }

    /// Whether it holds for an object of this name.
    pub(super) fn covers_name(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name))
    }

    /// Whether it holds for whatever the API server makes of `generateName`.
    pub(super) fn covers_generated(&self, prefix: &str) -> bool {
        // A glob that ends in a star and matches the prefix matches it with anything behind.
        let every = |glob: &Glob| glob.as_str().ends_with('*') && glob.matches(prefix);
        self.names.is_empty() || self.names.iter().any(every)
    }

    /// Whether it holds for an object without a name, or for one whose name nobody knows.
    pub(super) fn covers_any_name(&self) -> bool {
        self.names.is_empty() || self.names.iter().any(|glob| glob.as_str() == "*")
    }
}
