//! A private OCI registry on loopback: Debian's `docker-registry`.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use crate::process::{Process, free_port, until};

/// Stopped when dropped.
pub(crate) struct Registry {
    /// Host and port.
    pub(crate) address: String,
    _process: Process,
}

impl Registry {
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let address = format!("127.0.0.1:{}", free_port(0)?);
        let blobs = directory.join("blobs");
        let config = serde_json::json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": blobs}},
            "http": {"addr": address},
        });
        // JSON is YAML.
        let file = directory.join("registry.yaml");
        fs::write(&file, config.to_string())?;
        let mut command = Command::new("docker-registry");
        let process = Process::start("registry", command.arg("serve").arg(&file), directory)
            .context("a registry is missing: apt-get install docker-registry skopeo")?;
        let url = format!("http://{address}/v2/");
        until("the registry starts", Duration::from_secs(30), || Ok(ureq::get(&url).call().map(drop)?))?;
        Ok(Self { address, _process: process })
    }
}

/// Copies an archive of `build-plugin --oci` into a repository, as an operator does.
pub(crate) fn push(archive: &Path, registry: &Registry, repository: &str) -> Result<()> {
    let mut skopeo = Command::new("skopeo");
    skopeo
        .args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false"])
        .arg(format!("oci-archive:{}", archive.display()))
        .arg(format!("docker://{}/{repository}", registry.address));
    crate::process::shown(&mut skopeo)
}
