//! Bodies that are too large, too deep or compressed, and paths below a prefix.

use std::io::Write as _;

use axum::{body::Body, http::Request};
use claiflow_server::ports::Limits;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    client::{Answer, get, over_http1},
    server::Server,
};

const LIMIT: usize = 4 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn post(address: std::net::SocketAddr, encoding: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request =
        Request::post("/api/v1/cluster").header("host", "localhost").header("content-type", "application/json");
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let io = TcpStream::connect(address).await.unwrap();
    over_http1(io, request.body(body.into()).unwrap()).await.unwrap()
}

/// A body of unknown length.
fn in_pieces(bytes: Vec<u8>) -> Body {
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    Body::from_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn a_body_is_refused_by_its_size_before_and_after_decompression() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    let name = |length: usize| json!({"name": "a", "summary": "b".repeat(length)}).to_string().into_bytes();
    // So little over the limit that it is all on its way before the server answers.
    let large = name(LIMIT);
    let bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(bomb.len() < LIMIT / 16);
    // Blocks of DEFLATE that hold nothing, without end.
    let hollow = [&gzip(b"")[..10], &b"\0\0\0\xff\xff".repeat((LIMIT + (72 << 10)) / 5)].concat();
    for (what, encoding, body, status) in [
        ("large", None, Body::from(large.clone()), 413),
        ("large, of unknown length", None, in_pieces(large), 413),
        ("small", Some("gzip"), gzip(&name(1_000)).into(), 200),
        ("a bomb", Some("gzip"), bomb.clone().into(), 413),
        ("a bomb, of unknown length", Some("gzip"), in_pieces(bomb), 413),
        ("compressed to nothing", Some("gzip"), hollow.clone().into(), 413),
        ("compressed to nothing, of unknown length", Some("gzip"), in_pieces(hollow), 413),
        ("not gzip", Some("gzip"), name(10).into(), 400),
        ("cut off", Some("gzip"), gzip(&name(1_000))[..20].to_vec().into(), 400),
        ("another encoding", Some("br"), name(10).into(), 415),
        ("deep", None, "[".repeat(100_000).into(), 400),
        ("deep below a key", None, format!("{{\"name\":{}", "[".repeat(100_000)).into(), 400),
    ] {
        let answer = post(address, encoding, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        if status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            let problem: Value = serde_json::from_str(&answer.text).unwrap();
            assert_eq!(problem["status"], status, "{what}");
            assert!(problem["request_id"].is_string() && problem["detail"].is_string(), "{problem}");
        }
    }
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_say_that_they_can_read_it() {
    let server = Server::start().await;
    let address = server.http(None, Limits::default()).await;
    for (accepted, encoding) in [("gzip", "gzip"), ("identity", ""), ("br;q=1, gzip;q=0.5", "gzip")] {
        let mut request = get("/swagger/openapi.json");
        request.headers_mut().insert("accept-encoding", accepted.parse().unwrap());
        let answer = over_http1(TcpStream::connect(address).await.unwrap(), request).await.unwrap();
        assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{accepted}");
    }
}

#[tokio::test]
async fn everything_is_below_the_prefix() {
    let server = Server::start().await;
    let address = server.http_with(server.router("/a/b"), None, Limits::default()).await;
    let ask =
        async |request: Request<Body>| over_http1(TcpStream::connect(address).await.unwrap(), request).await.unwrap();
    for number in 0..3 {
        let body = json!({"name": number.to_string()}).to_string();
        let request = Request::post("/a/b/api/v1/cluster").header("host", "localhost");
        let request = request.header("content-type", "application/json").body(body.into()).unwrap();
        assert_eq!(ask(request).await.status, 200);
    }
    for path in ["/a/b/healthz", "/a/b/readyz", "/a/b/metrics", "/a/b/swagger/index.html", "/a/b/api/v1/template"] {
        assert_eq!(ask(get(path)).await.status, 200, "{path}");
        let bare = path.trim_start_matches("/a/b");
        let answer = ask(get(bare)).await;
        assert_eq!(answer.status, 404, "{bare}");
        assert!(answer.text.contains("/a/b/swagger/index.html"), "{}", answer.text);
    }
    let page = ask(get("/a/b/api/v1/cluster?limit=2")).await;
    let next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    assert!(next.starts_with("/a/b/api/v1/cluster?"), "{next}");
    let rest = ask(get(&next)).await;
    assert_eq!(serde_json::from_str::<Value>(&rest.text).unwrap().as_array().unwrap().len(), 1);
    let document: Value = serde_json::from_str(&ask(get("/a/b/swagger/openapi.json")).await.text).unwrap();
    assert_eq!(document["servers"][0]["url"], "/a/b");
    // Agents of the first version that speak HTTP.
    let request = Request::post("/a/b/api/v1/client/auth").header("host", "localhost");
    let request = request.header("content-type", "application/json");
    let answer = ask(request.body(r#"{"cluster_uuid":"0","assertion":"x"}"#.into()).unwrap()).await;
    assert_eq!((answer.status, answer.header("content-type")), (400, "application/problem+json"), "{}", answer.text);
}
