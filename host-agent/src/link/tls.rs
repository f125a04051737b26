//! TLS to the server. The files are read for each connection, so that what was rotated counts from the next one on; while new
//! files cannot be used, the last good ones are.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject as _},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Refused;

/// A file of certificates or keys at most.
const FILE_BYTES: u64 = 1 << 20;

/// How the server is known, and what is shown to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM: the authorities that sign the server's certificate; none: those that the system trusts.
    pub ca: Option<PathBuf>,
    /// PEM: this agent's certificate with those between it and the root, and its private key; none: none is shown.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name in the server's certificate; none: the host that is dialled.
    pub name: Option<String>,
}

impl Trust {
    /// Whether anything is said that concerns TLS.
    #[must_use]
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Tls(Arc<Inner>);

struct Inner {
    trust: Trust,
    name: Option<ServerName<'static>>,
    last: Mutex<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the files, so that mistakes are told at the start.
    pub(super) fn open(trust: Trust) -> Result<Self, Refused> {
        let name = trust.name.clone().map(ServerName::try_from).transpose();
        let name = name.map_err(|_| Refused("--tls-server-name: not a DNS name or an IP address".into()))?;
        let config = trust.config().map_err(|error| Refused(error.to_string()))?;
        Ok(Self(Arc::new(Inner { trust, name, last: Mutex::new(Arc::new(config)) })))
    }

    /// Connects to `host:port`.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.0.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        TlsConnector::from(self.config().await).connect(name, socket).await
    }

    async fn config(&self) -> Arc<ClientConfig> {
        let trust = self.0.trust.clone();
        let read = spawn_blocking(move || trust.config()).await;
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(Ok(config)) => *last = Arc::new(config),
            Ok(Err(error)) => tracing::warn!(%error, "a TLS file cannot be used; what it held before is"),
            Err(error) => tracing::error!(%error, "the TLS files were not read"),
        }
        Arc::clone(&last)
    }
}

/// A flag's file, and what is wrong with it.
#[derive(Debug)]
struct Wrong {
    flag: &'static str,
    file: PathBuf,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "--{}: {}: {}", self.flag, self.file.display(), self.what)
    }
}

impl Trust {
    fn config(&self) -> Result<ClientConfig, Wrong> {
        let roots = match &self.ca {
            Some(file) => authorities(file)?,
            None => of_the_system(),
        };
        let provider = Arc::new(ring::default_provider());
        let key = match &self.own {
            None => None,
            Some((cert, key)) => Some(certified(cert, key)?),
        };
        // ring's provider speaks both.
        let unspoken = |error: rustls::Error| Wrong { flag: "tls-ca", file: PathBuf::new(), what: error.to_string() };
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13, &TLS12]);
        let builder = builder.map_err(unspoken)?.with_root_certificates(roots);
        let mut config = match key {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, Wrong> {
    let wrong = |what: String| Wrong { flag: "tls-ca", file: file.to_owned(), what };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls-ca", file)? {
        roots.add(certificate).map_err(|error| wrong(format!("it holds no usable authority: {error}")))?;
    }
    Ok(roots)
}

/// A system without authorities trusts nobody; the handshake tells so.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certified(cert: &Path, key: &Path) -> Result<CertifiedKey, Wrong> {
    let wrong = |what: String| Wrong { flag: "tls-key", file: key.to_owned(), what };
    let chain = certificates("tls-cert", cert)?;
    let text = read("tls-key", key)?;
    let secret = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| wrong("it holds no private key that can be read: expected PEM, not encrypted".into()))?;
    CertifiedKey::from_der(chain, secret, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(format!("the key does not fit the certificate {}", cert.display())),
        error => wrong(format!("the key and {} cannot be used: {error}", cert.display())),
    })
}

fn certificates(flag: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let none = || Wrong { flag, file: file.to_owned(), what: "it holds no certificate: expected PEM".into() };
    let text = read(flag, file)?;
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(none)
}

fn read(flag: &'static str, file: &Path) -> Result<Vec<u8>, Wrong> {
    let wrong = |what: String| Wrong { flag, file: file.to_owned(), what };
    let unread = |error: io::Error| wrong(format!("it cannot be read: {error}"));
    let about = fs::metadata(file).map_err(unread)?;
    // A pipe would be waited for.
    if !about.is_file() || about.len() > FILE_BYTES {
        return Err(wrong(format!("it is no file of at most {FILE_BYTES} bytes")));
    }
    fs::read(file).map_err(unread)
}
