//! The state directory: the journal, its id, and the lock that keeps a second agent from passing for this one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::FileDisk;

/// A directory that is this process's alone for as long as this lives.
pub struct Directory {
    path: PathBuf,
    id: [u8; 16],
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is absent, and locks it.
    ///
    /// # Errors
    /// When another agent uses it, or it cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("another agent uses it; give each its own --state"),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { path: path.to_owned(), id: id(path)?, _lock: lock })
    }

    /// By which the server knows this agent again.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// Where the journal is.
    #[must_use]
    pub fn disk(&self) -> FileDisk {
        FileDisk::new(&self.path)
    }
}

/// Made once.
fn id(directory: &Path) -> io::Result<[u8; 16]> {
    let path = directory.join("journal-id");
    if let Ok(bytes) = fs::read(&path)
        && let Ok(id) = bytes.try_into()
    {
        return Ok(id);
    }
    let id: [u8; 16] = rand::random();
    let temporary = directory.join("journal-id.part");
    let mut file = File::create(&temporary)?;
    file.write_all(&id)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(id)
}
