//! Names to addresses, once for each request.

use std::{fmt, io, net::IpAddr};

/// Where names lead. What it answers is judged, and then connected to as it is: a name cannot lead elsewhere in between.
#[async_trait::async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a lower-case name without a trailing dot.
    ///
    /// # Errors
    /// When there are none, or nobody answers.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the agent's system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

#[async_trait::async_trait]
impl Resolve for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        // Names of services are completed by the cluster's search list. Any other would be tried below the cluster's domains
        // first, where somebody else may answer for it.
        let absolute = if name.ends_with(".svc") { name.to_owned() } else { format!("{name}.") };
        let found = tokio::net::lookup_host((absolute.as_str(), 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
