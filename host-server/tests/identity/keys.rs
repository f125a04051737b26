//! Whose signature counts, and how the issuer's keys are heard of.

use claiflow_server::{
    identity::Refusal,
    model::people::{Caller, Role, Scope},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::issuer::{Issuer, Key, NOW_US, SECOND_US};

fn refused(outcome: Result<Caller, Refusal>) -> String {
    match outcome {
        Err(Refusal::Bad(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_believed_and_its_keys_are_asked_for_once() {
    let key = Key::new("a");
    let issuer = Issuer::with(&[&key]).await;
    let oidc = issuer.reader().await;
    let token = issuer.token(&key);
    let callers = join_all((0..50).map(|_| oidc.caller(&token, NOW_US))).await;
    let ann = Caller { name: "oidc:ann".into(), role: Role::Operator, scope: Scope::default() };
    assert!(callers.into_iter().all(|caller| caller == Ok(ann.clone())));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn no_other_signature_lets_anybody_in() {
    let (key, other) = (Key::new("a"), Key::new("a"));
    let issuer = Issuer::with(&[&key]).await;
    let oidc = issuer.reader().await;
    let claims = issuer.claims();
    let right = issuer.token(&key);
    assert!(oidc.caller(&right, NOW_US).await.is_ok());
    let (head, signature) = right.rsplit_once('.').unwrap();
    let mut admin = claims.clone();
    admin["sub"] = "root".into();
    let changed = key.signs(&json!({"alg": "ES256", "kid": "a"}), &admin);
    let (changed_head, _) = changed.rsplit_once('.').unwrap();
    for (what, token) in [
        ("forged", other.signs(&json!({"alg": "ES256", "kid": "a"}), &claims)),
        ("changed", format!("{changed_head}.{signature}")),
        ("not signed", format!("{head}.")),
        ("signed by nothing", key.signs(&json!({"alg": "none", "kid": "a"}), &claims)),
        ("signed with a secret", key.signs(&json!({"alg": "HS256", "kid": "a"}), &claims)),
        ("of another algorithm", key.signs(&json!({"alg": "ES384", "kid": "a"}), &claims)),
        ("of RSA", key.signs(&json!({"alg": "RS256", "kid": "a"}), &claims)),
        ("with its own key", key.signs(&json!({"alg": "ES256", "kid": "b", "jwk": other.public()}), &claims)),
        ("a part too long", format!("{right}.{signature}")),
        ("zeros", format!("{head}.{}", "A".repeat(86))),
    ] {
        let why = refused(oidc.caller(&token, NOW_US).await);
        assert!(!why.contains(signature), "{what}: {why}");
    }
}

#[tokio::test]
async fn a_token_without_a_key_name_is_believed_where_only_one_key_can_be_meant() {
    let (one, two) = (Key::new("a"), Key::new("b"));
    let issuer = Issuer::with(&[&one]).await;
    let token = one.signs(&json!({"alg": "ES256"}), &issuer.claims());
    assert!(issuer.reader().await.caller(&token, NOW_US).await.is_ok());
    issuer.publishes(&[&one, &two]);
    refused(issuer.reader().await.caller(&token, NOW_US).await);
}

#[tokio::test]
async fn a_new_key_is_asked_for_but_not_for_every_stranger() {
    let (one, two) = (Key::new("a"), Key::new("b"));
    let issuer = Issuer::with(&[&one]).await;
    let oidc = issuer.reader().await;
    assert!(oidc.caller(&issuer.token(&one), NOW_US).await.is_ok());
    // A thousand names that nobody has: they cost the issuer nothing, since it was just asked.
    let strangers: Vec<String> = (0..1_000)
        .map(|number| one.signs(&json!({"alg": "ES256", "kid": format!("x{number}")}), &issuer.claims()))
        .collect();
    for outcome in join_all(strangers.iter().map(|token| oidc.caller(token, NOW_US + SECOND_US))).await {
        refused(outcome);
    }
    assert_eq!(issuer.asked(), 1);
    issuer.publishes(&[&two]);
    for outcome in join_all(strangers.iter().map(|token| oidc.caller(token, NOW_US + 11 * SECOND_US))).await {
        refused(outcome);
    }
    assert_eq!(issuer.asked(), 2);
    // It brought the new key, and took the former one away.
    assert!(oidc.caller(&issuer.token(&two), NOW_US + 12 * SECOND_US).await.is_ok());
    refused(oidc.caller(&issuer.token(&one), NOW_US + 12 * SECOND_US).await);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn what_cannot_be_right_asks_nobody() {
    let key = Key::new("a");
    let issuer = Issuer::with(&[&key]).await;
    let oidc = issuer.reader().await;
    for (name, value) in [("iss", json!("https://other.example")), ("aud", json!("other")), ("exp", json!(1))] {
        let mut claims = issuer.claims();
        claims[name] = value;
        refused(oidc.caller(&key.signs(&json!({"alg": "ES256", "kid": "a"}), &claims), NOW_US).await);
    }
    assert_eq!(issuer.asked(), 0);
}
