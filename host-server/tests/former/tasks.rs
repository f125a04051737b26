//! Which tasks an agent gets, and when.

use std::{collections::HashSet, time::Duration};

use claiflow_proto::former::client::UpdateServiceStatusRequestV1;
use claiflow_server::{dispatch::Poll, model::ids::unhex};

use crate::{
    server::{CLUSTER, Server, said},
    world::World,
};

promises![
    an_agent_in_the_field_runs_a_task_as_it_always_did,
    two_sessions_never_get_the_same_task,
    only_what_such_an_agent_can_run_is_given,
    a_task_that_ends_the_agent_goes_alone_and_in_its_turn,
    what_nobody_saw_is_ready_again,
    what_a_session_holds_it_never_gets_again,
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

async fn only_what_such_an_agent_can_run_is_given(world: World) {
    let server = Server::start(&world).await;
    server.template("old", &["a"], "{}").await;
    server.template("later", &["a"], "{\"price\":\"$$5\"}").await;
    server.create("later").await;
    let begun = server.create("old").await;
    let mut agent = server.agent().await;
    // Another kind of agent did a step of it, and was lost.
    let (id, cluster) = (unhex(&begun).unwrap(), server.cluster().await);
    world
        .type_sql("INSERT INTO step (task, cluster, path, try, top, state, effect, started, ended, output) SELECT id, cluster, '0', 1, 0, 2, 1, 1, 2, '1' FROM ready WHERE need IN (SELECT id FROM snapshot WHERE template_uuid = 'old')")
        .await;
    assert_eq!(world.store.steps(&id, cluster).await.unwrap().len(), 1);
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

fn poll_of(cluster: i64, session: u8) -> Poll {
    Poll {
        cluster,
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
    let cluster = server.cluster().await;
    // The call was cancelled between the commit and its answer.
    drop(server.dispatch.poll(poll_of(cluster, 1)).await.unwrap().unwrap());
    for session in [1, 2] {
        let taken = server.dispatch.poll(poll_of(cluster, session)).await.unwrap().unwrap();
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
    let leased = world.store.lease_of(server.cluster().await, id).await.unwrap().unwrap();
    assert!(world.store.requeue(&leased.lease, false, None).await.unwrap());
    let next = server.create("one").await;
    let given = agent.poll(10).await.unwrap();
    assert_eq!(given.iter().map(|task| &task.uuid).collect::<Vec<_>>(), [&next], "it may still hold the first one");
    assert_eq!(server.agent().await.poll(1).await.unwrap()[0].uuid, uuid);
    // The first session's report comes under a lease of its cluster's agents.
    agent.report(said(&uuid, 0, 4, true)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.0, 4);
}
