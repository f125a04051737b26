//! Who is refused, and with which code.

use std::time::Duration;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    server::{CLUSTER, Server, TOKEN, nobodys, said},
    world::World,
};

promises![
    calls_are_refused_with_the_codes_that_agents_know,
    a_report_is_taken_as_long_as_the_task_may_run,
    a_waiting_call_ends_with_its_session_and_with_the_server,
];

async fn calls_are_refused_with_the_codes_that_agents_know(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let mut stranger = server.stranger().await;
    for (cluster, token) in
        [(CLUSTER, "another-secret"), (CLUSTER, ""), ("11111111111111111111111111111111", TOKEN), ("", "")]
    {
        let refused = stranger.authenticate(cluster, token).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{cluster} {token}");
        assert!(token.is_empty() || !refused.message().contains(token), "a secret is never repeated");
    }
    for token in ["", "a.b.c", &forged(b"another secret", &nobodys(&world), 60)] {
        stranger.token = token.into();
        assert_eq!(stranger.poll(1).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(stranger.report(said("1", 0, 2, false)).await.unwrap_err().code(), Code::Unauthenticated);
    }
    let mut agent = server.agent().await;
    let waits = server.create("one").await;
    for uuid in [waits.as_str(), &nobodys(&world), "", "x", "é"] {
        assert_eq!(agent.report(said(uuid, 0, 4, true)).await.unwrap_err().code(), Code::NotFound, "{uuid}");
    }
    agent.poll(1).await.unwrap();
    for (sequence, status) in [(1, 4), (-1, 4), (0, 0), (0, 3)] {
        let refused = agent.report(said(&waits, sequence, status, true)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{sequence} {status}");
    }
    world.type_sql("UPDATE cluster_token SET expires_at = 1").await;
    assert_eq!(stranger.authenticate(CLUSTER, TOKEN).await.unwrap_err().code(), Code::InvalidArgument);
}

/// A session as the server signs it.
fn forged(secret: &[u8], session: &str, exp: i64) -> String {
    let claims = json!({
        "cluster-uuid": CLUSTER, "cluster-client-token-uuid": "t", "uuid": session, "iat": 0, "exp": exp,
        "client-version": "dev", "client_lib_version": "0.1.0",
    });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn a_report_is_taken_as_long_as_the_task_may_run(world: World) {
    let server = Server::start(&world).await;
    world.type_sql("UPDATE global_variable SET value = '2m0s' WHERE name = 'ClientSession/ExpirationTime'").await;
    server.template("one", &["a"], "{}").await;
    let mut agent = server.agent().await;
    let claims = claims_of(&agent.token);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    assert_eq!((&claims["cluster-uuid"], &claims["client-version"]), (&json!(CLUSTER), &json!("dev")));
    let uuid = server.create("one").await;
    agent.poll(1).await.unwrap();
    let secret = world.store.variable("ClientSession/SignatureSecret").await.unwrap().unwrap();
    let secret = STANDARD.decode(secret).unwrap();
    let session = claims["uuid"].as_str().unwrap();
    let row = world.store.session(session).await.unwrap().unwrap();
    assert!(row.expires_at > world.source.now_us() + 3_000_000_000, "it lives as long as the hour of its task");
    // The same session, signed longer ago.
    agent.token = forged(&secret, session, 1);
    assert_eq!(agent.poll(1).await.unwrap_err().code(), Code::Unauthenticated, "no call waits under it");
    agent.report(said(&uuid, 0, 4, true)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.0, 4);
    // A sweep that is under way may prolong it once more.
    let refusal = loop {
        world.type_sql("UPDATE session SET expires_at = 1").await;
        if let Err(refusal) = agent.report(said(&uuid, 0, 4, true)).await {
            break refusal;
        }
    };
    assert_eq!(refusal.code(), Code::Unauthenticated);
}

async fn a_waiting_call_ends_with_its_session_and_with_the_server(world: World) {
    let server = Server::start(&world).await;
    for (revoked, code) in [(true, Code::Unauthenticated), (false, Code::DeadlineExceeded)] {
        let agent = server.agent().await;
        let session = claims_of(&agent.token)["uuid"].as_str().unwrap().to_owned();
        let mut waiting = agent.clone();
        let opened = world.store.session(&session).await.unwrap().unwrap();
        let call = tokio::spawn(async move { waiting.poll(1).await });
        // The server notes that a session waits.
        while world.store.session(&session).await.unwrap().unwrap().expires_at == opened.expires_at {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if revoked {
            server.app.revoke_session(&session).await.unwrap();
        } else {
            server.dispatch.disconnect_all();
        }
        assert_eq!(call.await.unwrap().unwrap_err().code(), code);
    }
}
