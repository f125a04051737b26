//! CPU time of one call: the thread's CPU clock around each poll, summed. Host work counts, waiting does not.
//!
//! Ticks make a busy guest return from its poll, so the budget is looked at at least once a tick. A reading of the clock is a
//! system call: where a poll begins and ends in the host, its own two readings are all that are made.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use super::clock::Clock;

/// The call used up its CPU budget.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CpuSpent;

/// What one call has used so far. The call's polls come one after the other, and what goes on beside them adds to its own sum.
pub(super) struct Meter {
    clock: Arc<dyn Clock>,
    polls: Time,
    beside: Time,
    /// Of the polls, what went to reads in the host.
    host: Time,
    is_in_host: AtomicBool,
    /// Where the thread's clock stood when the host last took over in this poll.
    host_since: Time,
}

impl Meter {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            polls: Time::default(),
            beside: Time::default(),
            host: Time::default(),
            is_in_host: AtomicBool::new(false),
            host_since: Time::default(),
        }
    }

    /// Of polls, and of what went on beside them.
    pub(super) fn cpu(&self) -> Duration {
        self.polls.get() + self.beside.get()
    }

    /// Of [`Meter::cpu`], what went to reads in the host.
    pub(super) fn host_cpu(&self) -> Duration {
        self.host.get() + self.beside.get()
    }

    /// Drives `work` until it ends or the call has used `limit`. Its polls count in any case, also when the answer is dropped.
    pub(super) async fn driven<F: Future>(
        &self,
        mut work: Pin<&mut F>,
        limit: Duration,
    ) -> Result<F::Output, CpuSpent> {
        poll_fn(|context| {
            let before = self.clock.thread_cpu();
            self.host_since.set(before);
            let polled = work.as_mut().poll(context);
            let after = self.clock.thread_cpu();
            self.polls.add(after.saturating_sub(before));
            if self.is_in_host.load(Ordering::Relaxed) {
                self.host.add(after.saturating_sub(self.host_since.get()));
            }
            match polled {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending if self.cpu() > limit => Poll::Ready(Err(CpuSpent)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Work of the host, within a poll of [`Meter::driven`] and those that follow.
    pub(super) async fn in_host<T>(&self, work: impl Future<Output = T>) -> T {
        self.host_since.set(self.clock.thread_cpu());
        self.is_in_host.store(true, Ordering::Relaxed);
        let output = work.await;
        self.is_in_host.store(false, Ordering::Relaxed);
        self.host.add(self.clock.thread_cpu().saturating_sub(self.host_since.get()));
        output
    }

    /// Drives to its end what goes on beside the call's polls.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let before = self.clock.thread_cpu();
            let polled = work.as_mut().poll(context);
            self.beside.add(self.clock.thread_cpu().saturating_sub(before));
            polled
        })
        .await
    }
}

/// Nanoseconds.
#[derive(Debug, Default)]
struct Time(AtomicU64);

impl Time {
    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, time: Duration) {
        self.0.store(nanoseconds(time), Ordering::Relaxed);
    }

    fn add(&self, time: Duration) {
        self.0.fetch_add(nanoseconds(time), Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CpuSpent, Meter};
    use crate::plugin::clock::Clock;
    use std::{
        cell::Cell,
        future::pending,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };
    use tokio::task::yield_now;

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

    fn meter() -> Meter {
        Meter::new(Arc::new(OneMsARead::default()))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn only_polls_are_charged_and_the_budget_ends_the_call() {
        let polls = Cell::new(0);
        let work = pin!(async {
            loop {
                polls.set(polls.get() + 1);
                yield_now().await;
            }
        });
        let meter = meter();
        let ended: Result<(), _> = meter.driven(work, ms(10)).await;
        assert_eq!(ended, Err(CpuSpent));
        assert_eq!((polls.get(), meter.cpu()), (11, ms(11)));
    }

    #[tokio::test]
    async fn work_that_ends_is_kept_whatever_its_last_poll_cost() {
        let meter = meter();
        let ended = meter.driven(pin!(async { 7 }), Duration::ZERO).await;
        assert_eq!((ended, meter.cpu(), meter.host_cpu()), (Ok(7), ms(1), ms(0)));
    }

    #[tokio::test]
    async fn what_went_on_beside_the_polls_counts_into_the_budget() {
        let meter = meter();
        let beside = async {
            yield_now().await;
            7
        };
        assert_eq!(meter.beside(beside).await, 7);
        assert_eq!((meter.cpu(), meter.host_cpu()), (ms(2), ms(2)));
        let ended = meter.driven(pin!(pending::<()>()), ms(2)).await;
        assert_eq!((ended, meter.cpu()), (Err(CpuSpent), ms(3)));
    }

    #[tokio::test]
    async fn the_hosts_part_is_told_apart_with_two_readings_however_often_it_is_polled() {
        let clock = Arc::new(OneMsARead::default());
        let meter = Meter::new(clock.clone());
        let host = async {
            yield_now().await;
            yield_now().await;
        };
        let work = pin!(async {
            meter.in_host(host).await;
            yield_now().await;
        });
        assert!(meter.driven(work, ms(100)).await.is_ok());
        // Four polls; the host's two readings lie in the first and the third.
        assert_eq!(clock.thread_cpu(), ms(10));
        assert_eq!((meter.cpu(), meter.host_cpu()), (ms(6), ms(3)));
    }
}
