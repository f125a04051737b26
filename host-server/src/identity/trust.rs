//! By whom the issuer's certificate may be signed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

const BUNDLE_MAX_BYTES: u64 = 1 << 20;

/// The system's authorities, and those of a PEM file. Read anew each time: bundles are rotated.
///
/// # Errors
/// A sentence for a file that cannot be used, and where nobody is trusted.
pub(super) async fn config(ca_file: Option<PathBuf>) -> Result<Arc<ClientConfig>, String> {
    let read = tokio::task::spawn_blocking(move || {
        let own = ca_file.as_deref().map(of_file).transpose()?;
        Ok::<_, String>((rustls_native_certs::load_native_certs(), own.unwrap_or_default()))
    });
    let (system, own) = read.await.map_err(|error| format!("certificates were not read: {error}"))??;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(own);
    if roots.is_empty() {
        let why = system.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!("the system trusts no certificate authority{why}; name one in `auth.oidc.caFile`"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be spoken: {error}"))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unread = |why: String| format!("`auth.oidc.caFile`: {} cannot be used: {why}", path.display());
    let about = std::fs::metadata(path).map_err(|error| unread(error.to_string()))?;
    if !about.is_file() || about.len() > BUNDLE_MAX_BYTES {
        return Err(unread(format!("it is no file of at most {BUNDLE_MAX_BYTES} bytes")));
    }
    let text = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| unread(format!("it is no PEM text: {error}")))?;
    if certificates.is_empty() { Err(unread("it holds no certificate".into())) } else { Ok(certificates) }
}
