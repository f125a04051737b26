//! HTTP, reflection, sizes, and what people see of these agents.

use std::collections::HashSet;

use axum::{body::Body, http::Request};
use claiflow_proto::former::client::UpdateServiceStatusRequestV1;
use claiflow_server::model::state::State;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use crate::{
    server::{CLUSTER, Server, TOKEN, nobodys, said},
    world::World,
};

promises![
    an_agent_speaks_http,
    the_server_describes_itself,
    a_message_is_at_most_as_large_as_configured,
    a_cluster_is_alive_while_its_agent_waits_or_runs,
];

fn body(method: &str, path: &str, session: &str, body: Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", "claiflow.example.com");
    let request = request.header("content-type", "application/json").header("x-sudory-client-token", session);
    request.body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) }).unwrap()
}

async fn an_agent_speaks_http(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let auth = |token: &str| {
        let proof = json!({"cluster_uuid": CLUSTER, "assertion": token, "client_version": "dev", "client_lib_version": "0.1.0"});
        body("POST", "/api/v1/client/auth", "", proof)
    };
    assert_eq!(server.http(auth("wrong")).await.0, 400);
    let (status, headers, opened) = server.http(auth(TOKEN)).await;
    assert_eq!((status, &opened["token_type"], &opened["expires_in"]), (200, &json!("Bearer"), &json!(60)));
    let session = opened["access_token"].as_str().unwrap();
    assert_eq!(headers["x-sudory-client-token"], session);
    let service = "/api/v1/client/service";
    assert_eq!(server.http(body("GET", service, "a.b.c", Value::Null)).await.0, 403);
    assert_eq!(
        server.http(body("PUT", service, "a.b.c", json!({"uuid": "1", "sequence": 0, "status": 2}))).await.0,
        403
    );
    let (first, second) = (server.create("one").await, server.create("one").await);
    let (status, _, given) = server.http(body("GET", service, session, Value::Null)).await;
    assert_eq!((status, given.as_array().unwrap().len()), (200, 1), "{given}");
    assert_eq!((&given[0]["uuid"], &given[0]["inputs"], &given[0]["step_max"]), (&json!(first), &json!({}), &json!(1)));
    let bearer = Request::get(format!("{service}?limit=5")).header("authorization", format!("Bearer {session}"));
    let (_, _, given) = server.http(bearer.body(Body::empty()).unwrap()).await;
    assert_eq!((given.as_array().unwrap().len(), &given[0]["uuid"]), (1, &json!(second)));
    let report = |uuid: &str, status: i32, ended: &str| {
        let said = json!({"uuid": uuid, "sequence": 0, "status": status, "started": "2026-01-01T00:00:00Z", "ended": ended, "result": "done"});
        body("PUT", service, session, said)
    };
    assert_eq!(server.http(report(&first, 2, "0001-01-01T00:00:00Z")).await.0, 200);
    assert_eq!(server.shows(&first).await.1, [(0, 0), (0, 1), (0, 2)]);
    let (status, _, answer) = server.http(report(&first, 4, "2026-01-01T00:00:01Z")).await;
    assert_eq!((status, answer), (200, json!("OK")));
    assert_eq!(server.shows(&first).await.2.as_deref(), Some("\"done\""));
    assert_eq!(server.http(report(&nobodys(&world), 4, "2026-01-01T00:00:01Z")).await.0, 404);
    assert_eq!(server.http(report(&second, 5, "2026-01-01T00:00:01Z")).await.0, 400);
}

async fn the_server_describes_itself(world: World) {
    use tonic_reflection::pb::{v1, v1alpha};
    let server = Server::start(&world).await;
    macro_rules! services {
        ($version:ident) => {{
            use $version::{server_reflection_request::MessageRequest, server_reflection_response::MessageResponse};
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(server.channel().await);
            let ask =
                |message| $version::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
            let asks = vec![
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol("pkg.server.api.client.ClientService".into())),
            ];
            let answers = client.server_reflection_info(tokio_stream::iter(asks)).await.unwrap().into_inner();
            let answers: Vec<_> = answers.map(|answer| answer.unwrap().message_response.unwrap()).collect().await;
            let MessageResponse::ListServicesResponse(list) = &answers[0] else { panic!("{answers:?}") };
            assert!(matches!(&answers[1], MessageResponse::FileDescriptorResponse(_)), "{answers:?}");
            list.service.iter().map(|service| service.name.clone()).collect::<HashSet<_>>()
        }};
    }
    for services in [services!(v1), services!(v1alpha)] {
        for name in ["pkg.server.api.client.ClientService", "claiflow.agent.v1.AgentService"] {
            assert!(services.contains(name), "{name}: {services:?}");
        }
    }
}

async fn a_message_is_at_most_as_large_as_configured(world: World) {
    let server = Server::start_with(&world, Some(65_536)).await;
    server.template("one", &["a"], "{}").await;
    let mut agent = server.agent().await;
    let uuid = server.create("one").await;
    agent.poll(1).await.unwrap();
    let end = |bytes| UpdateServiceStatusRequestV1 { result: "x".repeat(bytes), ..said(&uuid, 0, 4, true) };
    // Compressed, it is small.
    assert!(agent.report(end(70_000)).await.is_err());
    assert_eq!(server.shows(&uuid).await.0, State::Running as i16);
    agent.report(end(60_000)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.2.unwrap().len(), 60_002);
}

async fn a_cluster_is_alive_while_its_agent_waits_or_runs(world: World) {
    let server = Server::start(&world).await;
    let cluster = server.app.cluster(CLUSTER).await.unwrap();
    let alive = async || server.app.alive(Some(&cluster)).await.unwrap();
    assert_eq!(alive().await, None);
    let agent = server.agent().await;
    assert_eq!(alive().await, Some(("dev".into(), "0.1.0".into())));
    world.type_sql("UPDATE session SET expires_at = 1").await;
    assert_eq!(alive().await, None);
    drop(agent);
}
