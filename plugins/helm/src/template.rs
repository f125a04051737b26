//! `helm.template`.

use claiflow_sdk::{Error, command};

use crate::{chart::charted, failure::About, former::Former, helm};

charted! {
    /// What to render.
    Template {}
}

/// The manifests that a chart would become, as YAML. Nothing is asked of the cluster.
#[command("helm.template", effect = "read")]
pub fn template(inputs: Former<Template>) -> Result<String, Error> {
    let inputs = inputs.known();
    let charted = inputs.charted();
    let about = About::release(charted.name, charted.namespace);
    let output = helm::run("helm.template", &charted.args(), &charted.stdin(), &about)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
