//! One agent's stream: events in, orders out, both in batches.

use std::{collections::HashMap, sync::Arc, time::Duration};

use claiflow_proto::agent::v1::{
    AgentEvent, AgentMessage, Cancel, Drain, Hello, Offer, Outcome, OutputChunk, Pause, Seen, ServerEvent,
    ServerMessage, Settled, Snapshot, StepEvent, Usage, Verdict, Welcome, agent_event::Event, server_event,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::inventory;
use crate::{
    dispatch::{Attach, Dispatch, Order, Said},
    model::{
        ids::Id,
        lifecycle::Doubt,
        state::State,
        statuses::timeline_text,
        step::{STARTED, StepRow, Used},
        task::{Finish, Lease, Task, Timeline},
    },
    storage, telemetry,
};

/// A message that holds more than this is sent as it is.
const MESSAGE_BYTES: usize = 4 << 20;
/// Orders in one message at most.
const BATCH: usize = 256;
/// All outputs of one stream that have arrived in part, bytes.
const CHUNKS_BYTES: usize = 128 << 20;
/// Output of one step that is stored, bytes: more than an agent lets a step give.
const STEP_BYTES: usize = 4 << 20;
/// Output that arrives in chunks, bytes; of a longer one no more is kept.
const OUTPUT_BYTES: usize = 20 << 20;
/// A step's path at most, characters: what a row holds. A longer one would be repeated without end.
const PATH_CHARACTERS: usize = 255;
/// An agent that says nothing for so long, while it should say that it lives each second, is not connected any more.
const QUIET: Duration = Duration::from_secs(15);
/// The first event must come within this time.
const HELLO: Duration = Duration::from_secs(10);

/// What an agent says.
pub trait Events: Stream<Item = Result<AgentMessage, Status>> + Send + Unpin + 'static {}

impl<S: Stream<Item = Result<AgentMessage, Status>> + Send + Unpin + 'static> Events for S {}

type Answers = mpsc::Sender<Result<ServerMessage, Status>>;

/// Holds the conversation, whatever carries it: what the agent says comes out of `events`, what it is told out of the
/// receiver. `uuid` is the session's.
#[must_use]
pub fn converse(
    dispatch: Dispatch,
    uuid: String,
    cluster: i64,
    mut events: impl Events,
) -> mpsc::Receiver<Result<ServerMessage, Status>> {
    let (answers, stream) = mpsc::channel(8);
    tokio::spawn(async move {
        let outcome = run(&dispatch, uuid, cluster, &mut events, &answers).await;
        if let Err(status) = outcome {
            // The agent may be gone already.
            let _ = answers.send(Err(status)).await;
        }
    });
    stream
}

async fn run(
    dispatch: &Dispatch,
    uuid: String,
    cluster: i64,
    events: &mut impl Events,
    answers: &Answers,
) -> Result<(), Status> {
    let first =
        tokio::time::timeout(HELLO, events.next()).await.map_err(|_| Status::deadline_exceeded("no hello came"))?;
    let Some(first) = first else { return Ok(()) };
    let mut queue = first?.events.into_iter();
    let Some(Event::Hello(hello)) = queue.next().and_then(|event| event.event) else {
        return Err(Status::invalid_argument("the first event of a stream is `hello`"));
    };
    let (orders, ordered) = mpsc::unbounded_channel();
    let attach = attach_of(hello, uuid.clone(), cluster)?;
    let (session, gone) = dispatch.attach(attach, orders.clone()).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an agent could not be attached");
        Status::unavailable("the server cannot reach its database at the moment")
    })?;
    tracing::info!(session.uuid = uuid, "an agent is connected");
    let welcome = Welcome {
        session_uuid: uuid.clone(),
        gone: gone.iter().map(|id| id.to_vec()).collect(),
        lease_ttl_ms: u64::try_from(dispatch.timing().lease_ttl.as_millis()).unwrap_or(u64::MAX),
        heartbeat_ms: dispatch.timing().heartbeat_ms(),
    };
    let mut connection = Connection { dispatch, session, chunks: HashMap::new(), orders };
    let outcome = tokio::select! {
        // The writing half first: it is held back by its channel, so the reading half gets its turn.
        biased;
        () = write(dispatch, welcome, ordered, answers) => Ok(()),
        outcome = connection.read(queue.collect(), events) => outcome,
    };
    dispatch.detach(session).await;
    tracing::info!(session.uuid = uuid, "an agent is disconnected");
    outcome
}

