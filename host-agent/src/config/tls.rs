//! How the server is known, and what is shown to it.

use std::path::PathBuf;

use clap::Args;

use crate::link::Trust;

/// TLS to the server. It is spoken where --server begins with https://, or where one of these is given.
#[derive(Args, Clone, Debug, Default)]
pub struct Tls {
    /// PEM file: the authorities that sign the server's certificate. Those that the system trusts when absent.
    #[arg(long, env = "CLAIFLOW_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// PEM file: this agent's certificate, for a server that asks for one. Read anew for each connection, like the others.
    #[arg(long, env = "CLAIFLOW_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file: the private key of --tls-cert, not encrypted.
    #[arg(long, env = "CLAIFLOW_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host of --server.
    #[arg(long, env = "CLAIFLOW_TLS_SERVER_NAME", value_name = "NAME")]
    pub tls_server_name: Option<String>,
}

impl From<Tls> for Trust {
    fn from(tls: Tls) -> Self {
        Self { ca: tls.tls_ca, own: tls.tls_cert.zip(tls.tls_key), name: tls.tls_server_name }
    }
}
