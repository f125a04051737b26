//! Global variables that somebody changed on another replica, or by SQL, are read again every few seconds.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// A change is in effect everywhere within 10 s, also where a read fails now and then.
const ROUND: Duration = Duration::from_secs(3);

pub(super) async fn run(app: &App, stop: &CancellationToken) {
    let mut every = tokio::time::interval(ROUND);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = every.tick() => {} }
        if let Err(error) = app.read_variables().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the global variables could not be read");
        }
    }
}
