//! How long things may take before they are taken back. The operator's `delivery` keys.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two rounds of the sweeper.
    pub round: Duration,
    /// An offer without an ack is made again after this time.
    pub offer: Duration,
    /// A lease holds this long after the last answered heartbeat.
    pub lease_ttl: Duration,
    /// An agent of which nothing is heard is suspect after this time.
    pub silence: Duration,
    /// A suspect's leases are lost after this time, where their template says nothing else.
    pub grace: Duration,
    /// The first wait before a lost task is ready again; it doubles with each attempt.
    pub backoff: Duration,
    /// A session without a stream is forgotten this long after it expired.
    pub session: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            round: Duration::from_secs(5),
            offer: Duration::from_secs(10),
            lease_ttl: Duration::from_secs(30),
            silence: Duration::from_secs(45),
            grace: Duration::from_secs(300),
            backoff: Duration::from_secs(5),
            session: Duration::from_secs(24 * 3_600),
        }
    }
}

impl Timing {
    /// Two times that agents show by, in milliseconds: how long a lease holds, and how often they say that they live.
    #[must_use]
    pub fn heartbeat_ms(&self) -> u64 {
        let third = self.lease_ttl.as_millis() / 3;
        u64::try_from(third).unwrap_or(u64::MAX).clamp(100, 1_000)
    }
}
