//! The running task. In a test, [`crate::testing::Host`] says what these answer.

use std::{fmt::Display, time::Duration};

use serde::Serialize;

use crate::{Error, outside};

/// A sleep is as long as this before it asks again whether the command should end.
const PIECE: Duration = Duration::from_millis(100);

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

/// Sleeps, which uses no CPU time, or ends the command with `?` once it should stop.
///
/// # Errors
/// `stopped`, with the reason.
pub fn sleep(time: Duration) -> Result<(), Error> {
    let mut left = time;
    keep_going()?;
    while !left.is_zero() {
        let piece = left.min(PIECE);
        outside::sleep(piece);
        left -= piece;
        keep_going()?;
    }
    Ok(())
}

/// Shows how far the command is, at most once a second. A `total` of 0 means that nobody knows.
pub fn progress(done: u64, total: u64, message: impl Display) {
    outside::progress(done, total, message.to_string());
}

/// Leaves a note for the next attempt and for `verify`, which find it in [`crate::Context::notes`]. It is durable when
/// this returns. All attempts of a call together leave 16 notes of at most 4 KiB.
///
/// # Errors
/// `too-large`, `budget`, `denied` while `verify` runs, or `unavailable` where nobody keeps it.
pub fn note(value: &impl Serialize) -> Result<(), Error> {
    outside::note(serde_json::to_string(value)?)
}
