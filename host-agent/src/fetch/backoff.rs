//! How long to wait after a failure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(300);

/// Doubles from one second to five minutes.
#[derive(Default)]
pub(super) struct Backoff(Option<Duration>);

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.0.map_or(FIRST, |last| (last * 2).min(MOST));
        self.0 = Some(wait);
        wait
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}
