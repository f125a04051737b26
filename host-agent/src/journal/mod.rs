//! What this agent must not forget when its process dies: the leases under which something is to be reported, starts of
//! steps with an effect, ends of steps and outcomes, each until the server settled it.
//!
//! One append-only file of checksummed records. A lease under which an effect began is written at once and synced, many
//! waiting writers by one sync; what may be repeated safely waits a moment, and is never written when the server settles it
//! meanwhile. The journal knows no protocol: the bodies of reports are bytes.

mod directory;
mod disk;
mod format;
mod kept;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use tokio::sync::Notify;

use crate::level::Level;
pub use directory::Directory;
pub use disk::{Disk, FileDisk};
pub use format::Newer;
use format::{Damage, Frames, RECORD_MAX};
use kept::Kept;
use record::{Kind, Record};
pub use writer::Writer;

/// What a file holds at most, bytes.
const FILE_MAX: usize = 256 << 20;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is another program's, or a later agent's.
    #[error(transparent)]
    Newer(#[from] Newer),
    /// It cannot be read.
    #[error("the journal cannot be read")]
    Read(#[source] std::io::Error),
}

/// A journal, who writes it, and what it held.
pub struct Opened {
    /// The handle.
    pub journal: Journal,
    /// To be run for as long as the journal is used.
    pub writer: Writer,
    /// Leases of an earlier process that have something to report.
    pub recovered: Vec<Recovered>,
}

/// What an earlier process left to be reported under one lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The lease id.
    pub lease: Vec<u8>,
    /// The task's id.
    pub task: Vec<u8>,
    /// The lease's epoch.
    pub epoch: u64,
    /// Bodies of the ends of steps that were not settled, in order.
    pub ends: Vec<Vec<u8>>,
    /// The body of the outcome, where the run had ended.
    pub outcome: Option<Vec<u8>>,
}

/// A handle; clones share one journal.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

/// Between those who report and the writer.
struct Shared {
    state: Mutex<State>,
    /// Something is to be written.
    wake: Notify,
    /// Somebody waits for the sync.
    hurry: Notify,
    /// The newest `State::number` that is on the disk for good.
    synced: Level<u64>,
    /// Whether the disk takes what is written.
    writable: Level<bool>,
    gauge: IntGauge,
}

#[derive(Default)]
struct State {
    kept: Kept,
    /// Counts what somebody may wait for.
    number: u64,
}

impl Journal {
    /// Reads what `disk` holds and begins a clean file. A torn or corrupt end is dropped, and the log says so. `gauge` is 1
    /// while the journal can be written, else 0.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be read or is of a later version. A disk that cannot be written is no error: nothing
    /// with an effect starts until it can.
    pub async fn open(disk: Arc<dyn Disk>, gauge: IntGauge) -> Result<Opened, OpenError> {
        let content = disk.read().await.map_err(OpenError::Read)?.unwrap_or_default();
        let mut kept = replay(&content)?;
        let (recovered, in_doubt) = kept.recover();
        if !recovered.is_empty() || in_doubt > 0 {
            tracing::info!(
                leases = recovered.len(),
                steps.unfinished = in_doubt,
                "an earlier process ended with something left to report, or with steps under way"
            );
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State { kept, number: 0 }),
            wake: Notify::new(),
            hurry: Notify::new(),
            synced: Level::new(0),
            writable: Level::new(true),
            gauge,
        });
        let writer = Writer::begin(Arc::clone(&shared), disk).await;
        Ok(Opened { journal: Self(shared), writer, recovered })
    }

    /// A lease was taken. It is written with its first report: a lease without one is given back anyway.
    pub fn taken(&self, lease: &[u8], task: &[u8], epoch: u64) {
        self.0.lock().kept.taken(lease, task, epoch);
    }

    /// A step with an effect is about to start. Resolves when that is on the disk for good, however long the disk refuses.
    pub fn started(&self, lease: &[u8], path: &str, body: Vec<u8>) -> impl Future<Output = ()> + Send + use<> {
        let number = self.report(Kind::Started, lease, path, body);
        self.until(number)
    }

    /// A step ended.
    pub fn ended(&self, lease: &[u8], path: &str, body: Vec<u8>) {
        self.report(Kind::Ended, lease, path, body);
    }

    /// A run ended.
    pub fn outcome(&self, lease: &[u8], body: Vec<u8>) {
        self.report(Kind::Outcome, lease, "", body);
    }

    /// The server settled the end of a step: it is not reported again.
    pub fn settled(&self, lease: &[u8], path: &str) {
        self.0.lock().kept.settled(lease, path);
        self.0.wake.notify_one();
    }

    /// Nothing more is to be reported under a lease.
    pub fn gone(&self, lease: &[u8]) {
        self.0.lock().kept.gone(lease);
        self.0.wake.notify_one();
    }

    /// Waits until everything so far is on the disk for good.
    pub async fn flush(&self) {
        let number = {
            let mut state = self.0.lock();
            state.kept.hurry();
            state.number += 1;
            state.number
        };
        self.0.hurried();
        self.until(number).await;
    }

    /// Whether the disk takes what is written. While it does not, nothing with an effect starts.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.writable.get()
    }

    /// Answers the number to wait for.
    fn report(&self, kind: Kind, lease: &[u8], path: &str, body: Vec<u8>) -> u64 {
        let bytes = body.len();
        if bytes > RECORD_MAX {
            tracing::error!(
                bytes,
                path,
                "a report is too large for the journal: a crash before it is settled loses it"
            );
            return u64::MAX;
        }
        let frame = record::frame(kind, lease, path, body);
        let (number, urgent) = {
            let mut state = self.0.lock();
            state.number += 1;
            (state.number, state.kept.report(kind, lease, path, frame))
        };
        if urgent {
            self.0.hurried();
        } else {
            self.0.wake.notify_one();
        }
        number
    }

    fn until(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.0);
        async move { shared.synced.wait_for(|synced| synced >= number).await }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hurried(&self) {
        self.hurry.notify_one();
        self.wake.notify_one();
    }

    fn set_writable(&self, writable: bool) {
        self.gauge.set(writable.into());
        self.writable.set(writable);
    }
}

/// What a file says, up to where it is damaged.
fn replay(content: &[u8]) -> Result<Kept, Newer> {
    let mut kept = Kept::default();
    let mut frames = Frames::open(content)?;
    loop {
        match frames.next_frame() {
            Ok(None) => break,
            Ok(Some((frame, payload))) => {
                if !Record::read(payload).is_some_and(|record| kept.replay(record, frame)) {
                    report_damage(&frames.corrupt(frame.len()));
                    break;
                }
            }
            Err(damage) => {
                report_damage(&damage);
                break;
            }
        }
    }
    Ok(kept)
}

fn report_damage(damage: &Damage) {
    match damage {
        Damage::Torn { bytes } => {
            tracing::warn!(bytes, "the journal's last write was cut off, as by a crash; its bytes are dropped");
        }
        Damage::Corrupt { at, bytes } => tracing::error!(
            at,
            bytes,
            "the journal is corrupt: the record at this place and everything after it is dropped; check the disk"
        ),
    }
}
