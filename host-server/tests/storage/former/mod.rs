//! Agents of the first version, over real connections.

mod server;

use std::{collections::HashSet, time::Duration};

use axum::{body::Body, http::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use claiflow_proto::former::client::UpdateServiceStatusRequestV1;
use claiflow_server::{
    dispatch::{Poll, Round},
    model::{ids::unhex, state::State},
};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::world::{World, step};
use server::{Agent, CLUSTER, Server, TOKEN, nobodys, said};

promises![
    an_agent_in_the_field_runs_a_task_as_it_always_did,
    statuses_and_the_task_s_end_follow_from_what_is_reported,
    two_sessions_never_get_the_same_task,
    a_run_without_a_report_is_in_doubt_and_never_runs_again,
    only_what_such_an_agent_can_run_is_given,
    a_task_that_ends_the_agent_goes_alone_and_in_its_turn,
    what_nobody_saw_is_ready_again,
    what_a_session_holds_it_never_gets_again,
    calls_are_refused_with_the_codes_that_agents_know,
    a_report_is_taken_as_long_as_the_task_may_run,
    a_waiting_call_ends_with_its_session_and_with_the_server,
    an_agent_speaks_http,
    the_server_describes_itself,
    a_message_is_at_most_as_large_as_configured,
    a_cluster_is_alive_while_its_agent_waits_or_runs,
];

async fn an_agent_in_the_field_runs_a_task_as_it_always_did(world: World) {
    let server = Server::start(&world).await;
    server.template("two", &["a", "b"], "\"$inputs\"").await;
    let mut agent = server.agent().await;
    let waiting = tokio::spawn({
        let mut agent = agent.clone();
        async move { agent.poll(3).await }
    });
    let uuid = server.create("two").await;
    let given = waiting.await.unwrap().unwrap();
    let task = &given[0];
    assert_eq!((given.len(), &task.uuid, task.cluster_uuid.as_str()), (1, &uuid, CLUSTER));
    assert_eq!((task.name.as_str(), task.template_uuid.as_str(), task.step_max, task.priority), ("two", "two", 2, 0));
    assert_eq!(
        task.flow,
        "[{\"$id\":\"s0\",\"$command\":\"a\",\"inputs\":\"$inputs\"},{\"$id\":\"s1\",\"$command\":\"b\",\"inputs\":\"$inputs\"}]"
    );
    assert_eq!(task.inputs, b"{}");
    assert!(!task.subscribed_channel.as_ref().unwrap().valid);
    let (day, created) = (task.partition_date.unwrap(), task.created.unwrap());
    assert_eq!((day.seconds, day.nanos), (created.seconds - created.seconds % 86_400, 0));
    for (sequence, status, ended, rows) in [
        (0, 2, false, vec![(0, 0), (0, 1), (0, 2)]),
        (0, 2, true, vec![(0, 0), (0, 1), (0, 2), (0, 2)]),
        (1, 2, false, vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2)]),
    ] {
        agent.report(said(&uuid, sequence, status, ended)).await.unwrap();
        assert_eq!(server.shows(&uuid).await, (2, rows, None, None));
    }
    let end = UpdateServiceStatusRequestV1 { result: "\"hello world\"".into(), ..said(&uuid, 1, 4, true) };
    agent.report(end).await.unwrap();
    let rows = vec![(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 4)];
    assert_eq!(server.shows(&uuid).await, (4, rows, Some("\"hello world\"".into()), None));
}

/// What one agent reports of a task with two steps, and what GET shows then.
struct Told {
    name: &'static str,
    /// Step, status, ended, result, error.
    reports: &'static [(i32, i32, bool, &'static str, &'static str)],
    rows: &'static [(u32, i16)],
    result: Option<&'static str>,
    error: Option<&'static str>,
}

const TOLD: &[Told] = &[
    Told {
        name: "only ends are reported",
        reports: &[(0, 2, true, "", ""), (1, 4, true, "[1]", "")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 4)],
        result: Some("[1]"),
        error: None,
    },
    Told {
        name: "a result that is no JSON is a text",
        reports: &[(0, 2, true, "", ""), (1, 4, true, "Rollback was a success", "")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 4)],
        result: Some("\"Rollback was a success\""),
        error: None,
    },
    Told {
        name: "the first step fails",
        reports: &[(0, 2, false, "", ""), (0, 8, true, "ignored", "it broke")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 8)],
        result: None,
        error: Some("it broke"),
    },
    Told {
        name: "the last step fails",
        reports: &[(0, 2, true, "", ""), (1, 2, false, "", ""), (1, 8, true, "", "it broke")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 2), (1, 2), (1, 8)],
        result: None,
        error: Some("it broke"),
    },
    Told {
        name: "a success before the last step ends nothing, and its result is not kept",
        reports: &[(0, 4, true, "[1]", "")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 2)],
        result: None,
        error: None,
    },
    Told {
        name: "a report after the end changes nothing",
        reports: &[(0, 8, true, "", "it broke"), (0, 2, true, "", ""), (1, 4, true, "[1]", "")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 8)],
        result: None,
        error: Some("it broke"),
    },
    Told {
        name: "a repeated report changes nothing",
        reports: &[(0, 2, false, "", ""), (0, 2, false, "", ""), (0, 2, true, "", ""), (0, 2, true, "", "")],
        rows: &[(0, 0), (0, 1), (0, 2), (0, 2)],
        result: None,
        error: None,
    },
];

