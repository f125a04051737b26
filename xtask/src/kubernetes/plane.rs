//! What tests rely on: a control plane that behaves like one with kubelets.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::cluster::ControlPlane;

/// Deployments become available; their pods answer; they are scaled and evicted.
pub(super) fn runs(plane: &ControlPlane, _: &Path) -> Result<()> {
    let labels = json!({"app": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "example.com/web"}]},
        }},
    });
    plane.apply(&deployment)?;
    let available = ["wait", "--for=condition=Available", "--timeout=60s", "deployment/web"];
    plane.kubectl(&available)?;
    plane.kubectl(&["scale", "--replicas=2", "deployment/web"])?;
    plane.kubectl(&["rollout", "status", "--timeout=60s", "deployment/web"])?;
    let pods = plane.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"])?;
    ensure!(pods.lines().count() == 2, "two replicas have the pods {pods:?}");
    let pod = pods.lines().next().unwrap_or_default().trim_start_matches("pod/");
    let log = plane.kubectl(&["logs", pod])?;
    ensure!(log.contains("hello from this pod"), "its log is {log:?}");
    let said = plane.kubectl(&["exec", pod, "--", "echo", "ran"])?;
    ensure!(said == "ran\n", "its program said {said:?}");
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}});
    let path = format!("/api/v1/namespaces/default/pods/{pod}/eviction");
    let mut kubectl = plane.kubectl_command();
    kubectl.args(["create", "--raw", &path, "-f", "-"]);
    fed(&mut kubectl, &eviction)?;
    plane.kubectl(&["wait", "--for=delete", "--timeout=60s", &format!("pod/{pod}")])?;
    plane.kubectl(&available)?;
    plane.kubectl(&["delete", "deployment/web", "--wait=false"])?;
    Ok(())
}

/// A ServiceAccount without a role.
pub(super) fn refuses(plane: &ControlPlane, _: &Path) -> Result<()> {
    plane.apply(
        &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody", "namespace": "default"}}),
    )?;
    let kubeconfig = plane.kubeconfig_of("default", "nobody")?;
    let mut kubectl = Command::new(plane.kubectl_command().get_program());
    let output = kubectl.arg("--kubeconfig").arg(kubeconfig).args(["get", "secrets"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("Forbidden") && said.contains("default:nobody"), "it was answered {said:?}");
    let audit = plane.audit()?;
    let seen = |entry: &&Value| {
        entry["user"]["username"] == "system:serviceaccount:default:nobody"
            && entry["objectRef"]["resource"] == "secrets"
    };
    ensure!(
        audit.iter().any(|entry| seen(&entry) && entry["responseStatus"]["code"] == 403),
        "the audit log has no such request"
    );
    Ok(())
}

/// Runs a command that reads a document.
fn fed(command: &mut Command, document: &Value) -> Result<()> {
    use std::{io::Write as _, process::Stdio};
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(document.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
