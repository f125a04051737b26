//! What an agent reports, what becomes of it, and what becomes of silence.

use claiflow_proto::former::client::UpdateServiceStatusRequestV1;
use claiflow_server::{
    app::control::Resolve,
    model::people::{Asked, Caller},
};

use crate::{
    server::{CLUSTER, Server, said},
    world::World,
};

promises![
    statuses_and_the_task_s_end_follow_from_what_is_reported,
    a_run_without_a_report_is_in_doubt_and_never_runs_again,
    a_person_settles_a_run_that_nobody_reported,
];

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

async fn a_run_without_a_report_is_in_doubt_and_never_runs_again(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    let mut agent = server.agent().await;
    let uuid = server.create("one").await;
    world.type_sql("UPDATE task SET run_timeout_ms = 60000").await;
    assert_eq!(agent.poll(1).await.unwrap().len(), 1);
    server.sweep(&world, 50).await;
    assert_eq!(server.shows(&uuid).await.0, 2, "silence alone says nothing");
    server.sweep(&world, 70).await;
    let (state, rows, _, error) = server.shows(&uuid).await;
    assert_eq!((state, rows), (64, vec![(0, 0), (0, 1), (0, 2), (0, 64)]));
    assert!(error.unwrap().starts_with("agent_silent"));
    let next = server.create("one").await;
    let given = server.agent().await.poll(10).await.unwrap();
    assert_eq!(given.iter().map(|task| &task.uuid).collect::<Vec<_>>(), [&next], "it is not given to anybody else");
    agent.report(said(&uuid, 0, 4, true)).await.unwrap();
    assert_eq!(server.shows(&uuid).await.0, 4, "a late report is true");
}

async fn a_person_settles_a_run_that_nobody_reported(world: World) {
    let server = Server::start(&world).await;
    server.template("one", &["a"], "{}").await;
    for (outcome, state) in [("failed", 8), ("rerun", 0)] {
        let mut agent = server.agent().await;
        let uuid = server.create("one").await;
        assert_eq!(agent.poll(1).await.unwrap().len(), 1);
        server.sweep(&world, 4_000).await;
        let resolve = Resolve {
            path: None,
            outcome: Some(outcome.into()),
            outputs: None,
            reason: Some("the pod was looked at".into()),
        };
        let asked = Asked {
            caller: Caller::anonymous(),
            operation: "resolve_service",
            address: String::new(),
            request_id: "r".into(),
        };
        server.app.resolve_task(CLUSTER, &uuid, resolve, &asked).await.unwrap();
        assert_eq!(server.shows(&uuid).await.0, state, "{outcome}");
        if outcome == "rerun" {
            assert_eq!(server.agent().await.poll(1).await.unwrap()[0].uuid, uuid);
        }
    }
}
