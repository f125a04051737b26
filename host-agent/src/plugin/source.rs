//! The plugin directory, read with suspicion: regular files only, never blocking, never more than the limit.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

const FILE_MAX_BYTES: u64 = 64 << 20;
const FILES_MAX: usize = 512;

/// A file as it was read whole.
pub(super) struct PluginFile {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: [u8; 32],
}

/// What changes when a file changes: cheap to look at, and only a hint to read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    /// Follows symbolic links, as ConfigMaps are made of them. None: there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Self { device: found.dev(), inode: found.ino(), length: found.len(), modified })
    }
}

/// The `*.wasm` files by stem. Everything else, compiled code above all, is left alone.
///
/// # Errors
/// When the directory cannot be listed: then nothing is known, which is not the same as an empty directory.
pub(super) fn list(directory: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let Some(stem) = name.strip_suffix(".wasm").filter(|stem| !stem.starts_with('.') && !stem.is_empty()) else {
            continue;
        };
        if files.len() >= FILES_MAX {
            tracing::warn!(directory = %directory.display(), files_max = FILES_MAX, "further plugin files are ignored");
            break;
        }
        files.insert(stem.to_owned(), directory.join(&*name));
    }
    Ok(files)
}

/// Where the directory's `..data` points: a ConfigMap mount swaps it.
pub(super) fn swap_target(directory: &Path) -> Option<PathBuf> {
    fs::read_link(directory.join("..data")).ok()
}

/// Reads one file.
///
/// # Errors
/// Why it is not read, for a person.
pub(super) fn read(path: &Path) -> Result<PluginFile, String> {
    let bytes = read_regular(path, FILE_MAX_BYTES)?;
    let digest = Sha256::digest(&bytes).into();
    Ok(PluginFile { bytes, digest })
}

/// The bytes of a regular file of at most `max_bytes`. A FIFO or a device is refused without waiting for it.
///
/// # Errors
/// Why it is not read, for a person.
pub(super) fn read_regular(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("the file cannot be read: {error}");
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err("it is not a regular file".into());
    }
    if found.len() > max_bytes {
        return Err(format!("the file has {} bytes; at most {max_bytes} are read", found.len()));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_bytes {
        return Err(format!("the file grows beyond {max_bytes} bytes"));
    }
    Ok(bytes)
}
