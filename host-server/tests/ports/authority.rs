//! An authority that signs certificates, made for one test.

use std::path::{Path, PathBuf};

use claiflow_server::ports::{ClientAuth, Files};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Leaf {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For this machine, until the end of a year.
    pub(crate) fn sign(&self, last_year: i32) -> Leaf {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().unwrap();
        Leaf { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// Writes a certificate and its authority into a directory.
    pub(crate) fn write(&self, directory: &Path, leaf: &Leaf) -> Files {
        let files = files(directory);
        std::fs::write(&files.cert, &leaf.cert).unwrap();
        std::fs::write(&files.key, &leaf.key).unwrap();
        std::fs::write(directory.join("ca.crt"), &self.pem).unwrap();
        files
    }
}

/// Where [`Authority::write`] writes.
pub(crate) fn files(directory: &Path) -> Files {
    let file = |name: &str| -> PathBuf { directory.join(name) };
    Files { cert: file("tls.crt"), key: file("tls.key"), client_ca: None, client_auth: ClientAuth::None }
}

/// The same with clients that show certificates of the authority beside.
pub(crate) fn mutual(directory: &Path, client_auth: ClientAuth) -> Files {
    Files { client_ca: Some(directory.join("ca.crt")), client_auth, ..files(directory) }
}
