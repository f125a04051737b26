//! `openapi`: the committed OpenAPI document, made from the server.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{process::shown, root, target};

pub(crate) fn write() -> Result<()> {
    shown(crate::process::cargo().current_dir(root()).args(["build", "--workspace"]))?;
    let program = target().join("debug/claiflow-server");
    let output = Command::new(&program)
        .arg("openapi")
        .output()
        .with_context(|| format!("{} could not be started", program.display()))?;
    if !output.status.success() {
        bail!("{} openapi: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    let file = root().join("host-server/openapi.json");
    std::fs::write(&file, output.stdout)?;
    println!("{}", file.display());
    Ok(())
}
