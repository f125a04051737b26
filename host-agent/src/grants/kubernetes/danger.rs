//! What hands over a cluster, or starts code in it: a rule allows it only where it says `dangerous: true`.

use super::{
    Kind, Verb,
    path::{Path, Step, overlap},
};

/// Fields that hold containers, in kinds that nobody listed too.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Why a verb over a kind is dangerous whatever the body says; none: it is not.
pub(super) fn of_kind(kind: &Kind, verb: Verb) -> Option<&'static str> {
    let (plural, subresource) = (kind.plural.as_str(), kind.subresource.as_str());
    if subresource == "proxy" {
        return Some("a proxy reaches whatever listens in the cluster");
    }
    match (kind.group.as_str(), plural, subresource) {
        ("", "secrets", _) => Some("secrets are what keeps others out"),
        ("", "serviceaccounts", "token") => Some("a token acts as its account"),
        ("", "pods", "exec" | "attach" | "portforward") => Some("it reaches into a running container"),
        ("", "pods", "ephemeralcontainers") => Some("it puts a container into a running pod"),
        ("", "persistentvolumes", _) => Some("a volume may be a node's own disk"),
        ("", "namespaces", _) if verb.writes() => Some("a namespace ends with all that is in it"),
        ("rbac.authorization.k8s.io", ..) => Some("it decides who may do what"),
        ("admissionregistration.k8s.io", ..) => Some("it sees and changes what others write"),
        ("certificates.k8s.io", "certificatesigningrequests", "approval" | "status") => {
            Some("a signed certificate is an identity")
        }
        ("apiextensions.k8s.io" | "apiregistration.k8s.io", ..) if verb.writes() => Some("it changes the API itself"),
        _ if starts_pods(kind, verb) => Some("it starts code in the cluster"),
        _ => None,
    }
}

/// Whether it makes pods, now or through a controller, or puts containers into them.
pub(super) fn starts_pods(kind: &Kind, verb: Verb) -> bool {
    let creates = matches!(verb, Verb::Create | Verb::Apply | Verb::ForceApply);
    creates && pod_spec(kind).is_some() || verb.writes() && kind.is("", "pods/ephemeralcontainers")
}

/// Why it is dangerous to touch a field; none: it is not.
pub(super) fn of_field(kind: &Kind, path: &Path<'_>) -> Option<&'static str> {
    let code = match pod_spec(kind) {
        Some(at) => overlap(path, at),
        None => path.iter().any(|step| matches!(step, Step::Key(key) if CONTAINERS.contains(key))),
    };
    code.then_some("it decides what code runs in the cluster")
}

/// Where a kind says what its pods run; none: it makes no pods that we know of.
pub(super) fn pod_spec(kind: &Kind) -> Option<&'static [&'static str]> {
    if !kind.subresource.is_empty() {
        return None;
    }
    Some(match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &["spec"],
        ("", "podtemplates") => &["template", "spec"],
        ("", "replicationcontrollers")
        | ("apps" | "extensions", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &["spec", "template", "spec"],
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => return None,
    })
}