async fn statuses_and_the_task_s_end_follow_from_what_is_reported(world: World) {
    let server = Server::start(&world).await;
    server.template("two", &["a", "b"], "{}").await;
    let mut agent = server.agent().await;
    for told in TOLD {
        let uuid = server.create("two").await;
        assert_eq!(agent.poll(1).await.unwrap()[0].uuid, uuid, "{}", told.name);
        for &(sequence, status, ended, result, error) in told.reports {
            let report = UpdateServiceStatusRequestV1 {
                result: result.into(),
                error: error.into(),
                ..said(&uuid, sequence, status, ended)
            };
            agent.report(report).await.unwrap();
        }
        let (state, rows, result, error) = server.shows(&uuid).await;
        assert_eq!(rows, told.rows, "{}", told.name);
        assert_eq!((result.as_deref(), error.as_deref()), (told.result, told.error), "{}", told.name);
        assert_eq!(state, rows.last().unwrap().1, "{}", told.name);
    }
}

async fn two_sessions_never_get_the_same_task(world: World) {
    const TASKS: usize = 60;
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let (given, mut received) = tokio::sync::mpsc::unbounded_channel();
    let mut polls = tokio::task::JoinSet::new();
    for limit in [1, 2, 3] {
        let (mut agent, given) = (server.agent().await, given.clone());
        polls.spawn(async move {
            loop {
                let tasks = agent.poll(limit).await.unwrap();
                assert!((1..=limit).contains(&i32::try_from(tasks.len()).unwrap()));
                for task in tasks {
                    agent.report(said(&task.uuid, 0, 4, true)).await.unwrap();
                    given.send(task.uuid).unwrap();
                }
            }
        });
    }
    for _ in 0..TASKS {
        server.create("one").await;
    }
    let mut all = HashSet::new();
    for _ in 0..TASKS {
        assert!(all.insert(received.recv().await.unwrap()), "each task is given once");
    }
}

async fn a_run_without_a_report_is_in_doubt_and_never_runs_again(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let mut agent = server.agent().await;
    let uuid = server.create("one").await;
    world.type_sql("UPDATE task SET run_timeout_ms = 60000").await;
    assert_eq!(agent.poll(1).await.unwrap().len(), 1);
    let sweep = async |seconds: i64| {
        let now_us = world.source.now_us() + seconds * 1_000_000;
        let alive = [server.dispatch.replica()];
        server.dispatch.sweep(&mut Round::default(), &alive, Instant::now(), now_us).await.unwrap();
    };
    sweep(50).await;
    assert_eq!(server.shows(&uuid).await.0, 2, "silence alone says nothing");
    sweep(70).await;
    let (state, rows, _, error) = server.shows(&uuid).await;
    assert_eq!((state, rows.last()), (64, Some(&(0, 64))));
    assert!(error.unwrap().starts_with("agent_silent"));
    let next = server.create("one").await;
    let given = server.agent().await.poll(10).await.unwrap();
    assert_eq!(given.iter().map(|task| &task.uuid).collect::<Vec<_>>(), [&next], "it is not given to anybody else");
    agent.report(said(&uuid, 0, 4, true)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.0, 4, "a late report is true");
}

async fn only_what_such_an_agent_can_run_is_given(world: World) {
    let server = Server::start(&world).await;
    server.template("old", &["a"], "{}").await;
    server.template("later", &["a"], "{\"price\":\"$$5\"}").await;
    server.create("later").await;
    let begun = server.create("old").await;
    let mut agent = server.agent().await;
    // Another kind of agent took it, did a step and was lost with it.
    let old = world.store.task(world.cluster, &unhex(&begun).unwrap()).await.unwrap().unwrap().snapshot;
    let old = world.store.snapshot(&old).await.unwrap().unwrap();
    let lease = world.claim(&old, 1).await.remove(0);
    world.store.keep_step(&lease, &step("0", 2, 1, "1")).await.unwrap();
    world.store.requeue(&lease, true, None).await.unwrap();
    let fresh = server.create("old").await;
    let given = agent.poll(10).await.unwrap();
    assert_eq!(given.iter().map(|task| &task.uuid).collect::<Vec<_>>(), [&fresh]);
}

