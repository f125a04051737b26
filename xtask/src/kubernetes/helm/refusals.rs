//! What people get wrong, and what nobody granted.

use std::{fs, time::Duration};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    super::charts::Repository,
    stage::{RELEASES, Stage},
};
use crate::process::until;

pub(super) fn told(stage: &Stage<'_>, repository: &Repository) -> Result<()> {
    let url = repository.url.as_str();
    // The API server's certificate is one that nobody trusts.
    let untrusted = format!("https://127.0.0.1:{}/charts", stage.house.plane.port);
    let chart = |more: Value| {
        let mut inputs = json!({"name": "wrong", "namespace": RELEASES, "chart_name": "web", "repo_url": url});
        if let (Some(inputs), Some(more)) = (inputs.as_object_mut(), more.as_object()) {
            inputs.extend(more.clone());
        }
        inputs
    };
    let none = json!({"name": "no-such-release", "namespace": RELEASES});
    let cases: [(&str, Value, &[&str]); 13] = [
        ("helm.install", chart(json!({"repo_url": untrusted})), &["certificate is not trusted", "x509"]),
        ("helm.install", chart(json!({"chart_name": "no-such-chart"})), &["no such chart", "chart_name"]),
        ("helm.install", chart(json!({"chart_version": "9.9.9"})), &["no such chart", "chart_version"]),
        ("helm.install", chart(json!({"repo_url": "http://127.0.0.1:1"})), &["connection refused"]),
        ("helm.install", chart(json!({"repo_url": null, "repo_name": "unknown"})), &["`unknown`", "helm.repo_add"]),
        ("helm.install", chart(json!({"name": "--post-renderer=/bin/sh"})), &["release name"]),
        ("helm.install", chart(json!({"chart_name": "/etc/passwd"})), &["chart name"]),
        ("helm.install", chart(json!({"repo_url": "http://ann:pw@127.0.0.1:1"})), &["credential"]),
        (
            "helm.install",
            chart(json!({"namespace": "kube-system"})),
            &["may not do that in the cluster", "claiflow-plugin-helm"],
        ),
        ("helm.upgrade", chart(json!({"name": "no-such-release"})), &["helm.install"]),
        ("helm.uninstall", none.clone(), &["no such release", "helm.list"]),
        ("helm.rollback", none, &["no such release"]),
        (
            "helm.repo_add",
            json!({"repo_name": "stories", "repo_url": "http://127.0.0.1:1"}),
            &["kept already", "replace"],
        ),
    ];
    for (command, inputs, parts) in cases {
        stage.refused(command, &inputs, parts)?;
    }
    let text = chart(json!({"values": "replicas: 2"}));
    stage.refused("helm.install", &text, &["values"])?;
    stage.done("helm.install", &chart(json!({})))?;
    stage.refused("helm.install", &chart(json!({})), &["there is a release of that name", "helm.upgrade"])?;
    stage.done("helm.uninstall", &json!({"name": "wrong", "namespace": RELEASES}))?;
    withdrawn(stage, &chart(json!({})))
}

/// What is no longer granted is refused from the next call on, with what would allow it.
fn withdrawn(stage: &Stage<'_>, inputs: &Value) -> Result<()> {
    let before = fs::read_to_string(stage.grants())?;
    let mut grants: Value = serde_json::from_str(&before)?;
    grants["plugins"]["helm"]["process"] = json!(["helm.history"]);
    fs::write(stage.grants(), grants.to_string())?;
    let limit = Duration::from_secs(30);
    until("the grant is withdrawn", limit, || match stage.call("helm.template", inputs)? {
        Ok(_) => bail!("it is still allowed"),
        Err(said) => {
            let part = "process: [helm.history, helm.template]";
            ensure!(said.contains(part), "{part} is not in: {said}");
            Ok(())
        }
    })?;
    fs::write(stage.grants(), before)?;
    until("the grant is there again", limit, || stage.done("helm.template", inputs).map(drop))
}
