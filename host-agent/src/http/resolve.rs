//! Names to addresses, once for each request.

use std::{
    fmt, io,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
};

use tokio::sync::Semaphore;

/// A lookup that nobody awaits any more still holds a thread until the system's resolver gives up.
const LOOKUPS_MAX: usize = 64;

/// Where names lead. What it answers is judged, and then connected to as it is: a name cannot lead elsewhere in between.
#[async_trait::async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a lower-case name without a trailing dot.
    ///
    /// # Errors
    /// When there are none, or nobody answers.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the agent's system, asked for so many names at once and no more.
#[derive(Clone, Debug)]
pub struct System {
    lookups: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

#[async_trait::async_trait]
impl Resolve for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let wanted = wanted(name);
        let lookup = tokio::task::spawn_blocking(move || {
            let found = (wanted.as_str(), 0).to_socket_addrs();
            drop(permit);
            found.map(|found| found.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// Names of services are completed by the search list, as are names without a dot, which lead nowhere else. Any other would be
/// tried below the cluster's domains first, where somebody else may answer for it: a dot at its end says that it is whole.
fn wanted(name: &str) -> String {
    let is_completed = name.ends_with(".svc") || !name.contains('.');
    if is_completed { name.to_owned() } else { format!("{name}.") }
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn only_names_that_mean_it_are_completed() {
        for (name, expected) in [
            ("prometheus.monitoring.svc", "prometheus.monitoring.svc"),
            ("prometheus", "prometheus"),
            ("prometheus.monitoring.svc.cluster.local", "prometheus.monitoring.svc.cluster.local."),
            ("grafana.example.com", "grafana.example.com."),
            ("svc.example", "svc.example."),
        ] {
            assert_eq!(wanted(name), expected);
        }
    }
}