fn attach_of(hello: Hello, uuid: String, cluster: i64) -> Result<Attach, Status> {
    let journal = hello.journal_id.try_into().map_err(|_| Status::invalid_argument("`journal_id` has 16 bytes"))?;
    Ok(Attach {
        cluster,
        uuid,
        name: hello.name,
        version: hello.agent_version,
        journal,
        language_level: hello.language_level,
        inventory: hello.inventory.map(inventory::read).unwrap_or_default(),
        held: hello.held.into_iter().filter_map(|held| held.lease_id.try_into().ok()).collect(),
    })
}

/// Sends orders, as many in a message as are waiting; ends with `Close`.
async fn write(dispatch: &Dispatch, welcome: Welcome, mut ordered: mpsc::UnboundedReceiver<Order>, answers: &Answers) {
    let welcome = ServerMessage { events: vec![ServerEvent { event: Some(server_event::Event::Welcome(welcome)) }] };
    if answers.send(Ok(welcome)).await.is_err() {
        return;
    }
    let mut batch = Vec::new();
    while ordered.recv_many(&mut batch, BATCH).await > 0 {
        let mut events = Vec::with_capacity(batch.len());
        let (mut close, mut bytes) = (false, 0);
        for order in batch.drain(..) {
            let event = match order {
                Order::Offer { number, stamp, lease, first } => {
                    match offer(dispatch, number, stamp, &lease, first).await {
                        Ok(offer) => server_event::Event::Offer(offer),
                        Err(error) => {
                            tracing::error!(
                                error = &error as &dyn std::error::Error,
                                "the steps of a task could not be read; its agent connects again"
                            );
                            return;
                        }
                    }
                }
                Order::Settled { lease, accepted } => {
                    server_event::Event::Settled(Settled { lease_id: lease.to_vec(), accepted, ..Settled::default() })
                }
                Order::Seen { stamp } => server_event::Event::Seen(Seen { stamp }),
                Order::Cancel { lease } => server_event::Event::Cancel(Cancel {
                    lease_id: lease.to_vec(),
                    reason: "somebody cancelled the task".into(),
                }),
                Order::Pause { lease, paused } => {
                    server_event::Event::Pause(Pause { lease_id: lease.to_vec(), paused })
                }
                Order::Drain { reason, reconnect_ms } => {
                    server_event::Event::Drain(Drain { reason: reason.into(), reconnect_ms })
                }
                Order::StepSettled { lease, path, attempt, state, accepted } => server_event::Event::Settled(Settled {
                    lease_id: lease.to_vec(),
                    path,
                    r#try: attempt,
                    state,
                    accepted,
                }),
                Order::Close => {
                    close = true;
                    continue;
                }
            };
            let event = ServerEvent { event: Some(event) };
            bytes += event.encoded_len();
            events.push(event);
            // Offers may be large, and an agent takes no message without a limit.
            if bytes > MESSAGE_BYTES {
                bytes = 0;
                if answers.send(Ok(ServerMessage { events: std::mem::take(&mut events) })).await.is_err() {
                    return;
                }
            }
        }
        if answers.send(Ok(ServerMessage { events })).await.is_err() || close {
            return;
        }
    }
}

async fn offer(
    dispatch: &Dispatch,
    number: u64,
    stamp: u64,
    lease: &Lease,
    first: bool,
) -> Result<Offer, storage::Error> {
    let task = &lease.task;
    let finished = if task.epoch > 1 { dispatch.steps(task).await? } else { vec![] };
    Ok(Offer {
        number,
        credit_stamp: stamp,
        task: task.id.to_vec(),
        lease_id: lease.id.to_vec(),
        epoch: task.epoch.unsigned_abs(),
        attempt: task.attempt.unsigned_abs(),
        snapshot: task.snapshot.id.to_vec(),
        snapshot_body: first.then(|| Snapshot {
            template_uuid: task.snapshot.template_uuid.clone(),
            flow: task.snapshot.flow.clone(),
            language_level: task.snapshot.language_level,
        }),
        inputs: task.inputs.clone().into_bytes(),
        run_timeout_ms: left_ms(task, dispatch.now_us()),
        finished: finished.into_iter().filter(is_needed).map(known_step).collect(),
        traceparent: telemetry::offered(lease, dispatch.now_us()).unwrap_or_default(),
        alone: task.attempt > 2,
        request_id: task.request_id.clone().unwrap_or_default(),
    })
}

/// What is left of a run, in milliseconds; at least one, so that the agent says that it is over.
fn left_ms(task: &Task, now_us: i64) -> u64 {
    let left_us = task.deadline().map_or(task.run_timeout_ms.saturating_mul(1_000), |deadline| deadline - now_us);
    u64::try_from(left_us / 1_000).unwrap_or_default().max(1)
}

/// Whether the next attempt must know of a step: what it gave, what it noted, or that it may have happened.
fn is_needed(step: &StepRow) -> bool {
    step.output.is_some() || step.doubt() == Doubt::Ask
}

