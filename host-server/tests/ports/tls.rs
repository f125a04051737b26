//! Who is let in, and what a server says that cannot begin.

use claiflow_server::{
    model::ids::Source,
    ports::{ClientAuth, Files, Limits, Port},
};
use rustls::version::{TLS12, TLS13};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::{
    authority::{Authority, Leaf, files, mutual},
    client::{connect, get, over_http1, over_http2, trusting},
    server::{Server, until},
};

#[tokio::test]
async fn https_is_served_in_both_versions_of_http_and_of_tls() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let files = authority.write(server.directory.path(), &authority.sign(2090));
    let address = server.http(Some(files), Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        for (offered, agreed) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
        {
            let io = connect(trusting(&authority, None, version, offered), address).await.unwrap();
            assert_eq!(io.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes), "{offered:?}");
            let answer = match agreed {
                Some("h2") => over_http2(io, get("https://localhost/healthz")).await,
                _ => over_http1(io, get("/healthz")).await,
            };
            let answer = answer.unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"status":"ok"}"#), "{offered:?}");
        }
    }
    assert!(connect(trusting(&Authority::new("other"), None, &TLS13, &[]), address).await.is_err());
    until(async || server.counts(r#"claiflow_connections_refused_total{port="http",reason="handshake"} 1"#)).await;
    assert!(server.counts(r#"claiflow_certificate_expiry_timestamp_seconds{port="http"} 3818361600"#));
}

#[tokio::test]
async fn http2_is_served_in_the_clear_to_those_who_know_it() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    let io = || TcpStream::connect(address);
    assert_eq!(over_http2(io().await.unwrap(), get("http://localhost/healthz")).await.unwrap().status, 200);
    assert_eq!(over_http1(io().await.unwrap(), get("/healthz")).await.unwrap().status, 200);
}

/// Whether a call of `/healthz` is answered.
async fn is_served(authority: &Authority, own: Option<&Leaf>, address: std::net::SocketAddr) -> bool {
    // In TLS 1.3 a client learns only from its first read that it is not let in.
    let Ok(io) = connect(trusting(authority, own, &TLS13, &[]), address).await else { return false };
    over_http1(io, get("/healthz")).await.is_ok_and(|answer| answer.status == 200)
}

#[tokio::test]
async fn clients_show_the_certificates_that_the_port_asks_for() {
    let (server, authority, stranger) = (Server::start().await, Authority::new("ca"), Authority::new("stranger"));
    authority.write(server.directory.path(), &authority.sign(2090));
    let (ours, expired, theirs) = (authority.sign(2090), authority.sign(2021), stranger.sign(2090));
    let shown = [None, Some(&ours), Some(&expired), Some(&theirs)];
    for (asked, served) in [
        (ClientAuth::None, [true, true, true, true]),
        (ClientAuth::Optional, [true, true, false, false]),
        (ClientAuth::Required, [false, true, false, false]),
    ] {
        let address = server.http(Some(mutual(server.directory.path(), asked)), Limits::default()).await;
        for (own, served) in shown.into_iter().zip(served) {
            assert_eq!(is_served(&authority, own, address).await, served, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_with_its_file() {
    let authority = Authority::new("ca");
    let (good, other, old) = (authority.sign(2090), authority.sign(2090), authority.sign(2021));
    let broken = good.cert.replacen("\nM", "\n!", 1);
    let broken_key = good.key.replacen("\nM", "\n!", 1);
    let locked = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (cert, key, file, says) in [
        (&*good.cert, &*other.key, "tls.key", "does not fit"),
        (&old.cert, &old.key, "tls.crt", "expired at 2021-12-31T00:00:00Z"),
        ("", &good.key, "tls.crt", "empty"),
        (&good.cert, "", "tls.key", "empty"),
        ("hello", &good.key, "tls.crt", "BEGIN CERTIFICATE"),
        (&good.cert, "hello", "tls.key", "BEGIN PRIVATE KEY"),
        (&good.key, &good.key, "tls.crt", "holds no certificate"),
        (&good.cert, &good.cert, "tls.key", "holds no private key"),
        (&broken, &good.key, "tls.crt", "not PEM"),
        (&good.cert, &broken_key, "tls.key", "not PEM"),
        (&good.cert, &locked, "tls.key", "encrypted"),
        (no_certificate, &good.key, "tls.crt", "no X.509 certificate"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let files = authority.write(directory.path(), &Leaf { cert: cert.into(), key: key.into() });
        let error = refused(files).await;
        assert!(error.contains(file) && error.contains(says), "{says}: {error}");
        assert!(!key.lines().any(|line| line.len() > 20 && error.contains(line)), "a line of the key: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let error = refused(files(directory.path())).await;
    assert!(error.contains("tls.crt") && error.contains("No such file"), "{error}");
    authority.write(directory.path(), &good);
    std::fs::write(directory.path().join("ca.crt"), "").unwrap();
    let error = refused(mutual(directory.path(), ClientAuth::Required)).await;
    assert!(error.contains("ca.crt") && error.contains("empty"), "{error}");
    let error = refused(Files { cert: directory.path().into(), ..files(directory.path()) }).await;
    assert!(error.contains("is not a file"), "{error}");
}

async fn refused(files: Files) -> String {
    let port = Port::bind("http", "127.0.0.1:0", Limits::default(), Default::default()).await.unwrap();
    match port.speak_tls(files, &Source, &CancellationToken::new()).await {
        Ok(_) => panic!("it is served"),
        Err(error) => error.to_string(),
    }
}
