//! Commands in containers, over a websocket: both streams in the order in which they came, and how the program ended.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf as _, Bytes};
use futures_util::{SinkExt as _, StreamExt as _};
use kube::client::Connection;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use super::{
    Actor, Cluster, Effect, Error, Failure, Refusal, Request,
    body::chain,
    send::{Attempts, Safety, Trouble, in_time, late, unreached},
    tape::Ear,
};
use crate::grants::kubernetes::{Kind, Object};

/// Pieces that wait to be read, and to be written. A piece has some 32 KiB at most.
const QUEUE_MAX: usize = 8;
const PIECE_BYTES: usize = 32 << 10;
/// Keeps a connection alive on which nothing is said.
const PING: std::time::Duration = std::time::Duration::from_secs(30);

// Of the protocol `v5.channel.k8s.io`; the first byte of each message.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const CLOSE: u8 = 255;

/// How a command runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// It reads what is written.
    pub stdin: bool,
    /// It has a terminal: both of its streams are one.
    pub tty: bool,
}

/// Some output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Of the standard error.
    pub is_error: bool,
    /// What it said.
    pub data: Bytes,
}

/// A running command. Dropping it closes the connection.
pub struct Execution {
    output: mpsc::Receiver<Piece>,
    /// What of a piece was not asked for yet.
    rest: Option<Piece>,
    /// None once standard input is closed, or where there is none.
    input: Option<mpsc::Sender<Bytes>>,
    status: Arc<Mutex<Option<Value>>>,
    ended: bool,
    pump: JoinHandle<()>,
    ear: Option<Ear>,
}

impl Cluster {
    /// Starts a command. It may have begun where the failure's effect is not `none`.
    ///
    /// # Errors
    /// What the API server says.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a part of the one request, and no two of them belong together"
    )]
    pub async fn exec(
        &self,
        actor: &Actor,
        kind: &Kind,
        pod: &Object,
        container: Option<&str>,
        command: &[String],
        options: ExecOptions,
        deadline: Instant,
    ) -> Result<Execution, Error> {
        let request = Request::exec(kind, pod, container, command, &options)?;
        match &self.tape {
            None => self.direct_exec(actor, &request, options, deadline).await,
            Some(tape) => Box::pin(tape.exec(self, actor, &request, options, deadline)).await,
        }
    }

    pub(super) async fn direct_exec(
        &self,
        actor: &Actor,
        request: &Request,
        options: ExecOptions,
        deadline: Instant,
    ) -> Result<Execution, Error> {
        let mut attempts = Attempts::until(deadline);
        loop {
            match self.connect(actor, request, deadline).await {
                Ok(connection) => return Ok(Execution::over(connection, options)),
                Err(trouble) => attempts.again(trouble).await?,
            }
        }
    }

    async fn connect(&self, actor: &Actor, request: &Request, deadline: Instant) -> Result<Connection, Trouble> {
        let mut renewed = false;
        loop {
            let prepared = self.as_actor(actor, &request.http, deadline).await;
            let (client, prepared) = prepared.map_err(|error| Trouble { error, again: false })?;
            // What kube takes here has no body.
            let prepared = prepared.map(|_| Vec::new());
            match timeout_at(deadline, client.connect(prepared)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(kube::Error::Api(status))) => {
                    if status.code == 401 && !renewed && self.forget_token(actor).await {
                        renewed = true;
                        continue;
                    }
                    let status = serde_json::to_value(&*status).unwrap_or_default();
                    let error = Error::Refused(Box::new(Refusal::of(status, request.writes)));
                    return Err(Trouble { error, again: false });
                }
                Ok(Err(kube::Error::UpgradeConnection(error))) => {
                    let message = format!("the API server does not run commands over a websocket: {}", chain(&error));
                    let error = Failure::new("unavailable", message).with(Effect::Unknown).into();
                    return Err(Trouble { error, again: false });
                }
                Ok(Err(error)) => return Err(unreached(&error, request, Safety::Once)),
                Err(_) => return Err(late(Effect::Unknown)),
            }
        }
    }
}

impl Execution {
    fn over(connection: Connection, options: ExecOptions) -> Self {
        let (said, output) = mpsc::channel(QUEUE_MAX);
        let (input, written) = mpsc::channel(QUEUE_MAX);
        let status = Arc::default();
        let pump = tokio::spawn(pump(connection, said, written, Arc::clone(&status)));
        Self { output, rest: None, input: options.stdin.then_some(input), status, ended: false, pump, ear: None }
    }

    /// What was recorded of one; what is written to it goes nowhere.
    pub(super) fn played(pieces: VecDeque<Piece>, status: Option<Value>, options: ExecOptions) -> Self {
        let (said, output) = mpsc::channel(QUEUE_MAX);
        let (input, mut written) = mpsc::channel::<Bytes>(QUEUE_MAX);
        let pump = tokio::spawn(async move {
            for piece in pieces {
                if said.send(piece).await.is_err() {
                    return;
                }
            }
            drop(said);
            while written.recv().await.is_some() {}
        });
        let status = Arc::new(Mutex::new(status));
        Self { output, rest: None, input: options.stdin.then_some(input), status, ended: false, pump, ear: None }
    }

    /// With somebody who listens.
    pub(super) fn heard(mut self, ear: Ear) -> Self {
        self.ear = Some(ear);
        self
    }

