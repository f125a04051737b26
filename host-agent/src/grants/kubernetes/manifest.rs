//! RBAC's manifests as text: short lines, in the order in which a person reads them.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    IdentityBy,
    rbac::{AgentAccount, Entries, Entry},
    suggest::word,
};

const API: &str = "rbac.authorization.k8s.io";

/// Manifests of one plugin, one behind the other.
pub(super) struct Manifests<'a> {
    plugin: &'a str,
    agent: &'a AgentAccount<'a>,
    account: &'a str,
    role: &'a str,
    text: String,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(plugin: &'a str, agent: &'a AgentAccount<'a>, account: &'a str, role: &'a str) -> Self {
        Self { plugin, agent, account, role, text: String::new() }
    }

    pub(super) fn explain(&mut self, by: IdentityBy, wider: &BTreeSet<String>) {
        let (plugin, account) = (self.plugin, self.account);
        self.line(&format!("# The least that the plugin `{plugin}` needs of the cluster, as far as RBAC can say it."));
        self.line(&match by {
            IdentityBy::Token => format!("# It acts as the ServiceAccount {account}, with a token that the agent asks for."),
            IdentityBy::Impersonate => format!("# It acts as the ServiceAccount {account}, which the agent impersonates."),
            IdentityBy::Agent => {
                format!("# It acts as the agent's own account {account}: with all that any of these gives, and the agent has.")
            }
        });
        for wider in wider {
            self.line(&format!("# RBAC cannot say {wider}; the agent holds the plugin to that."));
        }
    }

    /// What Helm does depends on the charts, which nobody here knows.
    pub(super) fn explain_releases(&mut self) {
        let account = self.account;
        for line in [
            "# Helm acts as that account too, and needs what the charts need: bind a role of your own to it in each namespace that it may",
            "# install into, such as the ClusterRole `admin`, with every verb on Secrets there (a release is kept in Secrets), get, list and",
            "# watch on what it waits for, and create and patch on Namespaces where it shall make them:",
        ] {
            self.line(line);
        }
        let namespace = self.agent.namespace;
        self.line(&format!(
            "#   kubectl create rolebinding helm --clusterrole=admin --serviceaccount={namespace}:{account} --namespace=NAMESPACE"
        ));
    }

    pub(super) fn account(&mut self) {
        let (account, namespace) = (self.account, self.agent.namespace);
        self.object("v1", "ServiceAccount", account, Some(namespace));
        self.line("automountServiceAccountToken: false");
    }

    /// A role of these entries and its binding to the account; nothing without entries.
    pub(super) fn role(&mut self, namespace: Option<&str>, entries: &Entries) {
        if entries.is_empty() {
            return;
        }
        let (role, account) = (self.role, self.account);
        self.pair(role, namespace, account, entries);
    }

    /// The agent's right to do this with the plugin's account, and with no other.
    pub(super) fn agent_may(&mut self, resource: &str, verb: &'static str) {
        let entry = Entry {
            group: String::new(),
            resources: [resource.to_owned()].into(),
            verbs: [verb].into(),
            names: [self.account.to_owned()].into(),
        };
        let (name, account, namespace) = (format!("{}-agent", self.role), self.agent.account, self.agent.namespace);
        self.pair(&name, Some(namespace), account, &[entry].into());
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn pair(&mut self, name: &str, namespace: Option<&str>, account: &str, entries: &Entries) {
        let (role, binding) = match namespace {
            Some(_) => ("Role", "RoleBinding"),
            None => ("ClusterRole", "ClusterRoleBinding"),
        };
        let version = format!("{API}/v1");
        self.object(&version, role, name, namespace);
        self.line("rules:");
        for Entry { group, resources, verbs, names } in entries {
            self.line(&format!("  - apiGroups: [{}]", word(group)));
            self.line(&format!("    resources: [{}]", list(resources.iter().map(String::as_str))));
            self.line(&format!("    verbs: [{}]", list(verbs.iter().copied())));
            if !names.is_empty() {
                self.line(&format!("    resourceNames: [{}]", list(names.iter().map(String::as_str))));
            }
        }
        self.object(&version, binding, name, namespace);
        self.line(&format!("roleRef: {{apiGroup: {API}, kind: {role}, name: {}}}", word(name)));
        let agent_namespace = word(self.agent.namespace);
        self.line(&format!(
            "subjects: [{{kind: ServiceAccount, name: {}, namespace: {agent_namespace}}}]",
            word(account)
        ));
    }

    fn object(&mut self, version: &str, kind: &str, name: &str, namespace: Option<&str>) {
        self.line("---");
        self.line(&format!("apiVersion: {version}"));
        self.line(&format!("kind: {kind}"));
        let namespace = namespace.map(|namespace| format!(", namespace: {}", word(namespace))).unwrap_or_default();
        self.line(&format!("metadata: {{name: {}{namespace}}}", word(name)));
    }

    fn line(&mut self, text: &str) {
        // Writing to text cannot fail.
        let _ = writeln!(self.text, "{text}");
    }
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(word).collect::<Vec<_>>().join(", ")
}
