//! What one replica looks after for all webhooks: how much waits, and what of the log goes.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    app::App,
    metrics::Metrics,
    model::{duration::micros, webhook::DeliveryState},
    storage::Error,
};

pub(super) const WORK: &str = "webhooks";
const ROUND: Duration = Duration::from_secs(15);
const PURGE: Duration = Duration::from_secs(3_600);
/// Dead deliveries are kept so much longer than others: somebody is to look at them.
const DEAD: u32 = 4;
/// What counts as backlog: nobody got it yet.
const BACKLOG: [DeliveryState; 2] = [DeliveryState::Waiting, DeliveryState::Dead];

/// Rounds without end, as the leader.
pub(super) async fn run(app: &App, retention: Duration) {
    let _gauge = Gauge(app.metrics());
    let mut every = interval(ROUND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purged: Option<Instant> = None;
    loop {
        every.tick().await;
        let is_time = purged.is_none_or(|purged| purged.elapsed() >= PURGE);
        match round(app, is_time.then_some(retention)).await {
            Ok(()) if is_time => purged = Some(Instant::now()),
            Ok(()) => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log of the webhooks could not be looked after"
            ),
        }
    }
}

async fn round(app: &App, retention: Option<Duration>) -> Result<(), Error> {
    for state in BACKLOG {
        let count = app.store.delivery_count(state).await?;
        app.metrics().webhook_backlog.with_label_values(&[state.word()]).set(count);
    }
    let Some(retention) = retention else { return Ok(()) };
    for (state, kept) in [
        (DeliveryState::Delivered, retention),
        (DeliveryState::Filtered, retention),
        (DeliveryState::Dead, retention.saturating_mul(DEAD)),
    ] {
        while app.store.purge_deliveries(state, micros(kept)).await? > 0 {}
    }
    while app.store.purge_orphaned_deliveries().await? > 0 {}
    Ok(())
}

/// Whoever does not lead any more counts nothing, so that the backlog is not counted twice.
struct Gauge<'a>(&'a Metrics);

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        for state in BACKLOG {
            self.0.webhook_backlog.with_label_values(&[state.word()]).set(0);
        }
    }
}
