//! Pages of other origins.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
    routing::get,
};
use claiflow_server::{
    config::{Cors, Origins},
    rest,
};
use tower::ServiceExt as _;

fn cors(origins: Origins) -> Cors {
    Cors { origins, methods: vec!["GET".into(), "POST".into()] }
}

fn named() -> Cors {
    cors(Origins::Named(vec!["https://console.example.com".into(), "http://localhost:3000".into()]))
}

async fn ask(cors: Option<&Cors>, method: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
    let router = rest::open_to(Router::new().route("/api/v1/cluster", get(async || "[]")), cors);
    let mut request = Request::builder().method(method).uri("/api/v1/cluster");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    (response.status().as_u16(), response.headers().clone())
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_answer_may_be_read_by_the_origins_that_are_named_and_no_other() {
    for (origin, is_allowed) in [
        ("https://console.example.com", true),
        ("http://localhost:3000", true),
        ("http://console.example.com", false),
        ("https://console.example.com:444", false),
        ("https://console.example.com.evil.test", false),
        ("https://evil.test", false),
        ("null", false),
    ] {
        let (status, headers) = ask(Some(&named()), "GET", &[("origin", origin)]).await;
        assert_eq!((status, allowed(&headers)), (200, is_allowed.then_some(origin)), "{origin}");
        assert_eq!(headers.get("vary").unwrap(), "origin");
        assert_eq!(headers.contains_key("access-control-expose-headers"), is_allowed);
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }
    let (_, headers) = ask(Some(&named()), "GET", &[]).await;
    assert_eq!((allowed(&headers), headers.get("vary").unwrap().to_str().unwrap()), (None, "origin"));
    let (_, headers) = ask(Some(&cors(Origins::Any)), "GET", &[("origin", "https://anything.test")]).await;
    assert_eq!(allowed(&headers), Some("*"));
}

#[tokio::test]
async fn a_browsers_question_is_answered_before_anything_is_asked() {
    let question = |origin| [("origin", origin), ("access-control-request-method", "POST")];
    let (status, headers) = ask(Some(&named()), "OPTIONS", &question("https://console.example.com")).await;
    assert_eq!((status, allowed(&headers)), (204, Some("https://console.example.com")));
    assert_eq!(headers.get("access-control-allow-methods").unwrap(), "GET, POST");
    let fields = headers.get("access-control-allow-headers").unwrap().to_str().unwrap();
    assert!(fields.contains("authorization") && fields.contains("content-type"), "{fields}");
    let (status, headers) = ask(Some(&named()), "OPTIONS", &question("https://evil.test")).await;
    assert_eq!((status, allowed(&headers)), (204, None));
    assert!(!headers.contains_key("access-control-allow-methods"));
    // What is no question goes its way.
    let (status, _) = ask(Some(&named()), "OPTIONS", &[("origin", "https://console.example.com")]).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn closed_means_that_nothing_is_said() {
    let question = [("origin", "https://console.example.com"), ("access-control-request-method", "POST")];
    let (status, headers) = ask(None, "OPTIONS", &question).await;
    assert_eq!((status, allowed(&headers)), (405, None));
    assert!(!headers.contains_key("vary"));
}
