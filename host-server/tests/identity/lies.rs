//! Answers that no issuer should give, and TLS that no issuer should be without.

use std::sync::Arc;

use claiflow_server::identity::{Oidc, Refusal};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::json;
use tokio::net::TcpListener;

use crate::issuer::{Answer, Issuer, Key, NOW_US, documents, ok, serve};

#[tokio::test]
async fn keys_are_taken_from_right_documents_alone() {
    let key = Key::new("a");
    let issuer = Issuer::with(&[&key]).await;
    let (document, set) = documents(&issuer.url, &[&key]);
    let elsewhere = Issuer::with(&[&key]).await;
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: {}/keys\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let other = document.replace(&format!("\"issuer\":\"{}\"", issuer.url), "\"issuer\":\"https://other.example\"");
    assert_ne!(other, document);
    let at = |place: &str| ok(&json!({"issuer": issuer.url, "jwks_uri": place}).to_string());
    let large = format!("{}{set}", " ".repeat(300 << 10));
    for (what, document, keys, believed) in [
        ("right ones", ok(&document), ok(&set), true),
        ("a document of another issuer", ok(&other), ok(&set), false),
        ("a document that is none", ok("<html>"), ok(&set), false),
        ("a document without end", format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(1 << 20)), ok(&set), false),
        ("keys that are none", ok(&document), ok("[]"), false),
        ("keys that are elsewhere", ok(&document), moved.clone(), false),
        ("a document that is elsewhere", moved, ok(&set), false),
        ("keys that are too long", ok(&document), ok(&large), false),
        ("keys over plain HTTP", at("http://192.0.2.1/keys"), ok(&set), false),
        ("keys in a file", at("file:///etc/keys"), ok(&set), false),
        ("an answer that breaks off", ok(&document), ok(&set).replace("content-length: ", "content-length: 9"), false),
        ("many headers", format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(500)), ok(&set), false),
        ("no HTTP", "hello".into(), ok(&set), false),
    ] {
        issuer.answers(move |path| Some(if path == "/keys" { keys.clone() } else { document.clone() }));
        let outcome = issuer.reader().await.caller(&issuer.token(&key), NOW_US).await;
        match believed {
            true => assert!(outcome.is_ok(), "{what}: {outcome:?}"),
            false => assert_eq!(outcome, Err(Refusal::Unreachable), "{what}"),
        }
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[tokio::test]
async fn over_tls_only_a_certificate_of_a_trusted_authority_counts() {
    let key = Key::new("a");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let issuer = Issuer::with(&[&key]).await;
    let (document, set) = documents(&url, &[&key]);
    let certificate = CertificateDer::from_pem_slice(include_bytes!("localhost.pem")).unwrap();
    let private = PrivateKeyDer::from_pem_slice(include_bytes!("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, document, set) = (acceptor.clone(), document.clone(), set.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = move |path: &str| Some(ok(if path == "/keys" { &set } else { &document }));
                let answer: Arc<Answer> = Arc::new(answer);
                serve(stream, Arc::default(), Arc::new(parking_lot::Mutex::new(answer))).await;
            });
        }
    });
    let mut settings = issuer.settings();
    settings.issuer.clone_from(&url);
    let mut claims = issuer.claims();
    claims["iss"] = url.into();
    let token = key.signs(&json!({"alg": "ES256", "kid": "a"}), &claims);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/identity");
    for (file, believed) in [("authority.pem", true), ("other.pem", false)] {
        settings.ca_file = Some(format!("{folder}/{file}").into());
        let outcome = Oidc::open(settings.clone()).await.unwrap().caller(&token, NOW_US).await;
        assert_eq!(outcome.is_ok(), believed, "{file}: {outcome:?}");
    }
    for (file, part) in [("missing.pem", "missing.pem"), ("main.rs", "certificate"), (".", "no file")] {
        settings.ca_file = Some(format!("{folder}/{file}").into());
        let why = Oidc::open(settings.clone()).await.unwrap_err();
        assert!(why.contains("auth.oidc.caFile") && why.contains(part), "{file}: {why}");
    }
}
