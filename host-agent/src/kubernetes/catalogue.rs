//! The kinds that a cluster serves, as its aggregated discovery says.

use std::{collections::HashMap, sync::Arc};

use kube::client::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery, DiscoveryGroupVersionKind};

use crate::grants::kubernetes::Kind;

/// One resource or subresource that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// What authority is decided over.
    pub kind: Kind,
    /// As the API server names them: `get`, `list`, `patch`, ….
    pub verbs: Vec<String>,
    /// What people call it besides its plural: the singular and short names; none for a subresource.
    pub aliases: Vec<String>,
}

/// All of them at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// In the order of discovery: groups as they come, each with its preferred version first.
    all: Vec<Arc<Served>>,
    /// Group, plural and subresource; versions in order of preference.
    by_name: HashMap<(String, String, String), Vec<usize>>,
}

impl Catalogue {
    /// Reads the documents `/api` and `/apis`.
    ///
    /// # Errors
    /// When one is no aggregated discovery.
    pub(super) fn read(documents: &[&[u8]]) -> Result<Self, String> {
        let mut catalogue = Self::default();
        for document in documents {
            let list: APIGroupDiscoveryList =
                serde_json::from_slice(document).map_err(|error| format!("discovery is not understood: {error}"))?;
            for group in list.items {
                catalogue.take_group(group);
            }
        }
        if catalogue.all.is_empty() {
            return Err(
                "discovery names no kinds; aggregated discovery is needed, which Kubernetes has since 1.27".to_owned()
            );
        }
        Ok(catalogue)
    }

    /// These, in the order of preference.
    pub(super) fn of(all: impl IntoIterator<Item = Served>) -> Self {
        let mut catalogue = Self::default();
        all.into_iter().for_each(|served| catalogue.add(served));
        catalogue
    }

    /// All, in the order of discovery.
    pub fn served(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.all.iter()
    }

    /// The resource of this name; an empty `version` means the preferred one that has it.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str, subresource: &str) -> Option<&Arc<Served>> {
        let name = (group.to_owned(), plural.to_owned(), subresource.to_owned());
        let mut versions = self.by_name.get(&name)?.iter().filter_map(|index| self.all.get(*index));
        versions.find(|served| version.is_empty() || served.kind.version == version)
    }

    fn take_group(&mut self, group: APIGroupDiscovery) {
        let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
        for version in group.versions {
            let at = version.version.unwrap_or_default();
            for resource in version.resources {
                self.take(&name, &at, resource);
            }
        }
    }

    fn take(&mut self, group: &str, version: &str, resource: APIResourceDiscovery) {
        let APIResourceDiscovery { resource: Some(plural), response_kind, scope, verbs, .. } = resource else { return };
        let namespaced = scope.as_deref() == Some("Namespaced");
        let kind = |subresource: String, said: Option<DiscoveryGroupVersionKind>| {
            let (kind, api_version) = answered(group, version, said);
            Kind {
                group: group.to_owned(),
                version: version.to_owned(),
                plural: plural.clone(),
                subresource,
                kind,
                api_version,
                namespaced,
            }
        };
        let aliases = resource.singular_resource.into_iter().chain(resource.short_names).collect();
        self.add(Served { kind: kind(String::new(), response_kind), verbs, aliases });
        for subresource in resource.subresources {
            let Some(name) = subresource.subresource else { continue };
            let kind = kind(name, subresource.response_kind);
            self.add(Served { kind, verbs: subresource.verbs, aliases: Vec::new() });
        }
    }

    fn add(&mut self, served: Served) {
        let Kind { group, plural, subresource, .. } = &served.kind;
        let name = (group.clone(), plural.clone(), subresource.clone());
        self.by_name.entry(name).or_default().push(self.all.len());
        self.all.push(Arc::new(served));
    }
}

