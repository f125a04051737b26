//! `claiflow:plugin/task`: always granted.

use std::time::Duration;

use crate::plugin::{
    bindings::claiflow::plugin::{task::Host, types::Failure},
    host::lines::clean,
    json,
    state::{CallState, Notes},
};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
const PROGRESS_MAX_BYTES: usize = 1 << 10;
const NOTES_MAX: usize = 16;
const NOTE_MAX_BYTES: usize = 4 << 10;

impl Host for CallState {
    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.standing.remaining().as_millis()).unwrap_or(u64::MAX))
    }

    fn stop_requested(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.standing.stopping().map(ToOwned::to_owned))
    }

    fn progress(&mut self, done: u64, total: u64, message: String) -> wasmtime::Result<()> {
        let now = self.standing.clock.monotonic();
        if self.progressed.is_none_or(|last| now.saturating_sub(last) >= PROGRESS_INTERVAL) {
            self.progressed = Some(now);
            self.lines.sink().progress(done, total, &clean(&message, PROGRESS_MAX_BYTES));
        }
        Ok(())
    }

    async fn note(&mut self, value: String) -> wasmtime::Result<Result<(), Failure>> {
        Ok(self.leave(value).await.map_err(|(code, message)| Failure { code: code.to_owned(), message, details: None }))
    }
}

impl CallState {
    async fn leave(&mut self, value: String) -> Result<(), (&'static str, String)> {
        let Notes::Kept(there) = self.notes else {
            return Err(("denied", "only a running call leaves notes".to_owned()));
        };
        if value.len() > NOTE_MAX_BYTES {
            let bytes = value.len();
            return Err(("too-large", format!("the note has {bytes} bytes; at most {NOTE_MAX_BYTES} are allowed")));
        }
        if there >= NOTES_MAX {
            return Err(("budget", format!("a call and its earlier attempts leave at most {NOTES_MAX} notes")));
        }
        json::check(&value).map_err(|error| ("invalid", format!("the note is not one JSON document: {error}")))?;
        if !self.lines.sink().note(value).await {
            return Err(("unavailable", "nobody keeps the note: the task is not this agent's any more".to_owned()));
        }
        self.notes = Notes::Kept(there + 1);
        Ok(())
    }
}
