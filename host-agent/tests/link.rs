//! The agent's side of the protocol, against a server whose every word is scripted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod executor_parts;
mod link_parts;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use claiflow_agent::{
    control::{Control, Rested},
    executor::{Executor, commands::Inventory},
    journal::{Directory, Journal},
    link::{Ambient, Fallback, Grpc, Link, Poll, Refused, Server, Transport},
    metrics::Metrics,
};
use claiflow_flow_worker::Pool;
use claiflow_proto::agent::v1::{
    Drain, Effect, Offer, Pause, StepEvent, StepState, Verdict, agent_event::Event, server_event,
};
use executor_parts::{DIGEST, Script, Signals, USAGE};
use link_parts::{Attached, PATIENCE, listen, listen_behind, welcomed};
use serde_json::{Value, json};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

struct Agent {
    address: SocketAddr,
    streams: UnboundedReceiver<Attached>,
    state: Directory,
    /// Holds the state directory.
    parent: tempfile::TempDir,
    process: Process,
}

/// What ends when the agent dies.
struct Process {
    script: Arc<Script>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    /// As commands have it that the agent serves.
    control: Control,
    running: JoinHandle<Result<(), Refused>>,
}

/// An agent that dials a scripted server.
async fn agent(commands: &Value, grace: Duration) -> Agent {
    let (address, streams) = listen().await;
    let parent = tempfile::tempdir().unwrap();
    let state = Directory::open(&parent.path().join("state")).unwrap();
    let process = process(&state, Arc::new(Grpc::new(server(address))), commands, grace).await;
    Agent { address, streams, state, parent, process }
}

fn server(address: SocketAddr) -> Server {
    Server::new(address.to_string(), "0".repeat(32), "token".into()).unwrap()
}

async fn process(state: &Directory, transport: Arc<dyn Transport>, commands: &Value, grace: Duration) -> Process {
    let script = Arc::new(Script::new(commands, Signals::default()));
    let metrics = Arc::new(Metrics::register().unwrap());
    let pool = Pool::new(env!("CARGO_BIN_EXE_claiflow-agent").into(), 1);
    let journal = Journal::open(Arc::new(state.disk()), metrics.journal_writable.clone()).await.unwrap();
    let stop = CancellationToken::new();
    let (control, orders) = Control::new(stop.clone());
    let link = Link {
        transport,
        journal_id: state.id(),
        journal,
        slots: 4,
        executor: Arc::new(Executor::new(script.clone(), pool).with_stop_grace(Duration::from_millis(50))),
        metrics: metrics.clone(),
        ambient: Arc::new(Ambient::of_the_system()),
        orders,
    };
    let running = tokio::spawn(link.run(stop.clone(), grace));
    Process { script, metrics, stop, control, running }
}

impl Agent {
    async fn ends(self) {
        self.process.stop.cancel();
        tokio::time::timeout(PATIENCE, self.process.running).await.expect("the agent ends").unwrap().unwrap();
    }

    fn journal(&self) -> PathBuf {
        self.parent.path().join("state/journal")
    }

    /// Dies at once and comes back.
    async fn restarts(&mut self, commands: &Value) {
        self.process.running.abort();
        let ended = (&mut self.process.running).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the agent had ended by itself");
        let transport = Arc::new(Grpc::new(server(self.address)));
        self.process = process(&self.state, transport, commands, PATIENCE).await;
    }

    fn shows(&self, line: &str) -> bool {
        self.process.metrics.text(&Inventory::default()).unwrap().lines().any(|shown| shown == line)
    }
}

