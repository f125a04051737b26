//! Lines that commands write. They are kept in batches behind everything that counts: a flood of them, or a database that is
//! slow, costs lines and nothing else.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::sync::mpsc;

use super::Dispatch;
use crate::model::{ids::Id, log::LogRow};

/// Lines that wait to be kept; more are dropped.
pub(super) const QUEUE: usize = 8_192;
const BATCH: usize = 512;
/// A batch waits this long for more.
const LINGER: Duration = Duration::from_millis(100);
/// Lines of one lease that are kept.
const LINES: u32 = 10_000;
/// Bytes of a message, and of its fields.
const BYTES: usize = 8_192;

/// A line on its way into the database.
pub(super) type Line = (Id, i64, LogRow);

/// What a command says.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of the step.
    pub path: String,
    /// As in the protocol.
    pub level: String,
    /// What it says.
    pub message: String,
    /// A JSON object of texts.
    pub fields: Option<String>,
}

/// Gives lines their places: ascending on this replica, and never equal on two.
#[derive(Debug, Default)]
pub(super) struct Places(AtomicI64);

impl Places {
    fn next(&self, now_us: i64, replica: Id) -> i64 {
        let last = replica.last().copied().map_or(0, i64::from);
        let next = |before: i64| Some((before + 1).max(now_us));
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(now_us);
        ((before + 1).max(now_us) << 8) | last
    }
}

impl Dispatch {
    /// Keeps a line of a command that runs under a lease of this session. Others are dropped.
    pub fn log(&self, session: u64, lease: Id, said: Said) {
        let (task, count) = {
            let mut hub = self.0.hub.lock();
            let Some(held) = hub.held(session, lease) else { return };
            held.lines += 1;
            ((held.lease.task.id, held.lease.task.cluster), held.lines)
        };
        if count > LINES {
            return;
        }
        let at = self.0.source.now_us();
        let seq = self.0.places.next(at, self.0.replica);
        let message =
            if count == LINES { format!("a run keeps {LINES} lines; further ones are dropped") } else { said.message };
        let row = LogRow {
            seq,
            at,
            path: cut(said.path, 255),
            level: cut(said.level, 8),
            message: cut(message, BYTES),
            fields: said.fields.filter(|fields| fields.len() <= BYTES),
        };
        if self.0.lines.try_send((task.0, task.1, row)).is_err() {
            self.0.metrics.lines_dropped.inc();
        }
    }
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Writes lines in batches. What cannot be written is dropped and counted.
pub(super) async fn run(dispatch: Dispatch, mut queue: mpsc::Receiver<Line>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(LINGER).await;
            while batch.len() < BATCH
                && let Ok(line) = queue.try_recv()
            {
                batch.push(line);
            }
        }
        if let Err(error) = dispatch.0.store.keep_lines(&batch).await {
            dispatch.0.metrics.lines_dropped.inc_by(batch.len() as u64);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                lines = batch.len(),
                "what commands said could not be kept"
            );
        }
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn places_ascend_whatever_the_clock_says_and_differ_between_replicas() {
        let (places, other) = (Places::default(), Places::default());
        let seqs: Vec<i64> = [5, 5, 3, 9].iter().map(|now| places.next(*now, [1; 16])).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
        assert_ne!(other.next(5, [2; 16]), seqs[0]);
    }
}
