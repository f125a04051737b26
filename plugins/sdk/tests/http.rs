//! The module `http` as an author uses it, on servers that are played.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of it is test")]

use std::time::Duration;

use claiflow_sdk::{Error, http::Request, testing::Web};
use serde_json::{Value, json};

const SHOP: &str = "https://shop.example.com";

#[test]
fn a_request_is_sent_as_it_was_made() {
    let web = Web::new();
    web.answers("POST", "https://shop.example.com/orders", 201, r#"{"id": 7}"#);
    let request = Request::post(format!("{SHOP}/orders"))
        .credential("shop")
        .header("X-Kind", "test")
        .timeout(Duration::from_secs(3));
    let answer = request.json(&json!({"what": "tea"})).unwrap().send().unwrap().checked().unwrap();
    assert_eq!((answer.status, answer.json::<Value>().unwrap()), (201, json!({"id": 7})));
    let sent = &web.sent()[0];
    assert_eq!((sent.method.as_str(), sent.body.as_slice()), ("POST", br#"{"what":"tea"}"#.as_slice()));
    assert_eq!(sent.header("claiflow-credential"), Some("shop"));
    assert_eq!(sent.header("content-type"), Some("application/json"));
    assert_eq!((sent.header("x-kind"), sent.timeout), (Some("test"), Some(Duration::from_secs(3))));
}

#[test]
fn a_status_becomes_a_code() {
    let web = Web::new();
    for (status, code) in [
        (400, "invalid"),
        (401, "denied"),
        (403, "denied"),
        (404, "not-found"),
        (409, "conflict"),
        (410, "gone"),
        (429, "unavailable"),
        (500, "failed"),
        (503, "unavailable"),
        (504, "timeout"),
    ] {
        let url = format!("{SHOP}/{status}");
        web.answers_with("GET", &url, status, &[("Retry-After", "3")], "");
        let answer = Request::get(&url).send().unwrap();
        let error = answer.checked().unwrap_err();
        assert_eq!((error.code(), error.status()), (code, Some(status)));
        assert_eq!(error.retry_after().unwrap().as_secs(), 3);
    }
}

#[test]
fn redirections_are_followed_as_far_as_they_lead_somewhere() {
    let web = Web::new();
    let to = |url: &str, status: u16, location: &str| {
        for method in ["GET", "POST", "PUT"] {
            web.answers_with(method, url, status, &[("location", location)], "moved");
        }
    };
    to("https://shop.example.com/a", 302, "/b?x=1");
    to("https://shop.example.com/b?x=1", 307, "https://other.example.com/c");
    to("https://shop.example.com/circle", 301, "circle");
    to("https://shop.example.com/see", 303, "/b?x=1");
    to("https://shop.example.com/keep", 308, "https://other.example.com/c");
    web.answers("GET", "https://other.example.com/c", 200, "there");
    web.answers("PUT", "https://other.example.com/c", 200, "put");

    let secret = |request: Request| request.header("authorization", "mine").header("accept", "text/plain");
    let answer = secret(Request::get(format!("{SHOP}/a"))).send().unwrap();
    assert_eq!((answer.url.as_str(), answer.text().unwrap()), ("https://other.example.com/c", "there"));
    let sent = web.sent();
    assert_eq!(sent[1].header("authorization"), Some("mine"), "the same host");
    assert_eq!((sent[2].header("authorization"), sent[2].header("accept")), (None, Some("text/plain")), "another host");

    let answer = Request::put(format!("{SHOP}/keep")).body("x").send().unwrap();
    assert_eq!((answer.text().unwrap(), web.sent().last().unwrap().body.as_slice()), ("put", b"x".as_slice()));
    let answer = Request::post(format!("{SHOP}/see")).body("x").send().unwrap();
    assert_eq!((answer.text().unwrap(), web.sent().last().unwrap().body.as_slice()), ("there", b"".as_slice()));
    let error = Request::get(format!("{SHOP}/circle")).send().unwrap_err();
    assert!(error.message().contains("more than 5 times"), "{error}");
    let answer = Request::get(format!("{SHOP}/a")).no_redirects().send().unwrap();
    assert_eq!((answer.status, answer.text().unwrap()), (302, "moved"));
}

#[test]
fn what_no_answer_was_given_for_is_denied_and_answers_come_in_their_order() {
    assert_eq!(Request::get(SHOP).send().unwrap_err().code(), "denied");
    let web = Web::new();
    web.fails("GET", SHOP, Error::unavailable("busy"));
    web.answers("GET", SHOP, 200, "later");
    assert_eq!(Request::get(SHOP).send().unwrap_err().code(), "unavailable");
    for _ in 0..2 {
        assert_eq!(Request::get(SHOP).send().unwrap().text().unwrap(), "later");
    }
    assert_eq!(Request::delete(SHOP).send().unwrap_err().code(), "denied");
}
