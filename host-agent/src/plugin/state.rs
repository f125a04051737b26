//! What one store holds: the state of one call, and nothing that outlives it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    clock::Clock,
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
    resources: ResourceTable,
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
    /// Set before the first host call that writes: from then on an ending without a result may have had its effect.
    pub(super) effect_begun: bool,
}

impl CallState {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        lines: Arc<Lines>,
        notes: Notes,
        stop: CancellationToken,
        memory_bytes: u64,
        wall: Duration,
    ) -> Self {
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES_MAX);
        Self {
            wasi: wasi(&lines),
            resources,
            memory: MemoryMeter::new(memory_bytes),
            deadline: clock.monotonic() + wall,
            deadline_notice: (wall / 10).min(Duration::from_secs(5)),
            lines,
            notes,
            clock,
            stop,
            progressed: None,
            host_calls: 0,
            effect_begun: false,
        }
    }

    pub(super) fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}
