//! The agent's own objects: who could change them would decide what the agent allows, or be the agent.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Kind, Verb,
    path::{Step, is, overlap},
    touch::Touch,
};

/// Accounts and roles of plugins begin with it, as those that `inspect --rbac` writes.
const PLUGIN_ACCOUNT: &str = "claiflow-plugin-";
/// The Secret that holds credentials.
pub const CREDENTIALS: &str = "claiflow-credential";
/// A ConfigMap with it holds a plugin.
const PLUGIN_LABEL: &str = "claiflow.io/plugin";
const PLUGIN_LABEL_AT: [&str; 3] = ["metadata", "labels", PLUGIN_LABEL];

/// What is refused to all but built-in plugins, whatever the grants say. The default is an agent outside a cluster, which
/// owns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The agent's namespace; every Secret in it is its own. Empty: none.
    pub namespace: String,
    /// The grants ConfigMap, those that hold plugins, and those that its pod mounts.
    pub config_maps: BTreeSet<String>,
    /// Its ServiceAccount and those of its plugins; roles and bindings of these names are its own too, and everything of
    /// the three that begins with `claiflow-plugin-`.
    pub accounts: BTreeSet<String>,
    /// The name of its Deployment; its pods and ReplicaSets are known by it.
    pub workload: String,
    /// The namespace whose Secret `claiflow-credential` the agent keeps credentials in, also where it runs elsewhere. Empty: none.
    pub credentials: String,
    /// Which of them are the agent's could not be found out: all of its namespace are.
    pub whole_namespace: bool,
}

impl Own {
    /// Whether an object is the agent's. `name` none: one that has no name yet, or all of a kind. That the agent's namespace
    /// is there is no secret: it may be read.
    pub(super) fn holds(&self, verb: Verb, kind: &Kind, namespace: Option<&str>, name: Option<&str>) -> bool {
        if !self.credentials.is_empty()
            && namespace == Some(&self.credentials)
            && kind.is("", "secrets")
            && name == Some(CREDENTIALS)
        {
            return true;
        }
        if self.namespace.is_empty() {
            return false;
        }
        let begins =
            || name.and_then(|name| name.strip_prefix(&self.workload)).is_some_and(|rest| rest.starts_with('-'));
        let key = (kind.group.as_str(), kind.plural.as_str());
        match (namespace, key) {
            (None, ("", "namespaces")) => verb.writes() && name == Some(&self.namespace),
            (None, ("rbac.authorization.k8s.io", _)) => name.is_some_and(|name| self.is_account(name)),
            (Some(namespace), _) if namespace != self.namespace => false,
            (Some(_), ("", "secrets")) => true,
            (Some(_), ("", "configmaps")) => {
                self.whole_namespace || name.is_some_and(|name| self.config_maps.contains(name))
            }
            (Some(_), ("", "serviceaccounts") | ("rbac.authorization.k8s.io", _)) => {
                self.whole_namespace || name.is_some_and(|name| self.is_account(name))
            }
            (Some(_), ("apps", "deployments")) => self.whole_namespace || name == Some(&self.workload),
            (Some(_), ("", "pods") | ("apps", "replicasets")) => {
                self.whole_namespace || !self.workload.is_empty() && begins()
            }
            _ => false,
        }
    }

    fn is_account(&self, name: &str) -> bool {
        self.accounts.contains(name) || name.starts_with(PLUGIN_ACCOUNT)
    }

    /// Whether an object that the API answered is the agent's by what it holds.
    pub(super) fn knows(&self, kind: &Kind, object: &Value) -> bool {
        let label = || object.get("metadata")?.get("labels")?.get(PLUGIN_LABEL);
        !self.namespace.is_empty() && is_config_map(kind) && label().is_some()
    }

    /// Whether new pods there could be the agent: they mount its Secrets, or run as its account.
    pub(super) fn lives_in(&self, namespace: Option<&str>) -> bool {
        !self.namespace.is_empty() && namespace == Some(&self.namespace)
    }
}

/// Whether it would make a ConfigMap a plugin of an agent.
pub(super) fn makes_a_plugin(kind: &Kind, touch: &Touch<'_>) -> bool {
    // Labels that are copied from elsewhere may be any.
    let labels = touch.unseen && is(touch.path, &["metadata", "labels"]);
    is_config_map(kind) && (labels || touch.path.len() >= 3 && overlap(touch.path, &PLUGIN_LABEL_AT))
}

fn is_config_map(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "configmaps"
}

/// The field that [`makes_a_plugin`] looks for, for people.
pub(super) fn plugin_label() -> String {
    super::path::text(&PLUGIN_LABEL_AT.map(Step::Key))
}

/// Why something is refused.
pub(super) fn refusal(what: &str) -> String {
    format!("{what}, and only built-in plugins touch that, whatever the grants say")
}

#[cfg(test)]
mod tests {
    use super::{CREDENTIALS, Kind, Own, Verb};

    #[test]
    fn the_secret_of_credentials_is_the_agents_own_wherever_it_runs() {
        let kind = |plural: &str| Kind {
            group: String::new(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            subresource: String::new(),
            kind: String::new(),
            api_version: "v1".to_owned(),
            namespaced: true,
        };
        let elsewhere = Own { credentials: "tools".to_owned(), ..Own::default() };
        for (plural, namespace, name, is_own) in [
            ("secrets", Some("tools"), Some(CREDENTIALS), true),
            ("secrets", Some("tools"), Some("other"), false),
            ("secrets", Some("shop"), Some(CREDENTIALS), false),
            ("configmaps", Some("tools"), Some(CREDENTIALS), false),
            // Of a list, each item is judged.
            ("secrets", Some("tools"), None, false),
        ] {
            let holds = elsewhere.holds(Verb::Get, &kind(plural), namespace, name);
            assert_eq!(holds, is_own, "{plural} {namespace:?} {name:?}");
        }
        let in_cluster = Own { namespace: "claiflow".to_owned(), ..Own::default() };
        assert!(in_cluster.holds(Verb::Get, &kind("secrets"), Some("claiflow"), Some(CREDENTIALS)));
    }
}
