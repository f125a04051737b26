//! Small files that hold secrets: read whole or not at all, written whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

const FILE_MAX_BYTES: u64 = 256 << 10;
/// Begins the names of files that are not whole yet; no key does.
const NEW: &str = ".new-";

/// The bytes; none where there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Opening a pipe would wait for its other end.
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is no file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_MAX_BYTES) {
        return Err(io::Error::other(format!("it has more than {FILE_MAX_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

/// The names of the regular files of a directory, sorted; of one that is absent none.
pub(super) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Those of a mounted Secret are links.
        if fs::metadata(entry.path()).is_ok_and(|found| found.is_file()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Puts the file in its place, durable when this returns; only its owner may read it.
///
/// # Errors
/// `Ok` inside: it is in its place, and may be gone after a power failure.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<io::Result<()>> {
    let directory = path.parent().ok_or_else(|| io::Error::other("it lies in no directory"))?;
    let temporary = directory.join(format!("{NEW}{:016x}", rand::random::<u64>()));
    let written = create(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error of writing is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| File::open(directory).and_then(|directory| directory.sync_all()))
}

/// Makes a file that was not there.
pub(super) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes away what a process left that died while it wrote. Nobody else may be writing.
pub(super) fn sweep(directory: &Path) -> io::Result<()> {
    for name in names(directory)?.iter().filter(|name| name.starts_with(NEW)) {
        fs::remove_file(directory.join(name))?;
    }
    Ok(())
}

/// Removes the file, durably when this returns.
///
/// # Errors
/// `Ok` inside: it is gone, and may be back after a power failure.
pub(super) fn remove(path: &Path) -> io::Result<io::Result<()>> {
    fs::remove_file(path)?;
    let directory = path.parent().ok_or_else(|| io::Error::other("it lies in no directory"));
    Ok(directory.and_then(|directory| File::open(directory)?.sync_all()))
}
