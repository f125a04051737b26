//! Which of Kubernetes' own kinds live in namespaces. Discovery says it of every kind, but a role is written where no
//! cluster is there to be asked.

/// Cluster-scoped kinds by group; `*`: all of the group.
const CLUSTER: [(&str, &[&str]); 15] = [
    ("", &["namespaces", "nodes", "persistentvolumes", "componentstatuses"]),
    ("admissionregistration.k8s.io", &["*"]),
    ("apiextensions.k8s.io", &["*"]),
    ("apiregistration.k8s.io", &["*"]),
    ("authentication.k8s.io", &["*"]),
    ("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"]),
    ("certificates.k8s.io", &["certificatesigningrequests", "clustertrustbundles"]),
    ("flowcontrol.apiserver.k8s.io", &["*"]),
    ("networking.k8s.io", &["ingressclasses", "ipaddresses", "servicecidrs"]),
    ("node.k8s.io", &["*"]),
    ("rbac.authorization.k8s.io", &["clusterroles", "clusterrolebindings"]),
    ("resource.k8s.io", &["deviceclasses", "resourceslices", "devicetaintrules"]),
    ("scheduling.k8s.io", &["*"]),
    ("storage.k8s.io", &["storageclasses", "volumeattachments", "csidrivers", "csinodes", "volumeattributesclasses"]),
    ("storagemigration.k8s.io", &["*"]),
];
/// Groups of which every kind lives in namespaces.
const NAMESPACED: [&str; 6] =
    ["apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"];

/// Whether a resource of the grants file lives in namespaces; none: nobody knows without a cluster.
pub(super) fn of(group: &str, resource: &str) -> Option<bool> {
    let plural = resource.split_once('/').map_or(resource, |(plural, _)| plural);
    if NAMESPACED.contains(&group) {
        return Some(true);
    }
    let (_, cluster) = CLUSTER.iter().find(|(known, _)| *known == group)?;
    if cluster.contains(&"*") {
        return Some(false);
    }
    (plural != "*").then(|| !cluster.contains(&plural))
}