/// Waits until a file has these bytes in it.
async fn holds(file: &Path, bytes: &[u8]) {
    let found = async {
        while !fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it is written");
}

fn one_step() -> Value {
    json!([{"$id": "a", "$command": "c"}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_when_the_stream_breaks_is_sent_again_and_its_run_goes_on() {
    let mut agent = agent(&json!({"c": {"effect": "never", "answers": [{"ok": 1}]}}), PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    for _ in 0..2 {
        let Some(Event::Step(step)) = stream.next().await else { panic!("no start") };
        assert_eq!((step.state(), step.path.as_str(), step.command.as_str()), (StepState::Started, "0", "c"));
        assert_eq!(step.plugin_digest, DIGEST);
        stream.break_off().await;
        let hello;
        (stream, hello) = welcomed(&mut agent.streams, vec![]).await;
        assert_eq!(hello.held.len(), 1, "the lease is still held");
    }
    assert_eq!(agent.process.script.paths(), [""; 0], "nothing starts without the server's word");
    assert!(matches!(stream.next().await, Some(Event::Step(step)) if step.state() == StepState::Started));
    stream.settle("lease", "0", StepState::Started).await;
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!((outcome.verdict(), outcome.result.as_slice()), (Verdict::Succeeded, b"1".as_slice()));
    assert_eq!(outcome.steps[0].usage.unwrap().memory_bytes, USAGE.memory_bytes);
    assert!(agent.shows("claiflow_agent_connected 1") && agent.shows("claiflow_agent_tasks_running 0"));
    assert!(agent.shows("claiflow_agent_runs_total{verdict=\"succeeded\"} 1"));
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_lease_is_gone_reports_nothing_and_its_slot_is_free_again() {
    let commands = json!({"c": {"effect": "never", "answers": []}, "r": {"answers": [{"ok": 2}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lost", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.break_off().await;
    let (mut stream, hello) = welcomed(&mut agent.streams, vec![b"lost".to_vec()]).await;
    assert_eq!(hello.held.len(), 1);
    while stream.credit.limit < 4 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    stream.offer("next", 1, &json!([{"$id": "a", "$command": "r"}])).await;
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!(outcome.lease_id, b"next");
    stream.settle("next", "", StepState::Unspecified).await;
    assert_eq!(agent.process.script.paths(), ["0"]);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_comes_in_pieces_between_heartbeats_and_no_message_is_large() {
    let text = "x".repeat(1_000_000);
    let mut agent = agent(&json!({"c": {"answers": [{"ok": text}]}}), PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    let (mut whole, mut index) = (Vec::new(), 0);
    let outcome = loop {
        match stream.next().await.unwrap() {
            Event::Chunk(chunk) => {
                assert_eq!((chunk.index, chunk.path.as_str()), (index, ""));
                whole.extend(chunk.data);
                index += 1;
            }
            Event::Outcome(outcome) => break outcome,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((outcome.result.len(), whole), (0, json!(text).to_string().into_bytes()));
    assert!(stream.largest <= 256 << 10, "{} bytes in one message", stream.largest);
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ends_hands_back_what_had_no_effect_and_keeps_the_lease_of_the_rest() {
    let commands = json!({
        "reads": {"effect": "read", "answers": [{"when": "never"}]},
        "writes": {"effect": "never", "answers": [{"when": "never"}]},
    });
    let mut agent = agent(&commands, Duration::ZERO).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("harmless", 1, &json!([{"$id": "a", "$command": "reads"}])).await;
    stream.offer("writing", 2, &json!([{"$id": "a", "$command": "writes"}])).await;
    assert!(matches!(stream.next().await, Some(Event::Step(step)) if step.lease_id == b"writing"));
    stream.settle("writing", "0", StepState::Started).await;
    agent.process.script.begun.subscribe().wait_for(|begun| *begun == 2).await.unwrap();
    agent.process.stop.cancel();
    let Some(Event::Handback(handback)) = stream.next().await else { panic!("nothing is handed back") };
    assert_eq!((handback.lease_id.as_slice(), handback.reason.as_str()), (b"harmless".as_slice(), "draining"));
    let more = stream.next().await;
    assert!(more.is_none(), "the agent has nothing more to say, and yet: {more:?}");
    drop(stream);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ends_lets_its_runs_end_first() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    agent.process.stop.cancel();
    stream.settle("lease", "0", StepState::Started).await;
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!(outcome.verdict(), Verdict::Succeeded);
    stream.settle("lease", "", StepState::Unspecified).await;
    assert!(stream.next().await.is_none());
    drop(stream);
    agent.ends().await;
}

/// A task of the test's, as the agent names it.
fn uuid(lease: &str) -> String {
    lease.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_the_agent_to_leave_is_reported_before_it_does_and_the_others_have_ended() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}, {"ok": 2}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    // Each waits for the server's word on its start.
    stream.offer("asking", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.offer("other", 2, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    let control = agent.process.control.clone();
    let rested = tokio::spawn(async move { control.rest(&uuid("asking"), PATIENCE).await });
    // Two have been taken, and no more may come.
    while stream.credit.limit != 2 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    assert!(!rested.is_finished());
    stream.settle("other", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("other", "", StepState::Unspecified).await;
    assert_eq!(rested.await.unwrap(), Ok(Rested { handed_back: 0, leased: 0 }));
    agent.process.control.leave();
    stream.settle("asking", "0", StepState::Started).await;
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!((outcome.lease_id.as_slice(), outcome.verdict()), (b"asking".as_slice(), Verdict::Succeeded));
    assert!(!agent.process.running.is_finished(), "it left before the server had the report");
    stream.settle("asking", "", StepState::Unspecified).await;
    assert!(stream.next().await.is_none());
    drop(stream);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_beside_a_task_that_asks_for_rest_goes_back_when_its_time_is_over_and_only_it_does() {
    let commands = json!({
        "c": {"effect": "never", "answers": [{"ok": 1}]},
        "slow": {"effect": "read", "answers": [{"when": "never"}, {"ok": 3}]},
    });
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("asking", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    let slow = json!([{"$id": "a", "$command": "slow"}]);
    stream.offer("harmless", 2, &slow).await;
    agent.process.script.begun.subscribe().wait_for(|begun| *begun == 1).await.unwrap();
    let rested = agent.process.control.rest(&uuid("asking"), Duration::from_millis(20)).await;
    assert_eq!(rested, Ok(Rested { handed_back: 1, leased: 0 }));
    let Some(Event::Handback(handback)) = stream.next().await else { panic!("nothing goes back") };
    assert_eq!((handback.lease_id.as_slice(), handback.reason.as_str()), (b"harmless".as_slice(), "draining"));
    // It ends without having asked the agent to leave: then others are taken again.
    stream.settle("asking", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("asking", "", StepState::Unspecified).await;
    stream.offer("after", 3, &slow).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("after", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_is_given_to_a_task_that_is_held_and_two_do_not_wait_for_each_other() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}, {"ok": 2}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    for (number, lease) in [(1, "one"), (2, "two")] {
        stream.offer(lease, number, &one_step()).await;
        assert!(matches!(stream.next().await, Some(Event::Step(_))));
    }
    let control = &agent.process.control;
    assert!(control.rest(&uuid("nobody"), PATIENCE).await.is_err());
    let (one, two) = (uuid("one"), uuid("two"));
    let both = tokio::time::timeout(PATIENCE, async {
        tokio::join!(control.rest(&one, PATIENCE), control.rest(&two, PATIENCE))
    });
    let quiet = Ok(Rested { handed_back: 0, leased: 0 });
    assert_eq!(both.await.expect("they wait for each other"), (quiet, quiet));
    for lease in ["one", "two"] {
        stream.settle(lease, "0", StepState::Started).await;
        assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
        stream.settle(lease, "", StepState::Unspecified).await;
    }
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_was_not_settled_when_the_agent_died_is_reported_by_the_next() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": "what it gave"}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.settle("lease", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    holds(&agent.journal(), b"what it gave").await;
    agent.restarts(&commands).await;
    let (mut stream, hello) = welcomed(&mut agent.streams, vec![]).await;
    let held: Vec<_> =
        hello.held.iter().map(|held| (held.lease_id.as_slice(), held.task.as_slice(), held.epoch)).collect();
    assert_eq!(held, [(b"lease".as_slice(), b"lease".as_slice(), 1)]);
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!((outcome.verdict(), outcome.result.as_slice()), (Verdict::Succeeded, b"\"what it gave\"".as_slice()));
    assert_eq!(agent.process.script.paths(), [""; 0], "it is told, not done again");
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_of_steps_are_reported_by_the_next_process_and_the_lease_then_goes_back() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": "what it gave"}, {"when": "never"}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    let flow = json!([{"$id": "a", "$command": "c"}, {"$id": "b", "$command": "c"}]);
    stream.offer("lease", 1, &flow).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.settle("lease", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Step(step)) if step.state() == StepState::Succeeded));
    holds(&agent.journal(), b"what it gave").await;
    for _ in 0..2 {
        agent.restarts(&commands).await;
        let (next, hello) = welcomed(&mut agent.streams, vec![]).await;
        stream = next;
        assert_eq!(hello.held.len(), 1);
        let Some(Event::Step(step)) = stream.next().await else { panic!("no step") };
        assert_eq!((step.state(), step.path.as_str()), (StepState::Succeeded, "0"));
        assert_eq!(step.output, b"\"what it gave\"");
    }
    stream.settle("lease", "0", StepState::Succeeded).await;
    let Some(Event::Handback(handback)) = stream.next().await else { panic!("it is not handed back") };
    assert_eq!((handback.lease_id.as_slice(), handback.reason.as_str()), (b"lease".as_slice(), "restarted"));
    stream.break_off().await;
    let (stream, hello) = welcomed(&mut agent.streams, vec![]).await;
    assert_eq!(hello.held.len(), 0);
    drop(stream);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_with_nothing_to_report_is_not_held_by_the_next_process() {
    let commands = json!({"c": {"effect": "idempotent", "answers": [{"when": "never"}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    agent.process.script.begun.subscribe().wait_for(|begun| *begun == 1).await.unwrap();
    assert!(fs::read(agent.journal()).unwrap().windows(5).any(|window| window == b"lease"), "its start is on the disk");
    agent.restarts(&commands).await;
    let (stream, hello) = welcomed(&mut agent.streams, vec![]).await;
    assert_eq!(hello.held.len(), 0);
    drop(stream);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_sent_away_ends_what_runs_takes_nothing_more_and_comes_again() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.say(server_event::Event::Drain(Drain { reason: "it stops".into(), reconnect_ms: 10 })).await;
    while stream.credit.limit > 1 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    stream.settle("lease", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("lease", "", StepState::Unspecified).await;
    assert!(stream.next().await.is_none(), "all is said");
    drop(stream);
    let (mut stream, hello) = welcomed(&mut agent.streams, vec![]).await;
    assert_eq!(hello.held.len(), 0);
    while stream.credit.limit < 4 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    drop(stream);
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_the_server_that_sent_its_agent_away_is_gone() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    stream.say(server_event::Event::Drain(Drain { reason: "it stops".into(), reconnect_ms: 10 })).await;
    stream.break_off().await;
    let (mut stream, hello) = welcomed(&mut agent.streams, vec![]).await;
    assert_eq!(hello.held.len(), 1);
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    stream.settle("lease", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_runs_alone_begins_when_the_others_have_ended() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}]}, "r": {"answers": [{"ok": 2}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("first", 1, &one_step()).await;
    assert!(matches!(stream.next().await, Some(Event::Step(_))));
    let alone = Offer { alone: true, ..Offer::default() };
    stream.offer_as("solo", 2, &json!([{"$id": "a", "$command": "r"}]), alone).await;
    for _ in 0..3 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))), "only heartbeats come");
    }
    assert_eq!(stream.credit.limit, 2, "nothing more is asked for");
    stream.settle("first", "0", StepState::Started).await;
    for lease in ["first", "solo"] {
        let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
        assert_eq!(outcome.lease_id, lease.as_bytes());
        stream.settle(lease, "", StepState::Unspecified).await;
    }
    while stream.credit.limit < 6 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_streams_do_not_last_the_same_is_said_by_requests() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": "x".repeat(200_000)}]}});
    let parent = tempfile::tempdir().unwrap();
    let state = Directory::open(parent.path()).unwrap();
    for ends_streams in [false, true] {
        let (address, mut streams) = listen_behind(ends_streams).await;
        let transport: Arc<dyn Transport> = if ends_streams {
            Arc::new(Fallback::new(Grpc::new(server(address)), Poll::new(server(address))))
        } else {
            Arc::new(Poll::new(server(address)))
        };
        let process = process(&state, transport, &commands, PATIENCE).await;
        let (mut stream, _) = welcomed(&mut streams, vec![]).await;
        stream.offer("lease", 1, &one_step()).await;
        assert!(matches!(stream.next().await, Some(Event::Step(_))));
        stream.settle("lease", "0", StepState::Started).await;
        let mut bytes = 0;
        let outcome = loop {
            match stream.next().await.unwrap() {
                Event::Chunk(chunk) => bytes += chunk.data.len(),
                Event::Outcome(outcome) => break outcome,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((outcome.verdict(), bytes), (Verdict::Succeeded, 200_002));
        stream.settle("lease", "", StepState::Unspecified).await;
        stream.break_off().await;
        let (mut stream, hello) = welcomed(&mut streams, vec![]).await;
        assert_eq!(hello.held.len(), 0);
        process.stop.cancel();
        assert!(stream.next().await.is_none(), "it says that it has said everything");
        drop(stream);
        tokio::time::timeout(PATIENCE, process.running).await.expect("the agent ends").unwrap().unwrap();
    }
}

fn earlier(path: &str, state: StepState, effect: Effect, output: &str) -> StepEvent {
    StepEvent {
        path: path.into(),
        state: state.into(),
        effect: effect.into(),
        plugin_digest: DIGEST.to_vec(),
        output: output.into(),
        ..StepEvent::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_an_earlier_attempt_started_is_asked_about_with_its_notes() {
    let flow = json!([{"$id": "a", "$command": "r"}, {"$id": "b", "$command": "v"}]);
    let commands = json!({"r": {"answers": []}, "v": {"effect": "verify", "answers": [], "verify": [{"done": 2}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    let finished = vec![
        earlier("1#note/10", StepState::Recorded, Effect::Verify, "10"),
        earlier("1", StepState::Started, Effect::Verify, ""),
        earlier("1#note/9", StepState::Recorded, Effect::Verify, "9"),
        earlier("0", StepState::Succeeded, Effect::Read, "1"),
    ];
    stream.offer_after("lease", 1, &flow, finished).await;
    let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
    assert_eq!((outcome.verdict(), outcome.result.as_slice()), (Verdict::Succeeded, b"2".as_slice()));
    assert_eq!((agent.process.script.paths().len(), agent.process.script.verified_paths()), (0, vec!["1".to_owned()]));
    assert_eq!(agent.process.script.contexts.lock().unwrap()[0].2, ["9", "10"]);
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmless_step_that_an_earlier_attempt_started_runs_and_one_of_an_unknown_class_does_not() {
    for (effect, verdict, calls) in
        [(Effect::Idempotent, Verdict::Succeeded, 1), (Effect::Unspecified, Verdict::Unknown, 0)]
    {
        let mut agent = agent(&json!({"c": {"effect": "idempotent", "answers": [{"ok": 1}]}}), PATIENCE).await;
        let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
        let started = vec![earlier("0", StepState::Started, effect, "")];
        stream.offer_after("lease", 1, &one_step(), started).await;
        let Some(Event::Outcome(outcome)) = stream.next().await else { panic!("no outcome") };
        assert_eq!(
            (outcome.verdict(), agent.process.script.paths().len()),
            (verdict, calls),
            "{effect:?}: {outcome:?}"
        );
        stream.settle("lease", "", StepState::Unspecified).await;
        agent.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_waits_for_the_servers_word_over_broken_streams() {
    let mut agent = agent(&json!({"c": {"answers": [{"notes": [{"x": 1}, 2], "ok": 1}]}}), PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    let noted = async |stream: &mut link_parts::Attached, path: &str, text: &str| {
        let Some(Event::Step(note)) = stream.next().await else { panic!("no note") };
        assert_eq!((note.state(), note.path.as_str()), (StepState::Recorded, path));
        assert_eq!(note.output, text.as_bytes());
    };
    noted(&mut stream, "0#note/0", r#"{"x":1}"#).await;
    stream.break_off().await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    noted(&mut stream, "0#note/0", r#"{"x":1}"#).await;
    // The word of something else is not the note's.
    stream.settle("lease", "0#note/0", StepState::Started).await;
    stream.settle("lease", "0", StepState::Recorded).await;
    stream.settle("lease", "0#note/0", StepState::Recorded).await;
    noted(&mut stream, "0#note/1", "2").await;
    stream.settle("lease", "0#note/1", StepState::Recorded).await;
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_says_comes_before_the_outcome_of_its_task() {
    let lines: Vec<_> = (0..100).map(|at| format!("line {at}")).collect();
    let mut agent = agent(&json!({"c": {"answers": [{"logs": lines, "ok": 1}]}}), PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    stream.offer("lease", 1, &one_step()).await;
    for message in lines {
        let Some(Event::Log(line)) = stream.next().await else { panic!("no line") };
        assert_eq!((line.lease_id.as_slice(), line.path.as_str(), line.level.as_str()), (&b"lease"[..], "0", "info"));
        assert_eq!((&line.message, line.fields["name"].as_str(), line.wall_us > 0), (&message, "value", true));
    }
    assert!(matches!(stream.next().await, Some(Event::Outcome(_))));
    stream.settle("lease", "", StepState::Unspecified).await;
    agent.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_task_ends_its_step_and_goes_back_when_that_is_settled() {
    let commands = json!({"c": {"effect": "never", "answers": [{"ok": 1}]}});
    let mut agent = agent(&commands, PATIENCE).await;
    let (mut stream, _) = welcomed(&mut agent.streams, vec![]).await;
    let flow = json!([{"$id": "a", "$command": "c"}, {"$id": "b", "$command": "c"}]);
    stream.offer("lease", 1, &flow).await;
    assert!(matches!(stream.next().await, Some(Event::Step(step)) if step.state() == StepState::Started));
    stream.say(server_event::Event::Pause(Pause { lease_id: b"lease".to_vec(), paused: true })).await;
    stream.settle("lease", "0", StepState::Started).await;
    assert!(matches!(stream.next().await, Some(Event::Step(step)) if step.state() == StepState::Succeeded));
    for _ in 0..3 {
        let any = stream.any().await;
        assert!(matches!(any, Some(Event::Credit(_))), "the step's end is not settled, and yet: {any:?}");
    }
    stream.settle("lease", "0", StepState::Succeeded).await;
    let Some(Event::Handback(handback)) = stream.next().await else { panic!("it is not handed back") };
    assert_eq!((handback.lease_id.as_slice(), handback.reason.as_str()), (b"lease".as_slice(), "paused"));
    while stream.credit.limit < 5 {
        assert!(matches!(stream.any().await, Some(Event::Credit(_))));
    }
    assert_eq!(agent.process.script.paths(), ["0"]);
    agent.ends().await;
}
