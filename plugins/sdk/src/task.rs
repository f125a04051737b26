//! The running task. In a test, [`crate::testing::Host`] says what these answer.

use std::fmt::Display;

use serde::Serialize;

use crate::{Error, outside};

/// Wall-clock milliseconds that are left of the smallest limit of step, task and plugin.
pub fn remaining_ms() -> u64 {
    outside::remaining_ms()
}

/// Why the call should end, once somebody cancelled, the deadline is near or the agent drains. A long command asks
/// between its pieces; who does not listen is ended after a grace.
pub fn stop_requested() -> Option<String> {
    outside::stop_requested()
}

/// Goes on, or ends the command with `?` once it should stop.
///
/// # Errors
/// `stopped`, with the reason.
pub fn keep_going() -> Result<(), Error> {
    match stop_requested() {
        None => Ok(()),
        Some(reason) => Err(Error::stopped(format!("asked to stop: {reason}"))),
    }
}

/// Shows how far the command is, at most once a second. A `total` of 0 means that nobody knows.
pub fn progress(done: u64, total: u64, message: impl Display) {
    outside::progress(done, total, message.to_string());
}

/// Leaves a note for the next attempt and for `verify`, which find it in [`crate::Context::notes`]. It is durable when
/// this returns. A task keeps 16 notes of at most 4 KiB.
///
/// # Errors
/// `too-large`, `budget`, or `unavailable` where the agent keeps no notes.
pub fn note(value: &impl Serialize) -> Result<(), Error> {
    outside::note(serde_json::to_string(value)?)
}
