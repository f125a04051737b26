//! Calls a port of the same kind on another replica, in TLS where this replica's speaks it.

use std::{io, path::PathBuf, sync::Arc};

use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::ServerName,
        sign::SingleCertAndKey,
        version::{TLS12, TLS13},
    },
};

use super::{
    Error, Files,
    certificate::{certified, read, roots},
};

/// See the module. The files are read for each call: calls are rare, and files are replaced.
#[derive(Clone, Debug, Default)]
pub struct Dialer(Option<Arc<Trust>>);

#[derive(Debug)]
struct Trust {
    /// By whom the others' certificates are signed; none: by whom the system trusts.
    ca: Option<PathBuf>,
    /// The name in the others' certificates; none: the host that is called.
    name: Option<ServerName<'static>>,
    /// What this replica shows where clients are asked for a certificate.
    own: Files,
}

impl Dialer {
    /// In TLS. `own` are the files of this replica's port. They and `ca` are read once, so that mistakes are told at the start.
    ///
    /// # Errors
    /// [`Error`] with the file and what is wrong with it.
    pub fn tls(ca: Option<PathBuf>, name: Option<ServerName<'static>>, own: Files) -> Result<Self, Error> {
        let trust = Trust { ca, name, own };
        trust.config()?;
        Ok(Self(Some(Arc::new(trust))))
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.is_some()
    }

    /// Calls `host:port` in TLS.
    ///
    /// # Errors
    /// Of the network, of the handshake, or with the file that cannot be used.
    pub(crate) async fn call(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let Some(trust) = self.0.clone() else { return Err(io::Error::other("this port speaks no TLS")) };
        let name = match &trust.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let config =
            spawn_blocking(move || trust.config()).await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }
}

impl Trust {
    fn config(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let trusted = match &self.ca {
            Some(file) => roots(file, &read(file)?)?,
            None => of_the_system(),
        };
        let own = &self.own;
        let (key, _) = certified(&own.cert, &read(&own.cert)?, &own.key, &read(&own.key)?, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| Error::new(&own.cert, error.to_string()))?;
        // Shown only where it is asked for.
        let mut config =
            builder.with_root_certificates(trusted).with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// A system without authorities trusts nobody; the handshake tells so.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
