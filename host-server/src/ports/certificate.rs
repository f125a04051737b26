//! A port's certificate, from files to what rustls serves. Each mistake is told with its file and with what would be right.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, SecondsFormat};
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use super::validity::Validity;

/// A file of certificates or keys at most.
const FILE_BYTES: u64 = 1 << 20;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", file.display())]
pub struct Error {
    file: PathBuf,
    what: String,
}

impl Error {
    pub(super) fn new(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// Whether clients show a certificate of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// It is not asked for.
    None,
    /// One that is shown is judged; none will do.
    Optional,
    /// Nobody is let in without one.
    Required,
}

/// Where a port's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// PEM: the certificate, and behind it those of the authorities between it and the root.
    pub cert: PathBuf,
    /// PEM: its private key, not encrypted.
    pub key: PathBuf,
    /// PEM: the authorities that sign clients' certificates.
    pub client_ca: Option<PathBuf>,
    /// What clients must show.
    pub client_auth: ClientAuth,
}

/// The files' contents at one moment.
pub(super) struct Texts {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What a port serves.
pub(super) struct Served {
    pub(super) config: Arc<ServerConfig>,
    pub(super) validity: Validity,
}

impl Files {
    /// Reads all of them; blocks.
    pub(super) fn read(&self) -> Result<Texts, Error> {
        let client_ca = self.client_ca.as_deref().filter(|_| self.client_auth != ClientAuth::None);
        Ok(Texts { cert: read(&self.cert)?, key: read(&self.key)?, client_ca: client_ca.map(read).transpose()? })
    }

    /// Makes of their contents what can be served at `now_s`, seconds since 1970.
    pub(super) fn serve(&self, texts: &Texts, now_s: i64) -> Result<Served, Error> {
        let provider = Arc::new(ring::default_provider());
        let (key, validity) = certified(&self.cert, &texts.cert, &self.key, &texts.key, &provider)?;
        if validity.until_s < now_s {
            return Err(Error::new(
                &self.cert,
                format!("the certificate expired at {}; renew it", shown(validity.until_s)),
            ));
        }
        let wrong = |error: rustls::Error| Error::new(&self.cert, error.to_string());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(wrong)?;
        let builder = match (&self.client_ca, &texts.client_ca) {
            (Some(file), Some(text)) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(file, text)?), provider);
                let verifier = match self.client_auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional | ClientAuth::None => verifier.allow_unauthenticated(),
                };
                builder
                    .with_client_cert_verifier(verifier.build().map_err(|error| Error::new(file, error.to_string()))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Served { config: Arc::new(config), validity })
    }
}

impl Texts {
    /// Tells contents apart without keeping them.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// A certificate with its key, and for how long it is valid.
pub(super) fn certified(
    cert_file: &Path,
    cert: &[u8],
    key_file: &Path,
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Validity), Error> {
    let chain = certificates(cert_file, cert)?;
    let validity = chain.first().and_then(|certificate| Validity::of(certificate));
    let validity = validity.ok_or_else(|| Error::new(cert_file, "its first certificate is no X.509 certificate"))?;
    let key = private_key(key_file, key)?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Error::new(key_file, format!("the key does not fit the certificate {}", cert_file.display()))
        }
        rustls::Error::InvalidCertificate(error) => {
            Error::new(cert_file, format!("the certificate cannot be used: {error}"))
        }
        error => Error::new(key_file, format!("the key cannot be used: {error}")),
    })?;
    Ok((certified, validity))
}

/// The authorities of a file.
pub(super) fn roots(file: &Path, text: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, text)? {
        roots.add(certificate).map_err(|error| Error::new(file, format!("it holds no usable authority: {error}")))?;
    }
    Ok(roots)
}

fn certificates(file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error| not_pem(file, &error))?;
    if all.is_empty() {
        let begins = "it holds no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----";
        return Err(Error::new(
            file,
            if text.is_empty() { "it is empty: expected a certificate in PEM" } else { begins },
        ));
    }
    Ok(all)
}

fn private_key(file: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if text.is_empty() => Error::new(file, "it is empty: expected a private key in PEM"),
        pem::Error::NoItemsFound if says(text, b"-----BEGIN ENCRYPTED") => {
            Error::new(file, "its key is encrypted, and nobody is there to type the password: store it without one")
        }
        pem::Error::NoItemsFound => {
            Error::new(file, "it holds no private key: expected PEM, which begins with -----BEGIN PRIVATE KEY-----")
        }
        error => not_pem(file, &error),
    })
}

/// Errors of the parser quote lines of the file, and a line of a key is a secret.
fn not_pem(file: &Path, error: &pem::Error) -> Error {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be read",
    };
    Error::new(file, format!("it is not PEM: {what}"))
}

fn says(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

/// A small file as a whole.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let unread = |error: std::io::Error| Error::new(file, format!("it cannot be read: {error}"));
    // A pipe would be waited for.
    if !std::fs::metadata(file).map_err(unread)?.is_file() {
        return Err(Error::new(file, "it is not a file"));
    }
    let mut text = Vec::new();
    std::fs::File::open(file).map_err(unread)?.take(FILE_BYTES + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(Error::new(file, format!("it is larger than {FILE_BYTES} bytes")));
    }
    Ok(text)
}

/// As RFC 3339.
pub(super) fn shown(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| seconds.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