async fn a_task_that_ends_the_agent_goes_alone_and_in_its_turn(world: World) {
    let server = Server::start(&world).await;
    server.template("plain", &["a"], "{}").await;
    server.template("upgrade", &["claiflow.client.upgrade"], "{}").await;
    server.template("rebounce", &["claiflow.client_pod.rebounce"], "{}").await;
    let mut created = vec![];
    for (template, priority) in
        [("plain", 0), ("plain", 0), ("upgrade", 0), ("plain", 0), ("rebounce", 50), ("plain", 40)]
    {
        created.push(server.create_with(template, priority).await);
    }
    let mut agent = server.agent().await;
    let mut batches: Vec<Vec<usize>> = vec![];
    for _ in 0..4 {
        let given = agent.poll(10).await.unwrap();
        batches.push(given.iter().map(|task| created.iter().position(|uuid| *uuid == task.uuid).unwrap()).collect());
    }
    assert_eq!(batches, [vec![4], vec![5, 0, 1], vec![2], vec![3]]);
}

fn poll_of(world: &World, session: u8) -> Poll {
    Poll {
        cluster: world.cluster,
        session: format!("{session:032}"),
        journal: [session; 16],
        limit: 10,
        life: Duration::from_secs(60),
    }
}

async fn what_nobody_saw_is_ready_again(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let uuid = server.create("one").await;
    // The call was cancelled between the commit and its answer.
    drop(server.dispatch.poll(poll_of(&world, 1)).await.unwrap().unwrap());
    for session in [1, 2] {
        let taken = server.dispatch.poll(poll_of(&world, session)).await.unwrap().unwrap();
        if session == 1 {
            drop(taken);
            continue;
        }
        assert_eq!(taken.sent().iter().map(|lease| &lease.task.uuid).collect::<Vec<_>>(), [&uuid]);
    }
}

async fn what_a_session_holds_it_never_gets_again(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let mut agent = server.agent().await;
    let uuid = server.create("one").await;
    assert_eq!(agent.poll(1).await.unwrap().len(), 1);
    // A person has it run again.
    let id = unhex(&uuid).unwrap();
    let (lease, _) = server.dispatch.former_lease(world.cluster, &id).await.unwrap().unwrap();
    assert!(world.store.requeue(&lease, false, None).await.unwrap());
    let next = server.create("one").await;
    let given = agent.poll(10).await.unwrap();
    assert_eq!(given.iter().map(|task| &task.uuid).collect::<Vec<_>>(), [&next], "it may still hold the first one");
    assert_eq!(server.agent().await.poll(1).await.unwrap()[0].uuid, uuid);
    // The first session's report comes under a lease of its cluster's agents.
    agent.report(said(&uuid, 0, 4, true)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.0, 4);
}

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
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn a_report_is_taken_as_long_as_the_task_may_run(world: World) {
    let server = Server::start(&world).await;
    world
        .type_sql("INSERT INTO global_variable (uuid, name, value, created, updated) VALUES ('af9a14a58b254d13ae69c065a27811b6', 'ClientSession/ExpirationTime', '2m0s', 1, 1)")
        .await;
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
    world.type_sql("UPDATE session SET expires_at = 1").await;
    assert_eq!(agent.report(said(&uuid, 0, 4, true)).await.unwrap_err().code(), Code::Unauthenticated);
}

async fn a_waiting_call_ends_with_its_session_and_with_the_server(world: World) {
    let server = Server::start(&world).await;
    for (revoked, code) in [(true, Code::Unauthenticated), (false, Code::DeadlineExceeded)] {
        let agent = server.agent().await;
        let session = claims_of(&agent.token)["uuid"].as_str().unwrap().to_owned();
        let mut waiting = agent.clone();
        let call = tokio::spawn(async move { waiting.poll(1).await });
        let opened = world.store.session(&session).await.unwrap().unwrap();
        // The call waits once its session is prolonged, which is done for those that wait here.
        loop {
            server.dispatch.prolong_former(Instant::now()).await;
            if world.store.session(&session).await.unwrap().unwrap().expires_at > opened.expires_at {
                break;
            }
            tokio::task::yield_now().await;
        }
        if revoked {
            server.app.revoke_session(&session).await.unwrap();
        } else {
            server.dispatch.disconnect_all();
        }
        assert_eq!(call.await.unwrap().unwrap_err().code(), code);
    }
}

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
    let mut agent: Agent = server.agent().await;
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
