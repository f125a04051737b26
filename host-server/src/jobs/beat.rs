//! The heartbeat: one row, every few seconds.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;

const ROUND: Duration = Duration::from_secs(3);
/// A heartbeat that takes longer is given up: the next one says more.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn run(app: &App, stop: &CancellationToken) {
    let mut every = tokio::time::interval(ROUND);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = stop.cancelled() => break, _ = every.tick() => {} }
        match tokio::time::timeout(LIMIT, beat(app)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat could not be written");
            }
            Err(_) => tracing::warn!(limit_s = LIMIT.as_secs(), "the heartbeat was not written in time"),
        }
    }
    if let Err(error) = app.say_goodbye().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "this replica's row stays until it is stale");
    }
}

/// A heartbeat, and beside it how long a connection was waited for, as everybody's work waits.
async fn beat(app: &App) -> Result<(), crate::app::Error> {
    let began = Instant::now();
    app.store.connection_is_free().await?;
    app.metrics().database.pool_wait.observe(began.elapsed().as_secs_f64());
    app.beat().await
}
