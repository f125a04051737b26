//! Delivers what the outbox holds. Any replica does, each delivery is held by one at a time, and a receiver that is slow or away delays
//! nobody but itself.

mod address;
mod breaker;
mod deliver;
mod document;
mod driver;
mod filter;
mod network;
mod resolve;
mod send;
mod sign;
mod target;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use network::Network;
pub use resolve::{Resolve, System};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use deliver::Deliverer;
use send::Sender;

/// What an operator says about webhooks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Authorities beside the system's, as PEM text.
    pub ca_file: Option<PathBuf>,
    /// Addresses that are sent to although they are not of the internet.
    pub allowed: Vec<Network>,
    /// How long deliveries that ended are kept.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ca_file: None, allowed: vec![], retention: Duration::from_secs(7 * 86_400) }
    }
}

/// Starts delivering; it ends with `stop`. The handle ends when what was under way has ended, or was given back.
///
/// # Errors
/// A sentence, where the authorities cannot be read.
pub async fn start(
    app: &App,
    settings: &Settings,
    resolver: Arc<dyn Resolve>,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, String> {
    let tls = trust::trust(settings.ca_file.as_deref()).await?;
    let sender = Sender { resolver, allowed: settings.allowed.clone().into(), tls };
    let deliverer = Deliverer::new(app.clone(), sender);
    Ok(tokio::spawn(driver::run(deliverer, stop.clone())))
}
