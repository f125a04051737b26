//! Wall clocks: simulated time behind a start, and what each replica's clock is wrong by.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use claiflow_server::model::{
    duration::micros,
    ids::{Id, Ids},
};
use tokio::time::Instant;

use crate::chance::Chance;

/// When every history begins, microseconds since 1970.
const START_US: i64 = 1_900_000_000_000_000;

/// One machine's clock, and where its ids come from. Clones show the same time.
#[derive(Clone)]
pub(crate) struct Wall {
    began: Instant,
    wrong_us: Arc<AtomicI64>,
    chance: Chance,
}

impl Wall {
    pub(crate) fn new(began: Instant, chance: &Chance) -> Self {
        Self { began, wrong_us: Arc::default(), chance: chance.clone() }
    }

    /// The clock is wrong by this from now on.
    pub(crate) fn set_wrong(&self, us: i64) {
        self.wrong_us.store(us, Ordering::Relaxed);
    }

    pub(crate) fn wrong_us(&self) -> i64 {
        self.wrong_us.load(Ordering::Relaxed)
    }
}

impl Ids for Wall {
    fn now_us(&self) -> i64 {
        START_US + micros(self.began.elapsed()) + self.wrong_us()
    }

    fn random(&self) -> Id {
        self.chance.id()
    }
}
