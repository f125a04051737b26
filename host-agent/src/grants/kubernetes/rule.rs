//! One rule of the grants file over the cluster's API.

use std::{collections::BTreeSet, fmt};

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

impl fmt::Display for Rule {
    /// One line for an operator: `get, list of pods in shop, named web-*; reads metadata.name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs: Vec<_> = self.verbs.iter().map(|verb| verb.as_str()).collect();
        let kinds = self.groups.iter().flat_map(|group| self.resources.iter().map(move |it| kind_text(group, it)));
        let place = match (&self.namespaces, self.cluster_scope) {
            (Namespaces::All, false) => " in every namespace".to_owned(),
            (Namespaces::All, true) => " in every namespace and of the cluster".to_owned(),
            (Namespaces::These(names), true) if names.is_empty() => " of the cluster".to_owned(),
            (Namespaces::These(_), cluster) => {
                let and = if cluster { " and of the cluster" } else { "" };
                format!(" in {}{and}", self.namespaces.texts().join(", "))
            }
        };
        write!(f, "{} of {}{place}", verbs.join(", "), kinds.collect::<Vec<_>>().join(", "))?;
        if !self.names.is_empty() {
            let names: Vec<_> = self.names.iter().map(Glob::as_str).collect();
            write!(f, ", named {}", names.join(", "))?;
        }
        for (what, mask) in [("reads", &self.read), ("writes", &self.write)] {
            match mask.texts() {
                _ if mask.is_everything() => {}
                [] => write!(f, "; {what} nothing")?,
                texts => write!(f, "; {what} {}", texts.join(", "))?,
            }
        }
        if self.dangerous { f.write_str("; dangerous") } else { Ok(()) }
    }
}

fn kind_text(group: &str, resource: &str) -> String {
    match (group, resource) {
        ("", "*") => "any kind of the core group".to_owned(),
        ("*", "*") => "any kind".to_owned(),
        (group, "*") => format!("any kind of {group}"),
        ("", resource) => resource.to_owned(),
        ("*", resource) => format!("{resource} of any group"),
        (group, resource) => format!("{resource}.{group}"),
    }
}
