//! What the server does by itself, again and again: its heartbeat, and the work that one replica does for all.

mod beat;
mod history;
mod leader;

pub use history::Retention;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Starts everything; it ends with `stop`. The handle ends when this replica has given back what it held.
pub fn start(app: &App, retention: Retention, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
    let (app, stop) = (app.clone(), stop.clone());
    tokio::spawn(async move {
        let terms = leader::stand(app.clone(), history::WORK, stop.clone());
        tokio::join!(
            beat::run(&app, &stop),
            leader::while_leading(terms.1, &stop, |term| history::run(&app, retention, term)),
            terms.0,
        );
    })
}
