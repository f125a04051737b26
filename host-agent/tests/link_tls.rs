//! How an agent knows its server, and what it shows to it: real certificates, a real handshake, a scripted server behind it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod link_parts;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use claiflow_agent::link::{Grpc, Poll, Refused, Server, Transport, Trust};
use link_parts::listen;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server of this name that lets in whom this authority knows.
    fn served_as(&self, name: &str) -> Arc<ServerConfig> {
        let (cert, key) = self.sign(name);
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let cert = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = builder.with_client_cert_verifier(clients).with_single_cert(cert, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Writes the authority and a certificate for an agent.
    fn write(&self, directory: &Path) -> Trust {
        let (cert, key) = self.sign("agent");
        let file = |name: &str, text: &str| -> PathBuf {
            fs::write(directory.join(name), text).unwrap();
            directory.join(name)
        };
        Trust {
            ca: Some(file("ca.crt", &self.pem)),
            own: Some((file("tls.crt", &cert), file("tls.key", &key))),
            name: None,
        }
    }
}

type Served = Arc<Mutex<Arc<ServerConfig>>>;

/// Ends TLS before a server that speaks none.
async fn before(plain: SocketAddr, served: Served) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::clone(&served.lock().unwrap()));
            tokio::spawn(async move {
                let (Ok(mut tls), Ok(mut behind)) = (acceptor.accept(socket).await, TcpStream::connect(plain).await)
                else {
                    return;
                };
                // Either side may end it.
                let _ = copy_bidirectional(&mut tls, &mut behind).await;
            });
        }
    });
    address
}

fn server(address: impl ToString, trust: Trust) -> Result<Server, String> {
    Server::with_trust(address.to_string(), "0".repeat(32), "token".into(), trust).map_err(|Refused(said)| said)
}

/// Why an agent does not get in; nothing where it does.
async fn kept_out(transport: &dyn Transport) -> Option<String> {
    let (_messages, outgoing) = mpsc::channel(1);
    transport.open(outgoing).await.err().map(|broken| format!("{broken:?}"))
}

#[tokio::test]
async fn streams_and_requests_go_over_tls_with_the_newest_files_that_are_good() {
    let (plain, _opened) = listen().await;
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    let served: Served = Arc::new(Mutex::new(first.served_as("localhost")));
    let address = before(plain, served.clone()).await;
    let server = server(format!("https://localhost:{}", address.port()), first.write(directory.path())).unwrap();
    let transports: [Box<dyn Transport>; 2] = [Box::new(Grpc::new(server.clone())), Box::new(Poll::new(server))];
    for transport in &transports {
        assert_eq!(kept_out(&**transport).await, None);
    }
    *served.lock().unwrap() = second.served_as("localhost");
    for transport in &transports {
        let said = kept_out(&**transport).await.expect("the server is another one");
        assert!(said.contains("invalid peer certificate") && said.contains("--tls-ca"), "{said}");
    }
    second.write(directory.path());
    for transport in &transports {
        assert_eq!(kept_out(&**transport).await, None);
    }
    fs::write(directory.path().join("tls.crt"), "half a file").unwrap();
    fs::remove_file(directory.path().join("ca.crt")).unwrap();
    for transport in &transports {
        assert_eq!(kept_out(&**transport).await, None);
    }
}

#[tokio::test]
async fn who_is_not_the_server_or_asks_for_more_is_told_apart() {
    let (plain, _opened) = listen().await;
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let trust = authority.write(directory.path());
    let address = before(plain, Arc::new(Mutex::new(authority.served_as("claiflow.test")))).await;
    let (name, plain) = (format!("localhost:{}", address.port()), format!("https://localhost:{}", plain.port()));
    let named = |trust: &Trust| Trust { name: Some("claiflow.test".into()), ..trust.clone() };
    let nothing_shown = Trust { own: None, ..named(&trust) };
    for (name, trust, says) in [
        (&name, named(&trust), None),
        (&name, trust.clone(), Some("--tls-server-name")),
        (&name, nothing_shown, Some("CertificateRequired")),
        (&plain, trust, Some("does not speak TLS")),
    ] {
        let said = kept_out(&Grpc::new(server(name, trust).unwrap())).await;
        match (says, &said) {
            (None, None) => {}
            (Some(says), Some(said)) => assert!(said.contains(says) && !said.contains("\"token\""), "{said}"),
            _ => panic!("{says:?}: {said:?}"),
        }
    }
}

#[test]
fn a_mistake_in_flags_and_files_is_told_with_the_flag() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let trust = authority.write(directory.path());
    let (_, other_key) = authority.sign("other");
    let file = |name: &str, text: &str| -> PathBuf {
        fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name)
    };
    let (cert, key) = trust.own.clone().unwrap();
    let ca = |file| Trust { ca: Some(file), ..Trust::default() };
    let own = |cert: &Path, key: &Path| Trust { own: Some((cert.into(), key.into())), ..Trust::default() };
    for (name, trust, says) in [
        ("http://a:1", trust.clone(), &["--server", "https://"][..]),
        ("ftp://a:1", Trust::default(), &["--server", "http"]),
        ("a b", Trust::default(), &["--server", "host:port"]),
        ("https://a b", Trust::default(), &["--server", "host:port"]),
        ("a:1", ca(directory.path().join("none")), &["--tls-ca", "none", "No such file"]),
        ("a:1", ca(file("empty", "")), &["--tls-ca", "empty", "no certificate"]),
        ("a:1", ca(directory.path().into()), &["--tls-ca", "no file"]),
        ("a:1", own(&key, &key), &["--tls-cert", "tls.key", "no certificate"]),
        ("a:1", own(&cert, &cert), &["--tls-key", "tls.crt", "no private key"]),
        ("a:1", own(&cert, &file("other.key", &other_key)), &["--tls-key", "other.key", "does not fit"]),
        ("a:1", Trust { name: Some("a b".into()), ..Trust::default() }, &["--tls-server-name"]),
    ] {
        let Err(said) = server(name, trust) else { panic!("{name}: it is taken") };
        assert!(says.iter().all(|part| said.contains(part)), "{name}: {said}");
    }
    for (name, is_in_the_clear) in [
        ("localhost:18099", false),
        ("127.0.0.1:18099", false),
        ("[::1]:18099", false),
        ("http://localhost:18099", false),
        ("https://claiflow.test", false),
        ("claiflow.test:18099", true),
        ("http://10.0.0.1:18099", true),
    ] {
        assert_eq!(server(name, Trust::default()).unwrap().is_in_the_clear(), is_in_the_clear, "{name}");
    }
    assert!(!server("claiflow.test:18099", trust).unwrap().is_in_the_clear());
}
