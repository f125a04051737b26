//! The history's days: partitions ahead, and what is kept for long enough goes. One replica does it.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    app::App,
    model::replica::Term,
    storage::{Error, Patience},
};

pub(super) const WORK: &str = "history";
/// Days that have partitions before they begin.
const AHEAD: i64 = 14;
/// With fewer days ahead, others are made to wait for a second.
const FEW: i64 = 7;
const ROUND: Duration = Duration::from_secs(3_600);
/// After a round that did not succeed.
const AGAIN: Duration = Duration::from_secs(60);
/// A quiet moment is looked for this often, with a pause in between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);
/// A replica's row is of use to nobody after this time: one day, microseconds.
const REPLICA_US: i64 = 86_400_000_000;

/// How long final tasks are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// For ever.
    #[default]
    Unlimited,
    /// Until the day on which this time since their end is over.
    For(Duration),
}

/// Rounds without end, as the leader.
pub(super) async fn run(app: &App, retention: Retention, term: Term) {
    loop {
        let pause = match round(app, retention, &term).await {
            Ok(()) => ROUND,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the history's days could not be looked after; it is tried again in a minute"
                );
                AGAIN
            }
        };
        sleep(pause).await;
    }
}

async fn round(app: &App, retention: Retention, term: &Term) -> Result<(), Error> {
    let store = &app.store;
    store.purge_replicas(term, REPLICA_US).await?;
    if let Some(days) = store.history_days_ahead().await? {
        app.metrics().history_days_ahead.set(days);
        if days < AHEAD {
            quietly(days < FEW, |patience| store.extend_history(term, AHEAD, patience)).await?;
            app.metrics().history_days_ahead.set(store.history_days_ahead().await?.unwrap_or_default());
        }
    }
    if let Retention::For(time) = retention {
        let (now, _) = store.replicas(0).await?;
        let before = now.saturating_sub(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        let gone = quietly(false, |patience| store.retire_history(term, before, patience)).await?;
        while store.purge_lines(before).await? > 0 {}
        if gone > 0 {
            app.metrics().history_purged.inc_by(gone);
            tracing::info!(history.tasks = gone, "tasks whose retention was over are removed");
        }
    }
    Ok(())
}

/// Waits for a moment in which nobody uses the table; where it is urgent, others wait for a second at last.
async fn quietly<T, F: Future<Output = Result<T, Error>>>(
    is_urgent: bool,
    mut attempt: impl FnMut(Patience) -> F,
) -> Result<T, Error> {
    for _ in 0..TRIES {
        match attempt(Patience::None).await {
            Err(error) if error.may_pass() => sleep(PAUSE).await,
            other => return other,
        }
    }
    attempt(if is_urgent { Patience::Second } else { Patience::None }).await
}
