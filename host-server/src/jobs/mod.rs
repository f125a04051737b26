//! What the server does by itself, again and again: its heartbeat, and the work that one replica does for all.

mod beat;
mod history;
mod leader;
mod queue;
mod sweep;

pub use history::Retention;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Starts everything; it ends with `stop`. The handle ends when this replica has given back what it held.
pub fn start(app: &App, retention: Retention, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
    let (app, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move {
        tokio::join!(
            beat::run(&app, &stop),
            sweep::touch(&app, &stop),
            leader::lead(&app, history::WORK, &stop, |term| history::run(&app, retention, term)),
            leader::lead(&app, sweep::WORK, &stop, |_| queue::beside(&app, sweep::run(&app))),
        );
    })
}
