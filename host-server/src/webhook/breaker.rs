//! Leaves a receiver alone that does not answer: after a few failures in a row nothing is sent to it for a while, then one document, which
//! decides.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row until it opens.
const FAILURES: u32 = 5;
const FIRST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(300);

/// What is known of one receiver here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Until when nothing is sent, and how long that was.
    open: Option<(Instant, Duration)>,
}

impl Breaker {
    /// How many of `most` may be sent now, while `in_flight` are under way.
    pub(super) fn allows(&self, now: Instant, in_flight: usize, most: usize) -> usize {
        match self.open {
            None => most.saturating_sub(in_flight),
            Some((until, _)) if now < until => 0,
            Some(_) => 1_usize.saturating_sub(in_flight),
        }
    }

    /// Whether nothing is known of it that matters.
    pub(super) fn is_calm(&self) -> bool {
        self.failures == 0
    }

    /// An attempt ended. `is_deaf`: the receiver did not answer, or said that it cannot.
    pub(super) fn note(&mut self, now: Instant, is_deaf: bool) {
        if !is_deaf {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        match self.open {
            // What was under way when it opened says nothing new.
            Some((until, _)) if now < until => {}
            Some((_, pause)) => {
                let pause = (pause * 2).min(MOST);
                self.open = Some((now + pause, pause));
            }
            None if self.failures >= FAILURES => self.open = Some((now + FIRST, FIRST)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, FAILURES, FIRST, MOST};
    use tokio::time::Instant;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_through_after_a_while() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            breaker.note(start, true);
        }
        assert_eq!(breaker.allows(start, 2, 16), 14);
        breaker.note(start, true);
        assert_eq!(breaker.allows(start, 0, 16), 0);
        breaker.note(start, true);
        let later = start + FIRST;
        assert_eq!((breaker.allows(later, 0, 16), breaker.allows(later, 1, 16)), (1, 0));
        breaker.note(later, true);
        assert_eq!(breaker.allows(later + FIRST, 0, 16), 0, "the next while is longer");
        assert_eq!(breaker.allows(later + MOST, 0, 16), 1);
        breaker.note(later + MOST, false);
        assert_eq!(breaker.allows(later + MOST, 0, 16), 16);
    }
}
