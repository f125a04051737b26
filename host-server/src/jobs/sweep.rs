//! What one replica looks after for all agents: who stayed silent, and which times came.

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{app::App, dispatch::Round};

pub(super) const WORK: &str = "sweep";
/// A session's row is touched once in this many rounds, so that it outlives its stream.
const TOUCH: u32 = 60;

/// Rounds without end, as the leader. Time in which nobody led counts for nobody.
pub(super) async fn run(app: &App) {
    let mut every = interval(app.dispatch().timing().round);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = Round::default();
    loop {
        every.tick().await;
        let others = app.other_replicas();
        let mut alive = vec![app.replica_id()];
        alive.extend(others.borrow().iter().map(|peer| peer.id));
        if let Err(error) = app.dispatch().sweep(&mut round, &alive, Instant::now(), app.source.now_us()).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what nobody took care of could not be looked through"
            );
        }
    }
}

/// Each replica's own part: the sessions that are in use here.
pub(super) async fn touch(app: &App, stop: &CancellationToken) {
    let round = app.dispatch().timing().round;
    let mut every = interval(round.saturating_mul(TOUCH));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = every.tick() => {} }
        if let Err(error) = app.dispatch().touch_sessions().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the sessions that are in use could not be noted");
        }
    }
}
