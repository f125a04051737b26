//! By whom a server's certificate may be signed, as TLS wants it.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::sync::OnceCell;

use super::failure::Failure;
use crate::grants::Trust;

/// The cluster's own authority, where an account is mounted.
const CLUSTER_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
const BUNDLE_MAX_BYTES: u64 = 1 << 20;

/// The system's roots once they are read; bundles of files are read anew, since they are rotated.
#[derive(Debug, Default)]
pub(super) struct Trusts {
    public: OnceCell<Arc<ClientConfig>>,
}

impl Trusts {
    /// # Errors
    /// `unavailable` where the bundle cannot be read or holds no certificate.
    pub(super) async fn config(&self, trust: &Trust) -> Result<Arc<ClientConfig>, Failure> {
        match trust {
            Trust::Public => self.public.get_or_try_init(system).await.cloned(),
            Trust::Cluster => of_file(CLUSTER_CA).await,
            Trust::File(path) => of_file(path).await,
            Trust::Pem(text) => of_pem(text.as_bytes(), "the CA in the grants file"),
        }
    }
}

async fn system() -> Result<Arc<ClientConfig>, Failure> {
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let read = read.map_err(|error| Failure::new("failed", format!("the system's CAs were not read: {error}")))?;
    let why = read.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
    with(read.certs, &format!("the agent's system trusts no CA{why}; name one in `ca`"))
}

async fn of_file(path: &str) -> Result<Arc<ClientConfig>, Failure> {
    let unread = |why: String| Failure::new("unavailable", format!("the CA {path} cannot be used: {why}"));
    let about = tokio::fs::metadata(path).await.map_err(|error| unread(error.to_string()))?;
    if !about.is_file() || about.len() > BUNDLE_MAX_BYTES {
        return Err(unread(format!("it is no file of at most {BUNDLE_MAX_BYTES} bytes")));
    }
    let text = tokio::fs::read(path).await.map_err(|error| unread(error.to_string()))?;
    of_pem(&text, &format!("the CA {path}"))
}

fn of_pem(text: &[u8], what: &str) -> Result<Arc<ClientConfig>, Failure> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates =
        certificates.map_err(|error| Failure::new("unavailable", format!("{what} is no PEM text: {error}")))?;
    with(certificates, &format!("{what} holds no certificate that can sign"))
}

fn with(certificates: Vec<CertificateDer<'static>>, none: &str) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Failure::new("unavailable", none));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Failure::new("failed", format!("TLS cannot be spoken: {error}")))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
