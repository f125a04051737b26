//! `claiflow:plugin/kubernetes-exec`: commands in containers. From its start on, a command may have done anything.

use wasmtime::component::Resource;

use crate::{
    grants::kubernetes::{Access, Kind, Object as At, Request as Asked},
    kubernetes::{Effect, ExecOptions, Execution, Failure},
    plugin::{
        bindings::claiflow::plugin::{
            kubernetes_exec::{Chunk, Host, HostExecution, Object},
            types,
        },
        state::CallState,
    },
};

use super::kubernetes::{
    call::{Made, served, shown},
    lost,
    options::{self, Exec},
    pod::{default_container, of_pod},
};

const READ_MAX_BYTES: usize = 1 << 20;
const WORDS_MAX: usize = 256;
/// The whole command stands in a URL.
const COMMAND_MAX_BYTES: usize = 16 << 10;

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

/// A command that runs for a guest.
#[allow(unreachable_pub, reason = "the bindings name it")]
pub struct Running {
    kind: Kind,
    pod: At,
    execution: Execution,
    held: usize,
}

impl Host for CallState {
    async fn exec(
        &mut self,
        pod: Object,
        container: String,
        command: Vec<String>,
        options: String,
    ) -> Answer<Resource<Running>> {
        let mut made = self.making("exec");
        let answer = Box::pin(self.start(&mut made, pod, &container, &command, &options)).await;
        self.made(&made, answer)
    }
}

impl HostExecution for CallState {
    async fn write(&mut self, running: Resource<Running>, data: Vec<u8>) -> Answer<()> {
        let mut made = self.waiting("exec");
        let answer = Box::pin(self.write_stdin(&mut made, &running, data)).await;
        self.made(&made, answer)
    }

    async fn close_stdin(&mut self, running: Resource<Running>) -> wasmtime::Result<()> {
        self.resources.get_mut(&running)?.execution.close_stdin();
        Ok(())
    }

    async fn read(&mut self, running: Resource<Running>, max_bytes: u32, timeout_ms: u32) -> Answer<Option<Chunk>> {
        let mut made = self.waiting("exec");
        let answer = Box::pin(self.read_output(&mut made, &running, max_bytes, timeout_ms)).await;
        self.made(&made, answer)
    }

    async fn status(&mut self, running: Resource<Running>) -> Answer<String> {
        let mut made = self.waiting("exec");
        let answer = self.status_of(&mut made, &running);
        self.made(&made, answer)
    }

    async fn drop(&mut self, running: Resource<Running>) -> wasmtime::Result<()> {
        let mut held = self.resources.delete(running)?.held;
        self.release(&mut held);
        Ok(())
    }
}

impl CallState {
    async fn start(
        &mut self,
        made: &mut Made,
        pod: Object,
        container: &str,
        command: &[String],
        said: &str,
    ) -> Result<Resource<Running>, Failure> {
        let cluster = self.enter()?;
        let said: Exec = options::options(said)?;
        self.may_write(false)?;
        words(command)?;
        let at = options::object(&pod)?;
        let resource = of_pod(pod.resource, "exec")?;
        let served = served(&cluster, made, &resource, self.deadline()).await?;
        let kind = &served.kind;
        let access = Access { kind, request: Asked::Connect { at: &at } };
        let (_, actor) = self.authorise(&access)?;
        let container = match container {
            "" => default_container(&cluster, &actor, &at, self.deadline()).await,
            named => Some(named.to_owned()),
        };
        let (allowed, actor) = self.authorise(&access)?;
        self.may_write(false)?;
        self.standing.begin_effect()?;
        let wanted = ExecOptions { stdin: said.stdin, tty: said.tty };
        let started = cluster.exec(&actor, kind, &at, container.as_deref(), command, wanted, self.deadline()).await;
        if started.as_ref().is_err_and(|error| error.effect() == Effect::None) {
            self.standing.undo_effect();
        }
        let execution = started.map_err(shown(&allowed))?;
        self.resources.push(Running { kind: kind.clone(), pod: at, execution, held: 0 }).map_err(lost)
    }

    async fn write_stdin(
        &mut self,
        made: &mut Made,
        resource: &Resource<Running>,
        data: Vec<u8>,
    ) -> Result<(), Failure> {
        self.go_on(made, resource)?;
        self.may_write(false)?;
        let deadline = self.deadline();
        let running = self.resources.get_mut(resource).map_err(lost)?;
        let written = running.execution.write(data.into(), deadline).await;
        written.map_err(|error| error.failure(|status| status))
    }

    async fn read_output(
        &mut self,
        made: &mut Made,
        resource: &Resource<Running>,
        max_bytes: u32,
        timeout_ms: u32,
    ) -> Result<Option<Chunk>, Failure> {
        self.go_on(made, resource)?;
        let (until, stop, stopping) =
            (self.until(timeout_ms), self.standing.stop.clone(), self.standing.stop.is_cancelled());
        let most = usize::try_from(max_bytes).unwrap_or(READ_MAX_BYTES).min(READ_MAX_BYTES);
        let running = self.resources.get_mut(resource).map_err(lost)?;
        let nothing = || Chunk { stream: "stdout".to_owned(), data: Vec::new() };
        let chunk = tokio::select! {
            piece = running.execution.read(most, until) => piece.map(|piece| Chunk {
                stream: if piece.is_error { "stderr" } else { "stdout" }.to_owned(),
                data: piece.data.to_vec(),
            }),
            () = stop.cancelled(), if !stopping => Some(nothing()),
        };
        let (waiting, mut held) = (running.execution.held_bytes(), running.held);
        self.memory.pass(chunk.as_ref().map_or(0, |chunk| chunk.data.len()));
        let room = self.hold(&mut held, waiting);
        self.resources.get_mut(resource).map_err(lost)?.held = held;
        room.map(|()| chunk)
    }

    fn status_of(&mut self, made: &mut Made, resource: &Resource<Running>) -> Result<String, Failure> {
        self.go_on(made, resource)?;
        let running = self.resources.get(resource).map_err(lost)?;
        running.execution.status().map(|status| status.to_string())
    }

    /// A command whose grant was withdrawn is neither read nor written any more.
    fn go_on(&mut self, made: &mut Made, resource: &Resource<Running>) -> Result<(), Failure> {
        self.enter()?;
        let running = self.resources.get(resource).map_err(lost)?;
        made.of(&running.kind);
        let access = Access { kind: &running.kind, request: Asked::Connect { at: &running.pod } };
        self.authorise(&access).map(drop)
    }
}

fn words(command: &[String]) -> Result<(), Failure> {
    let bytes: usize = command.iter().map(String::len).sum();
    if command.first().is_none_or(String::is_empty) {
        return Err(Failure::new("invalid", "command: it is empty; the first word is the program"));
    }
    if command.len() > WORDS_MAX || bytes > COMMAND_MAX_BYTES {
        let message = format!(
            "command: it has {} words of {bytes} bytes together; at most {WORDS_MAX} words and {COMMAND_MAX_BYTES} bytes; \
             write what is longer to its standard input",
            command.len()
        );
        return Err(Failure::new("invalid", message));
    }
    Ok(())
}
