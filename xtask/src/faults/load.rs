//! Work for the agents: tasks with uuids of their own, asked for until a server answers.

use std::{sync::Arc, thread, time::Duration};

use serde_json::{Value, json};

use super::{
    board::Board,
    dice::Dice,
    effects::Class,
    history::{Cancel, Task, is_final},
    rest::Caller,
};

/// Between two tries of one request.
const AGAIN: Duration = Duration::from_millis(100);

/// Which tasks.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) tasks: usize,
    /// How long each step takes, from and to.
    pub(super) wait_ms: (u64, u64),
    /// Between two requests of one poster, at most.
    pub(super) pause_ms: u64,
    /// What the tasks do; chosen evenly.
    pub(super) flows: &'static [Flow],
    pub(super) posters: usize,
    /// The clusters that get them, evenly.
    pub(super) clusters: Vec<String>,
    /// Asks to cancel each task after so many milliseconds, from and to.
    pub(super) cancel_ms: Option<(u64, u64)>,
    /// The webhook that is told of them.
    pub(super) channel: Option<&'static str>,
}

/// A template of the harness: its name and the effects of its steps.
pub(super) type Flow = (&'static str, &'static [Class]);

pub(super) const READ: Flow = ("faults_read", &[Class::Read]);
pub(super) const IDEMPOTENT: Flow = ("faults_idempotent", &[Class::Idempotent]);
pub(super) const VERIFY: Flow = ("faults_verify", &[Class::Verify]);
pub(super) const NEVER: Flow = ("faults_never", &[Class::Never]);
pub(super) const STEPS: Flow = ("faults_steps", &[Class::Read, Class::Never, Class::Idempotent]);
/// Everything that a flow can be made of.
pub(super) const EVERY: &[Flow] = &[READ, IDEMPOTENT, VERIFY, NEVER, STEPS];

/// The template's body.
pub(super) fn template((name, classes): Flow) -> Value {
    let step = |(index, class): (usize, &Class)| {
        let inputs = json!({"key": format!("$inputs.keys[{index}]"), "wait_ms": "$inputs.wait_ms"});
        json!({"$id": format!("s{index}"), "$command": format!("effect.{}", class.word()), "inputs": inputs})
    };
    let flow: Vec<Value> = classes.iter().enumerate().map(step).collect();
    json!({"uuid": name, "name": name, "flow": flow, "inputs": {"type": "object"}})
}

/// One request and who may answer it.
struct Request {
    template: &'static str,
    task: Task,
    wait_ms: u64,
    pause_ms: u64,
    cancel_ms: Option<u64>,
    channel: Option<&'static str>,
}

/// Posts the load from threads of its own, each request to any of the servers and again to the next one until an answer comes.
pub(super) fn start(
    load: &Load,
    dice: &mut Dice,
    servers: &[Caller],
    board: &Arc<Board>,
) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    let mut queues: Vec<Vec<Request>> = (0..load.posters.max(1)).map(|_| Vec::new()).collect();
    let count = queues.len();
    for number in 0..load.tasks {
        let chosen = usize::try_from(dice.between(0, load.flows.len().saturating_sub(1) as u64)).unwrap_or_default();
        let Some((template, classes)) = load.flows.get(chosen).copied() else { continue };
        let Some(cluster) = load.clusters.get(number % load.clusters.len().max(1)) else { continue };
        let request = Request {
            template,
            task: Task { uuid: dice.uuid(), cluster: cluster.clone(), steps: classes.to_vec(), cancel: None },
            wait_ms: dice.between(load.wait_ms.0, load.wait_ms.1),
            pause_ms: dice.between(0, load.pause_ms),
            cancel_ms: load.cancel_ms.map(|(from, to)| dice.between(from, to)),
            channel: load.channel,
        };
        if let Some(queue) = queues.get_mut(number % count) {
            queue.push(request);
        }
    }
    board.promise(queues.iter().map(Vec::len).sum());
    let poster = |(first, queue): (usize, Vec<Request>)| {
        let (servers, board) = (servers.to_vec(), Arc::clone(board));
        thread::Builder::new().name("poster".into()).spawn(move || {
            for request in queue {
                thread::sleep(Duration::from_millis(request.pause_ms));
                create(request, first, &servers, &board);
            }
        })
    };
    queues.into_iter().enumerate().map(poster).collect()
}

fn create(request: Request, first: usize, servers: &[Caller], board: &Board) {
    let Request { template, task, wait_ms, cancel_ms, channel, .. } = request;
    let keys: Vec<String> = (0..task.steps.len()).map(|step| task.key(step)).collect();
    let inputs = json!({"keys": keys, "wait_ms": wait_ms});
    let body = json!({"uuid": task.uuid, "template_uuid": template, "cluster_uuids": [task.cluster], "inputs": inputs, "subscribed_channel": channel});
    for server in servers.iter().cycle().skip(first) {
        if board.has_ended() {
            return;
        }
        match server.post("/api/v1/service", &body) {
            Ok((200, _)) => break,
            Ok((503, _)) | Err(_) => thread::sleep(AGAIN),
            Ok((status, answer)) => {
                return board.refused(format!("POST of task {}: {status} {answer}", task.uuid));
            }
        }
    }
    let path = format!("/api/v1/cluster/{}/service/{}/cancel", task.cluster, task.uuid);
    let uuid = task.uuid.clone();
    board.accepted(task);
    let Some(server) = servers.iter().cycle().nth(first) else { return };
    if let Some(wait) = cancel_ms {
        thread::sleep(Duration::from_millis(wait));
        // Until it is answered nobody knows what it did.
        board.cancelled(&uuid, Some(Cancel::Unanswered));
        if let Ok((status, answer)) = server.post(&path, &json!({})) {
            let state = answer.get("state").and_then(Value::as_str).unwrap_or_default();
            match status {
                200 => board.cancelled(&uuid, Some(Cancel::Accepted)),
                409 if is_final(state) => board.cancelled(&uuid, Some(Cancel::Late(state.to_owned()))),
                409 => board.cancelled(&uuid, None),
                503 => {}
                _ => board.unpromised(format!("cancel of task {uuid}: {status} {answer}")),
            }
        }
    }
}
