//! An agent's disk: what was synced outlives a crash of the machine, of the rest any first part may.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use claiflow_agent::journal::Disk;
use tokio::time::{Instant, sleep};

use crate::{chance::Chance, power::Power};

/// The bytes, which outlive the process. Clones are one disk.
#[derive(Clone, Default)]
pub(crate) struct Platter(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    bytes: Option<Vec<u8>>,
    synced: usize,
    full_until: Option<Instant>,
}

impl Platter {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine went down.
    pub(crate) fn lose_unsynced(&self, chance: &Chance) {
        let mut content = self.lock();
        let synced = content.synced;
        if let Some(bytes) = &mut content.bytes {
            let kept = chance.among(synced, bytes.len());
            bytes.truncate(kept);
            content.synced = kept;
        }
    }

    /// Another volume, with nothing on it.
    pub(crate) fn wipe(&self) {
        *self.lock() = Content::default();
    }

    /// Takes nothing until then.
    pub(crate) fn fill_until(&self, until: Instant) {
        self.lock().full_until = Some(until);
    }

    pub(crate) fn mend(&self) {
        self.lock().full_until = None;
    }
}

impl Content {
    fn takes(&self) -> io::Result<()> {
        match self.full_until {
            Some(until) if Instant::now() < until => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

/// The disk as one process of the agent sees it.
pub(crate) struct Mounted {
    pub(crate) platter: Platter,
    pub(crate) power: Power,
    pub(crate) chance: Chance,
}

impl Mounted {
    async fn work<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        sleep(self.chance.millis(0, 4)).await;
        self.power.pass().await;
        let done = work(&mut self.platter.lock());
        sleep(self.chance.millis(0, 4)).await;
        self.power.pass().await;
        done
    }
}

#[async_trait::async_trait]
impl Disk for Mounted {
    async fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.work(|content| Ok(content.bytes.clone())).await
    }

    async fn append(&self, bytes: Vec<u8>) -> io::Result<()> {
        let half = self.chance.below(bytes.len());
        self.work(|content| {
            let taken = content.takes();
            let part = if taken.is_ok() { bytes.as_slice() } else { bytes.get(..half).unwrap_or_default() };
            content.bytes.get_or_insert_default().extend_from_slice(part);
            taken
        })
        .await
    }

    async fn sync(&self) -> io::Result<()> {
        self.work(|content| {
            content.takes()?;
            content.synced = content.bytes.as_ref().map_or(0, Vec::len);
            Ok(())
        })
        .await
    }

    async fn replace(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.work(|content| {
            content.takes()?;
            content.synced = bytes.len();
            content.bytes = Some(bytes);
            Ok(())
        })
        .await
    }
}
