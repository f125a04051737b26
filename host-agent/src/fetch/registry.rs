//! Registries of OCI artifacts (the OCI distribution specification), read only, by digest only.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use futures_util::TryStreamExt as _;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    manifest::{OciDescriptor, OciManifest},
    secrets::RegistryAuth,
};
use serde::Deserialize;

use super::FILE_MAX_BYTES;

/// The layer that holds a component, as the CNCF's wasm working group writes it.
const WASM: &str = "application/wasm";
/// Everything of one pull.
const PULL_MAX: Duration = Duration::from_secs(120);
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The registries of this agent, and what it says to be let in.
pub struct Registries {
    client: Client,
    /// By the registry's host and port.
    credentials: BTreeMap<String, RegistryAuth>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RegistryError(String);

/// The part of a Docker configuration file that says who may pull.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: String,
}

impl Registries {
    /// `plain` names registries (host:port) that are spoken to without TLS; `credentials` is a file like Docker's `config.json`,
    /// such as a mounted Secret of the type `kubernetes.io/dockerconfigjson`.
    ///
    /// # Errors
    /// [`RegistryError`] that says what is wrong with that file; never what is in it.
    pub fn open(plain: &[String], credentials: Option<&Path>) -> Result<Self, RegistryError> {
        // Where one is set already it is the same: nothing else is compiled in.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain.to_vec()),
            connect_timeout: Some(CONNECT_MAX),
            read_timeout: Some(CONNECT_MAX),
            ..ClientConfig::default()
        });
        let credentials = credentials.map_or_else(|| Ok(BTreeMap::new()), read_credentials)?;
        Ok(Self { client, credentials })
    }

    /// The component of an artifact.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub(super) async fn pull(&self, reference: &str) -> Result<Vec<u8>, String> {
        let reference = pinned(reference)?;
        let pull = async {
            let anonymous = RegistryAuth::Anonymous;
            let auth = self.credentials.get(reference.registry()).unwrap_or(&anonymous);
            let said = |error: oci_client::errors::OciDistributionError| format!("the registry answered: {error}");
            // Checked against the digest of the reference by the client.
            let (manifest, _) = self.client.pull_manifest(&reference, auth).await.map_err(said)?;
            let layer = component_of(&manifest)?;
            let stream = self.client.pull_blob_stream(&reference, layer).await.map_err(said)?;
            let broken = |error: std::io::Error| format!("the registry's answer broke off: {error}");
            let mut stream = stream.stream;
            let mut bytes = Vec::new();
            while let Some(piece) = stream.try_next().await.map_err(broken)? {
                if bytes.len() + piece.len() > FILE_MAX_BYTES {
                    return Err(format!("the component has more than {FILE_MAX_BYTES} bytes"));
                }
                bytes.extend_from_slice(&piece);
            }
            let digest = super::parts::sha256(&bytes);
            if layer.digest != format!("sha256:{digest}") {
                return Err(format!("the registry sent bytes of the digest sha256:{digest} for {}", layer.digest));
            }
            Ok(bytes)
        };
        let slow = |_| Err(format!("the registry did not send it within {} s", PULL_MAX.as_secs()));
        tokio::time::timeout(PULL_MAX, pull).await.unwrap_or_else(slow)
    }
}

/// A reference that can only ever mean one artifact.
fn pinned(text: &str) -> Result<Reference, String> {
    let wanted = "expected `registry/repository@sha256:…`";
    let reference: Reference =
        text.parse().map_err(|error| format!("`{text}` names no artifact ({error}): {wanted}"))?;
    match reference.digest() {
        Some(digest) if digest.starts_with("sha256:") => Ok(reference),
        _ => Err(format!("`{text}` has no digest, and what a tag means may change: {wanted}")),
    }
}

fn component_of(manifest: &OciManifest) -> Result<&OciDescriptor, String> {
    let OciManifest::Image(manifest) = manifest else {
        return Err("the reference is an index of several artifacts; name one of them".into());
    };
    let found: Vec<_> = manifest.layers.iter().filter(|layer| layer.media_type == WASM).collect();
    let [layer] = found.as_slice() else {
        let count = found.len();
        return Err(format!("the artifact has {count} layers of the type `{WASM}`; a plugin is one"));
    };
    if usize::try_from(layer.size).is_ok_and(|size| size <= FILE_MAX_BYTES) {
        Ok(layer)
    } else {
        Err(format!("the component has {} bytes; at most {FILE_MAX_BYTES} are read", layer.size))
    }
}

fn read_credentials(path: &Path) -> Result<BTreeMap<String, RegistryAuth>, RegistryError> {
    let failed = |what: &str| RegistryError(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(&format!("it cannot be read: {error}")))?;
    // What serde says of a bad file may quote it.
    let wanted =
        "expected JSON like `{\"auths\": {\"registry.example.com\": {\"auth\": \"<base64 of user:password>\"}}}`";
    let config: DockerConfig = serde_json::from_str(&text).map_err(|_| failed(wanted))?;
    let entry = |(registry, entry): (String, DockerAuth)| {
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, entry.auth).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (user, password) =
            decoded.as_deref().and_then(|text| text.split_once(':')).ok_or_else(|| failed(wanted))?;
        let host = registry.trim_start_matches("https://").trim_end_matches('/');
        Ok((host.to_owned(), RegistryAuth::Basic(user.to_owned(), password.to_owned())))
    };
    config.auths.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::{pinned, read_credentials};

    #[test]
    fn only_a_digest_names_an_artifact() {
        let digest = "a".repeat(64);
        let named = pinned(&format!("registry.example.com/tools/restart@sha256:{digest}")).unwrap();
        assert_eq!((named.registry(), named.repository()), ("registry.example.com", "tools/restart"));
        for (text, said) in [
            ("registry.example.com/tools/restart:1.2", "no digest"),
            ("registry.example.com/tools/restart", "no digest"),
            ("", "names no artifact"),
            ("registry.example.com/Tools@sha256:1", "names no artifact"),
        ] {
            let error = pinned(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn credentials_are_read_and_a_bad_file_is_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        std::fs::write(&file, r#"{"auths": {"https://registry.example.com/": {"auth": "bWU6czNjcmV0"}}}"#).unwrap();
        assert_eq!(read_credentials(&file).unwrap().keys().collect::<Vec<_>>(), ["registry.example.com"]);
        for text in [r#"{"auths": {"registry": {"auth": "s3cret"}}}"#, r#"{"auths": "s3cret"}"#, "s3cret"] {
            std::fs::write(&file, text).unwrap();
            let error = read_credentials(&file).unwrap_err().to_string();
            assert!(error.contains("auths") && !error.contains("s3cret"), "{error}");
        }
    }
}
