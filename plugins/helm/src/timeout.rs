//! How long Helm waits.

use std::time::Duration;

use claiflow_sdk::{log, task};

const DEFAULT_S: u64 = 300;

/// Seconds of minutes, as many as the call's own time allows: what fails is taken back afterwards, which takes time too.
pub(crate) fn seconds(minutes: Option<u32>) -> u32 {
    let asked = minutes.map_or(DEFAULT_S, |minutes| u64::from(minutes) * 60);
    let most = (Duration::from_millis(task::remaining_ms()).as_secs() * 2 / 3).max(1);
    if asked > most {
        let why = format_args!(
            "Helm waits {most} s in place of {asked} s: the call has no more time; `limits: {{wall: …}}` in the grants file gives it more"
        );
        log::warn(why, &[]);
    }
    u32::try_from(asked.min(most)).unwrap_or(u32::MAX)
}
