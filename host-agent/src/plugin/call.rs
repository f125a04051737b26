//! One call: a fresh store, the guest driven under every budget at once, and what it used.
//!
//! However it ends (result, failure, trap, budget, cancel, a dropped future), the store ends with it.

use std::{
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use wasmtime::{Engine, Store};

use crate::executor::commands::{CallSink, Usage};

use super::{
    bindings::{LinkedPre, exports::claiflow::plugin::handler::Call},
    caller::Caller,
    clock::Clock,
    config::Limits,
    engine::Ticker,
    host::lines::Lines,
    meter::Meter,
    outcome::{Ending, Failed},
    state::{Beginning, CallState, HANDLES_MAX, Notes},
};

/// Bytes of lists and strings that a guest may hand to the host in one go, beyond its result.
const HOSTCALL_SLACK_BYTES: usize = 1 << 20;

/// What all sandboxes share.
pub(super) struct Sandbox {
    pub(super) engine: Engine,
    pub(super) ticker: Ticker,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop_grace: Duration,
}

/// What a sandbox is for.
pub(super) enum Errand {
    Describe,
    Run(Call),
    Verify(Call),
}

/// One call to make.
pub(super) struct Order<'a> {
    pub(super) guest: &'a LinkedPre<CallState>,
    pub(super) caller: Caller,
    pub(super) errand: Errand,
    pub(super) limits: &'a Limits,
    /// What is left of the run; the smaller of this and the wall limit ends the call.
    pub(super) remaining: Duration,
    pub(super) sink: Arc<dyn CallSink>,
    /// How many notes earlier attempts left.
    pub(super) notes: usize,
    pub(super) stop: CancellationToken,
}

impl Sandbox {
    /// Makes the call. The answer is the guest's JSON text, unchecked but for its size.
    pub(super) async fn make(&self, order: Order<'_>) -> (Result<String, Failed>, Usage) {
        let Order { guest, caller, errand, limits, remaining, sink, notes, stop } = order;
        let _ticks = self.ticker.call();
        let began = self.clock.monotonic();
        let wall = limits.wall.min(remaining);
        let lines = Lines::new(sink, limits.log_lines);
        let notes = match errand {
            Errand::Run(_) => Notes::Kept(notes),
            Errand::Describe | Errand::Verify(_) => Notes::Refused,
        };
        let (clock, stopping) = (self.clock.clone(), stop.clone());
        let beginning = Beginning { clock, lines: lines.clone(), notes, stop: stopping, limits, wall, caller };
        let mut store = Store::new(&self.engine, CallState::new(beginning));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(limits.output_bytes + HOSTCALL_SLACK_BYTES);
        store.set_max_component_handles(HANDLES_MAX);

        let standing = Arc::clone(&store.data().standing);
        let ending = {
            let work = pin!(AssertUnwindSafe(enter(guest, &mut store, errand)).catch_unwind());
            self.drive(work, &standing.meter, limits, wall, &stop).await
        };
        let ending = match ending {
            Ending::Wall if remaining < limits.wall => Ending::RunOver,
            ending => ending,
        };
        let usage = Usage {
            cpu: standing.meter.cpu(),
            host_cpu: standing.meter.host_cpu(),
            wall: self.clock.monotonic().saturating_sub(began),
            memory_bytes: store.data().memory.peak_bytes(),
            host_calls: standing.host_calls(),
        };
        // What goes on beside the guest begins nothing more from here on: what is told now stays true.
        let effect_begun = standing.close();
        // What was printed without a line end is written when the store goes; only then is the last line known.
        drop(store);
        lines.close();
        (ending.settle(limits, self.stop_grace, effect_begun), usage)
    }

    async fn drive<F>(
        &self,
        work: Pin<&mut F>,
        meter: &Meter,
        limits: &Limits,
        wall: Duration,
        stop: &CancellationToken,
    ) -> Ending
    where
        F: Future<Output = std::thread::Result<wasmtime::Result<super::outcome::Answer>>>,
    {
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(self.stop_grace).await;
        };
        tokio::select! {
            biased;
            ended = meter.driven(work, limits.cpu) => match ended {
                Ok(Ok(Ok(answer))) => Ending::Answered(answer),
                Ok(Ok(Err(error))) => Ending::Trapped(error),
                Ok(Err(_panic)) => Ending::HostFault,
                Err(_spent) => Ending::Cpu,
            },
            () = patience => Ending::Unheeded,
            () = tokio::time::sleep(wall) => Ending::Wall,
        }
    }
}

async fn enter(
    guest: &LinkedPre<CallState>,
    store: &mut Store<CallState>,
    errand: Errand,
) -> wasmtime::Result<super::outcome::Answer> {
    let instance = guest.instantiate_async(&mut *store).await?;
    let handler = instance.claiflow_plugin_handler();
    match errand {
        Errand::Describe => handler.call_describe(store).await.map(Ok),
        Errand::Run(call) => handler.call_run(store, &call).await,
        Errand::Verify(call) => handler.call_verify(store, &call).await,
    }
}
