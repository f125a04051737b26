//! One direction of a connection: in order, late, and not at all while it is silent.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, power::Power};

/// How a direction is.
#[derive(Clone, Default)]
pub(crate) struct Way(Arc<Mutex<Weather>>);

#[derive(Default)]
struct Weather {
    silent_until: Option<Instant>,
    slow_until: Option<Instant>,
}

impl Way {
    fn lock(&self) -> MutexGuard<'_, Weather> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn silent_until(&self, until: Instant) {
        self.lock().silent_until = Some(until);
    }

    pub(crate) fn slow_until(&self, until: Instant) {
        self.lock().slow_until = Some(until);
    }

    pub(crate) fn mend(&self) {
        *self.lock() = Weather::default();
    }

    fn is_slow(&self) -> bool {
        self.lock().slow_until.is_some_and(|until| Instant::now() < until)
    }

    async fn heard(&self) {
        loop {
            let until = self.lock().silent_until.filter(|until| Instant::now() < *until);
            let Some(until) = until else { return };
            sleep_until(until).await;
        }
    }
}

/// Between which processes, on which way, until when.
pub(crate) struct Carrier {
    pub(crate) from: Power,
    pub(crate) to: Power,
    pub(crate) way: Way,
    pub(crate) cut: CancellationToken,
    pub(crate) chance: Chance,
}

impl Carrier {
    /// Carries until one side ends or the line is cut; the other side hears of that later, perhaps.
    pub(crate) async fn carry<T, U>(self, mut from: mpsc::Receiver<T>, to: mpsc::Sender<U>, pack: impl Fn(T) -> U) {
        while let Some(Some(message)) = self.unless_cut(from.recv()).await {
            if self.from.is_dead() || self.unless_cut(self.bring()).await.is_none() {
                break;
            }
            if to.send(pack(message)).await.is_err() {
                break;
            }
        }
        self.cut.cancel();
        if self.chance.one_in(2) {
            sleep(self.chance.millis(1, 3_000)).await;
        }
        self.way.heard().await;
    }

    async fn bring(&self) {
        self.from.pass().await;
        if self.way.is_slow() {
            sleep(self.chance.millis(100, 3_000)).await;
        } else if self.chance.one_in(3) {
            sleep(self.chance.millis(1, 15)).await;
        }
        self.way.heard().await;
        self.to.pass().await;
    }

    async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.cut.cancelled() => None,
            done = work => Some(done),
        }
    }
}
