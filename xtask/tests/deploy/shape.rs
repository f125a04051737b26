//! A document read into Kubernetes' own types and written again is the document: a field that is misspelled, in the wrong
//! place or of the wrong type does not come back.

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{name, text};

/// Where the document does not come back as it is.
pub(super) fn faults(document: &Value) -> Vec<String> {
    let again = match (text(document, "/apiVersion"), text(document, "/kind")) {
        ("v1", "Namespace") => again::<Namespace>(document),
        ("v1", "ConfigMap") => again::<ConfigMap>(document),
        ("v1", "Secret") => again::<Secret>(document),
        ("v1", "Service") => again::<Service>(document),
        ("v1", "ServiceAccount") => again::<ServiceAccount>(document),
        ("apps/v1", "Deployment") => again::<Deployment>(document),
        ("apps/v1", "StatefulSet") => again::<StatefulSet>(document),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<NetworkPolicy>(document),
        ("rbac.authorization.k8s.io/v1", "Role") => again::<Role>(document),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<RoleBinding>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<ClusterRole>(document),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => again::<ClusterRoleBinding>(document),
        (version, kind) => Err(format!("{version} {kind} is not a kind that this test knows")),
    };
    match again {
        Ok(again) => {
            let mut found = Vec::new();
            differences("", document, &again, &mut found);
            found.into_iter().map(|at| format!("{}: {at} is not read by Kubernetes", name(document))).collect()
        }
        Err(error) => vec![format!("{}: {error}", name(document))],
    }
}

fn again<T: DeserializeOwned + Serialize>(document: &Value) -> Result<Value, String> {
    serde_json::from_value::<T>(document.clone()).and_then(serde_json::to_value).map_err(|error| error.to_string())
}

/// Pointers at which the two are not equal, as deep as possible.
fn differences(at: &str, source: &Value, again: &Value, found: &mut Vec<String>) {
    match (source, again) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                match (left.get(key), right.get(key)) {
                    (Some(left), Some(right)) => differences(&format!("{at}/{key}"), left, right, found),
                    _ => found.push(format!("{at}/{key}")),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{at}/{index}"), left, right, found);
            }
        }
        _ if source == again => {}
        _ => found.push(at.to_owned()),
    }
}
