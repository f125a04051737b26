//! How much each of many callers may ask for: token buckets, as the generic cell rate algorithm keeps them (ITU-T I.371).
//!
//! A bucket is one number, the time at which it will be full again. One that is full already says nothing, so it is dropped
//! without loss; that bounds what is kept to callers who asked for something lately.

use std::{collections::HashMap, hash::Hash, time::Duration};

const SECOND_NS: u64 = 1_000_000_000;
/// Full buckets are looked for this far apart at most, nanoseconds: looking is not for free.
const SWEEP_NS: u64 = SECOND_NS;

/// What one caller may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Units a second, for as long as they like; at least 1.
    pub per_second: u32,
    /// Units at once, after a pause; at least the cost of one request.
    pub burst: u32,
}

impl Default for Rate {
    /// More than a script with some parallel `curl`s sends, less than a loop that went wrong.
    fn default() -> Self {
        Self { per_second: 1_000, burst: 5_000 }
    }
}

impl Rate {
    /// What one unit costs in time, nanoseconds.
    fn unit_ns(self) -> u64 {
        SECOND_NS / u64::from(self.per_second.max(1))
    }

    /// How long an empty bucket takes to be full, nanoseconds.
    fn full_ns(self) -> u64 {
        self.unit_ns().saturating_mul(u64::from(self.burst))
    }
}

/// Buckets of one rate. The clock is passed in: nanoseconds since any moment, never going back.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    /// When each bucket is full again.
    full_at: HashMap<K, u64>,
    /// The bucket that callers share who came when all others were taken.
    rest_full_at: u64,
    swept_at: u64,
}

impl<K: Eq + Hash> Buckets<K> {
    /// For `most` callers at a time; further ones share one bucket until another is full again.
    #[must_use]
    pub fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, full_at: HashMap::new(), rest_full_at: 0, swept_at: 0 }
    }

    /// Takes `cost` units, or nothing.
    ///
    /// # Errors
    /// How long to wait for so many units.
    pub fn take(&mut self, key: K, cost: u32, now_ns: u64) -> Result<(), Duration> {
        let taken = self.after(&key, cost, now_ns)?;
        self.put(key, taken, now_ns);
        Ok(())
    }

    /// Whether `cost` units could be taken.
    ///
    /// # Errors
    /// As [`Buckets::take`].
    pub fn look(&self, key: &K, cost: u32, now_ns: u64) -> Result<(), Duration> {
        self.after(key, cost, now_ns).map(drop)
    }

    /// How many callers are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Whether nobody is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }

    /// When the bucket would be full again, had `cost` units been taken.
    fn after(&self, key: &K, cost: u32, now_ns: u64) -> Result<u64, Duration> {
        let known = self.full_at.get(key).copied();
        let full_at = known.unwrap_or(if self.full_at.len() < self.most { 0 } else { self.rest_full_at });
        let after = full_at.max(now_ns).saturating_add(self.rate.unit_ns().saturating_mul(u64::from(cost)));
        match after.saturating_sub(now_ns).checked_sub(self.rate.full_ns()) {
            None | Some(0) => Ok(after),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    fn put(&mut self, key: K, full_at: u64, now_ns: u64) {
        if self.full_at.len() >= self.most && now_ns.saturating_sub(self.swept_at) >= SWEEP_NS {
            self.full_at.retain(|_, full_at| *full_at > now_ns);
            self.swept_at = now_ns;
        }
        let has_room = self.full_at.len() < self.most;
        match self.full_at.get_mut(&key) {
            Some(known) => *known = full_at,
            None if has_room => drop(self.full_at.insert(key, full_at)),
            None => self.rest_full_at = full_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Buckets, Rate, SECOND_NS};

    const MS: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_then_the_rate_and_a_refusal_says_how_long() {
        let mut buckets = Buckets::new(Rate { per_second: 10, burst: 3 }, 8);
        for (at_ms, cost, wait_ms) in [
            (0, 1, None),
            (0, 2, None),
            (0, 1, Some(100)),
            (50, 1, Some(50)),
            (100, 1, None),
            (100, 2, Some(200)),
            (1_000, 3, None),
            (1_000, 1, Some(100)),
            (1_300, 3, None),
        ] {
            let said = buckets.take("a", cost, at_ms * MS);
            assert_eq!(said.err(), wait_ms.map(Duration::from_millis), "{at_ms} ms");
        }
    }

    #[test]
    fn looking_takes_nothing_and_callers_do_not_share() {
        let mut buckets = Buckets::new(Rate { per_second: 1, burst: 1 }, 8);
        assert!(buckets.look(&"a", 1, 0).is_ok() && buckets.is_empty());
        assert!(buckets.take("a", 1, 0).is_ok() && buckets.look(&"a", 1, 0).is_err());
        assert!(buckets.take("b", 1, 0).is_ok());
    }

    #[test]
    fn what_is_kept_is_bounded_and_whoever_comes_too_many_shares() {
        let mut buckets = Buckets::new(Rate { per_second: 1, burst: 2 }, 100);
        for caller in 0..100 {
            assert!(buckets.take(caller, 2, 0).is_ok());
        }
        // The rest share one bucket, of two.
        let passed = (100..10_000).filter(|caller| buckets.take(*caller, 1, MS).is_ok()).count();
        assert_eq!((passed, buckets.len()), (2, 100));
        assert!(buckets.take(5, 1, MS).is_err());
        // The buckets are full again, which is as if nobody had come.
        assert!(buckets.take(10_001, 2, 3 * SECOND_NS).is_ok());
        assert_eq!(buckets.len(), 1);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate_and_a_wait_is_enough(
            per_second in 1_u32..5_000,
            burst in 2_u32..500,
            calls in prop::collection::vec((0_u64..200 * MS, 1_u32..=2), 1..200),
        ) {
            let rate = Rate { per_second, burst };
            let mut buckets = Buckets::new(rate, 4);
            let (mut now, mut taken) = (0, 0_u64);
            for (pause, cost) in calls {
                now += pause;
                match buckets.take((), cost, now) {
                    Ok(()) => taken += u64::from(cost),
                    Err(wait) => {
                        let then = now + u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(buckets.look(&(), cost, then - 1).is_err());
                        prop_assert!(buckets.look(&(), cost, then).is_ok());
                    }
                }
                prop_assert!(taken <= u64::from(burst) + now / rate.unit_ns() + 1);
            }
        }
    }
}
