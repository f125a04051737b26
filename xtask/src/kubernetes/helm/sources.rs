//! Where charts come from, and what reads them without installing.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    super::charts::{Repository, VERSIONS, ran},
    stage::{RELEASES, Stage},
};
use crate::registry::Registry;

/// Each once, and the release of each is gone afterwards.
pub(super) fn each(stage: &Stage<'_>, repository: &Repository, registry: &Registry) -> Result<()> {
    let mut push = Command::new(&stage.helm);
    push.arg("push").arg(repository.archive(VERSIONS[0])).arg(format!("oci://{}/charts", registry.address));
    ran(push.arg("--plain-http"))?;
    let archive = STANDARD.encode(fs::read(repository.archive(VERSIONS[1]))?);
    let sources: [(&str, Value); 4] = [
        ("by-name", json!({"chart_name": "web", "repo_name": "stories", "chart_version": "<1.1"})),
        ("by-registry", json!({"chart_name": format!("oci://{}/charts/web", registry.address)})),
        ("by-archive", json!({"chart_name": format!("{}/web-{}.tgz", repository.url, VERSIONS[0])})),
        ("by-bytes", json!({"chart_archive": archive})),
    ];
    for (name, source) in &sources {
        let mut inputs = source.clone();
        inputs["name"] = json!(name);
        inputs["namespace"] = json!(RELEASES);
        let rendered = stage.done("helm.template", &inputs)?;
        ensure!(rendered.as_str().is_some_and(|text| text.contains(&format!("name: \"{name}-map\""))), "{rendered}");
        let installed = stage.done("helm.install", &inputs)?;
        ensure!(installed["status"] == "deployed", "{name}: {installed}");
    }
    let listed = stage.done("helm.list", &json!({"namespace": RELEASES}))?;
    let names: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|it| it["name"].as_str()).collect();
    ensure!(names == ["by-archive", "by-bytes", "by-name", "by-registry"], "{listed}");
    let charts: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|it| it["chart"].as_str()).collect();
    ensure!(charts == ["web-1.0.0", "web-1.1.0", "web-1.0.0", "web-1.0.0"], "{listed}");
    for (name, _) in &sources {
        let release = json!({"name": name, "namespace": RELEASES});
        let status = stage.done("helm.status", &release)?;
        ensure!(status["status"] == "deployed", "{status}");
        stage.done("helm.uninstall", &release)?;
    }
    Ok(())
}