    /// Writes to the command's standard input; waits while it does not read.
    ///
    /// # Errors
    /// `invalid` where there is no standard input or it is closed, `failed` where the command has ended, `timeout`.
    pub async fn write(&mut self, data: Bytes, deadline: Instant) -> Result<(), Error> {
        let Some(input) = &self.input else {
            let message = "standard input is not open; exec with the option `stdin`, and write before it is closed";
            return Err(Failure::new("invalid", message).into());
        };
        if let Some(ear) = &self.ear {
            ear.bytes(&data);
        }
        let gone = |_| Failure::new("failed", "the command has ended and reads no more").into();
        in_time(deadline, input.send(data)).await?.map_err(gone)
    }

    /// Ends the command's standard input.
    pub fn close_stdin(&mut self) {
        self.input = None;
    }

    /// At most `most` bytes of one stream, in the order in which they came; none when both ended, an empty piece when nothing
    /// came until then. Nothing is lost where the future is dropped.
    pub async fn read(&mut self, most: usize, until: Instant) -> Option<Piece> {
        let mut piece = match self.rest.take() {
            Some(piece) => piece,
            None => match timeout_at(until, self.output.recv()).await {
                Ok(Some(piece)) => {
                    if let Some(ear) = &self.ear {
                        ear.piece(&piece);
                    }
                    piece
                }
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Err(_) => return Some(Piece { is_error: false, data: Bytes::new() }),
            },
        };
        let most = most.max(1);
        if piece.data.len() > most {
            let rest = piece.data.split_off(most);
            self.rest = Some(Piece { is_error: piece.is_error, data: rest });
        }
        Some(piece)
    }

    /// `{"exit":0}` or `{"error":"…"}`, once [`Execution::read`] answered none.
    ///
    /// # Errors
    /// `invalid` before that.
    pub fn status(&self) -> Result<Value, Failure> {
        if !self.ended {
            return Err(Failure::new("invalid", "the command has not ended; read its output to the end first"));
        }
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = status.unwrap_or_else(|| json!({"error": "the connection ended before the command did"}));
        if let Some(ear) = &self.ear {
            ear.status(&status);
        }
        Ok(status)
    }

    /// Bytes that wait here, at most.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |piece| piece.data.len()) + self.output.len() * PIECE_BYTES
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Moves messages both ways until the command ends, the connection does, or nobody reads any more.
async fn pump(
    connection: Connection,
    said: mpsc::Sender<Piece>,
    mut written: mpsc::Receiver<Bytes>,
    status: Arc<Mutex<Option<Value>>>,
) {
    // An older API server knows no end of standard input; there a command that waits for it ends with the call.
    let closes = connection.supports_stream_close();
    let (mut sender, mut receiver) = connection.into_stream().split();
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut input_open = true;
    loop {
        // Nothing is taken from the connection before there is room for it.
        let room = async {
            let room = said.reserve().await.ok();
            (room, receiver.next().await)
        };
        tokio::select! {
            (room, message) = room => {
                let (Some(room), Some(Ok(message))) = (room, message) else { return };
                if !message.is_binary() {
                    continue;
                }
                let mut data: Bytes = message.into_data();
                if data.len() < 2 {
                    continue;
                }
                match data.get_u8() {
                    STDOUT => room.send(Piece { is_error: false, data }),
                    STDERR => room.send(Piece { is_error: true, data }),
                    STATUS => {
                        *status.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended(&data));
                        return;
                    }
                    _ => {}
                }
            }
            data = written.recv(), if input_open => {
                let message = match data {
                    Some(data) => [&[STDIN], &*data].concat(),
                    None => {
                        input_open = false;
                        if !closes {
                            continue;
                        }
                        vec![CLOSE, STDIN]
                    }
                };
                if sender.send(message.into()).await.is_err() {
                    return;
                }
            }
            _ = pings.tick() => {
                // An empty piece of standard input: the protocol has it, and no program sees it.
                if sender.send(vec![STDIN].into()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// How the command ended, of the `Status` that the kubelet sends.
fn ended(status: &[u8]) -> Value {
    let Ok(status) = serde_json::from_slice::<Value>(status) else {
        return json!({"error": "the command's status is not understood"});
    };
    if status.get("status").and_then(Value::as_str) == Some("Success") {
        return json!({"exit": 0});
    }
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let code = causes.into_iter().flatten().find_map(|cause| {
        let is_code = cause.get("reason").and_then(Value::as_str) == Some("ExitCode");
        cause.get("message").and_then(Value::as_str).filter(|_| is_code)?.parse::<i64>().ok()
    });
    match code {
        Some(code) => json!({"exit": code}),
        None => {
            let message = status.get("message").and_then(Value::as_str).unwrap_or("the command failed");
            json!({"error": message})
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ended;

    #[test]
    fn a_status_says_how_a_command_ended() {
        let exited = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "exit code 3",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        for (status, said) in [
            (json!({"status": "Success"}), json!({"exit": 0})),
            (exited, json!({"exit": 3})),
            (json!({"status": "Failure", "message": "no such file"}), json!({"error": "no such file"})),
            (json!(7), json!({"error": "the command failed"})),
        ] {
            assert_eq!(ended(status.to_string().as_bytes()), said);
        }
        assert_eq!(ended(b"{"), json!({"error": "the command's status is not understood"}));
    }
}
