//! An issuer that is away: whose key is known goes on, whose key is not is told to try again.

use std::time::Duration;

use claiflow_server::identity::{Oidc, Refusal};
use futures_util::future::join_all;
use serde_json::json;

use crate::issuer::{Issuer, Key, NOW_US, SECOND_US};

const HOUR_US: i64 = 3_600 * SECOND_US;

/// Waits until the issuer was asked so often; whoever asked is another task.
async fn asked(issuer: &Issuer, times: usize) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while issuer.asked() < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("asked {} times, not {times}", issuer.asked()));
}

#[tokio::test]
async fn known_keys_serve_for_a_day_and_unknown_ones_are_try_again() {
    let key = Key::new("a");
    let issuer = Issuer::with(&[&key]).await;
    let oidc = issuer.reader().await;
    let token = issuer.token(&key);
    assert!(oidc.caller(&token, NOW_US).await.is_ok());
    issuer.answers(|_| Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".into()));
    let unknown = key.signs(&json!({"alg": "ES256", "kid": "b"}), &issuer.claims());
    let later = NOW_US + HOUR_US;
    assert_eq!(oidc.caller(&unknown, later).await, Err(Refusal::Unreachable));
    assert_eq!(issuer.asked(), 2);
    // Within the same seconds it is neither asked again nor waited for.
    let all = join_all((0..500).map(|_| oidc.caller(&unknown, later + SECOND_US))).await;
    assert!(all.into_iter().all(|outcome| outcome == Err(Refusal::Unreachable)));
    assert_eq!(issuer.asked(), 2);
    assert!(oidc.caller(&token, later + SECOND_US).await.is_ok());
    assert!(oidc.caller(&token, NOW_US + 23 * HOUR_US).await.is_ok());
    assert_eq!(oidc.caller(&token, NOW_US + 24 * HOUR_US).await, Err(Refusal::Unreachable));
    issuer.publishes(&[&key]);
    assert!(oidc.caller(&token, NOW_US + 25 * HOUR_US).await.is_ok());
}

#[tokio::test]
async fn old_keys_are_asked_for_again_beside_the_request() {
    let (one, two) = (Key::new("a"), Key::new("b"));
    let issuer = Issuer::with(&[&one]).await;
    let oidc = issuer.reader().await;
    let token = issuer.token(&one);
    assert!(oidc.caller(&token, NOW_US).await.is_ok());
    issuer.publishes(&[&two]);
    assert!(oidc.caller(&token, NOW_US + 299 * SECOND_US).await.is_ok());
    assert_eq!(issuer.asked(), 1);
    let then = NOW_US + 301 * SECOND_US;
    assert!(oidc.caller(&token, then).await.is_ok());
    asked(&issuer, 2).await;
    // A token of the new key waits for what is being asked; nobody asks a third time.
    assert!(oidc.caller(&issuer.token(&two), then).await.is_ok());
    assert!(matches!(oidc.caller(&token, then).await, Err(Refusal::Bad(_))));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_says_nothing_is_given_up_and_asked_once() {
    let key = Key::new("a");
    let issuer = Issuer::with(&[&key]).await;
    issuer.answers(|_| None);
    let oidc = issuer.reader().await;
    let token = issuer.token(&key);
    // Half of those who wait leave; the question goes on.
    let all = join_all((0..40).map(|number| {
        let (oidc, token) = (oidc.clone(), token.clone());
        async move {
            let patience = Duration::from_secs(if number % 2 == 0 { 60 } else { 1 });
            tokio::time::timeout(patience, oidc.caller(&token, NOW_US)).await
        }
    }))
    .await;
    let answers: Vec<_> = all.into_iter().flatten().collect();
    assert_eq!(answers, vec![Err(Refusal::Unreachable); 20]);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_server_opens_without_its_issuer() {
    let issuer = Issuer::with(&[]).await;
    let mut settings = issuer.settings();
    settings.issuer = "http://127.0.0.1:1".into();
    let key = Key::new("a");
    let mut claims = issuer.claims();
    claims["iss"] = "http://127.0.0.1:1".into();
    let oidc = Oidc::open(settings).await.unwrap();
    let token = key.signs(&json!({"alg": "ES256", "kid": "a"}), &claims);
    assert_eq!(oidc.caller(&token, NOW_US).await, Err(Refusal::Unreachable));
}
