//! What one store holds: the state of one call, and nothing that outlives it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    caller::Caller,
    clock::Clock,
    config::Limits,
    host::{lines::Lines, wasi},
    memory::MemoryMeter,
};

const RESOURCES_MAX: usize = 1_000;

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
    pub(super) caller: Caller,
    pub(super) memory: MemoryMeter,
    pub(super) lines: Arc<Lines>,
    pub(super) notes: Notes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    /// Monotonic end of the smallest limit.
    pub(super) deadline: Duration,
    /// How long before the deadline `stop-requested` says so.
    pub(super) deadline_notice: Duration,
    /// When progress was last passed on.
    pub(super) progressed: Option<Duration>,
    /// Calls into capabilities; the always granted imports are held by CPU time instead.
    pub(super) host_calls: u32,
    pub(super) host_calls_max: u32,
    /// Set before the first host call that writes: from then on an ending without a result may have had its effect.
    pub(super) effect_begun: bool,
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
        resources.set_max_capacity(RESOURCES_MAX);
        Self {
            wasi: wasi(&lines),
            resources,
            caller,
            memory: MemoryMeter::new(limits.memory_bytes),
            deadline: clock.monotonic() + wall,
            deadline_notice: (wall / 10).min(Duration::from_secs(5)),
            lines,
            notes,
            clock,
            stop,
            progressed: None,
            host_calls: 0,
            host_calls_max: limits.host_calls,
            effect_begun: false,
        }
    }

    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }

    /// Why the call should come to its end, where it should; as `task.stop-requested` says it.
    pub(super) fn stopping(&self) -> Option<&'static str> {
        if self.stop.is_cancelled() {
            Some("stopped")
        } else if self.remaining() <= self.deadline_notice {
            Some("deadline")
        } else {
            None
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}