/// What bodies and answers say of themselves. What the server leaves out is that of the resource.
fn answered(group: &str, version: &str, said: Option<DiscoveryGroupVersionKind>) -> (String, String) {
    let said = said.unwrap_or_default();
    let own = said.version.filter(|version| !version.is_empty());
    let (group, version) = match own {
        Some(own) => (said.group.unwrap_or_default(), own),
        None => (group.to_owned(), version.to_owned()),
    };
    let api_version = if group.is_empty() { version } else { format!("{group}/{version}") };
    (said.kind.unwrap_or_default(), api_version)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::Catalogue;

    fn group(name: &str, versions: Value) -> Value {
        json!({"metadata": {"name": name}, "versions": versions})
    }

    fn resource(plural: &str, kind: &str, more: Value) -> Value {
        let mut resource = json!({
            "resource": plural, "scope": "Namespaced", "verbs": ["get", "list"],
            "responseKind": {"group": "", "version": "", "kind": kind},
        });
        for (key, value) in more.as_object().unwrap() {
            resource[key] = value.clone();
        }
        resource
    }

    pub(in crate::kubernetes) fn some() -> Catalogue {
        let core = json!({"items": [group("", json!([{"version": "v1", "resources": [
            resource("pods", "Pod", json!({"singularResource": "pod", "shortNames": ["po"], "subresources": [
                {"subresource": "eviction", "verbs": ["create"],
                 "responseKind": {"group": "policy", "version": "v1", "kind": "Eviction"}},
                {"subresource": "log", "verbs": ["get"]}]})),
            resource("nodes", "Node", json!({"scope": "Cluster"})),
        ]}]))]});
        let groups = json!({"items": [
            group("apps", json!([{"version": "v1", "resources": [
                resource("deployments", "Deployment", json!({"singularResource": "deployment", "shortNames": ["deploy"],
                    "subresources": [{"subresource": "scale", "verbs": ["get", "patch"],
                                      "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}]})),
            ]}])),
            group("autoscaling", json!([
                {"version": "v2", "resources": [resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", json!({}))]},
                {"version": "v1", "resources": [resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", json!({}))]},
            ])),
            group("metrics.k8s.io", json!([{"version": "v1beta1", "resources": [
                resource("pods", "PodMetrics", json!({}))]}])),
        ]});
        Catalogue::read(&[core.to_string().as_bytes(), groups.to_string().as_bytes()]).unwrap()
    }

    #[test]
    fn a_kind_is_found_by_group_and_plural_in_the_preferred_version() {
        let catalogue = some();
        for (asked, found) in [
            (("", "", "pods", ""), Some("v1 Pod pods")),
            (("", "v1", "pods", ""), Some("v1 Pod pods")),
            (("metrics.k8s.io", "", "pods", ""), Some("metrics.k8s.io/v1beta1 PodMetrics pods.metrics.k8s.io")),
            (("", "", "pods", "eviction"), Some("policy/v1 Eviction pods/eviction")),
            (("", "", "pods", "log"), Some("v1  pods/log")),
            (("apps", "", "deployments", "scale"), Some("autoscaling/v1 Scale deployments/scale.apps")),
            (
                ("autoscaling", "", "horizontalpodautoscalers", ""),
                Some("autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers.autoscaling"),
            ),
            (
                ("autoscaling", "v1", "horizontalpodautoscalers", ""),
                Some("autoscaling/v1 HorizontalPodAutoscaler horizontalpodautoscalers.autoscaling"),
            ),
            (("", "", "deployments", ""), None),
            (("apps", "v2", "deployments", ""), None),
            (("", "", "Pods", ""), None),
        ] {
            let (group, version, plural, subresource) = asked;
            let served = catalogue.find(group, version, plural, subresource);
            let shown = served.map(|served| {
                let kind = &served.kind;
                format!("{} {} {kind}", kind.api_version, kind.kind)
            });
            assert_eq!(shown.as_deref(), found, "{asked:?}");
        }
        assert!(!catalogue.find("", "", "nodes", "").unwrap().kind.namespaced);
    }

    #[test]
    fn what_is_no_aggregated_discovery_is_refused() {
        for text in ["[]", "{\"kind\": \"APIVersions\", \"versions\": [\"v1\"]}", "no"] {
            assert!(Catalogue::read(&[text.as_bytes()]).is_err(), "{text}");
        }
    }
}
