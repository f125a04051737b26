//! CPU time of one call: the thread's CPU clock around each poll, summed. Host work counts, waiting does not.
//!
//! Ticks make a busy guest return from its poll, so the budget is looked at at least once a tick.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use super::clock::Clock;

/// The call used up its CPU budget.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CpuSpent;

/// Drives `work` until it ends or has used `limit`; `used` counts in any case, also when the answer is dropped.
pub(super) async fn metered<F: Future>(
    mut work: Pin<&mut F>,
    clock: &dyn Clock,
    limit: Duration,
    used: &mut Duration,
) -> Result<F::Output, CpuSpent> {
    poll_fn(|context| {
        let before = clock.thread_cpu();
        let polled = work.as_mut().poll(context);
        *used += clock.thread_cpu().saturating_sub(before);
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if *used > limit => Poll::Ready(Err(CpuSpent)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drives `work` to its end; beside its output, the CPU time that it took.
pub(super) async fn measured<F: Future>(work: F, clock: &dyn Clock) -> (F::Output, Duration) {
    let mut work = std::pin::pin!(work);
    let mut used = Duration::ZERO;
    let output = poll_fn(|context| {
        let before = clock.thread_cpu();
        let polled = work.as_mut().poll(context);
        used += clock.thread_cpu().saturating_sub(before);
        polled
    })
    .await;
    (output, used)
}

#[cfg(test)]
mod tests {
    use super::{CpuSpent, measured, metered};
    use crate::plugin::clock::Clock;
    use std::{
        cell::Cell,
        pin::pin,
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    /// Each reading of the CPU clock is one millisecond later: a poll costs one.
    #[derive(Default)]
    struct OneMsARead(AtomicU64);

    impl Clock for OneMsARead {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn unix(&self) -> Duration {
            Duration::ZERO
        }
        fn thread_cpu(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn only_polls_are_charged_and_the_budget_ends_the_call() {
        let polls = Cell::new(0);
        let work = pin!(async {
            loop {
                polls.set(polls.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        let mut used = Duration::ZERO;
        let ended: Result<(), _> = metered(work, &OneMsARead::default(), Duration::from_millis(10), &mut used).await;
        assert_eq!(ended, Err(CpuSpent));
        assert_eq!((polls.get(), used), (11, Duration::from_millis(11)));
    }

    #[tokio::test]
    async fn what_is_measured_ends_whatever_it_costs() {
        let work = async {
            tokio::task::yield_now().await;
            7
        };
        assert_eq!(measured(work, &OneMsARead::default()).await, (7, Duration::from_millis(2)));
    }

    #[tokio::test]
    async fn work_that_ends_is_kept_whatever_its_last_poll_cost() {
        let mut used = Duration::ZERO;
        let ended = metered(pin!(async { 7 }), &OneMsARead::default(), Duration::ZERO, &mut used).await;
        assert_eq!((ended, used), (Ok(7), Duration::from_millis(1)));
    }
}