fn known_step(step: StepRow) -> StepEvent {
    StepEvent {
        path: step.path,
        r#try: step.attempt.unsigned_abs(),
        state: i32::from(step.state),
        effect: i32::from(step.effect),
        output: step.output.unwrap_or_default().into_bytes(),
        top: step.top.unsigned_abs(),
        wall_us: step.ended.unwrap_or(step.started),
        ..StepEvent::default()
    }
}

/// The reading half.
struct Connection<'a> {
    dispatch: &'a Dispatch,
    session: u64,
    /// Outputs that arrive in pieces, by lease and path.
    chunks: HashMap<(Vec<u8>, String), Vec<u8>>,
    orders: mpsc::UnboundedSender<Order>,
}

impl Connection<'_> {
    async fn read(&mut self, rest: Vec<AgentEvent>, events: &mut impl Events) -> Result<(), Status> {
        for event in rest {
            self.event(event).await?;
        }
        let quiet = self.dispatch.timing().silence.min(QUIET);
        while let Some(message) = tokio::time::timeout(quiet, events.next())
            .await
            .map_err(|_| Status::deadline_exceeded("no heartbeat came"))?
        {
            for event in message?.events {
                self.event(event).await?;
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: AgentEvent) -> Result<(), Status> {
        match event.event {
            None => {}
            Some(Event::Hello(_)) => return Err(Status::invalid_argument("`hello` comes once")),
            Some(Event::Credit(credit)) => self.dispatch.credit(self.session, credit.stamp, credit.limit),
            Some(Event::Ack(ack)) => self.dispatch.ack(self.session, id(ack.lease_id)?),
            Some(Event::Handback(handback)) => {
                self.dispatch.handback(self.session, id(handback.lease_id)?, &handback.reason).await;
            }
            Some(Event::Inventory(said)) => self.dispatch.inventory(self.session, inventory::read(said)),
            Some(Event::Chunk(chunk)) => self.chunk(chunk).await?,
            Some(Event::Step(step)) => self.step(step).await?,
            Some(Event::Outcome(outcome)) => self.outcome(outcome).await?,
            Some(Event::Log(line)) => {
                let fields =
                    (!line.fields.is_empty()).then(|| serde_json::to_string(&sorted(line.fields)).unwrap_or_default());
                let said = Said { path: line.path, level: line.level, message: line.message, fields };
                self.dispatch.log(self.session, id(line.lease_id)?, said);
            }
        }
        Ok(())
    }

    async fn chunk(&mut self, chunk: OutputChunk) -> Result<(), Status> {
        let key = (chunk.lease_id, chunk.path);
        // The first piece shows whether the lease is the agent's; without one the event that follows is refused anyway.
        if !self.chunks.contains_key(&key)
            && self.dispatch.lease(self.session, id(key.0.clone())?).await.map_err(unavailable)?.is_none()
        {
            return Ok(());
        }
        let held: usize = self.chunks.values().map(Vec::len).sum();
        if held + chunk.data.len() > CHUNKS_BYTES {
            return Err(Status::resource_exhausted(format!(
                "the pieces of unfinished outputs hold at most {CHUNKS_BYTES} bytes"
            )));
        }
        let whole = self.chunks.entry(key).or_default();
        // What is longer than any output may be is cut here, and fails its run where it is looked at as a whole.
        let room = OUTPUT_BYTES.saturating_sub(whole.len());
        whole.extend_from_slice(chunk.data.get(..room).unwrap_or(&chunk.data));
        Ok(())
    }

    /// The output of an event, or the pieces that came before it.
    fn output(&mut self, lease: Id, path: &str, inline: Vec<u8>) -> Result<Option<String>, Status> {
        let bytes = if inline.is_empty() {
            self.chunks.remove(&(lease.to_vec(), path.to_owned())).unwrap_or_default()
        } else {
            inline
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() >= OUTPUT_BYTES {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| Status::invalid_argument("an output is not UTF-8"))
    }

    async fn step(&mut self, mut step: StepEvent) -> Result<(), Status> {
        let lease_id = id(std::mem::take(&mut step.lease_id))?;
        let inline = std::mem::take(&mut step.output);
        let output = self.output(lease_id, &step.path, inline)?;
        let accepted = match self.dispatch.lease(self.session, lease_id).await.map_err(unavailable)? {
            None => false,
            Some(lease) if let Some(why) = unkeepable(&step.path, output.as_deref()) => {
                self.fail(lease, why).await;
                false
            }
            Some(lease) => {
                let row = row_of(&step, output, self.dispatch.now_us());
                // The stream ends where it cannot be stored, and the agent repeats the step on its next one.
                self.dispatch.keep_step(self.session, &lease, &row).await.map_err(unavailable)?
            }
        };
        if !accepted {
            self.dispatch.stale();
        }
        // The writing half ends with this connection.
        let _ = self.orders.send(Order::StepSettled {
            lease: lease_id,
            path: step.path,
            attempt: step.r#try,
            state: step.state,
            accepted,
        });
        Ok(())
    }

    /// Ends a run whose report no row can hold: it would be repeated for ever.
    async fn fail(&self, lease: Arc<Lease>, why: String) {
        tracing::warn!(task.uuid = lease.task.uuid, "a report was refused, and its task fails: {why}");
        let finish = Finish {
            state: State::Failed as i16,
            result: None,
            error: Some(why),
            timeline: timeline_text(&Timeline::of(Some(lease.created), &[])),
            ended: self.dispatch.now_us().max(lease.task.created + 1),
            stepped: true,
            counted: true,
            lease,
        };
        self.dispatch.finish(self.session, finish).await;
    }

    async fn outcome(&mut self, outcome: Outcome) -> Result<(), Status> {
        let lease_id = id(outcome.lease_id)?;
        let result = self.output(lease_id, "", outcome.result)?;
        self.chunks.retain(|(lease, _), _| *lease != lease_id);
        let Some(lease) = self.dispatch.lease(self.session, lease_id).await.map_err(unavailable)? else {
            self.dispatch.stale();
            let _ = self.orders.send(Order::Settled { lease: lease_id, accepted: false });
            return Ok(());
        };
        let now = self.dispatch.now_us();
        let mut reports = self.dispatch.steps_so_far(self.session, &lease).await.map_err(unavailable)?;
        reports.extend(outcome.steps.iter().map(|step| row_of(step, None, now)));
        let timeline = Timeline::of(Some(lease.created), &reports);
        let state = match Verdict::try_from(outcome.verdict).unwrap_or_default() {
            Verdict::Succeeded => State::Succeeded,
            Verdict::Cancelled => State::Cancelled,
            Verdict::Unknown => State::Unknown,
            Verdict::TimedOut => State::TimedOut,
            Verdict::Failed | Verdict::Unspecified => State::Failed,
        };
        let finish = Finish {
            state: state as i16,
            result: result.filter(|_| state == State::Succeeded),
            error: outcome.error.map(|error| error.message),
            timeline: timeline_text(&timeline),
            ended: now.max(lease.task.created + 1),
            stepped: true,
            counted: true,
            lease: Arc::clone(&lease),
        };
        self.dispatch.finish(self.session, finish).await;
        Ok(())
    }
}

/// Why a step cannot be kept, if so.
fn unkeepable(path: &str, output: Option<&str>) -> Option<String> {
    if path.chars().count() > PATH_CHARACTERS {
        return Some(format!("invalid: a step's path has at most {PATH_CHARACTERS} characters"));
    }
    let bytes = output.map_or(0, str::len);
    (bytes > STEP_BYTES)
        .then(|| format!("too_large: a step's outputs have {bytes} bytes, at most {STEP_BYTES} are stored"))
}

/// A report as it is kept; a start has no end, and an effect without a name counts as the strictest.
fn row_of(step: &StepEvent, output: Option<String>, now: i64) -> StepRow {
    let state = i16::try_from(step.state).unwrap_or(i16::MAX);
    StepRow {
        path: step.path.clone(),
        attempt: i32::try_from(step.r#try).unwrap_or(i32::MAX),
        top: i32::try_from(step.top).unwrap_or(i32::MAX),
        state,
        effect: i16::try_from(step.effect).unwrap_or_default(),
        started: now.saturating_sub(i64::try_from(step.elapsed_us).unwrap_or_default()),
        ended: (state != STARTED).then_some(now),
        output,
        used: step.usage.as_ref().and_then(|usage| used(usage).text()),
    }
}

fn used(usage: &Usage) -> Used {
    let Usage { cpu_us, wall_us, memory_bytes, host_calls } = *usage;
    Used { cpu_us, wall_us, memory_bytes, host_calls }
}

/// Ends the stream: the agent repeats what was not answered on its next one.
fn unavailable(error: storage::Error) -> Status {
    tracing::error!(error = &error as &dyn std::error::Error, "a report could not be stored");
    Status::unavailable("the server cannot reach its database at the moment")
}

/// In one order, so that the same fields are the same text.
fn sorted(fields: HashMap<String, String>) -> std::collections::BTreeMap<String, String> {
    fields.into_iter().collect()
}

fn id(bytes: Vec<u8>) -> Result<Id, Status> {
    bytes.try_into().map_err(|_| Status::invalid_argument("`lease_id` has 16 bytes"))
}
