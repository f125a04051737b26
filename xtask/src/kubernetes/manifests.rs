//! The manifests of `deploy/`, given to a real API server as their README says.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::{cluster::ControlPlane, root};

/// In the README's order. The other forms of the agent come last, since they replace the first.
const BASES: [&str; 5] = ["mariadb", "server", "agent", "agent-with-cluster-access", "agent-token-in-configmap"];
/// Where they go; Deployments and StatefulSets by the pods that must run.
const WORKLOADS: [(&str, &str); 3] = [
    ("claiflow", "statefulset/claiflow-mariadb"),
    ("claiflow", "deployment/claiflow-deployment"),
    ("claiflowclient", "deployment/claiflow-client"),
];

/// Tried first, then applied; nothing is warned of, and the pods run.
pub(super) fn taken(plane: &ControlPlane, _: &Path) -> Result<()> {
    for namespace in ["claiflow", "claiflowclient"] {
        let manifest = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        plane.apply(&manifest)?;
    }
    let secrets = [
        ("claiflow", "claiflow-mariadb", "password"),
        ("claiflow", "claiflow-config-database", "database.yaml"),
        ("claiflowclient", "claiflowclient-token", "token"),
    ];
    for (namespace, name, key) in secrets {
        let literal = format!("--from-literal={key}=x");
        plane.kubectl(&["--namespace", namespace, "create", "secret", "generic", name, &literal])?;
    }
    // The database's claim; here nobody makes volumes.
    plane.apply(&serde_json::json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "mariadb"},
        "spec": {"capacity": {"storage": "100Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"}},
    }))?;
    for base in BASES {
        let folder = root().join("deploy/kubernetes").join(base).display().to_string();
        for dry in [Some("--dry-run=server"), None] {
            let mut kubectl = plane.kubectl_command();
            kubectl.args(["apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", &folder]).args(dry);
            let output = kubectl.output().context("kubectl could not be started")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() && !said.contains("Warning"), "{base} {dry:?}: {said}");
        }
    }
    for (namespace, workload) in WORKLOADS {
        plane.kubectl(&["--namespace", namespace, "rollout", "status", "--timeout=90s", workload])?;
    }
    Ok(())
}
