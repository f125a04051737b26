//! Logs of containers.

use wasmtime::component::Resource;

use crate::{
    grants::kubernetes::{Access, Kind, Object as At, Request as Asked},
    kubernetes::{ByteStream, Failure, LogOptions},
    plugin::{bindings::claiflow::plugin::kubernetes::Object, state::CallState},
};

use super::{
    call::{Made, served, shown},
    lost, options,
    pod::{default_container, of_pod},
};

/// What is handed over at once, whatever a guest asks for.
const READ_MAX_BYTES: usize = 1 << 20;

/// A log that a guest reads.
#[allow(unreachable_pub, reason = "the bindings name it")]
pub struct Log {
    kind: Kind,
    pod: At,
    stream: ByteStream,
    pub(super) held: usize,
}

impl CallState {
    pub(super) async fn open_log(
        &mut self,
        made: &mut Made,
        pod: Object,
        text: &str,
    ) -> Result<Resource<Log>, Failure> {
        let cluster = self.enter()?;
        let said: options::Log = options::options(text)?;
        let at = options::object(&pod)?;
        let resource = of_pod(pod.resource, "log")?;
        let served = served(&cluster, made, &resource, self.deadline()).await?;
        let (allowed, actor) =
            self.authorise(&Access { kind: &served.kind, request: Asked::ReadStream { at: &at } })?;
        let container = match said.container.filter(|named| !named.is_empty()) {
            None => default_container(&cluster, &actor, &at, self.deadline()).await,
            named => named,
        };
        let wanted = LogOptions {
            container,
            previous: said.previous,
            follow: said.follow,
            tail_lines: said.tail_lines,
            since_seconds: said.since_seconds,
            timestamps: said.timestamps,
        };
        let stream = cluster.log(&actor, &served.kind, &at, &wanted, self.deadline()).await.map_err(shown(&allowed))?;
        self.resources.push(Log { kind: served.kind.clone(), pod: at, stream, held: 0 }).map_err(lost)
    }

    pub(super) async fn next_bytes(
        &mut self,
        made: &mut Made,
        resource: &Resource<Log>,
        max_bytes: u32,
        timeout_ms: u32,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.enter()?;
        let log = self.resources.get(resource).map_err(lost)?;
        made.of(&log.kind);
        let (allowed, _) = self.authorise(&Access { kind: &log.kind, request: Asked::ReadStream { at: &log.pod } })?;
        let (until, stop, stopping) =
            (self.until(timeout_ms), self.standing.stop.clone(), self.standing.stop.is_cancelled());
        let most = usize::try_from(max_bytes).unwrap_or(READ_MAX_BYTES).min(READ_MAX_BYTES);
        let log = self.resources.get_mut(resource).map_err(lost)?;
        let read = tokio::select! {
            read = log.stream.read(most, until) => read.map_err(shown(&allowed))?.map(|piece| piece.to_vec()),
            () = stop.cancelled(), if !stopping => Some(Vec::new()),
        };
        let (waiting, mut held) = (log.stream.held_bytes(), log.held);
        self.memory.pass(read.as_ref().map_or(0, Vec::len));
        let room = self.hold(&mut held, waiting);
        self.resources.get_mut(resource).map_err(lost)?.held = held;
        room.map(|()| read)
    }
}
