//! How many calls run at once: a limit per plugin inside the shared slots, and one slot that is a plugin's own.
//!
//! So a plugin that sleeps in every shared slot starves nobody. As many own slots exist as the pool has room for; plugins
//! beyond that share.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Hands each plugin its gate, and keeps it over reloads.
pub(super) struct Gates {
    shared: Arc<Semaphore>,
    reserves: Arc<Semaphore>,
    slots: usize,
    by_plugin: HashMap<String, (usize, Arc<Gate>)>,
}

impl Gates {
    pub(super) fn new(slots: usize, reserves: usize) -> Self {
        let (shared, reserves) = (Arc::new(Semaphore::new(slots)), Arc::new(Semaphore::new(reserves)));
        Self { shared, reserves, slots, by_plugin: HashMap::new() }
    }

    /// The plugin's gate; another limit makes another one, while calls in flight finish behind theirs.
    pub(super) fn of(&mut self, plugin: &str, concurrency: Option<usize>) -> Arc<Gate> {
        let most = concurrency.unwrap_or(self.slots).clamp(1, self.slots.max(1));
        if let Some((limit, gate)) = self.by_plugin.get(plugin)
            && *limit == most
        {
            return gate.clone();
        }
        self.by_plugin.remove(plugin);
        let gate = Arc::new(Gate {
            own: Semaphore::new(most),
            reserve: self.reserves.clone().try_acquire_owned().ok().map(|held| (held, Semaphore::new(1))),
            shared: self.shared.clone(),
        });
        self.by_plugin.insert(plugin.to_owned(), (most, gate.clone()));
        gate
    }

    pub(super) fn forget_all_but(&mut self, keep: impl Fn(&str) -> bool) {
        self.by_plugin.retain(|plugin, _| keep(plugin));
    }
}

/// The way into a sandbox for one plugin's calls.
pub(super) struct Gate {
    own: Semaphore,
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

#[cfg(test)]
mod tests {
    use super::Gates;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_plugin_in_every_slot_starves_nobody() {
        let mut gates = Gates::new(4, 2);
        let (greedy, modest) = (gates.of("greedy", None), gates.of("modest", None));
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
        let gate = gates.of("tool", Some(2));
        let held = (gate.enter().await, gate.enter().await);
        assert!(gate.enter().now_or_never().is_none());
        drop(held);
        assert!(gate.enter().now_or_never().is_some());
    }
}
