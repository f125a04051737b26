//! Which objects of the cluster are the agent's own, as far as it may find out.

use serde_json::Value;
use tokio::time::Instant;

use super::{Actor, Cluster, Error, Failure, Listing, Request, Search};
use crate::grants::kubernetes::{Kind, Name, Namespace, Object, Own};

/// Names a ConfigMap that holds plugins.
const PLUGIN_LABEL: &str = "claiflow.io/plugin";
const ANSWER_MAX_BYTES: usize = 1 << 20;

impl Cluster {
    /// What is the agent's own, of which `pod` is the pod's name. Where that cannot be found out, all of its namespace is, and
    /// the failure says why.
    pub async fn own(&self, pod: &str, deadline: Instant) -> (Own, Option<Failure>) {
        let mut own =
            Own { namespace: self.namespace.clone(), workload: workload_of(pod).to_owned(), ..Own::default() };
        let mut unknown = None;
        match self.own_pod(pod, deadline).await {
            Ok(pod) => take_pod(&mut own, &pod),
            Err(error) => unknown = Some(error.failure(|status| status)),
        }
        if let Err(error) = self.take_plugins(&mut own, deadline).await {
            unknown = Some(error.failure(|status| status));
        }
        own.whole_namespace = unknown.is_some();
        (own, unknown)
    }

    async fn own_pod(&self, pod: &str, deadline: Instant) -> Result<Value, Error> {
        let wrong = |error| Failure::new("invalid", format!("{error}"));
        let at = Object {
            namespace: Some(Namespace::new(&self.namespace).map_err(wrong)?),
            name: Some(Name::new(pod).map_err(wrong)?),
        };
        let request = Request::get(&core("pods", "Pod"), &at)?;
        Ok(self.ask(&Actor::Agent, &request, ANSWER_MAX_BYTES, deadline).await?.0)
    }

    async fn take_plugins(&self, own: &mut Own, deadline: Instant) -> Result<(), Error> {
        let namespace = Namespace::new(&self.namespace).map_err(|error| Failure::new("invalid", error.to_string()))?;
        let search = Search { labels: Some(PLUGIN_LABEL.to_owned()), metadata_only: true, ..Search::default() };
        let mut listing = Listing::new(core("configmaps", "ConfigMap"), [Some(namespace)], search);
        while let Some(page) = listing.next(self, &Actor::Agent, u32::MAX, ANSWER_MAX_BYTES, deadline).await? {
            for item in page.items {
                let item: Value = serde_json::from_str(item.get()).unwrap_or_default();
                own.config_maps.extend(text(&item, "/metadata/name"));
            }
        }
        Ok(())
    }
}

fn core(plural: &str, kind: &str) -> Kind {
    Kind {
        group: String::new(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        subresource: String::new(),
        kind: kind.to_owned(),
        api_version: "v1".to_owned(),
        namespaced: true,
    }
}

fn take_pod(own: &mut Own, pod: &Value) {
    own.accounts.extend(text(pod, "/spec/serviceAccountName"));
    for volume in pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten() {
        own.config_maps.extend(text(volume, "/configMap/name"));
        for source in volume.pointer("/projected/sources").and_then(Value::as_array).into_iter().flatten() {
            own.config_maps.extend(text(source, "/configMap/name"));
        }
    }
    for container in pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten() {
        for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
            own.config_maps.extend(text(variable, "/valueFrom/configMapKeyRef/name"));
        }
        for source in container.get("envFrom").and_then(Value::as_array).into_iter().flatten() {
            own.config_maps.extend(text(source, "/configMapRef/name"));
        }
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned)
}

/// A Deployment names its pods `<deployment>-<hash>-<hash>`.
fn workload_of(pod: &str) -> &str {
    let without = |name: &str| name.rfind('-').unwrap_or(name.len());
    let replica_set = pod.get(..without(pod)).unwrap_or(pod);
    replica_set.get(..without(replica_set)).unwrap_or(replica_set)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Own, take_pod, workload_of};

    #[test]
    fn a_pod_says_which_objects_it_stands_on() {
        let pod = json!({"spec": {
            "serviceAccountName": "controller",
            "volumes": [
                {"name": "a", "configMap": {"name": "grants"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "plugin"}}, {"secret": {"name": "s"}}]}},
                {"name": "c", "emptyDir": {}},
            ],
            "containers": [{
                "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "server", "key": "k"}}}, {"name": "Y"}],
                "envFrom": [{"configMapRef": {"name": "all"}}],
            }],
        }});
        let mut own = Own::default();
        take_pod(&mut own, &pod);
        assert!(own.accounts.iter().eq(["controller"]));
        assert!(own.config_maps.iter().eq(["all", "grants", "plugin", "server"]), "{own:?}");
        assert_eq!(workload_of("claiflow-client-5d4f8c7b9-x2x4z"), "claiflow-client");
        assert_eq!(workload_of("alone"), "alone");
    }
}
