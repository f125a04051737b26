//! Global variables that are changed on one server are in effect on the other.

use std::time::Duration;

use claiflow_server::app::{service::Create, template, token, variable::Change};

use crate::{
    peers::{Replica, closed},
    world::World,
};

promises![
    a_change_is_in_effect_on_every_replica,
    another_secret_ends_what_was_signed_and_opened_before,
    an_empty_secret_is_replaced,
];

const TOKEN_LIFE: &str = "0f5658f37f2b45d881f19c7f56ea2e23";
const SECRET: &str = "77f7b2aeb0aa4254ad073ae7743291ab";
const SESSION_LIFE: &str = "af9a14a58b254d13ae69c065a27811b6";
const VALIDITY: &str = "bc2cd0f95b6d4db68870d30862523a04";
const DAY_US: i64 = 86_400_000_000;

async fn change(replica: &Replica, uuid: &str, value: &str) {
    let change = Change { value: Some(value.into()), ..Change::default() };
    replica.app.change_variable(uuid, change).await.unwrap();
}

fn cluster() -> String {
    "0".repeat(32)
}

/// A token whose secret is `secret`.
async fn token(replica: &Replica) {
    let declare = token::Declare {
        name: Some("t".into()),
        cluster_uuid: Some(cluster()),
        token: Some("secret".into()),
        ..token::Declare::default()
    };
    replica.app.declare_token(declare).await.unwrap();
}

async fn a_change_is_in_effect_on_every_replica(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    token(&here).await;
    let flow = Some(r#"[{"$id":"a","$command":"c"}]"#.into());
    let declare =
        template::Declare { uuid: Some("t".into()), name: Some("t".into()), flow, ..template::Declare::default() };
    here.app.declare_template(declare, false).await.unwrap();
    change(&here, TOKEN_LIFE, "48h").await;
    change(&here, SESSION_LIFE, "7s").await;
    change(&here, VALIDITY, "11s").await;
    // What its job does every three seconds.
    there.app.read_variables().await.unwrap();
    let made = there
        .app
        .declare_token(token::Declare {
            name: Some("u".into()),
            cluster_uuid: Some(cluster()),
            ..token::Declare::default()
        })
        .await
        .unwrap();
    assert_eq!(made.expires_at, made.issued_at - made.issued_at.rem_euclid(DAY_US) + 2 * DAY_US);
    let refreshed = there.app.refresh_token(&made.uuid).await.unwrap();
    assert_eq!((refreshed.expires_at - made.expires_at) % DAY_US, 0);
    let (_, life) = there.app.authenticate(&cluster(), "secret", "test").await.unwrap();
    assert_eq!(life, Duration::from_secs(7));
    let create = Create { template_uuid: "t".into(), cluster_uuids: vec![cluster()], ..Create::default() };
    let created = there.app.create_tasks(create).await.unwrap().remove(0).view.created;
    let until = world.number("SELECT MAX(valid_until) FROM task").await;
    assert_eq!(until - created, 11_000_000);
}

async fn another_secret_ends_what_was_signed_and_opened_before(world: World) {
    let (here, there) = (Replica::start(&world).await, Replica::start(&world).await);
    token(&here).await;
    let (session, _) = there.app.authenticate(&cluster(), "secret", "test").await.unwrap();
    assert!(here.app.session_of(&session).await.is_ok());
    let mut agent = there.agent(&world, &"1".repeat(32)).await;
    change(&here, SECRET, "MDEyMzQ1Njc4OWFiY2RlZg==").await;
    there.app.read_variables().await.unwrap();
    closed(&mut agent).await;
    for replica in [&here, &there] {
        assert!(replica.app.session_of(&session).await.is_err());
    }
    let (again, _) = there.app.authenticate(&cluster(), "secret", "test").await.unwrap();
    assert!(here.app.session_of(&again).await.is_ok());
}

async fn an_empty_secret_is_replaced(world: World) {
    let here = Replica::start(&world).await;
    for text in ["''", "'  '"] {
        world.type_sql(&format!("UPDATE global_variable SET value = {text} WHERE uuid = '{SECRET}'")).await;
        let settings = here.app.read_variables().await.unwrap();
        assert_eq!(settings.secret.len(), 32);
    }
    world.type_sql(&format!("DELETE FROM global_variable WHERE uuid = '{SECRET}'")).await;
    assert_eq!(here.app.read_variables().await.unwrap().secret.len(), 32);
}
