//! The agent's own objects.

use std::collections::BTreeSet;

/// What is refused to all but built-in plugins, whatever the grants say. The default is an agent outside a cluster, which owns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The agent's namespace; every Secret in it is its own. Empty: none.
    pub namespace: String,
    /// The grants ConfigMap, those that hold plugins, and those that its pod mounts.
    pub config_maps: BTreeSet<String>,
    /// Its ServiceAccount and those of its plugins.
    pub accounts: BTreeSet<String>,
    /// The name of its Deployment; pods and ReplicaSets begin with it.
    pub workload: String,
}
