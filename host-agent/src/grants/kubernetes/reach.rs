//! What a plugin may touch of a kind, for the plugin itself: `resources` of the contract.

use std::sync::Arc;

use super::{Kind, Rule, Verb, danger};
use crate::grants::Grant;

/// What one rule allows over one kind. Rules are not put together: a verb of one and a name of another allow nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// In the order of [`Verb::ALL`].
    pub verbs: Vec<Verb>,
    /// Names, or `*`; empty for cluster-scoped kinds.
    pub namespaces: Vec<String>,
    /// Globs; empty: any.
    pub names: Vec<String>,
}

/// One entry for each rule that allows something; empty: nothing of the kind.
#[must_use]
pub fn reach(grant: &Grant, kind: &Kind) -> Vec<Reach> {
    let in_scope = |rule: &&Arc<Rule>| {
        rule.covers_kind(kind) && if kind.namespaced { !rule.namespaces.texts().is_empty() } else { rule.cluster_scope }
    };
    let reached = grant.kubernetes.iter().filter(in_scope).map(|rule| {
        let allowed = |verb: &Verb| rule.has_verb(*verb) && (rule.dangerous || danger::of_kind(kind, *verb).is_none());
        Reach {
            verbs: Verb::ALL.into_iter().filter(allowed).collect(),
            namespaces: if kind.namespaced { rule.namespaces.texts() } else { Vec::new() },
            names: rule.names.iter().map(ToString::to_string).collect(),
        }
    });
    reached.filter(|it| !it.verbs.is_empty()).collect()
}
