//! What one client, or all together, may take.

use std::time::Duration;

use claiflow_server::ports::Limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    authority::Authority,
    client::{get, over_http1},
    server::{Server, until},
};

const SOON: Duration = Duration::from_millis(200);

/// What comes until the server ends the connection.
async fn to_the_end(io: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset ends it as well.
    let _ = io.read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_client_that_says_too_little_is_not_waited_for() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let files = authority.write(server.directory.path(), &authority.sign(2090));
    let limits = Limits { greeting: SOON, head: SOON, ..Limits::default() };
    let (plain, tls) = (server.http(None, limits).await, server.http(Some(files), limits).await);
    for (address, said) in [
        (plain, &b""[..]),
        (plain, b"P"),
        (plain, b"PRI * HTTP/2.0\r\n"),
        (plain, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: "),
        (tls, b""),
        (tls, b"\x16\x03\x01\x02\x00\x01"),
    ] {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(said).await.unwrap();
        let answered = to_the_end(&mut io).await;
        assert!(!answered.contains("200 OK"), "{said:?}: {answered}");
    }
    until(async || server.counts(r#"claiflow_connections_refused_total{port="http",reason="slow"} 5"#)).await;
}

#[tokio::test]
async fn a_handshake_that_stalls_holds_up_nobody() {
    let (server, authority) = (Server::start().await, Authority::new("ca"));
    let files = authority.write(server.directory.path(), &authority.sign(2090));
    let address = server.http(Some(files), Limits::default()).await;
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut io = TcpStream::connect(address).await.unwrap();
        io.write_all(b"\x16\x03\x01").await.unwrap();
        stalled.push(io);
    }
    let config = crate::client::trusting(&authority, None, &rustls::version::TLS13, &[]);
    let io = crate::client::connect(config, address).await.unwrap();
    assert_eq!(over_http1(io, get("/healthz")).await.unwrap().status, 200);
}

#[tokio::test]
async fn no_more_connections_are_open_than_allowed() {
    let server = Server::start().await;
    let address = server.http(None, Limits { connections: 2, ..Limits::default() }).await;
    let held = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(to_the_end(&mut third).await, "");
    assert!(server.counts(r#"claiflow_connections_refused_total{port="http",reason="limit"} 1"#));
    drop(held);
    until(async || {
        let io = TcpStream::connect(address).await.unwrap();
        over_http1(io, get("/healthz")).await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn the_head_of_a_request_has_a_size() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    for head in [format!("x: {}\r\n", "y".repeat(100_000)), many] {
        let mut io = TcpStream::connect(address).await.unwrap();
        let text = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{head}\r\n");
        // It may be refused before it is all sent.
        let _ = io.write_all(text.as_bytes()).await;
        let answered = to_the_end(&mut io).await;
        assert!(answered.is_empty() || answered.contains(" 431 "), "{answered}");
    }
    let mut io = TcpStream::connect(address).await.unwrap();
    let text = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "y".repeat(100_000));
    let _ = io.write_all(text.as_bytes()).await;
    let answered = to_the_end(&mut io).await;
    assert!(answered.is_empty() || answered.contains(" 414 ") || answered.contains(" 431 "), "{answered}");
}

#[tokio::test]
async fn an_idle_connection_is_ended_and_one_that_waits_for_an_answer_is_not() {
    let server = Server::start().await;
    let limits = Limits { head: SOON, idle: SOON, ..Limits::default() };
    let waits = axum::Router::new().route(
        "/wait",
        axum::routing::get(async || {
            tokio::time::sleep(SOON * 5).await;
            "waited"
        }),
    );
    let address = server.http_with(waits, None, limits).await;
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let answered = to_the_end(&mut io).await;
    assert!(answered.ends_with("waited"), "{answered}");
    // HTTP/2 has no head that would be waited for.
    let mut io = TcpStream::connect(address).await.unwrap();
    io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    to_the_end(&mut io).await;
}
