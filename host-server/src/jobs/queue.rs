//! How long tasks wait for agents: one replica looks and shows it, or each would show the same.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    app::App,
    metrics::{Line, Queue},
    storage::WaitingLine,
};

const ROUND: Duration = Duration::from_secs(5);

/// Shows nothing once this replica does not lead any more.
struct Shown<'a>(&'a Queue);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.show(vec![]);
    }
}

/// Looks again and again, beside other work of the leader.
pub(super) async fn beside(app: &App, work: impl Future<Output = ()>) {
    tokio::join!(work, run(app));
}

async fn run(app: &App) {
    let shown = Shown(&app.metrics().queue);
    let mut every = interval(ROUND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now_ms = app.source.now_us() / 1_000;
        match app.store.waiting_lines().await {
            Ok(waiting) => shown.0.show(waiting.into_iter().map(|line| line_of(line, now_ms)).collect()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "how long tasks wait could not be looked at")
            }
        }
    }
}

fn line_of(waiting: WaitingLine, now_ms: i64) -> Line {
    let age_ms = now_ms.saturating_sub(waiting.created_ms).max(0);
    Line { cluster: waiting.cluster, age_seconds: age_ms as f64 / 1_000.0, agents: waiting.agents }
}
