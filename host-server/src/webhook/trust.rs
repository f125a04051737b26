//! By whom a receiver's certificate may be signed: the system's authorities, and those of `webhook.caFile`.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

const BUNDLE_MAX_BYTES: u64 = 1 << 20;

/// Reads them, once.
///
/// # Errors
/// A sentence, where the file cannot be used. A system without authorities is no error: nobody is trusted then.
pub(super) async fn trust(file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let read = read.map_err(|error| format!("the system's authorities were not read: {error}"))?;
    roots.add_parsable_certificates(read.certs);
    if let Some(file) = file {
        let unread = |why: String| format!("webhook.caFile: {} cannot be used: {why}", file.display());
        let about = tokio::fs::metadata(file).await.map_err(|error| unread(error.to_string()))?;
        if !about.is_file() || about.len() > BUNDLE_MAX_BYTES {
            return Err(unread(format!("it is no file of at most {BUNDLE_MAX_BYTES} bytes")));
        }
        let text = tokio::fs::read(file).await.map_err(|error| unread(error.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| unread(format!("it is no PEM text: {error}")))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(unread("it holds no certificate that can sign".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be spoken: {error}"))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
