//! One rule of the grants file.

use super::{Caller, Kind, Verb};
use crate::grants::{Grant, KubernetesGrant};

/// See [`KubernetesGrant`].
pub type Rule = KubernetesGrant;

/// As whom a plugin acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The ServiceAccount in the agent's namespace; none: `claiflow-plugin-<name>`.
    pub account: Option<String>,
    /// How the plugin comes to act as that account.
    pub by: IdentityBy,
}

/// See [`Identity::by`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentityBy {
    /// A token of the account, made by the agent.
    #[default]
    Token,
    /// The agent's token, and headers that impersonate the account.
    Impersonate,
    /// The agent's own account, with all that it may do.
    Agent,
}

impl Identity {
    /// The account's name.
    #[must_use]
    pub fn account_of(&self, plugin: &str) -> String {
        self.account.clone().unwrap_or_else(|| format!("claiflow-plugin-{plugin}"))
    }
}

/// What one rule allows over one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// In the order of [`Verb::ALL`].
    pub verbs: Vec<Verb>,
    /// Names, or `*`; empty for cluster-scoped kinds.
    pub namespaces: Vec<String>,
    /// Globs; empty: any.
    pub names: Vec<String>,
}

/// What a plugin may touch of a kind, one entry for each rule that allows something.
#[must_use]
pub fn reach(_grant: &Grant, _caller: &Caller<'_>, _kind: &Kind) -> Vec<Reach> {
    Vec::new()
}

/// Whether a grant allows an import of the contract, by its interface: `kubernetes`, `kubernetes-write`, `kubernetes-exec`.
#[must_use]
pub fn allows_import(grant: &Grant, _interface: &str) -> bool {
    !grant.kubernetes.is_empty()
}
