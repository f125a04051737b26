//! How many calls run at once, and how many begin in a second: limits per plugin inside the shared slots, and one slot that is a
//! plugin's own.
//!
//! So a plugin that sleeps in every shared slot starves nobody. As many own slots exist as the pool has room for; plugins
//! beyond that share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::Instant,
};

/// Hands each plugin its gate, and keeps it over reloads.
pub(super) struct Gates {
    shared: Arc<Semaphore>,
    reserves: Arc<Semaphore>,
    slots: usize,
    by_plugin: HashMap<String, (Share, Arc<Gate>)>,
}

/// What one plugin may have of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Calls at once; none: as many as there are slots.
    pub(super) concurrency: Option<usize>,
    /// Calls that begin in a second; none: as many as there are.
    pub(super) rate: Option<u32>,
}

impl Gates {
    pub(super) fn new(slots: usize, reserves: usize) -> Self {
        let (shared, reserves) = (Arc::new(Semaphore::new(slots)), Arc::new(Semaphore::new(reserves)));
        Self { shared, reserves, slots, by_plugin: HashMap::new() }
    }

    /// The plugin's gate; another share makes another one, while calls in flight finish behind theirs.
    pub(super) fn of(&mut self, plugin: &str, share: Share) -> Arc<Gate> {
        if let Some((known, gate)) = self.by_plugin.get(plugin)
            && *known == share
        {
            return gate.clone();
        }
        self.by_plugin.remove(plugin);
        let most = share.concurrency.unwrap_or(self.slots).clamp(1, self.slots.max(1));
        let gate = Arc::new(Gate {
            own: Semaphore::new(most),
            pace: share.rate.map(Pace::new),
            reserve: self.reserves.clone().try_acquire_owned().ok().map(|held| (held, Semaphore::new(1))),
            shared: self.shared.clone(),
        });
        self.by_plugin.insert(plugin.to_owned(), (share, gate.clone()));
        gate
    }

    pub(super) fn forget_all_but(&mut self, keep: impl Fn(&str) -> bool) {
        self.by_plugin.retain(|plugin, _| keep(plugin));
    }
}

/// The way into a sandbox for one plugin's calls.
pub(super) struct Gate {
    own: Semaphore,
    pace: Option<Pace>,
    reserve: Option<(OwnedSemaphorePermit, Semaphore)>,
    shared: Arc<Semaphore>,
}

/// A place in a sandbox, given back when dropped.
pub(super) struct Entered<'a> {
    _own: Option<SemaphorePermit<'a>>,
    _slot: Option<SemaphorePermit<'a>>,
}

impl Gate {
    /// Waits for a place. The semaphores are never closed, so there is always one to come.
    pub(super) async fn enter(&self) -> Entered<'_> {
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let own = self.own.acquire().await.ok();
        if let Ok(slot) = self.shared.try_acquire() {
            return Entered { _own: own, _slot: Some(slot) };
        }
        let slot = match &self.reserve {
            None => self.shared.acquire().await.ok(),
            Some((_, reserve)) => tokio::select! {
                slot = self.shared.acquire() => slot.ok(),
                slot = reserve.acquire() => slot.ok(),
            },
        };
        Entered { _own: own, _slot: slot }
    }
}

/// Lets calls begin one after the other, and after a quiet time as many at once as make a second.
struct Pace {
    between: Duration,
    /// When the next call would begin if all kept their distance.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { between: Duration::from_secs(1) / rate.max(1), next: Mutex::default() }
    }

    async fn turn(&self) {
        let begins = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.unwrap_or(now).max(now);
            *next = Some(turn + self.between);
            turn.checked_sub(Duration::from_secs(1) - self.between).unwrap_or(now)
        };
        tokio::time::sleep_until(begins).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Gates, Share};
    use futures_util::FutureExt;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_plugin_in_every_slot_starves_nobody() {
        let mut gates = Gates::new(4, 2);
        let (greedy, modest) = (gates.of("greedy", Share::default()), gates.of("modest", Share::default()));
        let mut held = Vec::new();
        while let Some(entered) = greedy.enter().now_or_never() {
            held.push(entered);
        }
        assert_eq!(held.len(), 4, "its own limit is the number of slots");
        assert!(modest.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_limit_of_a_plugin_holds() {
        let mut gates = Gates::new(4, 2);
        let gate = gates.of("tool", Share { concurrency: Some(2), rate: None });
        let held = (gate.enter().await, gate.enter().await);
        assert!(gate.enter().now_or_never().is_none());
        drop(held);
        assert!(gate.enter().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_of_a_second_calls_begin_at_the_plugins_rate() {
        let mut gates = Gates::new(64, 2);
        let gate = gates.of("tool", Share { concurrency: None, rate: Some(10) });
        let began = Instant::now();
        let mut when = Vec::new();
        for _ in 0..30 {
            drop(gate.enter().await);
            when.push(began.elapsed());
        }
        assert!(when[9] < Duration::from_millis(10), "{when:?}");
        assert!(when[29] >= Duration::from_millis(1_990) && when[29] < Duration::from_millis(2_100), "{when:?}");
        assert!(gates.of("other", Share::default()).enter().now_or_never().is_some());
    }
}
