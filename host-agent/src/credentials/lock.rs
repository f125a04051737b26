//! One writer at a time: the agent and `credential rekey` work on the same files.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

const FILE: &str = ".lock";
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The right to write into a directory, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory where it is absent, and waits for the others until `by`.
    pub(super) fn take(directory: &Path, by: Instant) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(directory.join(FILE))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < by => thread::sleep(LOOK_AGAIN),
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::other("another process writes there; try again"));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}
