//! What an agent may say that is wrong, over a real connection: each has its answer, and none changes what is final.

use std::collections::VecDeque;

use claiflow_proto::agent::v1::{
    AgentEvent, AgentMessage, AuthenticateRequest, Command, Credit, Held, Hello, Inventory, Outcome, OutputChunk,
    ServerMessage, Settled, StepEvent, Verdict, agent_event::Event, agent_service_client::AgentServiceClient,
    server_event,
};
use claiflow_server::model::{
    ids::{Id, unhex},
    state::State,
    step::{FAILED, NEVER, STARTED, SUCCEEDED},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use crate::{
    served::{CLUSTER, Server, TOKEN},
    world::{READ, World},
};

promises![
    a_report_under_a_lease_that_is_not_the_agents_is_refused,
    a_report_after_the_end_changes_nothing,
    steps_out_of_order_keep_what_is_known,
    a_step_with_a_path_that_no_row_holds_fails_its_task,
    a_step_whose_output_no_row_holds_fails_its_task,
    a_result_that_no_row_holds_fails_its_task,
    a_result_without_end_fails_its_task,
    what_makes_no_sense_ends_the_stream_and_nothing_else,
    a_verdict_that_nobody_knows_is_a_failure,
];

/// An agent's stream.
struct Agent {
    events: mpsc::Sender<AgentMessage>,
    answers: Streaming<ServerMessage>,
    heard: VecDeque<server_event::Event>,
}

impl Agent {
    async fn connect(server: &Server, journal: u8, held: &[Vec<u8>]) -> Self {
        let mut client = AgentServiceClient::new(server.channel().await);
        let proof = AuthenticateRequest {
            cluster_uuid: CLUSTER.into(),
            token: TOKEN.into(),
            agent_version: "test".into(),
            protocol: 1,
        };
        let session = client.authenticate(proof).await.unwrap().into_inner().session;
        let (events, said) = mpsc::channel(64);
        let command = Command { name: "a".into(), ..Command::default() };
        let hello = Hello {
            agent_version: "test".into(),
            journal_id: vec![journal; 16],
            slots: 10,
            inventory: Some(Inventory { commands: vec![command], plugins: vec![] }),
            held: held.iter().map(|lease| Held { lease_id: lease.clone(), ..Held::default() }).collect(),
            ..Hello::default()
        };
        say(&events, Event::Hello(hello)).await;
        say(&events, Event::Credit(Credit { stamp: 1, limit: 10 })).await;
        let mut request = Request::new(ReceiverStream::new(said));
        request.metadata_mut().insert("authorization", format!("Bearer {session}").parse().unwrap());
        let answers = client.attach(request).await.unwrap().into_inner();
        Self { events, answers, heard: VecDeque::new() }
    }

    async fn say(&self, event: Event) {
        say(&self.events, event).await;
    }

    /// The next event that a test waits for; or how the stream ended.
    async fn hears<T>(&mut self, which: impl Fn(&server_event::Event) -> Option<T>) -> Result<T, Status> {
        loop {
            while let Some(event) = self.heard.pop_front() {
                if let Some(found) = which(&event) {
                    return Ok(found);
                }
            }
            let Some(message) = self.answers.message().await? else { return Err(Status::ok("the stream ended")) };
            self.heard.extend(message.events.into_iter().filter_map(|event| event.event));
        }
    }

    /// The lease of the next offer.
    async fn offer(&mut self) -> Vec<u8> {
        let lease = self.hears(|event| match event {
            server_event::Event::Offer(offer) => Some(offer.lease_id.clone()),
            _ => None,
        });
        lease.await.unwrap()
    }

    /// Whether what was said last is accepted.
    async fn settled(&mut self) -> Result<bool, Status> {
        self.hears(|event| match event {
            server_event::Event::Settled(Settled { accepted, .. }) => Some(*accepted),
            _ => None,
        })
        .await
    }

    async fn asks(&mut self, event: Event) -> Result<bool, Status> {
        self.say(event).await;
        self.settled().await
    }
}

async fn say(events: &mpsc::Sender<AgentMessage>, event: Event) {
    // A stream that the server has ended takes nothing more.
    let _ = events.send(AgentMessage { events: vec![AgentEvent { event: Some(event) }] }).await;
}

fn step(lease: &[u8], path: &str, state: i16, effect: i16, output: &str) -> Event {
    Event::Step(StepEvent {
        lease_id: lease.to_vec(),
        path: path.into(),
        r#try: 1,
        state: state.into(),
        effect: effect.into(),
        output: output.into(),
        ..StepEvent::default()
    })
}

fn outcome(lease: &[u8], result: &[u8]) -> Event {
    Event::Outcome(Outcome {
        lease_id: lease.to_vec(),
        verdict: Verdict::Succeeded.into(),
        result: result.to_vec(),
        ..Outcome::default()
    })
}

fn chunk(lease: &[u8], bytes: usize) -> Event {
    Event::Chunk(OutputChunk { lease_id: lease.to_vec(), data: vec![b'x'; bytes], ..OutputChunk::default() })
}

/// A server, and a task that its one agent was offered: its uuid and its lease.
async fn offered(world: &World) -> (Server, Agent, String, Vec<u8>) {
    let server = Server::start(world).await;
    let mut agent = Agent::connect(&server, 1, &[]).await;
    let uuid = server.create().await;
    let lease = agent.offer().await;
    (server, agent, uuid, lease)
}

async fn state(world: &World, uuid: &str) -> State {
    world.state(unhex(uuid).unwrap()).await
}

async fn a_report_under_a_lease_that_is_not_the_agents_is_refused(world: World) {
    let (server, mut agent, uuid, lease) = offered(&world).await;
    let mut stranger = Agent::connect(&server, 2, std::slice::from_ref(&lease)).await;
    for lease in [&lease, &world.source.random().to_vec()] {
        assert!(!stranger.asks(step(lease, "0", SUCCEEDED, READ, "1")).await.unwrap());
        assert!(!stranger.asks(outcome(lease, b"1")).await.unwrap());
    }
    assert_eq!(state(&world, &uuid).await, State::Running);
    assert_eq!(world.number("SELECT COUNT(*) FROM step").await, 0);
    assert!(agent.asks(outcome(&lease, b"1")).await.unwrap());
    assert_eq!(state(&world, &uuid).await, State::Succeeded);
}

async fn a_report_after_the_end_changes_nothing(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    assert!(agent.asks(outcome(&lease, b"1")).await.unwrap());
    for late in [outcome(&lease, b"2"), step(&lease, "0", SUCCEEDED, READ, "2"), step(&lease, "0", STARTED, NEVER, "")]
    {
        assert!(!agent.asks(late).await.unwrap());
    }
    let view = world.store.task(world.cluster, &unhex(&uuid).unwrap()).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.result.as_deref()), (State::Succeeded, Some("1")));
    assert_eq!(world.number("SELECT COUNT(*) FROM history").await, 1);
}

