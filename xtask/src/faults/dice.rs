//! Chance that can be had again: everything that a case chooses follows from its seed.

/// A series of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The series of one case: the same seed gives another series to each name.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: the standard library's hash may change with its version.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self(seed ^ hash)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low) + 1)
    }

    /// 32 hexadecimal digits.
    pub(super) fn uuid(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_and_a_name_give_the_same_series_again_and_others_another() {
        let series = |seed, name| {
            let mut dice = Dice::new(seed, name);
            (0..4).map(|_| dice.between(10, 1_000)).collect::<Vec<_>>()
        };
        assert_eq!(series(7, "a"), series(7, "a"));
        assert_ne!(series(7, "a"), series(8, "a"));
        assert_ne!(series(7, "a"), series(7, "b"));
        assert!(series(7, "a").iter().all(|number| (10..=1_000).contains(number)));
    }
}
