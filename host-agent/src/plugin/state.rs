//! What one store holds: the state of one call, and nothing that outlives it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use super::{
    caller::Caller,
    clock::Clock,
    config::Limits,
    host::{http::Sender, lines::Lines, wasi},
    memory::MemoryMeter,
    standing::Standing,
};

/// Handles that a guest has at once, and what they stand for: interpreters give some back only when they look for garbage.
pub(super) const HANDLES_MAX: usize = 10_000;

/// Whether a call may leave notes.
pub(super) enum Notes {
    /// It may, beside so many that are there.
    Kept(usize),
    /// It only tells something, and leaves nothing.
    Refused,
}

pub(super) struct CallState {
    wasi: WasiCtx,
    pub(super) resources: ResourceTable,
    pub(super) standing: Arc<Standing>,
    pub(super) http: Sender,
    pub(super) http_context: WasiHttpCtx,
    pub(super) memory: MemoryMeter,
    pub(super) lines: Arc<Lines>,
    pub(super) notes: Notes,
    /// When progress was last passed on.
    pub(super) progressed: Option<Duration>,
}

/// What a call begins with.
pub(super) struct Beginning<'a> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lines: Arc<Lines>,
    pub(super) notes: Notes,
    pub(super) stop: CancellationToken,
    pub(super) limits: &'a Limits,
    /// The smallest limit on its time.
    pub(super) wall: Duration,
    pub(super) caller: Caller,
}

impl CallState {
    pub(super) fn new(beginning: Beginning<'_>) -> Self {
        let Beginning { clock, lines, notes, stop, limits, wall, caller } = beginning;
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(HANDLES_MAX);
        let standing = Arc::new(Standing::new(caller, clock, stop, wall, limits.host_calls));
        Self {
            wasi: wasi(&lines),
            http: Sender::new(standing.clone()),
            http_context: WasiHttpCtx::new(),
            resources,
            standing,
            memory: MemoryMeter::new(limits.memory_bytes),
            lines,
            notes,
            progressed: None,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}
