//! Certificates that are replaced while the server runs.

use std::{net::SocketAddr, os::unix::fs::symlink, path::Path};

use claiflow_server::ports::{Files, Limits};
use rustls::{
    pki_types::{CertificateDer, pem::PemObject as _},
    version::TLS13,
};

use crate::{
    authority::{Authority, Leaf, files},
    client::{connect, get, over_http1, trusting},
    server::{Server, until},
};

/// Whether a new connection is shown this certificate.
async fn shows(authority: &Authority, leaf: &Leaf, address: SocketAddr) -> bool {
    let io = connect(trusting(authority, None, &TLS13, &[]), address).await.unwrap();
    let shown = io.get_ref().1.peer_certificates().unwrap()[0].clone();
    shown == CertificateDer::from_pem_slice(leaf.cert.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections_and_old_ones_go_on() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let (first, second) = (authority.sign(2090), authority.sign(2091));
    let files = authority.write(server.directory.path(), &first);
    let address = server.http(Some(files.clone()), Limits::default()).await;
    let open = connect(trusting(&authority, None, &TLS13, &[]), address).await.unwrap();
    assert!(shows(&authority, &first, address).await);
    // A renewal writes one file after the other.
    std::fs::write(&files.cert, &second.cert).unwrap();
    std::fs::write(&files.key, &second.key).unwrap();
    until(|| shows(&authority, &second, address)).await;
    assert_eq!(over_http1(open, get("/healthz")).await.unwrap().status, 200);
    assert!(server.counts(r#"claiflow_certificate_reloads_total{outcome="taken",port="http"} 1"#));
    assert!(server.counts(r#"claiflow_certificate_expiry_timestamp_seconds{port="http"} 3849897600"#));
}

#[tokio::test]
async fn files_that_cannot_be_served_change_nothing() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let (first, other, old) = (authority.sign(2090), authority.sign(2090), authority.sign(2021));
    let files = authority.write(server.directory.path(), &first);
    let address = server.http(Some(files.clone()), Limits::default()).await;
    let mut refused = 0;
    for (cert, key) in [(&*other.cert, &*first.key), (&old.cert, &old.key), ("", ""), ("hello", &first.key)] {
        std::fs::write(&files.cert, cert).unwrap();
        std::fs::write(&files.key, key).unwrap();
        refused += 1;
        let line = format!(r#"claiflow_certificate_reloads_total{{outcome="refused",port="http"}} {refused}"#);
        until(async || server.counts(&line)).await;
        assert!(shows(&authority, &first, address).await);
    }
    std::fs::remove_file(&files.key).unwrap();
    until(async || server.counts(r#"claiflow_certificate_reloads_total{outcome="refused",port="http"} 5"#)).await;
    assert!(shows(&authority, &first, address).await);
    authority.write(server.directory.path(), &other);
    until(|| shows(&authority, &other, address)).await;
}

/// What a kubelet does with a mounted Secret: the files are links into `..data`, and that is a link to a directory of this
/// version, which is replaced by another at once.
fn mount(directory: &Path, version: &str, authority: &Authority, leaf: &Leaf) -> Files {
    let folder = directory.join(version);
    std::fs::create_dir(&folder).unwrap();
    authority.write(&folder, leaf);
    symlink(version, directory.join("..data_tmp")).unwrap();
    std::fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    files(directory)
}

#[tokio::test]
async fn the_swap_of_a_mounted_secret_is_noticed() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let (first, second) = (authority.sign(2090), authority.sign(2090));
    let directory = server.directory.path();
    let files = mount(directory, "..2026_01_01", &authority, &first);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), directory.join(name)).unwrap();
    }
    let address = server.http(Some(files), Limits::default()).await;
    assert!(shows(&authority, &first, address).await);
    mount(directory, "..2026_02_01", &authority, &second);
    std::fs::remove_dir_all(directory.join("..2026_01_01")).unwrap();
    until(|| shows(&authority, &second, address)).await;
}
