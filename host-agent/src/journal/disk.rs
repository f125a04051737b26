//! Where a journal's bytes are. A trait, so that a simulation can lose what was not synced.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::FILE_MAX;

/// One file's worth of bytes. Calls do not overlap: there is one writer.
#[async_trait::async_trait]
pub trait Disk: Send + Sync + 'static {
    /// Everything; none where nothing was ever written.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than a journal becomes.
    async fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Puts bytes behind what is there. A crash of the process keeps them, one of the machine may keep any part of them.
    ///
    /// # Errors
    /// When they may not all be there. What was written is then unknown until [`Disk::replace`] succeeds.
    async fn append(&self, bytes: Vec<u8>) -> io::Result<()>;

    /// Everything appended so far outlives a crash of the machine.
    ///
    /// # Errors
    /// When it may not. What was written is then unknown until [`Disk::replace`] succeeds.
    async fn sync(&self) -> io::Result<()>;

    /// Puts bytes in the place of everything, for good: after a crash at any moment either the former or the latter is
    /// there, whole.
    ///
    /// # Errors
    /// When the former may still be there.
    async fn replace(&self, bytes: Vec<u8>) -> io::Result<()>;
}

/// The file `journal` of a directory. Blocking calls run on threads of their own.
pub struct FileDisk(Arc<Files>);

struct Files {
    directory: PathBuf,
    /// Open for appending, once it was written.
    file: Mutex<Option<File>>,
}

impl FileDisk {
    /// The journal in `directory`, which exists and is this process's alone.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self(Arc::new(Files { directory: directory.to_owned(), file: Mutex::default() }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let files = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&files)).await.map_err(io::Error::other)?
    }
}

#[async_trait::async_trait]
impl Disk for FileDisk {
    async fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.blocking(Files::read).await
    }

    async fn append(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.blocking(move |files| files.with(|mut file| file.write_all(&bytes))).await
    }

    async fn sync(&self) -> io::Result<()> {
        self.blocking(|files| files.with(File::sync_data)).await
    }

    async fn replace(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.blocking(move |files| files.replace(&bytes)).await
    }
}

impl Files {
    fn path(&self) -> PathBuf {
        self.directory.join("journal")
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut content = Vec::new();
        file.take(FILE_MAX as u64 + 1).read_to_end(&mut content)?;
        if content.len() > FILE_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than a journal becomes"));
        }
        Ok(Some(content))
    }

    fn with<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        work(file.as_ref().ok_or_else(|| io::Error::other("the journal was not begun"))?)
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let part = self.directory.join("journal.part");
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, self.path())?;
        File::open(&self.directory)?.sync_all()?;
        // The position is behind what was written, and nobody else writes.
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }
}
