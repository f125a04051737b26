//! The one who writes: gathers what waits, appends it, and syncs once for all who wait.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Disk, FILE_MAX, Shared, format};

/// What may be repeated safely waits this long: mostly the server settles it meanwhile, and nothing is written.
const LINGER: Duration = Duration::from_millis(100);
/// Between two attempts to write to a disk that refuses.
const RETRY: Duration = Duration::from_secs(1);
/// A file up to this size is not worth writing anew.
const COMPACT_BYTES: usize = 8 << 20;

/// See the module. Everything waits while it does not run.
pub struct Writer {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    /// Of the file.
    size: usize,
}

impl Writer {
    /// Begins a file with what is kept.
    pub(super) async fn begin(shared: Arc<Shared>, disk: Arc<dyn Disk>) -> Self {
        let mut writer = Self { shared, disk, size: 0 };
        let outcome = writer.rewrite().await;
        writer.told(outcome);
        writer
    }

    /// Writes until the future is dropped.
    pub async fn run(mut self) {
        loop {
            if self.shared.writable.get() {
                self.shared.wake.notified().await;
                tokio::select! {
                    biased;
                    () = self.shared.hurry.notified() => {}
                    () = tokio::time::sleep(LINGER) => {}
                }
                let outcome = self.write().await;
                self.told(outcome);
            } else {
                tokio::time::sleep(RETRY).await;
                let outcome = self.rewrite().await;
                self.told(outcome);
            }
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        let (batch, number, live) = {
            let mut state = self.shared.lock();
            (state.kept.batch(), state.number, state.kept.bytes())
        };
        let bytes = batch.frames.concat();
        let size = self.size + bytes.len();
        if size > FILE_MAX || size > COMPACT_BYTES.max(2 * live) {
            return self.rewrite().await;
        }
        if !bytes.is_empty() {
            self.disk.append(bytes).await?;
            self.size = size;
        }
        if batch.sync {
            self.disk.sync().await?;
            self.shared.synced.set(number);
        }
        Ok(())
    }

    /// A file of nothing but what is kept. After a failed write nobody knows what the file holds: this makes it known.
    async fn rewrite(&mut self) -> io::Result<()> {
        let (frames, number) = {
            let mut state = self.shared.lock();
            (state.kept.snapshot(), state.number)
        };
        let size = format::HEADER_BYTES + frames.iter().map(Bytes::len).sum::<usize>();
        if size > FILE_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the journal has at most {FILE_MAX} bytes"),
            ));
        }
        let pieces: Vec<_> = std::iter::once(format::header()).chain(frames).collect();
        self.disk.replace(pieces.concat()).await?;
        self.size = size;
        self.shared.synced.set(number);
        Ok(())
    }

    fn told(&self, outcome: io::Result<()>) {
        let (was, writable) = (self.shared.writable.get(), outcome.is_ok());
        match outcome {
            Ok(()) if !was => tracing::info!("the journal can be written again"),
            Err(error) if was => tracing::error!(
                %error,
                "the journal cannot be written: no task is asked for and no step with an effect starts until it can"
            ),
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "the journal still cannot be written"),
        }
        self.shared.set_writable(writable);
    }
}