async fn steps_out_of_order_keep_what_is_known(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    let id: Id = unhex(&uuid).unwrap();
    for (path, said, kept) in [
        ("end before start", [(SUCCEEDED, "1"), (STARTED, "")], (SUCCEEDED, Some("1"))),
        ("start again after the end", [(FAILED, ""), (STARTED, "")], (FAILED, None)),
        ("another end", [(SUCCEEDED, "1"), (FAILED, "")], (SUCCEEDED, Some("1"))),
        ("another output", [(SUCCEEDED, "1"), (SUCCEEDED, "2")], (SUCCEEDED, Some("1"))),
        ("start twice", [(STARTED, ""), (STARTED, "")], (STARTED, None)),
        ("no state at all", [(SUCCEEDED, "1"), (0, "")], (SUCCEEDED, Some("1"))),
    ] {
        for (state, output) in said {
            assert!(agent.asks(step(&lease, path, state, NEVER, output)).await.unwrap(), "{path}: the lease is valid");
        }
        let steps = world.store.steps(&id, world.cluster).await.unwrap();
        let found = steps.iter().find(|step| step.path == path).unwrap();
        assert_eq!((found.state, found.output.as_deref()), kept, "{path}");
    }
    assert_eq!(state(&world, &uuid).await, State::Running);
}

async fn a_step_with_a_path_that_no_row_holds_fails_its_task(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    let path = |characters: usize| "é".repeat(characters);
    assert!(agent.asks(step(&lease, &path(255), SUCCEEDED, READ, "1")).await.unwrap());
    assert!(!agent.asks(step(&lease, &path(256), SUCCEEDED, READ, "1")).await.unwrap());
    failed(&world, &uuid, "invalid").await;
}

async fn a_step_whose_output_no_row_holds_fails_its_task(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    let output = format!("\"{}\"", "x".repeat(5 << 20));
    assert!(!agent.asks(step(&lease, "0", SUCCEEDED, READ, &output)).await.unwrap());
    failed(&world, &uuid, "too_large").await;
}

/// Waits until a task has failed, and looks at what is said of it.
async fn failed(world: &World, uuid: &str, code: &str) {
    let ended = async {
        loop {
            let view = world.store.task(world.cluster, &unhex(uuid).unwrap()).await.unwrap().unwrap();
            if view.ended.is_some() {
                return view;
            }
            tokio::task::yield_now().await;
        }
    };
    let view = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("the task ends");
    assert_eq!((State::of(view.state), view.result), (State::Failed, None));
    assert!(view.error.unwrap().starts_with(code));
}

async fn a_result_that_no_row_holds_fails_its_task(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    for _ in 0..17 {
        agent.say(chunk(&lease, 1 << 20)).await;
    }
    assert!(agent.asks(outcome(&lease, b"")).await.unwrap());
    failed(&world, &uuid, "too_large").await;
}

async fn a_result_without_end_fails_its_task(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    for _ in 0..40 {
        agent.say(chunk(&lease, 1 << 20)).await;
    }
    assert!(agent.asks(outcome(&lease, b"")).await.unwrap());
    failed(&world, &uuid, "too_large").await;
}

async fn what_makes_no_sense_ends_the_stream_and_nothing_else(world: World) {
    let (server, mut agent, uuid, lease) = offered(&world).await;
    for (name, event, code) in [
        ("a lease id of another length", outcome(b"short", b"1"), Code::InvalidArgument),
        ("an output that is no text", outcome(&lease, b"\xff"), Code::InvalidArgument),
        ("a second hello", Event::Hello(Hello::default()), Code::InvalidArgument),
    ] {
        agent.say(event).await;
        assert_eq!(agent.settled().await.unwrap_err().code(), code, "{name}");
        assert_eq!(state(&world, &uuid).await, State::Running, "{name}");
        agent = Agent::connect(&server, 1, std::slice::from_ref(&lease)).await;
    }
    assert!(agent.asks(outcome(&lease, b"1")).await.unwrap());
    assert_eq!(state(&world, &uuid).await, State::Succeeded);
}

async fn a_verdict_that_nobody_knows_is_a_failure(world: World) {
    let (_server, mut agent, uuid, lease) = offered(&world).await;
    let said = Outcome { lease_id: lease.clone(), verdict: 99, result: b"1".to_vec(), ..Outcome::default() };
    assert!(agent.asks(Event::Outcome(said)).await.unwrap());
    let view = world.store.task(world.cluster, &unhex(&uuid).unwrap()).await.unwrap().unwrap();
    assert_eq!((State::of(view.state), view.result), (State::Failed, None));
}
