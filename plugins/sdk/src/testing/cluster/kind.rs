//! The kinds that a cluster knows.

use serde_json::Value;

use super::{failure::said, store::Key};
use crate::{Error, kubernetes::Resource};

#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
}

impl Kind {
    pub(super) fn new(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let [group, version, plural, kind] = [group, version, plural, kind].map(str::to_owned);
        Self { group, version, plural, kind, namespaced }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

pub(super) fn everywhere() -> Vec<Kind> {
    [
        ("v1", "Pod", "pods", true),
        ("v1", "ConfigMap", "configmaps", true),
        ("v1", "Secret", "secrets", true),
        ("v1", "Service", "services", true),
        ("v1", "ServiceAccount", "serviceaccounts", true),
        ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("v1", "Event", "events", true),
        ("v1", "Namespace", "namespaces", false),
        ("v1", "Node", "nodes", false),
        ("apps/v1", "Deployment", "deployments", true),
        ("apps/v1", "StatefulSet", "statefulsets", true),
        ("apps/v1", "DaemonSet", "daemonsets", true),
        ("apps/v1", "ReplicaSet", "replicasets", true),
        ("batch/v1", "Job", "jobs", true),
        ("batch/v1", "CronJob", "cronjobs", true),
    ]
    .into_iter()
    .map(|(api_version, kind, plural, namespaced)| Kind::new(api_version, kind, plural, namespaced))
    .collect()
}

/// The kind of a resource, as the host finds it: by group and plural.
pub(super) fn of_resource(kinds: &[Kind], resource: &Resource) -> Result<Kind, Error> {
    let known = kinds.iter().find(|kind| kind.group == resource.group && kind.plural == resource.plural);
    let known = known.filter(|kind| resource.version.is_empty() || kind.version == resource.version);
    known.cloned().ok_or_else(|| Error::not_found(format!("the cluster has no resource `{resource}`")))
}

pub(super) fn of_object(kinds: &[Kind], object: &Value) -> Option<(Kind, Key)> {
    let word = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let (api_version, kind) = (word("/apiVersion")?, word("/kind")?);
    let kind = kinds.iter().find(|known| known.kind == kind && known.api_version() == api_version)?;
    let namespace = word("/metadata/namespace").unwrap_or_default();
    Some((kind.clone(), Key::of(&kind.plural, namespace, word("/metadata/name")?)))
}

/// Whether a namespace is there where one belongs, and only there.
pub(super) fn check_place(kind: &Kind, namespace: Option<&str>) -> Result<(), Error> {
    let message = match (kind.namespaced, namespace) {
        (true, None | Some("")) => format!("`namespace` is missing: {} lie in namespaces", kind.plural),
        (false, Some(_)) => format!("`namespace` is given, and {} lie in none", kind.plural),
        _ => return Ok(()),
    };
    Err(Error::invalid(message))
}

/// What the API server says of an object that is not there.
pub(super) fn missing(kind: &Kind, name: &str) -> Error {
    let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
    said("not-found", 404, "NotFound", format!("{}{group} \"{name}\" not found", kind.plural))
}
