//! The Helm program: where `HELM_BIN` says, or built once from its Go module into a cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

const MODULE: &str = "helm.sh/helm/v4/cmd/helm";
const VERSION: &str = "v4.3.1";

/// Its file.
///
/// # Errors
/// What is missing to build it.
pub(crate) fn ready() -> Result<PathBuf> {
    if let Some(given) = env::var_os("HELM_BIN") {
        let given = PathBuf::from(given);
        ensure!(given.is_file(), "HELM_BIN: {} is no file", given.display());
        return Ok(given);
    }
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME says where a cache may be")?;
    let cache = base.join("claiflow").join(format!("helm-{VERSION}"));
    let program = cache.join("helm");
    if !program.is_file() {
        fs::create_dir_all(&cache)?;
        eprintln!("→ building helm {VERSION} into {}, once", cache.display());
        build(&cache)?;
    }
    Ok(program)
}

fn build(cache: &Path) -> Result<()> {
    // Whole or not at all: a build that is stopped leaves no program.
    let part = cache.join("part");
    let mut go = Command::new("go");
    go.env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOBIN", &part).current_dir(cache);
    go.args(["install", "-trimpath", "-ldflags", "-s -w", &format!("{MODULE}@{VERSION}")]);
    let advice = "install Go 1.26 or later (https://go.dev/dl), or let HELM_BIN name the Helm program";
    let status = go.status().with_context(|| format!("go is missing: {advice}"))?;
    ensure!(status.success(), "helm could not be built; what go says of it stands above; {advice}");
    fs::rename(part.join("helm"), cache.join("helm"))?;
    Ok(fs::remove_dir_all(part)?)
}
