//! How the program begins and ends.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    authority::Authority,
    process::{Process, ask},
    server::until,
};

const CLUSTER: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn a_server_that_stops_says_so_goes_on_for_a_while_and_ends_what_is_open() {
    let mut server = Process::start(tempfile::tempdir().unwrap(), "http: {drainDelay: 8s}");
    let address = server.http().await;
    assert_eq!(ask(address, "GET", "/readyz", None).await.status, 200);
    let flow = json!([{"$id": "a", "$command": "helloworld", "inputs": {}}]);
    for (path, body) in [
        ("/api/v1/cluster", json!({"uuid": CLUSTER, "name": "a"})),
        ("/api/v1/template", json!({"uuid": "one", "name": "one", "flow": flow})),
    ] {
        assert_eq!(ask(address, "POST", path, Some(body)).await.status, 200);
    }
    let task = json!({"template_uuid": "one", "cluster_uuids": [CLUSTER], "inputs": {}});
    let created = ask(address, "POST", "/api/v1/service", Some(task)).await.text;
    let created: Value = serde_json::from_str(&created).unwrap();
    let mut story = TcpStream::connect(address).await.unwrap();
    let path = format!("/api/v1/cluster/{CLUSTER}/service/{}/event", created[0]["uuid"].as_str().unwrap());
    story.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut told = vec![0; 64];
    story.read_exact(&mut told).await.unwrap();

    server.signal("TERM");
    until(async || ask(address, "GET", "/readyz", None).await.status == 503).await;
    assert_eq!(ask(address, "GET", "/healthz", None).await.status, 200);
    assert_eq!(ask(address, "GET", "/api/v1/cluster", None).await.status, 200);
    // The last piece of a chunked answer: the stream was ended, not torn off.
    story.read_to_end(&mut told).await.unwrap();
    assert!(told.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&told));
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.said());
    assert!(!server.said().contains("did not end in time"), "{}", server.said());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut server = Process::start(tempfile::tempdir().unwrap(), "http: {drainDelay: 5m}");
    let address = server.http().await;
    server.signal("TERM");
    until(async || ask(address, "GET", "/readyz", None).await.status == 503).await;
    server.signal("INT");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sighup_reads_certificates_at_once_and_ends_nothing() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("ca"));
    let files = authority.write(directory.path(), &authority.sign(2090));
    let tls = json!({"enable": true, "certFile": files.cert, "keyFile": files.key});
    let server = Process::start(directory, &json!({"grpc": {"tls": tls}}).to_string());
    let address = server.http().await;
    assert!(server.said().contains("grpc.scheme=\"https\""), "{}", server.said());
    server.signal("HUP");
    until(async || server.said().contains("the certificate was read anew")).await;
    assert_eq!(ask(address, "GET", "/readyz", None).await.status, 200);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_served_ends_the_start_with_its_file() {
    let authority = Authority::new("ca");
    for (port, key, leaf, says) in [
        ("http", "certFile", authority.sign(2021), "expired at 2021"),
        ("grpc", "certFile", authority.sign(2021), "expired at 2021"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let files = authority.write(directory.path(), &leaf);
        let tls = json!({"enable": true, "certFile": files.cert, "keyFile": files.key});
        let mut server = Process::start(directory, &json!({port: {"tls": tls}}).to_string());
        assert_eq!(server.ended().await.code(), Some(1), "{key}");
        let said = server.said();
        assert!(said.contains(&format!("{port}.tls")) && said.contains("tls.crt") && said.contains(says), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
