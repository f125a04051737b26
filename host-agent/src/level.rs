//! A value, and those who wait until it is as they need it. They go on in the order in which they came: the waiters of
//! `tokio::sync::watch` go on in a random one, and what happened once could not be made to happen again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(crate) struct Level<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Level<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> T {
        *self.lock()
    }

    pub(crate) fn set(&self, value: T) {
        *self.lock() = value;
        self.changed.notify_waiters();
    }

    /// Waits until the value is one that `is_met` accepts; at once where it is.
    pub(crate) async fn wait_for(&self, is_met: impl Fn(T) -> bool) {
        loop {
            // Before the look at the value: so that no change falls between the two.
            let changed = self.changed.notified();
            if is_met(self.get()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::Level;

    #[tokio::test]
    async fn waiters_go_on_in_the_order_in_which_they_came() {
        let (level, order) = (Arc::new(Level::new(0)), Arc::new(Mutex::new(Vec::new())));
        let mut waiters = tokio::task::JoinSet::new();
        for number in 0..20 {
            let (level, order) = (Arc::clone(&level), Arc::clone(&order));
            waiters.spawn(async move {
                level.wait_for(|value| value > number / 10).await;
                order.lock().unwrap().push(number);
            });
        }
        tokio::task::yield_now().await;
        level.set(1);
        tokio::task::yield_now().await;
        level.set(2);
        waiters.join_all().await;
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
