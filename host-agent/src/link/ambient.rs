//! What a link takes from the world besides the time that passes, so that a simulation can choose it.

use std::time::{SystemTime, UNIX_EPOCH};

/// See the module.
pub struct Ambient {
    /// From 0 up to 1: so that many agents do not come back at once.
    pub random: Box<dyn Fn() -> f64 + Send + Sync>,
    /// Microseconds since 1970; shown to people, never compared.
    pub wall_us: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl Ambient {
    /// The system's.
    #[must_use]
    pub fn of_the_system() -> Self {
        let wall_us = || {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)
        };
        Self { random: Box::new(rand::random::<f64>), wall_us: Box::new(wall_us) }
    }
}
