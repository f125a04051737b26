//! Compiled code on disk, so that a start compiles nothing. Loading it is running native code, so it lies in a directory
//! that only the agent writes, never in the plugin mount.
//!
//! An entry's name holds the component's digest and the engine's; its last 32 bytes are the SHA-256 of the rest, so that a
//! torn entry is seen and made again.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::Engine;

const ENTRIES_MAX: usize = 128;
const CHECKSUM_BYTES: usize = 32;

/// The directory, once it was found to be the agent's own.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    engine: u64,
}

/// Why the directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Others write there.
    #[error(
        "the directory {0} is writable by others or belongs to another user; it must be the agent's own, mode 0700"
    )]
    Foreign(PathBuf),
    /// It cannot be made or looked at.
    #[error("the directory {0} cannot be used")]
    Io(PathBuf, #[source] io::Error),
}

/// Makes the directory where it is absent, and finds whether only this user writes there.
///
/// # Errors
/// [`CacheError`].
pub fn own_directory(directory: &Path) -> Result<(), CacheError> {
    let failed = |error| CacheError::Io(directory.to_owned(), error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let found = fs::symlink_metadata(directory).map_err(failed)?;
    if !found.is_dir() || found.mode() & 0o022 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(CacheError::Foreign(directory.to_owned()));
    }
    Ok(())
}

impl Cache {
    /// Makes the directory where it is absent.
    ///
    /// # Errors
    /// [`CacheError`]; the agent then compiles at each start.
    pub(super) fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        own_directory(directory)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory: directory.to_owned(), engine: hasher.finish() })
    }

    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        self.directory.join(format!("{}-{:016x}.cwasm", hex(digest), self.engine))
    }

    /// The code, if there is an entry and it is whole.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.path(digest)).ok()?;
        let code = bytes.len().checked_sub(CHECKSUM_BYTES)?;
        let whole =
            bytes.split_at_checked(code).is_some_and(|(code, sum)| <[u8; 32]>::from(Sha256::digest(code)) == sum);
        bytes.truncate(code);
        whole.then_some(bytes)
    }

    /// Keeps the code under a name that appears only when it is whole.
    ///
    /// # Errors
    /// When the disk does not take it; the plugin loads all the same.
    pub(super) fn put(&self, digest: &[u8; 32], code: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(code).and_then(|()| file.write_all(&Sha256::digest(code)));
        written.and_then(|()| fs::rename(&temporary, &path)).inspect_err(|_| {
            // The error that is told is the first one; a leftover is overwritten by the next try.
            let _ = fs::remove_file(&temporary);
        })?;
        self.trim()
    }

    fn trim(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            entries.push((entry.metadata()?.modified()?, entry.path()));
        }
        entries.sort();
        for (_, path) in entries.iter().rev().skip(ENTRIES_MAX) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
