//! What happens at the edge of the ports, before anything is asked.

use prometheus::{
    IntCounterVec, IntGauge, IntGaugeVec, Registry, register_int_counter_vec_with_registry as counters,
    register_int_gauge_vec_with_registry as gauges,
};

/// A field's doc comment is its help text.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Connections that are open, by port.
    pub connections: IntGaugeVec,
    /// Connections that were closed before anything was asked, by port and reason.
    pub refused: IntCounterVec,
    /// When the certificate that is served expires, in seconds since 1970, by port.
    pub certificate_expiry: IntGaugeVec,
    /// Certificate files that were read anew, by port and outcome: `taken`, or `refused` where they could not be served.
    pub certificate_reloads: IntCounterVec,
}

impl Ports {
    /// Registers all.
    ///
    /// # Errors
    /// When a name is registered twice.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            connections: gauges!("claiflow_connections", "Connections that are open, by port", &["port"], registry)?,
            refused: counters!(
                "claiflow_connections_refused_total",
                "Connections that were closed before anything was asked, by port and reason",
                &["port", "reason"],
                registry
            )?,
            certificate_expiry: gauges!(
                "claiflow_certificate_expiry_timestamp_seconds",
                "When the certificate that is served expires, in seconds since 1970, by port",
                &["port"],
                registry
            )?,
            certificate_reloads: counters!(
                "claiflow_certificate_reloads_total",
                "Certificate files that were read anew, by port and outcome: taken, or refused where they could not be served",
                &["port", "outcome"],
                registry
            )?,
        })
    }

    /// Counts for one port.
    #[must_use]
    pub fn of(&self, port: &'static str) -> Counted {
        Counted { port, metrics: Some(self.clone()) }
    }
}

/// Why a connection was closed before anything was asked.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// As many as allowed were open.
    Limit,
    /// TLS could not be agreed on.
    Handshake,
    /// The client said too little in time.
    Slow,
}

/// What became of new certificate files.
#[derive(Clone, Copy, Debug)]
pub enum Reload {
    /// They are served.
    Taken,
    /// They cannot be served.
    Refused,
}

/// Counts what happens on one port; a port without metrics is not counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    port: &'static str,
    metrics: Option<Ports>,
}

impl Counted {
    /// The configuration's word for the port.
    #[must_use]
    pub fn port(&self) -> &'static str {
        self.port
    }

    /// A connection is open until the answer is dropped.
    #[must_use]
    pub fn open(&self) -> Open {
        let gauge = self.metrics.as_ref().map(|metrics| metrics.connections.with_label_values(&[self.port]));
        if let Some(gauge) = &gauge {
            gauge.inc();
        }
        Open(gauge)
    }

    /// A connection was closed before anything was asked.
    pub fn refused(&self, why: Refused) {
        let reason = match why {
            Refused::Limit => "limit",
            Refused::Handshake => "handshake",
            Refused::Slow => "slow",
        };
        if let Some(metrics) = &self.metrics {
            metrics.refused.with_label_values(&[self.port, reason]).inc();
        }
    }

    /// The certificate that is served expires then.
    pub fn expires(&self, until_s: i64) {
        if let Some(metrics) = &self.metrics {
            metrics.certificate_expiry.with_label_values(&[self.port]).set(until_s);
        }
    }

    /// Certificate files were read anew.
    pub fn reloaded(&self, outcome: Reload) {
        let outcome = match outcome {
            Reload::Taken => "taken",
            Reload::Refused => "refused",
        };
        if let Some(metrics) = &self.metrics {
            metrics.certificate_reloads.with_label_values(&[self.port, outcome]).inc();
        }
    }
}

/// An open connection, counted.
#[derive(Debug)]
pub struct Open(Option<IntGauge>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}
