//! What the server does by itself, again and again: its heartbeat, and the work that one replica does for all.

mod beat;
mod history;
mod leader;
mod queue;
mod sweep;
mod variables;
mod webhooks;

pub use history::Retention;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Starts everything; it ends with `stop`. `deliveries`: how long webhooks' deliveries that ended are kept. The handle ends when this replica has given back what it held.
pub fn start(
    app: &App,
    retention: Retention,
    deliveries: Duration,
    stop: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let (app, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move {
        tokio::join!(
            beat::run(&app, &stop),
            sweep::touch(&app, &stop),
            variables::run(&app, &stop),
            leader::lead(&app, history::WORK, &stop, |term| history::run(&app, retention, term)),
            leader::lead(&app, sweep::WORK, &stop, |_| queue::beside(&app, sweep::run(&app))),
            leader::lead(&app, webhooks::WORK, &stop, |_| webhooks::run(&app, deliveries)),
        );
    })
}
