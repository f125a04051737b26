//! Whether a process runs, stands still, or is dead.
//!
//! A process of a history acts on the world through its store, its lines, its disk and its commands alone. Each of these
//! passes here first: so a process that stands still does nothing until it goes on, and a dead one nothing for ever, whatever its
//! code still has in mind.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::sync::Notify;

const RUNS: u8 = 0;
const STANDS: u8 = 1;
const DEAD: u8 = 2;

/// See the module; clones are one process.
#[derive(Clone, Default)]
pub(crate) struct Power(Arc<State>);

#[derive(Default)]
struct State {
    state: AtomicU8,
    changed: Notify,
}

impl Power {
    /// Returns while the process runs; never once it is dead.
    pub(crate) async fn pass(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.state.load(Ordering::Relaxed) == RUNS {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn stand_still(&self) {
        self.change(RUNS, STANDS);
    }

    pub(crate) fn go_on(&self) {
        self.change(STANDS, RUNS);
    }

    pub(crate) fn kill(&self) {
        self.0.state.store(DEAD, Ordering::Relaxed);
    }

    pub(crate) fn stands_still(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) == STANDS
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) == DEAD
    }

    fn change(&self, from: u8, to: u8) {
        if self.0.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.0.changed.notify_waiters();
        }
    }
}
