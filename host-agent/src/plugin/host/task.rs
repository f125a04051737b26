//! `claiflow:plugin/task`: always granted.

use std::time::Duration;

use crate::plugin::{
    bindings::claiflow::plugin::{task::Host, types::Failure},
    host::lines::clean,
    state::CallState,
};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
const PROGRESS_MAX_BYTES: usize = 1 << 10;

impl Host for CallState {
    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX))
    }

    fn stop_requested(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(if self.stop.is_cancelled() {
            Some("stopped".to_owned())
        } else if self.remaining() <= self.deadline_notice {
            Some("deadline".to_owned())
        } else {
            None
        })
    }

    fn progress(&mut self, done: u64, total: u64, message: String) -> wasmtime::Result<()> {
        let now = self.clock.monotonic();
        if self.progressed.is_none_or(|last| now.saturating_sub(last) >= PROGRESS_INTERVAL) {
            self.progressed = Some(now);
            self.lines.sink().progress(done, total, &clean(&message, PROGRESS_MAX_BYTES));
        }
        Ok(())
    }

    fn note(&mut self, _value: String) -> wasmtime::Result<Result<(), Failure>> {
        // A note is durable when this returns. Without a journal behind the call, the honest answer is a failure.
        Ok(Err(Failure {
            code: "unavailable".to_owned(),
            message: "this agent keeps no notes of a task".to_owned(),
            details: None,
        }))
    }
}
